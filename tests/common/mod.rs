//! A server behind a real socket, and a client that sends whatever bytes it is told to.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test file uses its part of it, and a test stops at what it did not expect"
)]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, LazyLock, Mutex},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AnyClientRegistry, AnyTokenIssuer, AnyTokenStore, AuditEvent, AuditSink, AuthorizationServer, AuthorizationService,
    ClientRegistry, Config, Endpoint, Endpoints, MemoryStore, OpaqueIssuer, Provisioning, Reply, Request, Stores,
    TokenStore, handle_request, now, time::OffsetDateTime,
};
use serde_json::Value;

/// Full of what goes wrong where a form is not decoded, or decoded twice.
pub(crate) const AWKWARD: &str = "a:b + c%20d&e=f/g é € %%::";

/// The secret of every client in [`store`] that has one and is not awkward.
pub(crate) const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

pub(crate) fn store() -> MemoryStore {
    let json = serde_json::json!({
        "tenants": ["existing"],
        "roles": {
            "*/reader": ["report:read"],
            "*/introspector": ["seacat:token:introspect"],
            "*/doorkeeper": ["authz:tenant:access"],
            "acme/editor": ["report:edit"],
            "acme/doorkeeper": ["authz:tenant:access", "authz:superuser"],
            "other/editor": ["other:edit"],
        },
        "clients": [
            {"client_id": "basic", "client_secret": SECRET, "seacatauth_credentials": true, "scope": "read write",
             "tenants": ["acme", "bolt"], "roles": ["*/reader", "acme/editor", "other/editor"]},
            {"client_id": "post", "client_secret": SECRET, "seacatauth_credentials": true,
             "token_endpoint_auth_method": "client_secret_post"},
            {"client_id": "awkward : + %", "client_secret": AWKWARD, "seacatauth_credentials": true,
             "client_secret_class": "generated"},
            {"client_id": "awkward-post", "client_secret": AWKWARD, "seacatauth_credentials": true,
             "client_secret_class": "generated", "token_endpoint_auth_method": "client_secret_post"},
            {"client_id": "expired", "client_secret": SECRET, "seacatauth_credentials": true, "client_secret_expires_at": 1},
            {"client_id": "secretless", "seacatauth_credentials": true},
            {"client_id": "disabled", "client_secret": SECRET, "scope": "read"},
            {"client_id": "defaulting", "client_secret": SECRET, "seacatauth_credentials": true, "scope": "read write",
             "default_scope": "write tenant:*", "tenants": ["acme"]},
            {"client_id": "doorkeeper", "client_secret": SECRET, "seacatauth_credentials": true, "tenants": ["acme"],
             "roles": ["*/doorkeeper"]},
            {"client_id": "local-doorkeeper", "client_secret": SECRET, "seacatauth_credentials": true, "tenants": ["acme"],
             "roles": ["acme/doorkeeper"]},
            {"client_id": "superuser", "client_secret": SECRET, "seacatauth_credentials": true, "roles": ["*/superuser"]},
            {"client_id": "introspector", "client_secret": SECRET, "seacatauth_credentials": true, "scope": "read",
             "roles": ["*/introspector"], "audience": ["api", "basic", "https://api.example.com/v1", "https://api.example.com/v1#part",
             "urn:example:api", "1x:y", "/v1"]},
            {"client_id": "namer", "client_secret": SECRET, "seacatauth_credentials": true, "scope": "read", "audience": ["api"]},
            {"client_id": "post-basic", "client_secret": SECRET, "seacatauth_credentials": true},
            {"client_id": "short", "client_secret": SECRET, "seacatauth_credentials": true,
             "client_credentials_grant_expiration": "1m"},
            {"client_id": "long", "client_secret": SECRET, "seacatauth_credentials": true,
             "client_credentials_grant_expiration": 999_999_999},
        ],
    });
    MemoryStore::from(Provisioning::from_json(&json.to_string()).unwrap())
}

/// One server for all tests of a file.
pub(crate) static SERVER: LazyLock<Served> = LazyLock::new(|| {
    let store = store();
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    Served::start(AuthorizationServer::new(stores(store), issuer, Config::default()))
});

/// A server whose parts are chosen at run time.
pub(crate) type Server = AuthorizationServer<Stores<AnyClientRegistry, AnyTokenStore>>;

pub(crate) fn stores(
    store: impl ClientRegistry + TokenStore + Clone + 'static,
) -> Stores<AnyClientRegistry, AnyTokenStore> {
    Stores { clients: AnyClientRegistry::new(store.clone()), tokens: AnyTokenStore::new(store) }
}

/// The token endpoint has a short path too.
pub(crate) fn endpoints() -> Endpoints {
    Endpoints::new("https://auth.example.com").unwrap().with_another(Endpoint::Token, "/token").unwrap()
}

/// The events of a server, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Events(pub(crate) Arc<Mutex<Vec<Value>>>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent<'_>) {
        self.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }
}

/// Serves an app on a thread of its own, at the address that is returned.
pub(crate) fn serve(app: axum::Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
    });
    address
}

/// A server that answers both as a function and at an address.
pub(crate) struct Served {
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
}

impl Served {
    pub(crate) fn start(server: Server) -> Self {
        let server = Arc::new(server);
        let app = axum::Router::new().fallback_service(AuthorizationService::new(server.clone(), endpoints()));
        let address = serve(app);
        Self { server, address }
    }

    /// Sends a request over the socket.
    pub(crate) fn send(&self, asked: &Asked) -> Answer {
        let answer = asked.send(self.address, &asked.path);
        answer.is_well_formed();
        answer
    }

    /// Sends a request both ways, and makes sure of all that holds for any answer.
    pub(crate) fn ask(&self, asked: &Asked) -> Answer {
        let (function, socket) = (asked.call(&self.server), asked.send(self.address, &asked.path));
        assert_eq!(function.status, socket.status, "{asked:?}");
        assert_eq!(function.headers, socket.headers, "{asked:?}");
        assert_eq!(function.without_token(), socket.without_token(), "{asked:?}");
        function.is_well_formed();
        function
    }
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// A request without headers and body.
pub(crate) fn request(method: &str, path: &str) -> Asked {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query.into())));
    Asked { method: method.into(), path: path.into(), query, headers: Vec::new(), body: Vec::new() }
}

/// A POST of this form.
pub(crate) fn post(form: impl AsRef<[u8]>) -> Asked {
    request("POST", "/token").form(form)
}

/// A POST of this form with the credentials of a client in the header.
pub(crate) fn basic(client_id: &str, secret: &str, form: impl AsRef<[u8]>) -> Asked {
    post(form).credentials(client_id, secret)
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = Some(query.into());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().into()));
        self
    }

    pub(crate) fn json(mut self, json: &impl ToString) -> Self {
        self.body = json.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn form(mut self, form: impl AsRef<[u8]>) -> Self {
        self.body = form.as_ref().into();
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// The credentials of a client in the header.
    pub(crate) fn credentials(self, client_id: &str, secret: &str) -> Self {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        self.authorization(format!("{}:{}", encode(client_id), encode(secret)))
    }

    /// Basic credentials, exactly these bytes.
    pub(crate) fn authorization(self, text: impl AsRef<[u8]>) -> Self {
        self.header("Authorization", format!("Basic {}", BASE64_STANDARD.encode(text)))
    }

    /// As a host describes it.
    pub(crate) fn request(&self) -> Request<'_> {
        self.request_at(now())
    }

    /// The same at a time of its own.
    pub(crate) fn request_at(&self, received_at: OffsetDateTime) -> Request<'_> {
        Request::new(&self.method, received_at)
            .path(&self.path)
            .query(self.query.as_deref())
            .headers(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
            .body(&self.body)
    }

    /// Gives it to the function.
    pub(crate) fn call(&self, server: &Server) -> Answer {
        Answer::of(&block_on(handle_request(server, &endpoints(), &self.request())))
    }

    /// Sends it over a socket.
    pub(crate) fn send(&self, address: SocketAddr, path: &str) -> Answer {
        exchange(address, &self.bytes(path))
    }

    /// As it goes over a socket.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let mut bytes = format!("{} {path}{query} HTTP/1.1\r\nHost: localhost\r\n", self.method).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(format!("Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len()).bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// Sends these bytes, and reads until the server is done. It may be done before it has read them all.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(bytes);
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut part) {
        answer.extend(&part[..read]);
    }
    Answer::parse(&answer)
}

pub(crate) fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By their names in lower case, without those that a web server adds.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) raw: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(reply: &Reply) -> Self {
        let headers = reply.headers().map(|(name, value)| (name.to_lowercase(), value.into())).collect();
        Self { status: reply.status(), headers, raw: reply.body().into() }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("no end of the head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let status = head[9..12].parse().unwrap();
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers = headers.filter(|(name, _)| !matches!(name.as_str(), "content-length" | "date" | "connection"));
        Self { status, headers: headers.collect(), raw: bytes[end + 4..].into() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.raw).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn without_token(&self) -> Value {
        let mut json = self.json();
        if let Some(token) = json.get_mut("access_token") {
            *token = Value::Null;
        }
        json
    }

    pub(crate) fn is_well_formed(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let kept = self.header("cache-control").and_then(|value| value.strip_prefix("public, max-age="));
        if let Some(max_age) = kept {
            // The public keys and the metadata, which are nobody's secret.
            assert!(self.status == 200 && max_age.parse::<u64>().is_ok(), "{self:?}");
            let json = self.json();
            assert!(["keys", "issuer"].iter().any(|member| json.get(member).is_some()), "{self:?}");
            assert_eq!(self.header("pragma"), None);
        } else {
            assert_eq!(self.header("cache-control"), Some("no-store"));
            assert_eq!(self.header("pragma"), Some("no-cache"));
        }
        match self.status {
            401 | 403 => assert!(self.header("www-authenticate").is_some()),
            // RFC 6750 §3.1 has one too.
            400 => assert!(self.header("www-authenticate").is_none_or(|challenge| challenge.starts_with("Bearer "))),
            304 => return assert!(self.raw.is_empty() && self.header("etag").is_some()),
            _ => assert!(self.header("www-authenticate").is_none()),
        }
        assert_eq!(self.header("allow").is_some(), self.status == 405);
        let json = self.json();
        let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        if json.get("access_token").is_some() {
            assert!(
                members == ["access_token", "expires_in", "scope", "token_type"]
                    || members == ["access_token", "expires_in", "token_type"]
            );
            assert_eq!(json["token_type"], "Bearer");
            assert!(json["expires_in"].is_u64());
        }
        assert_eq!(self.status >= 300 && !members.is_empty(), json.get("error").is_some());
        if self.status >= 300 && !members.is_empty() {
            assert_eq!(members, ["error", "error_description"]);
            let description = json["error_description"].as_str().unwrap();
            assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{description}");
        }
    }

    /// Whether it is this error.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(error)), "{self:?}");
    }

    /// Whether it is a token with this scope.
    #[track_caller]
    pub(crate) fn granted(&self, scope: Option<&str>) {
        assert_eq!((self.status, self.json()["scope"].as_str()), (200, scope), "{self:?}");
    }
}
