"""A bucket called `bucket` that only `hb` with the password `secret` may use. PORT

moto keeps it. moto looks at no signature in an address, so each is checked before, by what
AWS's own client computes."""

import sys
import time
from calendar import timegm
from urllib.parse import parse_qs

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.test import Client

PORT = int(sys.argv[1])
REGION = "eu-test-1"
SIGNER = S3SigV4QueryAuth(Credentials("hb", "secret"), "s3", REGION)
CLOCKS_MAY_DIFFER = 300
moto = DomainDispatcherApplication(create_backend_app)


def is_signed(environ) -> bool:
    given = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    if "X-Amz-Signature" not in given:
        return False
    begun = timegm(time.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    age = time.time() - begun
    if not -CLOCKS_MAY_DIFFER < age < int(given["X-Amz-Expires"]):
        return False
    path, query = environ["RAW_URI"].split("?", 1)
    signed = [part for part in query.split("&") if not part.startswith("X-Amz-Signature=")]
    url = f"http://{environ['HTTP_HOST']}{path}?{'&'.join(signed)}"
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=url)
    request.context["timestamp"] = given["X-Amz-Date"]
    text = SIGNER.string_to_sign(request, SIGNER.canonical_request(request))
    return SIGNER.signature(text, request) == given["X-Amz-Signature"]


def application(environ, start_response):
    if not is_signed(environ):
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SignatureDoesNotMatch</Code></Error>"]
    return moto(environ, start_response)


Client(moto).put("/bucket", base_url=f"http://127.0.0.1:{PORT}")
run_simple("127.0.0.1", PORT, application, threaded=True)
