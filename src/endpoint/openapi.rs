//! What the endpoints take and answer, for programs to read.

/// The [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html) document of the token endpoint and of every call of the
/// management endpoint, as JSON: for a host to serve, and for whoever generates clients or documentation.
///
/// Its paths are those of SeaCat Auth, seen from the root of the host that serves it. A host that has them elsewhere changes
/// `servers`. Wherever the endpoints refuse a member that they do not know, its schemas do too, and no answer has members or
/// statuses that it does not have.
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
