# What an identity provider does for machines: an OAuth 2.0 token endpoint with
# client credentials, and the keys that vouch for its tokens (RFC 6749, 7517).
#
# provider.py DIR [CERTIFICATE KEY]
#
# Listens on loopback, with TLS if there is a certificate, and writes its
# address into DIR/address, with TLS into DIR/https, once it answers.  The keys
# of tokens are in DIR/jwks.json.  DIR/settings.json, which it reads anew for
# every request, may have:
#
#   clients    {id: secret}
#   scope      the only one that is granted; null: whatever is wanted
#   lifetime   of tokens, in seconds
#   issuer, audience
#   key        "own", or "stray": one that is not in DIR/jwks.json
#   status     what it answers instead of a token, such as 503
#
# DIR/requests has one line for each request: time, client, status.
import base64
import http.server
import json
import os
import ssl
import sys
import time
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey

KEYS = {}


def make_keys(directory):
    path = os.path.join(directory, "keys.json")
    if not os.path.exists(path):
        keys = {name: RSAKey.generate_key(2048, {"kid": name}).as_dict(private=True)
                for name in ("own", "stray")}
        with open(path, "w") as file:
            json.dump(keys, file)
    with open(path) as file:
        for name, key in json.load(file).items():
            KEYS[name] = RSAKey.import_key(key)
    public = dict(KEYS["own"].as_dict(private=False), use="sig", alg="RS256")
    with open(os.path.join(directory, "jwks.json"), "w") as file:
        json.dump({"keys": [public]}, file)


def make_token(settings, client):
    now = int(time.time())
    claims = {
        "iss": settings["issuer"],
        "aud": settings["audience"],
        "sub": client,
        "iat": now - 1,
        "exp": now + settings["lifetime"],
    }
    if settings.get("scope"):
        claims["scope"] = settings["scope"]
    key = settings.get("key") or "own"
    return jwt.encode({"alg": "RS256", "kid": key}, claims, KEYS[key])


class Endpoint(http.server.BaseHTTPRequestHandler):
    def client(self, settings):
        """The client that has shown its secret, or None."""
        word, _, code = self.headers.get("Authorization", "").partition(" ")
        if word.lower() != "basic":
            return None
        name, _, secret = base64.b64decode(code).decode().partition(":")
        return name if settings["clients"].get(name) == secret else None

    def decide(self, settings, form):
        """HTTP's status and the answer."""
        client = self.client(settings)
        if settings.get("status"):
            return client, settings["status"], {"error": "temporarily_unavailable"}
        if client is None:
            return client, 401, {"error": "invalid_client"}
        if form.get("grant_type") != ["client_credentials"]:
            return client, 400, {"error": "unsupported_grant_type"}
        if settings.get("scope") and form.get("scope") != [settings["scope"]]:
            return client, 400, {"error": "invalid_scope"}
        return client, 200, {
            "access_token": make_token(settings, client),
            "token_type": "Bearer",
            "expires_in": settings["lifetime"],
        }

    def do_POST(self):
        with open(os.path.join(sys.argv[1], "settings.json")) as file:
            settings = json.load(file)
        length = int(self.headers.get("Content-Length", 0))
        form = parse_qs(self.rfile.read(length).decode())
        client, status, answer = self.decide(settings, form)
        with open(os.path.join(sys.argv[1], "requests"), "a") as file:
            print(time.time(), client, status, file=file)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    directory = sys.argv[1]
    make_keys(directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    name = "address"
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        name = "https"
    written = os.path.join(directory, name + ".new")
    with open(written, "w") as file:
        print("127.0.0.1:%d" % server.server_port, file=file)
    os.rename(written, os.path.join(directory, name))
    server.serve_forever()


main()
