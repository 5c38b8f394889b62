//! What the endpoints take and answer, for programs to read.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Endpoint, Endpoints, document};
use crate::{AuthorizationServer, Reply, Request};

/// The [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html) document of every endpoint, as JSON: for a host to serve, and
/// for whoever generates clients or documentation.
///
/// Its paths are those of SeaCat Auth, seen from the root of the host that serves it. [`Endpoints::openapi`] is the document of
/// endpoints that are elsewhere. Wherever the endpoints refuse a member that they do not know, its schemas do too, and no
/// answer has members or statuses that it does not have.
///
/// ```
/// use client_credentials::OPENAPI;
///
/// let document: serde_json::Value = serde_json::from_str(OPENAPI)?;
/// assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
/// assert_eq!(document["paths"]["/client"]["post"]["operationId"], "createClient");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const OPENAPI: &str = include_str!("../openapi.json");

/// Answers a request for the OpenAPI document of these endpoints.
pub(crate) fn handle_openapi_request<S, T>(
    server: &AuthorizationServer<S, T>,
    endpoints: &Endpoints,
    request: &Request<'_>,
) -> Reply {
    document::read(Endpoint::OpenApi, request, server.config(), || Reply::ok(endpoints.openapi().into()))
}

/// The document of these endpoints.
pub(super) fn document(endpoints: &Endpoints) -> Cow<'static, str> {
    moved(endpoints).map_or(Cow::Borrowed(OPENAPI), Cow::Owned)
}

/// The document with other paths; `None` where these are its own.
fn moved(endpoints: &Endpoints) -> Option<String> {
    let mut document: Value = serde_json::from_str(OPENAPI).ok()?;
    let paths = document.get_mut("paths")?.as_object_mut()?;
    let before = std::mem::take(paths);
    let is_same = before.keys().all(|path| moved_path(endpoints, path).is_some_and(|moved| moved == *path));
    if is_same {
        return None;
    }
    let moved = before.into_iter().filter_map(|(path, item)| Some((moved_path(endpoints, &path)?, item)));
    *paths = moved.collect::<Map<_, _>>();
    Some(document.to_string())
}

/// Where a path of the document is now, if anything is there.
fn moved_path(endpoints: &Endpoints, path: &str) -> Option<String> {
    match Endpoint::ALL.into_iter().find(|endpoint| endpoint.usual_paths().contains(&path)) {
        // The document has as many paths of an endpoint as are usual, and of more it has the first.
        Some(endpoint) => {
            let index = endpoint.usual_paths().iter().position(|usual| *usual == path)?;
            endpoints.paths(endpoint).nth(index).map(String::from)
        }
        None => endpoints.path(Endpoint::Management).map(|prefix| [prefix, path].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(endpoints: &Endpoints) -> Vec<String> {
        let document: Value = serde_json::from_str(endpoints.openapi()).unwrap();
        document["paths"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_document_follows_the_endpoints() {
        let usual = Endpoints::new("https://h").unwrap();
        assert_eq!(usual.openapi(), OPENAPI);

        let under: Vec<_> = paths(&usual).iter().map(|path| format!("/t{path}")).collect();
        assert!(
            paths(&Endpoints::new("https://h/t").unwrap())
                .iter()
                .all(|path| { under.contains(path) || path == "/.well-known/oauth-authorization-server/t" })
        );

        let chosen = usual.with(Endpoint::Token, "/token").unwrap().without(Endpoint::Introspection);
        let chosen = chosen.with(Endpoint::Management, "/admin").unwrap();
        let paths = paths(&chosen);
        assert!(paths.contains(&"/token".into()) && paths.contains(&"/admin/client/{client_id}/secret".into()));
        let moved = ["/openidconnect/token", "/openidconnect/introspect", "/client"];
        assert!(paths.iter().all(|path| !moved.contains(&path.as_str())), "{paths:?}");
        // An endpoint of two paths that is at one.
        let keys = self::paths(&chosen.clone().with(Endpoint::Jwks, "/keys").unwrap());
        assert!(keys.contains(&"/keys".into()) && keys.len() == paths.len() - 1, "{keys:?}");
        let without = chosen.without(Endpoint::Management);
        assert!(!without.openapi().contains("{client_id}\":"), "{}", without.openapi());
    }
}
