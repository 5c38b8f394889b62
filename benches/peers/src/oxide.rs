use std::{collections::HashMap, hint::black_box};

use client_credentials::ClientSecret;
use oxide_auth::{
    endpoint::{OwnerConsent, Solicitation},
    frontends::simple::{
        endpoint::{FnSolicitor, client_credentials_flow},
        request::{Request, Response, Status},
    },
    primitives::{
        generator::RandomGenerator,
        issuer::{Issuer, TokenMap, TokenSigner},
        registrar::{Client, ClientMap, ExactUrl, PasswordPolicy, RegistrarError},
    },
};
use rand::{TryRng as _, rngs::SysRng};
use ring::digest::{Context, SHA256};
use subtle::ConstantTimeEq as _;

use crate::{Anew, CLIENTS, Contestant, FORM, SCOPE, timed};

pub fn opaque(secret: &ClientSecret, authorization: &str) -> Contestant {
    // As many random bytes as this crate takes.
    contestant(secret, authorization, || TokenMap::new(RandomGenerator::new(32)))
}

pub fn signed(secret: &ClientSecret, authorization: &str) -> Contestant {
    contestant(secret, authorization, TokenSigner::ephemeral)
}

fn contestant<I: Issuer + 'static>(
    secret: &ClientSecret,
    authorization: &str,
    issuer: impl Fn() -> I + 'static,
) -> Contestant {
    let registrar = registrar(secret);
    let authorization = authorization.to_owned();
    let mut issuer = Anew::new(issuer);
    Box::new(move |calls| {
        let issuer = issuer.next(calls);
        let mut solicitor = FnSolicitor(|_: &mut Request, asked: Solicitation<'_>| -> OwnerConsent<Response> {
            OwnerConsent::Authorized(asked.pre_grant().client_id.clone())
        });
        timed(calls, || {
            let form = form_urlencoded::parse(black_box(FORM.as_bytes()));
            let request = Request {
                query: HashMap::new(),
                urlbody: form.into_owned().collect(),
                auth: Some(authorization.clone()),
            };
            let response = client_credentials_flow(&registrar, issuer, &mut solicitor).execute(request).unwrap();
            assert_eq!(response.status, Status::Ok);
            black_box(response.body.unwrap());
        })
    })
}

fn registrar(secret: &ClientSecret) -> ClientMap {
    let mut registrar = ClientMap::new();
    registrar.set_password_policy(SaltedSha256);
    for n in 0..CLIENTS {
        let url = ExactUrl::new("https://localhost:3081/".to_owned()).unwrap();
        registrar.register_client(Client::confidential(
            &format!("client-{n}"),
            url.into(),
            SCOPE.parse().unwrap(),
            secret.expose().as_bytes(),
        ));
    }
    registrar
}

/// A salt of 12 bytes, and the SHA-256 of it and the secret.
struct SaltedSha256;

impl SaltedSha256 {
    fn digest(salt: &[u8], secret: &[u8]) -> ring::digest::Digest {
        let mut context = Context::new(&SHA256);
        context.update(salt);
        context.update(secret);
        context.finish()
    }
}

impl PasswordPolicy for SaltedSha256 {
    fn store(&self, _: &str, secret: &[u8]) -> Vec<u8> {
        let mut stored = vec![0; 12];
        SysRng.try_fill_bytes(&mut stored).unwrap();
        let digest = Self::digest(&stored, secret);
        stored.extend_from_slice(digest.as_ref());
        stored
    }

    fn check(&self, _: &str, secret: &[u8], stored: &[u8]) -> Result<(), RegistrarError> {
        let (salt, digest) = stored.split_at(12);
        let is_it = Self::digest(salt, secret).as_ref().ct_eq(digest);
        if is_it.into() { Ok(()) } else { Err(RegistrarError::Unspecified) }
    }
}
