// jose: an API that checks JWTs (RFC 9068 §4) with what the JWKS document says, and nothing else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import * as jose from "jose";
import * as client from "openid-client";

const [issuer] = process.argv.slice(2);
const [basic, , , brief] = JSON.parse(readFileSync(new URL("clients.json", import.meta.url)));
const say = (checked) => console.log(`jose: ${checked}`);

const discover = ({ client_id, client_secret }) =>
  client.discovery(new URL(issuer), client_id, {}, client.ClientSecretBasic(client_secret), { algorithm: "oauth2" });
const config = await discover(basic);
const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
const usual = { issuer, audience: issuer, typ: "at+jwt", requiredClaims: ["sub", "client_id", "iat", "exp", "jti"] };
const verified = (token, options = {}) => jose.jwtVerify(token, keys, { ...usual, ...options });

const scope = "invoices:read";
const { access_token: token } = await client.clientCredentialsGrant(config, { scope });
const { payload, protectedHeader } = await verified(token, { algorithms: ["EdDSA"] });
assert.equal(payload.sub, basic.client_id);
assert.equal(payload.client_id, basic.client_id);
assert.equal(payload.scope, scope);
assert.equal(payload.exp - payload.iat, 180);
assert.deepEqual(keys.jwks().keys.map(({ kid }) => kid === protectedHeader.kid), [true, false]);
say(`a token of ${protectedHeader.alg} is verified for issuer and audience, by the first key of the JWKS document`);

const resource = basic.audience;
const named = new URLSearchParams(resource.map((each) => ["resource", each]));
const { access_token: elsewhere } = await client.clientCredentialsGrant(config, named);
for (const audience of resource) await verified(elsewhere, { audience });
await assert.rejects(verified(elsewhere), { code: "ERR_JWT_CLAIM_VALIDATION_FAILED", claim: "aud" });
say("a token for two resources is verified for each of them, and for nobody else");

const wrong = (claim, options) =>
  assert.rejects(verified(token, options), { code: "ERR_JWT_CLAIM_VALIDATION_FAILED", claim });
await wrong("iss", { issuer: "https://elsewhere.example.com" });
await wrong("iss", { issuer: `${issuer}/` });
await wrong("aud", { audience: "https://elsewhere.example.com" });
await wrong("typ", { typ: "JWT" });
say("a wrong issuer, audience and typ are refused");

const parts = token.split(".");
const changed = (n, part) => parts.with(n, jose.base64url.encode(part)).join(".");
const flip = (n) => {
  const bytes = jose.base64url.decode(parts[n]);
  bytes[bytes.length - 2] ^= 1;
  return changed(n, bytes);
};
const other = JSON.stringify({ ...payload, scope: "invoices:write" });
const none = JSON.stringify({ ...protectedHeader, alg: "none" });
await assert.rejects(verified(flip(2)), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
await assert.rejects(verified(changed(1, other)), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
await assert.rejects(verified(changed(0, none)), { code: "ERR_JOSE_NOT_SUPPORTED" });
for (const tampered of [flip(2), changed(1, other), changed(0, none), parts.with(2, "").join(".")]) {
  await assert.rejects(verified(tampered));
  assert.deepEqual(await client.tokenIntrospection(config, tampered), { active: false });
}
say("another signature, payload and algorithm are refused, by the server too");

const { access_token: short } = await client.clientCredentialsGrant(await discover(brief));
await verified(short);
await setTimeout(3100);
await assert.rejects(verified(short), { code: "ERR_JWT_EXPIRED" });
say("a token counts until it expires");
