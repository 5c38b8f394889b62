"""Authlib: the same as client.mjs, by a library that reads metadata and forms its requests in its own way."""

import json
import pathlib
import sys

from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
import requests

issuer, kind = sys.argv[1:]
# Authlib does not form-encode what it puts into the Basic header, though RFC 6749 §2.3.1 wants it: the secret of `basic` would not
# arrive.
_, post, plain, _ = json.loads(pathlib.Path(__file__).with_name("clients.json").read_text())


def say(checked):
    print(f"Authlib: {checked}", flush=True)


def session(client):
    method = client["token_endpoint_auth_method"]
    return OAuth2Session(
        client["client_id"],
        client["client_secret"],
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
    )


reply = requests.get(get_well_known_url(issuer, external=True))
reply.raise_for_status()
metadata = AuthorizationServerMetadata(reply.json())
for key in AuthorizationServerMetadata.REGISTRY_KEYS:
    # RFC 8414 §2 requires it, and Authlib does not know of servers without an authorization endpoint, who have none to name.
    if key == "response_types_supported":
        assert metadata[key] == []
    else:
        getattr(metadata, f"validate_{key}")()
assert metadata["issuer"] == issuer
assert ("jwks_uri" in metadata) == (kind == "jwt")
say("the metadata is valid")

for client in [plain, post]:
    asks = session(client)

    def introspected(token):
        reply = asks.introspect_token(metadata["introspection_endpoint"], token=token)
        reply.raise_for_status()
        return reply.json()

    parameters = {} if client is plain else {"scope": "invoices:write", "resource": client["audience"][1]}
    got = asks.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", **parameters)
    token = got["access_token"]
    assert got["token_type"] == "Bearer" and not got.is_expired(leeway=0)
    said = introspected(token)
    assert said["active"] and said["client_id"] == client["client_id"]
    assert said.get("aud") == parameters.get("resource") and said.get("scope") == got.get("scope")
    reply = asks.revoke_token(metadata["revocation_endpoint"], token=token, token_type_hint="access_token")
    reply.raise_for_status()
    assert introspected(token) == {"active": False}
    say(f"{client['token_endpoint_auth_method']}: a token, introspected, revoked, introspected")

try:
    session(post | {"client_secret": "wrong"}).fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    sys.exit("a wrong secret was taken")
except OAuthError as error:
    assert error.error == "invalid_client"
say("invalid_client is understood")
