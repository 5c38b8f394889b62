// openid-client: a client that knows the issuer identifier and its credentials, and has all else from the metadata.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const [issuer, kind] = process.argv.slice(2);
const clients = JSON.parse(readFileSync(new URL("clients.json", import.meta.url)));
const audience = clients[0].audience;
const say = (checked) => console.log(`openid-client: ${checked}`);

const methods = { client_secret_basic: client.ClientSecretBasic, client_secret_post: client.ClientSecretPost };
const discover = ({ client_id, client_secret, token_endpoint_auth_method: method }, secret = client_secret) =>
  client.discovery(new URL(issuer), client_id, {}, methods[method](secret), { algorithm: "oauth2" });

/** What a request is refused with: a body with `error` (RFC 6749 §5.2), or a challenge (RFC 9110 §11.6.1). */
const refused = async (request) => {
  try {
    await request;
  } catch (error) {
    if (error instanceof client.ResponseBodyError) return `${error.status} ${error.error}`;
    if (error instanceof client.WWWAuthenticateChallengeError) return `${error.status} ${error.cause[0].scheme}`;
    throw error;
  }
  assert.fail("it was not refused");
};

/** A token, and what the server says of it until it is revoked. */
const lives = async (config, parameters) => {
  const got = await client.clientCredentialsGrant(config, parameters);
  assert.equal(got.token_type, "bearer"); // lower case by the library
  assert.equal(got.expires_in, 180);
  assert.equal(got.refresh_token, undefined);
  assert.equal(got.access_token.split(".").length, kind === "jwt" ? 3 : 1);
  const told = await client.tokenIntrospection(config, got.access_token);
  assert.equal(told.active, true);
  assert.equal(told.client_id, config.clientMetadata().client_id);
  assert.equal(told.scope, got.scope);
  assert.equal(told.exp - told.iat, 180);

  await client.tokenRevocation(config, got.access_token, { token_type_hint: "access_token" });
  assert.deepEqual(await client.tokenIntrospection(config, got.access_token), { active: false });
  await client.tokenRevocation(config, got.access_token); // RFC 7009 §2.2: no error
  return told;
};

for (const registered of clients.filter((each) => each.audience)) {
  const config = await discover(registered);
  const metadata = config.serverMetadata();
  const method = registered.token_endpoint_auth_method;
  assert.equal(metadata.issuer, issuer);
  assert.equal("jwks_uri" in metadata, kind === "jwt");
  assert(metadata.token_endpoint_auth_methods_supported.includes(method));

  const plain = await lives(config, { scope: "invoices:read tenant:my-corporation" });
  assert.equal(plain.scope, "invoices:read tenant:my-corporation");
  say(`${method}: a token for a scope, introspected, revoked, introspected`);

  const one = await lives(config, { scope: "invoices:read", resource: audience[0] });
  assert.equal(one.aud, audience[0]);
  const both = await lives(config, new URLSearchParams(audience.map((each) => ["resource", each])));
  assert.deepEqual(both.aud, audience);
  say(`${method}: the same with resource, one and two`);

  const ask = (parameters) => refused(client.clientCredentialsGrant(config, parameters));
  assert.equal(await ask({ scope: "invoices:delete" }), "400 invalid_scope");
  assert.equal(await ask({ resource: "https://elsewhere.example.com" }), "400 invalid_target");
  say(`${method}: invalid_scope and invalid_target are understood`);

  // Another secret, and the right one in another place than is registered.
  const other = Object.keys(methods).find((each) => each !== method);
  const misplaced = { ...registered, token_endpoint_auth_method: other };
  for (const wrong of await Promise.all([discover(registered, "wrong"), discover(misplaced)])) {
    const token = "unknown";
    const answers = [
      await refused(client.clientCredentialsGrant(wrong)),
      await refused(client.tokenIntrospection(wrong, token)),
      await refused(client.tokenRevocation(wrong, token)),
    ];
    for (const answer of answers) assert.equal(answer, "401 basic");
  }
  say(`${method}: a wrong secret and the other method are refused at all three endpoints`);
}

// A token of another is not ended (RFC 7009 §2.1), but may be asked about.
const [one, another] = await Promise.all(clients.map((each) => discover(each)));
const { access_token: token } = await client.clientCredentialsGrant(one);
assert.equal(await refused(client.tokenRevocation(another, token)), "400 unauthorized_client");
assert.equal((await client.tokenIntrospection(another, token)).active, true);
say("the token of another client is not revoked");
