"""Gives tokens for a registry: everything that is asked for to who has the password, and
reading to anybody. PORT CERTIFICATE KEY; the key is an RSA key, and signs tokens, too."""

import base64
import http.server
import json
import ssl
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlsplit

PORT, CERTIFICATE, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
PASSWORD = "Basic " + base64.b64encode(b"hb:secret").decode()


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(service: str, access: list) -> str:
    der = ssl.PEM_cert_to_DER_cert(open(CERTIFICATE).read())
    chain = [base64.b64encode(der).decode()]
    head = {"typ": "JWT", "alg": "RS256", "x5c": chain}
    now = int(time.time())
    claims = {
        "iss": "issuer",
        "sub": "hb",
        "aud": service,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
        "jti": str(time.time_ns()),
        "access": access,
    }
    signed = ".".join(text(json.dumps(part).encode()) for part in (head, claims))
    command = ["openssl", "dgst", "-sha256", "-sign", KEY]
    done = subprocess.run(command, input=signed.encode(), capture_output=True, check=True)
    return signed + "." + text(done.stdout)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shown = self.headers.get("Authorization")
        query = parse_qs(urlsplit(self.path).query)
        if shown not in (None, PASSWORD):
            self.answer(401, {})
            return
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.rsplit(":", 2)
            allowed = [it for it in actions.split(",") if shown or it == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        self.answer(200, {"token": token(query["service"][0], access)})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
