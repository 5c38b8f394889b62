//! nginx in front of an API, asking the gateway endpoint by `auth_request`.
#![cfg(unix)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;
#[path = "common/installed.rs"]
mod installed;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use axum::{Router, http::HeaderMap};
use common::{Answer, Asked, SECRET, SERVER, basic, request};
use installed::installed;

struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    /// In the foreground, with everything that it writes in a folder.
    fn start(program: &Path, folder: &Path, auth: SocketAddr, api: SocketAddr) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            r#"
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /open/ {{
            auth_request /_any;
            auth_request_set $client_id $upstream_http_x_client_id;
            auth_request_set $scope $upstream_http_x_scope;
            auth_request_set $tenants $upstream_http_x_tenants;
            auth_request_set $resources $upstream_http_x_resources;
            proxy_set_header X-Client-Id $client_id;
            proxy_set_header X-Scope $scope;
            proxy_set_header X-Tenants $tenants;
            proxy_set_header X-Resources $resources;
            proxy_pass http://{api};
        }}
        location /edit/ {{
            auth_request /_editors;
            proxy_pass http://{api};
        }}
        location = /_any {{
            internal;
            proxy_pass http://{auth}/nginx/introspect/openidconnect;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
        location = /_editors {{
            internal;
            proxy_pass http://{auth}/nginx/introspect/openidconnect?tenant=acme&resource=report:edit;
            proxy_method POST;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
    }}
}}
"#,
            folder = folder.display(),
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(&path);
        let process = command.stdout(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        for _ in 0..500 {
            if TcpStream::connect(nginx.address).is_ok() {
                return nginx;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("nginx does not start: {}", fs::read_to_string(folder.join("error.log")).unwrap_or_default())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Gently, so that it takes its workers with it.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// An API that believes whoever stands in front of it, and repeats what that said.
fn toy_api() -> SocketAddr {
    let app = Router::new().fallback(async |headers: HeaderMap| {
        let said = ["x-client-id", "x-scope", "x-tenants", "x-resources"];
        said.map(|name| headers.get(name).map_or("-", |value| value.to_str().unwrap())).join("; ")
    });
    common::serve(app)
}

#[test]
fn auth_request_lets_in_whom_it_should() {
    let Some(program) = installed("nginx") else { return };
    let (folder, auth) = (tempfile::tempdir().unwrap(), &*SERVER);
    let nginx = Nginx::start(&program, folder.path(), auth.address, toy_api());
    let token = |client_id: &str, scope: &str| {
        let minted = auth.send(&basic(client_id, SECRET, format!("grant_type=client_credentials&scope={scope}")));
        minted.json()["access_token"].as_str().unwrap().to_owned()
    };
    let call = |path: &str, asked: fn(Asked, &str) -> Asked, token: &str| -> Answer {
        asked(request("GET", path), token).send(nginx.address, path)
    };
    let with = |asked: Asked, token: &str| asked.bearer(token);
    // Whoever calls cannot say himself who he is.
    let lying = |asked: Asked, token: &str| {
        let asked =
            asked.header("X-Client-Id", "root").header("X-Scope", "all").header("X-Resources", "authz:superuser");
        asked.bearer(token)
    };

    let mine = token("basic", "read+tenant:acme");
    let elsewhere = token("basic", "read+tenant:bolt");
    let said = "basic; read tenant:acme; acme; report:read";
    let passed = call("/open/a?b=c", with, &mine);
    assert_eq!((passed.status, String::from_utf8_lossy(&passed.raw).as_ref()), (200, said));
    let passed = call("/open/", lying, &mine);
    assert_eq!((passed.status, String::from_utf8_lossy(&passed.raw).as_ref()), (200, said));
    assert_eq!(call("/edit/", with, &mine).status, 200);
    let posted = request("POST", "/edit/").form("a=b").bearer(&mine).send(nginx.address, "/edit/");
    assert_eq!(posted.status, 200);

    assert_eq!(call("/edit/", with, &elsewhere).status, 403, "in another tenant");
    for path in ["/open/", "/edit/"] {
        let nobody = call(path, |asked, _| asked, "");
        assert_eq!(nobody.status, 401);
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"asab\""), "{nobody:?}");
        for unknown in ["unknown", "a b", "\"", &mine[..42], &"x".repeat(5000)] {
            let refused = call(path, with, unknown);
            assert_eq!(refused.status, 401, "{unknown}");
            let challenge = refused.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
        let twice = call(path, |asked, token| asked.bearer(token).bearer(token), &mine);
        assert_ne!(twice.status, 200, "{twice:?}");
    }
}
