//! What signs tokens: a key at hand, or one that never leaves its KMS or HSM.

use std::{fmt, future::Future, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{PublicJwk, SigningAlgorithm, jwt::check::TYPE};
use crate::{BackendError, error::Answer, json};

/// Signs with a private key, wherever that is. [`SigningKey`](super::SigningKey) is one whose key is in memory; a host whose keys are in a KMS or an
/// HSM implements it:
///
/// ```
/// use client_credentials::{AnySigner, BackendError, JwtIssuer, KeySet, PublicJwk, Signer};
/// # struct Connection;
/// # impl Connection {
/// #     async fn sign_sha256(&self, _: &str, _: &[u8]) -> Result<[[u8; 32]; 2], std::io::Error> {
/// #         Ok([[1; 32]; 2])
/// #     }
/// # }
///
/// struct KmsKey {
///     connection: Connection,
///     name: String,
///     public_jwk: PublicJwk,
/// }
///
/// impl Signer for KmsKey {
///     fn public_jwk(&self) -> &PublicJwk {
///         &self.public_jwk
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BackendError> {
///         let [r, s] = self.connection.sign_sha256(&self.name, message).await.map_err(BackendError::new)?;
///         Ok([r, s].concat())
///     }
/// }
///
/// // As the KMS gives it out, once and for all.
/// let public_jwk = serde_json::from_str(
///     r#"{"kty": "EC", "crv": "P-256", "alg": "ES256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
///         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#,
/// )?;
/// let key = KmsKey { connection: Connection, name: "token-signing-1".into(), public_jwk };
/// let issuer = JwtIssuer::new("https://auth.example.com", AnySigner::new(key));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait Signer: Send + Sync {
    /// The public half of the key, with the algorithm for which it is there.
    ///
    /// Read once, when the signer is given to an issuer, and published as it is. Tokens are checked on this server with what it
    /// says: where it is not the half of the key that signs, every token is refused, here and elsewhere. Its key id names the
    /// key among all that the issuer has, so two keys must not share one; the thumbprint, which a JWK without `kid` gets, is as good as any.
    fn public_jwk(&self) -> &PublicJwk;

    /// The signature over `message`, as RFC 7515 has it: for `ES256` the 64 bytes of r and s (RFC 7518 §3.4), where many a KMS
    /// gives DER, and for `PS256` with a salt of 32 bytes (§3.5).
    ///
    /// Called once for each token, with header and payload as they are signed. They are two thirds of a token, so log
    /// neither. `message` is what is signed, not its hash: where a KMS takes a hash, it is SHA-256 of this, but for `EdDSA`,
    /// which has none. Nobody checks the signature before the client has it, so what is wrong is a token that nobody accepts.
    ///
    /// The key must sign nothing else, or what it signs there can be a token here.
    ///
    /// Answer in time or give up: nothing here puts a deadline on this call, and a request waits for its token as long as that takes.
    /// Any number of calls may be under way at once.
    ///
    /// # Errors
    /// When there is no signature. The client gets 503 and may try again.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, BackendError>> + Send;
}

/// A [`Signer`] that is chosen at run time. A clone shares it.
#[derive(Clone)]
pub struct AnySigner(Arc<Erased<dyn ErasedSigner>>);

/// What is told of a signer without asking it, and the signer.
struct Erased<S: ?Sized> {
    public_jwk: PublicJwk,
    header: String,
    signer: S,
}

impl AnySigner {
    /// Hides the type of a signer.
    pub fn new(signer: impl Signer + 'static) -> Self {
        let public_jwk = signer.public_jwk().clone();
        let header = Header { alg: public_jwk.algorithm(), kid: public_jwk.key_id(), typ: TYPE };
        let header = BASE64_URL_SAFE_NO_PAD.encode(json::text(&header)) + ".";
        Self(Arc::new(Erased { public_jwk, header, signer }))
    }

    /// The JOSE header of a token of this key (RFC 9068 §2.1), encoded, with the dot after it: the same for every token.
    pub(super) fn header(&self) -> &str {
        &self.0.header
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: SigningAlgorithm,
    kid: &'a str,
    typ: &'a str,
}

impl Signer for AnySigner {
    fn public_jwk(&self) -> &PublicJwk {
        &self.0.public_jwk
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BackendError> {
        self.0.signer.sign(message).await
    }
}

impl fmt::Debug for AnySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnySigner").field(self.public_jwk()).finish()
    }
}

trait ErasedSigner: Send + Sync {
    fn sign<'a>(&'a self, message: &'a [u8]) -> Answer<'a, Vec<u8>>;
}

impl<S: Signer> ErasedSigner for S {
    fn sign<'a>(&'a self, message: &'a [u8]) -> Answer<'a, Vec<u8>> {
        Box::pin(Signer::sign(self, message))
    }
}
