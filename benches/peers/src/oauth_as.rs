use std::{hint::black_box, sync::Arc};

use client_credentials::ClientSecret;
use http::Request;
use http_body_util::Full;
use oauth_as::{
    client::{Client, ClientAuth, ClientId, SecretHash},
    grant::GrantType,
    http::{ApprovalDecision, AuthorizationService, ServiceBuilder},
    jwt::{AccessTokenFormat, EcdsaP256Key, JwtConfig},
    scope::ScopeSet,
    server::{AuthorizationServer, ServerConfig, SystemClock, TokenRequest},
    store::MemoryStorage,
};

use crate::{Anew, CLIENT_ID, CLIENTS, Contestant, FORM, FORM_TYPE, SCOPE, at_once, timed_with};

type Server = Arc<AuthorizationServer<MemoryStorage>>;

pub fn opaque(secret: &ClientSecret, authorization: &str) -> Contestant {
    over_http(secret, authorization, AccessTokenFormat::Opaque)
}

pub fn es256(secret: &ClientSecret, authorization: &str) -> Contestant {
    let signer = EcdsaP256Key::generate("key");
    over_http(secret, authorization, AccessTokenFormat::Jwt(Box::new(JwtConfig::new(signer, "https://localhost:3081"))))
}

fn over_http(secret: &ClientSecret, authorization: &str, format: AccessTokenFormat) -> Contestant {
    let (hash, authorization) = (SecretHash::sha256(secret.expose()), authorization.to_owned());
    let mut service = Anew::new(move || service(server(&hash, format.clone())));
    Box::new(move |calls| {
        let service = service.next(calls);
        let request = || {
            Request::post("/token")
                .header("Authorization", &authorization)
                .header("Content-Type", FORM_TYPE)
                .body(Full::new(FORM.as_bytes()))
                .unwrap()
        };
        timed_with((0..calls).map(|_| request()).collect(), |request| {
            let response = at_once(service.handle(black_box(request)));
            assert_eq!(response.status(), 200);
            black_box(response.into_body().into_bytes());
        })
    })
}

/// Without a form, a header and a reply.
pub fn token_alone(secret: &ClientSecret) -> Contestant {
    let (hash, secret) = (SecretHash::sha256(secret.expose()), secret.expose().to_owned());
    let mut server = Anew::new(move || self::server(&hash, AccessTokenFormat::Opaque));
    Box::new(move |calls| {
        let server = server.next(calls);
        let request = || TokenRequest::ClientCredentials {
            client_id: ClientId::new(CLIENT_ID),
            client_secret: Some(secret.clone()),
            scope: Some(ScopeSet::parse(SCOPE).unwrap()),
        };
        timed_with((0..calls).map(|_| request()).collect(), |request| {
            black_box(at_once(server.token(black_box(request))).unwrap());
        })
    })
}

fn server(hash: &SecretHash, access_token_format: AccessTokenFormat) -> Server {
    let mut config = ServerConfig::new("https://localhost:3081", "https://localhost:3081/device");
    config.access_token_format = access_token_format;
    let server = AuthorizationServer::new(config, MemoryStorage::new());
    for n in 0..CLIENTS {
        let client = Client {
            client_id: ClientId::new(format!("client-{n}")),
            auth: ClientAuth::ConfidentialSecretHash { hash: hash.clone() },
            grant_types: vec![GrantType::ClientCredentials],
            redirect_uris: Vec::new(),
            allowed_scopes: ScopeSet::parse(SCOPE).unwrap(),
            default_scopes: ScopeSet::empty(),
            name: None,
            registration: None,
        };
        at_once(server.register_client(client)).unwrap();
    }
    Arc::new(server)
}

fn service(server: Server) -> AuthorizationService<MemoryStorage, SystemClock> {
    // Nobody is ever asked to approve anything here.
    let service = ServiceBuilder::new(server).with_subject_resolver(|_| None);
    let service = service.with_approval_resolver(|_| ApprovalDecision::Approve);
    service.dangerously_disable_verification_protections().build().unwrap()
}
