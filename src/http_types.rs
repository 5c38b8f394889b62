//! Requests and replies from and to the types of the crate `http`.

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, PRAGMA},
    request::Parts,
};
use time::OffsetDateTime;

use crate::{
    Reply, Request, Source,
    reply::{JSON, NOT_KEPT},
};

impl<'a> Request<'a> {
    /// The method, the path, the query and all header fields of an `http::Request` that arrived at this time, and the
    /// [`Source`](crate::Source) that is in its extensions, if one is. Its body is still to be added, by [`body`](Self::body) or [`oversized_body`](Self::oversized_body).
    ///
    /// ```
    /// use client_credentials::{Request, now};
    ///
    /// let (parts, body) = http::Request::post("/token?a=b").header("Authorization", "Basic Og==").body(b"c=d")?.into_parts();
    /// let request = Request::from_parts(&parts, now()).body(body);
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn from_parts(parts: &'a Parts, received_at: impl Into<OffsetDateTime>) -> Self {
        let source = parts.extensions.get().map(|Source(address)| *address);
        let request = Self::new(parts.method.as_str(), received_at).path(parts.uri.path()).query(parts.uri.query());
        let mut request = request.source(source);
        for (name, value) in &parts.headers {
            // The fields that `Request::headers` picks; as names and not as text, which takes longer.
            let field = match name {
                name if *name == AUTHORIZATION => &mut request.authorization,
                name if *name == CONTENT_TYPE => &mut request.content_type,
                name if *name == IF_MATCH => &mut request.if_match,
                name if *name == IF_NONE_MATCH => &mut request.if_none_match,
                _ => continue,
            };
            *field = field.add(value.as_bytes());
        }
        request
    }
}

/// The whole reply, into any type of body that can be made of bytes. Its [`cause`](Reply::cause) is in the extensions of the
/// response, as an [`Error`](crate::Error): for the host's log, which nothing sends to the client.
///
/// ```
/// use client_credentials::{Config, Error, Reply};
///
/// let reply = Reply::error(Error::WrongSecret, &Config::default());
/// let response = http::Response::<Vec<u8>>::from(reply);
/// assert_eq!(response.status(), 401);
/// assert!(matches!(response.extensions().get(), Some(Error::WrongSecret)));
/// ```
impl<B: From<Vec<u8>>> From<Reply> for Response<B> {
    fn from(reply: Reply) -> Self {
        into_response(reply, B::from)
    }
}

/// The same, with the body made by a function.
pub(crate) fn into_response<B>(reply: Reply, body: impl FnOnce(Vec<u8>) -> B) -> Response<B> {
    let cause = reply.cause().cloned();
    // No reply has another status or another character in a field: neither falls back, and neither can panic.
    let status = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Made here and not looked up, since nearly every reply has these and no others: with the length, which the server adds, there is
    // room for all of them.
    let mut fields = HeaderMap::with_capacity(4);
    fields.insert(CONTENT_TYPE, const { HeaderValue::from_static(JSON.1) });
    if !reply.is_public() {
        let [(_, cache_control), (_, pragma)] = const { NOT_KEPT };
        fields.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
        fields.insert(PRAGMA, HeaderValue::from_static(pragma));
    }
    fields.extend(reply.extra().filter_map(|(name, value)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
    }));
    let mut response = Response::new(body(reply.into_body()));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    if let Some(cause) = cause {
        response.extensions_mut().insert(cause);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Error, now, request::Field};

    #[test]
    fn everything_of_a_request() {
        let request = http::Request::put("https://localhost/client/a%20b?x=%20&y")
            .header("authorization", HeaderValue::from_bytes(b"Basic \xFF").unwrap())
            .header("Content-Type", "text/plain")
            .header("Content-Type", "application/json")
            .header("If-Match", "\"1\"");
        let address = [192, 0, 2, 1].into();
        let (parts, ()) = request.extension(Source(address)).body(()).unwrap().into_parts();
        let request = Request::from_parts(&parts, now());
        assert_eq!(request.source, Some(address));
        assert_eq!((request.method, request.path, request.query), ("PUT", "/client/a%20b", Some("x=%20&y")));
        assert!(matches!(request.authorization, Field::Once(b"Basic \xFF")));
        assert!(matches!(request.content_type, Field::Repeated));
        assert!(matches!((request.if_match, request.if_none_match), (Field::Once(b"\"1\""), Field::Absent)));
        assert_eq!(request.body_up_to(0).unwrap(), b"");
    }

    #[test]
    fn everything_of_a_reply() {
        let config = Config::default().with_bearer_realm("a realm").unwrap();
        for cause in [Error::NoToken, Error::WrongSecret, Error::MethodNotAllowed("POST"), Error::Interrupted] {
            let (reply, same) = (Reply::error(cause.clone(), &config), Reply::error(cause, &config));
            let response = Response::<Vec<u8>>::from(reply);
            assert_eq!((response.status().as_u16(), response.body().as_slice()), (same.status(), same.body()));
            assert_fields(&response, &same);
            let cause = response.extensions().get::<Error>().map(ToString::to_string);
            assert_eq!(cause, same.cause().map(ToString::to_string));
        }
        let public = || Reply::public(&0, std::time::Duration::from_secs(60));
        assert_fields(&public().into(), &public());
        let response = Response::<Vec<u8>>::from(Reply::not_modified("\"1\"".into()));
        assert_eq!((response.status().as_u16(), response.body().len()), (304, 0));
        assert!(response.extensions().get::<Error>().is_none());
    }

    fn assert_fields(response: &Response<Vec<u8>>, reply: &Reply) {
        assert_eq!(response.headers().len(), reply.headers().count());
        for (name, value) in reply.headers() {
            assert_eq!(response.headers().get(name).unwrap(), value);
        }
    }
}
