"""Serves the files of the folder that it is started in. PORT CERTIFICATE KEY"""

import http.server
import ssl
import sys

address = ("127.0.0.1", int(sys.argv[1]))
server = http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
