//! Checking the tokens of an authorization server that is elsewhere, in front of an API.

mod address;
#[cfg(test)]
mod fake;
mod introspection;
mod jwks;
#[cfg(feature = "reqwest")]
mod reqwest;

use std::{future::Future, sync::Arc};

pub use introspection::IntrospectionVerifier;
pub use jwks::JwksVerifier;

#[cfg(feature = "reqwest")]
pub use self::reqwest::http_client_builder;
use crate::BackendError;

/// Sends the requests of [`JwksVerifier`] and [`IntrospectionVerifier`] to the authorization server.
///
/// ```
/// use client_credentials::{BackendError, HttpClient, JwksVerifier, http};
///
/// /// Has the documents of a server in a folder, for tests.
/// struct Folder(std::path::PathBuf);
///
/// impl HttpClient for Folder {
///     async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, BackendError> {
///         let path = self.0.join(request.uri().path().trim_start_matches('/'));
///         let document = std::fs::read(path).map_err(BackendError::new)?;
///         Ok(http::Response::new(document))
///     }
/// }
///
/// let documents = Folder("tests/documents".into());
/// let tokens = JwksVerifier::new("https://auth.example.com", "https://auth.example.com/jwks.json", documents)?;
/// # Ok::<(), client_credentials::ParseError>(())
/// ```
///
/// With the feature `reqwest`, a `reqwest::Client` is one: `http_client_builder` builds it as it has to be.
pub trait HttpClient: Send + Sync {
    /// The response to a request, whatever its status is.
    ///
    /// Called while somebody with a token waits, and sometimes many with him. What is answered decides who gets in, so
    ///
    /// - prove who the server is: for an `https` address, verify its certificate and its name. Whoever can answer in its place
    ///   can make tokens, and is sent this API's secret and every token that is asked about;
    /// - follow no redirect, but return it: the address was chosen by the host and vouches for what is found there. A redirect
    ///   would take keys from elsewhere, or tokens and the secret there;
    /// - answer in time or give up, in a few seconds at most: nothing here puts a deadline on this call, and whoever waits
    ///   would wait for ever;
    /// - stop reading at a limit, before the body is in memory: a megabyte is more than any of these documents has. The
    ///   verifiers refuse what is longer than they expect, but can do so only when it is there;
    /// - send it once. To try again is for whoever presents the token.
    ///
    /// The `Authorization` header of a request is marked as sensitive and the body may hold a token: log neither. A call that is
    /// dropped may be given up.
    ///
    /// # Errors
    /// When there is no response, or it is too long. The caller gets 503, or is answered by what is known from before.
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> impl Future<Output = Result<http::Response<Vec<u8>>, BackendError>> + Send;
}

macro_rules! through_pointer {
    ($pointer:ty) => {
        impl<C: HttpClient + ?Sized> HttpClient for $pointer {
            async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, BackendError> {
                (**self).send(request).await
            }
        }
    };
}

through_pointer!(&C);
through_pointer!(Arc<C>);

/// The body of a response that is 200 and not longer than this; anything else is a failure of the server.
fn body(response: http::Response<Vec<u8>>, most: usize) -> Result<Vec<u8>, BackendError> {
    if response.status() != http::StatusCode::OK {
        return Err(BackendError::new(format!("the authorization server answered {}", response.status().as_u16())));
    }
    let body = response.into_body();
    if body.len() > most {
        return Err(BackendError::new(format!("the authorization server answered more than {most} bytes")));
    }
    Ok(body)
}
