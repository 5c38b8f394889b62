//! No secret, token or body in anything that can be printed, whichever public type holds it.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{error::Error as _, fmt::Debug, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AnyClientStore, AnySigner, AnyTokenIssuer, AnyTokenStore, AuthorizationServer, BackendError, Claims, Client,
    ClientId, ClientSecret, ClientSecretHash, Config, Error, JwtIssuer, KeySet, MemoryStore, OpaqueIssuer,
    Provisioning, RandomSource, Reply, Request, Resources, Role, Scope, SealedIssuer, SealingKey, SecretClass,
    SigningAlgorithm, SigningKey, StoredSecret, Stores, TenantName, TokenEndpointAuthMethod, TokenHash,
    TokenIssuer as _, TokenRequest, TokenResponse, TokenStore as _, now,
};

const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2-hun";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Collects what is printed and what must not be in it.
#[derive(Default)]
struct Watch {
    printed: Vec<String>,
    secrets: Vec<String>,
}

impl Watch {
    fn print(&mut self, value: &impl Debug) {
        self.printed.push(format!("{value:?}"));
        self.printed.push(format!("{value:#?}"));
    }

    fn error(&mut self, error: &impl std::error::Error) {
        self.print(error);
        let mut next: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = next {
            self.printed.push(error.to_string());
            next = error.source();
        }
    }

    fn hide(&mut self, secret: impl Into<String>) {
        self.secrets.push(secret.into());
    }
}

#[tokio::test]
async fn no_public_type_prints_a_secret() {
    let mut watch = Watch::default();
    let random = RandomSource::default();
    watch.hide(SECRET);
    watch.hide(BASE64_STANDARD.encode(SECRET));

    // Secrets and their hashes.
    let secret = ClientSecret::new(SECRET.into());
    watch.print(&secret);
    for class in [SecretClass::Generated, SecretClass::Chosen] {
        let hash = ClientSecretHash::of(&secret, class, &random).unwrap();
        watch.hide(hash.to_text().rsplit('$').next().unwrap());
        watch.print(&hash);
        watch.print(&class);
    }
    let hash = ClientSecretHash::generated(&secret, &random).unwrap();
    watch.hide(hash.to_text().rsplit('$').next().unwrap());
    watch.error(&SECRET.parse::<ClientSecretHash>().unwrap_err());

    // Clients, wherever they are.
    let builder = |id| Client::builder(id).client_secret_hash(hash.clone()).seacatauth_credentials(true).tenant("acme");
    watch.print(&builder("basic"));
    let client = builder("basic").build().unwrap();
    watch.print(&client);
    let provisioning =
        Provisioning::from_json(&format!(r#"[{{"client_id": "a", "client_secret": "{SECRET}"}}]"#)).unwrap();
    watch.print(&provisioning);
    for wrong in [
        format!(r#"[{{"client_id": "a", "client_secret": ["{SECRET}"]}}]"#),
        format!(r#"[{{"client_id": "a", "client_secret_hash": "{SECRET}"}}]"#),
        format!(r#"[{{"client_id": "a", "client_secret": "{SECRET}\u0000"}}]"#),
        format!(r#"[{{"client_id": "a", "client_secret": "{SECRET}", "client_secret_expires_at": "{SECRET}"}}]"#),
        format!(r#"[{{"client_id": "a", "scope": {{"x": "{SECRET}"}}}}]"#),
        format!(r#"[{{"client_id": "a", "tenants": "{SECRET}"}}]"#),
        format!(r#"["{SECRET}"]"#),
        format!(r#"[{{"client_id": "a", "client_secret_class": "{SECRET}"}}]"#),
        format!(r#"[{{"client_id": "a", "token_endpoint_auth_method": "{SECRET}"}}]"#),
        format!(r#"[{{"client_id": "a", "client_credentials_grant_expiration": "{SECRET}"}}]"#),
        format!(r#"[{{"client_id": "a", "tenants": ["{SECRET} "]}}]"#),
        format!(r#"[{{"client_id": "a", "seacatauth_credentials": "{SECRET}"}}]"#),
        format!(r#""{SECRET}""#),
        format!(r#"[{{"client_id": "a", "client_secret": "{SECRET}"#),
    ] {
        watch.error(&Provisioning::from_json(&wrong).unwrap_err());
    }
    let store = MemoryStore::default();
    store.insert_client(client.clone());
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store.clone()), Config::default());
    watch.print(&server);
    watch.print(&store);
    watch.print(&AnyClientStore::new(store.clone()));
    watch.print(&AnyTokenStore::new(store.clone()));
    #[cfg(feature = "cached")]
    watch.print(&client_credentials::Cached::new(store.clone()));
    watch.print(&AnyTokenIssuer::new(OpaqueIssuer::new(store.clone())));

    // A request at each step, with the secret in the header and in the body.
    let credentials = format!("basic:{SECRET}");
    watch.hide(BASE64_STANDARD.encode(&credentials));
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(&credentials));
    let request =
        Request::new("POST", now()).header("Content-Type", FORM).header("Authorization", authorization.as_bytes());
    let request = request.body(b"grant_type=client_credentials&scope=tenant:acme");
    watch.print(&request);
    let config = Config::default();
    let parsed = TokenRequest::parse(&request, &config).unwrap();
    watch.print(&parsed);
    let authenticated = parsed.authenticate(Some(Arc::new(client.clone())), &config).unwrap();
    watch.print(&authenticated);
    let authorized = authenticated.authorize(&[], &config).unwrap();
    watch.print(&authorized);
    watch.print(authorized.claims());

    let body = format!("grant_type=client_credentials&client_id=post&client_secret={SECRET}");
    let posted = Request::new("POST", now()).header("Content-Type", FORM).body(body.as_bytes());
    watch.print(&posted);
    let parsed = TokenRequest::parse(&posted, &config).unwrap();
    watch.print(&parsed);
    let post = builder("post").token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost).build().unwrap();
    watch.print(&parsed.authenticate(Some(Arc::new(post)), &config).unwrap());

    // Tokens, and replies that carry them.
    let issuer = OpaqueIssuer::new(store.clone());
    let token = issuer.issue(authorized.claims()).await.unwrap();
    watch.hide(token.expose());
    watch.print(&issuer);
    watch.print(&token);
    watch.print(&token.hash());
    watch.print(&store.find(&token.hash()).await.unwrap());
    watch.print(&TokenHash::of(SECRET));
    let response: TokenResponse = authorized.respond(token);
    watch.print(&response);
    watch.print(&Reply::from(response));
    let key = SigningKey::generate_pkcs8(SigningAlgorithm::EdDsa).unwrap();
    watch.hide(format!("{:?}", &key[16..24]).trim_matches(['[', ']']).to_owned());
    #[cfg(feature = "aws-lc-rs")]
    watch.print(&client_credentials::AwsLcSigningKey::from_pkcs8_der(SigningAlgorithm::EdDsa, &key).unwrap());
    let key = SigningKey::from_pkcs8_der(SigningAlgorithm::EdDsa, &key).unwrap();
    watch.print(&key);
    watch.print(key.public_jwk());
    let next = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    watch.print(&KeySet::from(AnySigner::from(next)));
    let issuer = JwtIssuer::new("https://localhost", key);
    watch.print(&issuer);
    let claims = Claims::new(ClientId::parse("a").unwrap(), now(), now());
    let token = issuer.issue(&claims).await.unwrap();
    watch.hide(token.expose().rsplit('.').next().unwrap());
    watch.print(&token);
    let sealing = SealingKey::from_bytes(&[0xA7; 32]);
    watch.hide(&**sealing.to_text());
    watch.hide("167, 167, 167");
    watch.hide("a7a7a7");
    watch.print(&sealing);
    watch.error(&sealing.to_text().repeat(2).parse::<SealingKey>().unwrap_err());
    let issuer = SealedIssuer::new("https://localhost", sealing);
    watch.print(&issuer);
    watch.print(issuer.keys());
    let sealed = issuer.seal(&claims).unwrap();
    watch.hide(sealed.expose());
    watch.print(&sealed);
    watch.print(&Reply::from(
        TokenRequest::parse(&request, &config)
            .unwrap()
            .authenticate(Some(Arc::new(client)), &config)
            .unwrap()
            .authorize(&[], &config)
            .unwrap()
            .respond(token),
    ));
    watch.error(&SigningKey::from_pkcs8_pem(SigningAlgorithm::EdDsa, SECRET.as_bytes()).unwrap_err());

    // Whatever a request can be refused for, with the secret in every part of it.
    let wrong = format!("Basic {}", BASE64_STANDARD.encode(format!("basic:{SECRET}\n")));
    for (header, body, query) in [
        (wrong.as_str(), "", ""),
        ("", SECRET, ""),
        ("", "", body.as_str()),
        (SECRET, body.as_str(), ""),
        (authorization.as_str(), body.as_str(), ""),
        ("", &format!("{body}&client_secret={SECRET}"), ""),
        ("", &format!("{body}&scope={SECRET}%"), ""),
        ("", &format!("grant_type={SECRET}&{body}"), ""),
        ("", &format!("client_id=post&client_secret={SECRET}&grant_type={SECRET}"), ""),
        ("", &format!("{body}&scope=\"{SECRET}"), ""),
        ("", &format!("{body}x"), ""),
    ] {
        let headers = [("Authorization", header.as_bytes()), ("Content-Type", FORM)];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        let request = Request::new("POST", now()).headers(headers).body(body.as_bytes()).query(query);
        let reply = client_credentials::handle_token_request(&server, &request).await;
        assert!(reply.status() >= 400);
        watch.print(&request);
        watch.print(&reply);
        watch.error(reply.cause().unwrap());
        watch.print(&reply.cause().unwrap().response());
        watch.printed.push(String::from_utf8_lossy(reply.body()).into_owned());
        watch.printed.extend(reply.headers().map(|(name, value)| format!("{name}: {value}")));
    }

    // Whoever manages clients, and what is answered: with new secrets in it, or with the secret in a place where none belongs.
    watch.print(&StoredSecret::new(hash.clone()));
    watch.print(&Stores { clients: store.clone(), tokens: store.clone() });
    let administrator = server.administrator("setup", now());
    watch.print(&administrator);
    let root = Client::builder("root").seacatauth_credentials(true).role(Role::superuser());
    let (root, new_secret) = administrator.create_client(root).await.unwrap();
    watch.hide(new_secret.expose());
    watch.print(&root);
    let (api_key, claims) = administrator.create_api_key(root.client_id(), "", None, None).await.unwrap();
    watch.hide(api_key.expose());
    watch.print(&claims);
    let bearer = format!("Bearer {}", api_key.expose());
    let named = format!(r#"{{"{SECRET}": 1}}"#);
    let valued = format!(r#"{{"client_name": "a\n{SECRET}", "scope": "\"{SECRET}"}}"#);
    let misplaced = format!("/client/{SECRET}/secret/{SECRET}");
    for (bearer, method, path, body) in [
        (&bearer, "POST", "/client", "{}"),
        (&bearer, "POST", "/client/basic/reset_secret", ""),
        (&bearer, "POST", "/client/basic/token", ""),
        (&bearer, "PUT", "/client/basic", &named),
        (&bearer, "PUT", "/client/basic", &valued),
        (&bearer, "PUT", "/client/basic", SECRET),
        (&bearer, "GET", &misplaced, ""),
        (&format!("Bearer {SECRET}"), "GET", "/client", ""),
    ] {
        let headers = [("Authorization", bearer.as_bytes()), ("Content-Type", b"application/json")];
        let request = Request::new(method, now()).path(path).headers(headers).body(body.as_bytes());
        let reply = client_credentials::handle_management_request(&server, &request).await;
        watch.print(&request);
        watch.print(&reply);
        if let Some(cause) = reply.cause() {
            watch.error(cause);
            watch.printed.push(String::from_utf8_lossy(reply.body()).into_owned());
        }
    }
    let body = format!("token={}&client_id=post&client_secret={SECRET}", api_key.expose());
    let asked = Request::new("POST", now()).header("Content-Type", FORM).body(body.as_bytes());
    watch.print(&client_credentials::handle_introspection_request(&server, &asked).await);

    watch.error(&Error::from(BackendError::new("a backend says only what it is told to")));
    for wrong in [
        ClientId::parse("\0").unwrap_err(),
        TenantName::parse(SECRET.repeat(2)).unwrap_err(),
        Scope::parse(format!("\"{SECRET}")).unwrap_err(),
    ] {
        watch.error(&wrong);
    }
    watch.error(&Client::builder(&format!("{SECRET}\n")).build().unwrap_err());
    watch.error(&Role::new(SECRET, ["a"]).unwrap_err());
    watch.print(&Resources::default());
    watch.print(&random);

    assert!(watch.printed.len() > 120, "{}", watch.printed.len());
    for printed in &watch.printed {
        for secret in &watch.secrets {
            assert!(!printed.contains(secret.as_str()), "{secret} is in {printed}");
        }
    }
    let source = BackendError::new("x");
    assert!(source.source().is_some());
}
