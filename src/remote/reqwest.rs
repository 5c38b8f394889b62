//! `reqwest` as the HTTP client.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect::Policy};

use super::HttpClient;
use crate::BackendError;

/// Where reading a response ends: the longest document that is expected is a quarter of it.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// A builder of clients as [`HttpClient`] wants them: three seconds for a request, no redirects, and no proxy taken from the
/// environment. What else there is to say, such as which certificates to trust, is added before it is built.
///
/// ```
/// use client_credentials::{JwksVerifier, http_client_builder};
///
/// # let _ = rustls::crypto::ring::default_provider().install_default(); // as its features are here
/// let client = http_client_builder().build()?;
/// let tokens = JwksVerifier::new("http://auth.internal", "http://auth.internal/jwks.json", client)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For `https` the host adds a feature of `reqwest` to its own `Cargo.toml`, such as `rustls`; without one, `https` addresses are
/// an error when they are asked.
pub fn http_client_builder() -> ClientBuilder {
    let deadline = Duration::from_secs(3);
    Client::builder().timeout(deadline).redirect(Policy::none()).no_proxy().user_agent("client-credentials")
}

/// What [`http_client_builder`] builds, or another one without redirects and with a timeout. At most 1 MiB of a response is
/// read, and a response that came by way of a redirect is an error.
impl HttpClient for Client {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, BackendError> {
        // The address is the host's to know, and may tell more than should be in a log.
        let failed = |error: reqwest::Error| BackendError::new(error.without_url());
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let asked = request.url().clone();
        let mut received = self.execute(request).await.map_err(failed)?;
        if *received.url() != asked {
            return Err(BackendError::new("the HTTP client follows redirects"));
        }
        let mut response = http::Response::new(Vec::new());
        *response.status_mut() = received.status();
        *response.headers_mut() = std::mem::take(received.headers_mut());
        while let Some(chunk) = received.chunk().await.map_err(failed)? {
            if response.body().len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(BackendError::new("the response is longer than a mebibyte"));
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }
}
