#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry's front with Bearer authentication: it forwards to a registry without any, for who brings a token of its own.

usage: token_server.py PORT UPSTREAM_HOST:PORT USER:PASSWORD TOKEN_SECONDS

It prints each token it grants and each call it refuses.
"""
import base64
import http.client
import http.server
import json
import secrets
import sys
import time

PORT, UPSTREAM, LOGIN, SECONDS = int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
EXPIRY = {}


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/token"):
            return self.grant()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if EXPIRY.get(token, 0) < time.monotonic():
            print("refused" if token else "asked", self.path, flush=True)
            return self.answer(401, b"{}", [("WWW-Authenticate", f'Bearer realm="http://127.0.0.1:{PORT}/token",'
                                             'service="test",scope="repository:team/any:pull"')])
        return self.forward()

    do_HEAD = do_GET

    def grant(self):
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(LOGIN.encode()).decode():
            return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}')
        token = secrets.token_hex(16)
        EXPIRY[token] = time.monotonic() + SECONDS
        print("granted", flush=True)
        # It claims to last longer than it does, so that a refusal in the middle of reading is what renews it.
        return self.answer(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def forward(self):
        upstream = http.client.HTTPConnection(UPSTREAM)
        headers = {name: self.headers[name] for name in ("Range", "Accept") if self.headers[name]}
        upstream.request(self.command, self.path, headers=headers)
        response = upstream.getresponse()
        body = response.read()
        keep = ("content-type", "content-range", "docker-content-digest", "accept-ranges", "etag")
        self.answer(response.status, body, [(name, value) for name, value in response.getheaders() if name.lower() in keep])

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Front).serve_forever()
