//! What a connection may take of the server: a place among so many, time for each step, and room for the head of a request.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use axum_server::{
    Handle,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tower::{ServiceExt as _, service_fn};
use tower_http::timeout::TimeoutLayer;

/// Longer heads are answered with 431. It is several times what an `Authorization` header and a query may have.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// File descriptors for what is not a connection: a database, the listener, files.
const OTHER_FILES: usize = 128;

/// How much of the server the connections can have.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How many there are at a time.
    pub(crate) connections: usize,
    /// How long each step may take: the TLS handshake, the head of a request from when the last answer was there, its body with
    /// the answer to it, and any part of an answer that the client does not read.
    pub(crate) timeout: Duration,
}

/// Serves an app until the handle says that it is over.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    app: Router,
    limits: Limits,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let Limits { timeout, .. } = limits;
    // HTTP/2 has other ways to keep a server waiting, and nobody needs it for a token.
    let mut server =
        axum_server::Server::from_listener(listener).handle(handle).http1_only().acceptor(Written(timeout));
    server.http_builder().http1().header_read_timeout(timeout).max_buf_size(MAX_HEAD_BYTES);

    let app = app.layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout));
    let places = Arc::new(Semaphore::new(connections(limits)?));
    // Nothing is accepted while this waits, and whoever comes next waits in the queue of the system.
    let app = service_fn(move |peer: SocketAddr| {
        let (app, places) = (app.clone(), places.clone());
        async move {
            // Given back with the connection, to which the service belongs.
            let place = Arc::new(places.acquire_owned().await.map_err(io::Error::other)?);
            let service = service_fn(move |mut request: Request<_>| {
                let _ = &place;
                request.extensions_mut().insert(ConnectInfo(peer));
                app.clone().oneshot(request)
            });
            Ok::<_, io::Error>(service)
        }
    });
    match tls {
        Some(tls) => {
            let tls = RustlsAcceptor::new(tls).handshake_timeout(timeout);
            server.map(|plain| tls.acceptor(plain)).serve(app).await
        }
        None => server.serve(app).await,
    }
}

/// As many as are wanted, and as there are file descriptors for once the system was asked for all that it gives.
fn connections(limits: Limits) -> io::Result<usize> {
    let files = usize::try_from(rlimit::increase_nofile_limit(u64::MAX)?).unwrap_or(usize::MAX);
    Ok(limits.connections.min(files.saturating_sub(OTHER_FILES)).clamp(1, Semaphore::MAX_PERMITS))
}

/// Gives up on a client that does not read what it is sent, which hyper would wait for.
#[derive(Clone, Copy)]
struct Written(Duration);

impl<S> Accept<TcpStream, S> for Written {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.0));
        ready(Ok((Box::pin(stream), service)))
    }
}
