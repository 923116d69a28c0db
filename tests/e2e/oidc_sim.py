#!/usr/bin/python3
"""An OpenID Connect provider for tests: authorization code with PKCE, ES256. It signs everybody in as the `login_hint`, or
"sam", and misbehaves as it is told.

Usage: oidc_sim.py [PORT]. Prints "port N" and serves until it is killed. POST /set?mode=MODE&now=SECONDS makes it behave
so from then on; MODES says how, `now` is the time that it believes in.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

MODES = {
    "good": "as it should",
    "wrong_nonce": "the id_token is of another sign-in",
    "no_nonce": "the id_token names no sign-in",
    "wrong_aud": "the id_token is for another client",
    "two_auds": "the id_token is for two, and was given to the other",
    "wrong_iss": "the id_token is of another issuer",
    "expired": "the id_token has expired",
    "future": "the id_token is not good yet",
    "unknown_kid": "the id_token names a key that is not published",
    "wrong_key": "the id_token is signed by another key of that name",
    "none": "the id_token is not signed",
    "hs256": "the id_token is signed with the client's secret",
    "no_sub": "the id_token names nobody",
    "no_id_token": "the token endpoint forgets the id_token",
    "not_json": "the token endpoint answers in HTML",
    "token_error": "the token endpoint fails",
    "token_refuses": "the token endpoint knows no code",
    "slow": "the token endpoint takes eight seconds",
    "huge": "the token endpoint answers a megabyte",
    "redirect": "the token endpoint sends elsewhere",
    "discovery_of_another": "the configuration is another issuer's",
    "discovery_http": "the configuration names an endpoint that is not https",
    "discovery_huge": "the configuration is a megabyte",
    "no_keys": "no key is published",
}
CLIENT, SECRET = "cx", "s3cret:/?&"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    def __init__(self, kid):
        self.kid, self.private = kid, ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        point = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
                "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}

    def sign(self, data):
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Provider:
    def __init__(self):
        self.mode, self.now = "good", None
        self.key, self.other = Key("k1"), Key("k1")
        self.codes = {}

    def time(self):
        return self.now if self.now is not None else int(time.time())

    def id_token(self, issuer, started):
        mode, now = self.mode, self.time()
        claims = {"iss": issuer, "sub": started.get("login_hint", "sam"), "aud": CLIENT, "exp": now + 300, "iat": now,
                  "nonce": started["nonce"], "name": "Sam Sample", "email": "sam@example.com"}
        claims |= {"wrong_nonce": {"nonce": "another"}, "wrong_aud": {"aud": "another"},
                   "two_auds": {"aud": [CLIENT, "another"], "azp": "another"},
                   "wrong_iss": {"iss": issuer + "/another"}, "expired": {"exp": now - 3600, "iat": now - 7200},
                   "future": {"nbf": now + 3600}}.get(mode, {})
        for gone in {"no_sub": ["sub"], "no_nonce": ["nonce"]}.get(mode, []):
            del claims[gone]
        kid = "unknown" if mode == "unknown_kid" else self.key.kid
        header = {"alg": {"none": "none", "hs256": "HS256"}.get(mode, "ES256"), "kid": kid}
        signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        if mode == "none":
            return signed + "."
        if mode == "hs256":
            return signed + "." + b64(hmac.digest(SECRET.encode(), signed.encode(), "sha256"))
        key = self.other if mode == "wrong_key" else self.key
        return signed + "." + b64(key.sign(signed.encode()))


class Handler(BaseHTTPRequestHandler):
    provider = Provider()
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document, headers=()):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def issuer(self):
        return "http://" + self.headers["Host"]

    def do_GET(self):
        provider, url = self.provider, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            if provider.mode == "discovery_huge":
                return self.answer(200, b"x" * 1_000_000)
            issuer = self.issuer
            document = {"issuer": issuer + ("/another" if provider.mode == "discovery_of_another" else ""),
                        "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
                        "jwks_uri": issuer + "/jwks.json"}
            if provider.mode == "discovery_http":
                document["token_endpoint"] = "http://192.0.2.1/token"
            return self.answer(200, document)
        if url.path == "/jwks.json":
            keys = [] if provider.mode == "no_keys" else [provider.key.jwk()]
            return self.answer(200, {"keys": keys}, [("Cache-Control", "public, max-age=300")])
        if url.path == "/authorize":
            needed = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")
            if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256" or \
                    any(name not in query for name in needed) or "openid" not in query.get("scope", "").split():
                return self.answer(400, {"error": "invalid_request"})
            code = b64(hashlib.sha256(query["state"].encode()).digest())
            provider.codes[code] = query
            back = {"code": code, "state": query["state"]}
            if "json" in self.headers.get("Accept", ""):
                return self.answer(200, back)
            return self.answer(302, {}, [("Location", query["redirect_uri"] + "?" + urlencode(back))])
        return self.answer(404, {})

    def do_POST(self):
        provider, url = self.provider, urlsplit(self.path)
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if url.path == "/set":
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            provider.mode = query.get("mode", provider.mode)
            provider.now = int(query["now"]) if "now" in query else provider.now
            if "rotate" in query:
                provider.key = Key(query["rotate"])
            return self.answer(200 if provider.mode in MODES else 400, {})
        if url.path == "/token":
            return self.token({name: values[0] for name, values in parse_qs(form).items()})
        return self.answer(404, {})

    def token(self, form):
        provider = self.provider
        odd = {"not_json": (200, b"<html>"), "token_error": (500, {}), "no_id_token": (200, {"access_token": "x"}),
               "huge": (200, b"x" * 1_000_000), "token_refuses": (400, {"error": "invalid_grant"})}
        if provider.mode in odd:
            return self.answer(*odd[provider.mode])
        if provider.mode == "redirect":
            return self.answer(307, {}, [("Location", self.issuer + "/token2")])
        if provider.mode == "slow":
            time.sleep(8)
        started = provider.codes.pop(form.get("code"), None)
        scheme, _, credential = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(credential).decode().partition(":") if scheme == "Basic" else ("", "", "")
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if started is None or started["redirect_uri"] != form.get("redirect_uri") or \
                started["code_challenge"] != challenge or (unquote(user), unquote(password)) != (CLIENT, SECRET):
            return self.answer(400, {"error": "invalid_grant"})
        return self.answer(200, {"access_token": "x", "token_type": "Bearer",
                                 "id_token": provider.id_token(self.issuer, started)})


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that go away in the middle are part of the tests


def main():
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    print("port", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
