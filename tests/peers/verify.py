"""PyJWT: the same as verify.mjs, by another library."""

import base64
import json
import os
import pathlib
import ssl
import sys
import time

import jwt
import requests

(issuer,) = sys.argv[1:]
_, post, _, brief = json.loads(pathlib.Path(__file__).with_name("clients.json").read_text())


def say(checked):
    print(f"PyJWT: {checked}", flush=True)


host, slash, path = issuer.removeprefix("https://").partition("/")
metadata = requests.get(f"https://{host}/.well-known/oauth-authorization-server{slash}{path}").json()
trust = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
keys = jwt.PyJWKClient(metadata["jwks_uri"], ssl_context=trust)


def fetched(client, **parameters):
    secret = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    auth = None
    if client["token_endpoint_auth_method"] == "client_secret_basic":
        auth, secret = tuple(secret.values()), {}
    form = {"grant_type": "client_credentials"} | secret | parameters
    reply = requests.post(metadata["token_endpoint"], data=form, auth=auth)
    reply.raise_for_status()
    return reply.json()["access_token"]


def verified(token, issuer=issuer, audience=issuer):
    """PyJWT leaves `typ` to who calls it (RFC 9068 §4)."""
    decoded = jwt.decode_complete(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["EdDSA"],
        issuer=issuer,
        audience=audience,
        options={"require": ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"]},
    )
    assert decoded["header"]["typ"] == "at+jwt"
    return decoded["payload"]


def refused(error, token, **expected):
    try:
        verified(token, **expected)
    except error:
        return
    sys.exit(f"no {error.__name__}")


token = fetched(post, scope="invoices:read")
payload = verified(token)
assert payload["sub"] == payload["client_id"] == "post" and payload["scope"] == "invoices:read"
assert len(keys.get_signing_keys()) == 2, "the one that signs and the next one"
say("a token of EdDSA is verified for issuer and audience, by the key of the JWKS document that its header names")

elsewhere = fetched(post, resource=post["audience"])
for audience in post["audience"]:
    verified(elsewhere, audience=audience)
refused(jwt.InvalidAudienceError, elsewhere)
say("a token for two resources is verified for each of them, and for nobody else")

refused(jwt.InvalidIssuerError, token, issuer="https://elsewhere.example.com")
refused(jwt.InvalidIssuerError, token, issuer=issuer + "/")
refused(jwt.InvalidAudienceError, token, audience="https://elsewhere.example.com")
say("a wrong issuer and audience are refused")

header, body, signature = token.split(".")


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


other = encode(json.dumps(payload | {"scope": "invoices:write"}).encode())
flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
flipped[0] ^= 1
refused(jwt.InvalidSignatureError, f"{header}.{other}.{signature}")
refused(jwt.InvalidSignatureError, f"{header}.{body}.{encode(flipped)}")
none = encode(json.dumps(jwt.get_unverified_header(token) | {"alg": "none"}).encode())
refused(jwt.InvalidAlgorithmError, f"{none}.{body}.{signature}")
say("another signature, payload and algorithm are refused")

short = fetched(brief)
verified(short)
time.sleep(3.1)
refused(jwt.ExpiredSignatureError, short)
say("a token counts until it expires")
