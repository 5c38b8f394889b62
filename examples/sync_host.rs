//! A host of nothing but the standard library: a thread, a socket, and the steps called one by one.
//!
//!     cargo run --example sync_host
//!
//! It answers one request, which it sends itself.
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    collections::HashMap,
    error::Error,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use client_credentials::{
    AccessToken, BackendError, Claims, Client, Config, Provisioning, RandomSource, Reply, Request, TokenHash,
    TokenRequest, TokenResponse, now,
};

/// What an `AuthorizationServer` would hold: here a host has its own ways to look up and to keep.
struct Host {
    clients: HashMap<String, Arc<Client>>,
    tokens: Mutex<HashMap<TokenHash, Claims>>,
    config: Config,
}

impl Host {
    fn respond(&self, request: &Request<'_>) -> Result<TokenResponse, client_credentials::Error> {
        let request = TokenRequest::parse(request, &self.config)?;
        let client = self.clients.get(request.client_id()).cloned();
        let request = request.authenticate(client, &self.config)?;
        // A host with clients that hold `authz:tenant:access` says here which of `unassigned_tenants` there are.
        let request = request.authorize(&[], &self.config)?;
        let token = AccessToken::generate(&RandomSource::default())?;
        let mut tokens = self.tokens.lock().map_err(|_| BackendError::new("the tokens are gone"))?;
        tokens.insert(token.hash(), request.claims().clone());
        Ok(request.respond(token))
    }

    fn serve(&self, stream: &mut TcpStream) -> io::Result<()> {
        let message = read(stream, self.config.max_body_bytes())?;
        let (head, body) = message.split_once("\r\n\r\n").unwrap_or((&message, ""));
        let mut lines = head.lines();
        let mut start = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let headers =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim().as_bytes()));
        let request = Request::new(method, now())
            .query(target.split_once('?').map(|(_, query)| query))
            .headers(headers)
            .body(body.as_bytes());

        let reply = self.respond(&request).map_or_else(|cause| Reply::error(cause, &self.config), Reply::from);
        write!(
            stream,
            "HTTP/1.1 {} \r\nContent-Length: {}\r\nConnection: close\r\n",
            reply.status(),
            reply.body().len()
        )?;
        reply.headers().try_for_each(|(name, value)| write!(stream, "{name}: {value}\r\n"))?;
        stream.write_all(b"\r\n")?;
        stream.write_all(reply.body())
    }
}

/// Reads head and body of a request, and no more of a body than the endpoint will look at.
fn read(stream: &TcpStream, max_body_bytes: usize) -> io::Result<String> {
    let mut message = String::new();
    let mut stream = io::BufReader::new(stream.take(64 * 1024));
    let mut length = 0;
    while !message.ends_with("\r\n\r\n") {
        let line = message.len();
        if io::BufRead::read_line(&mut stream, &mut message)? == 0 {
            return Ok(message);
        }
        match message.get(line..).and_then(|line| line.split_once(':')) {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    stream.take(length.min(max_body_bytes as u64 + 1)).read_to_string(&mut message)?;
    Ok(message)
}

fn main() -> Result<(), Box<dyn Error>> {
    let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
                       "token_endpoint_auth_method": "client_secret_post", "seacatauth_credentials": true}]"#;
    let clients = Provisioning::from_json(clients)?.into_clients();
    let clients = clients.into_iter().map(|client| (client.client_id().as_str().to_owned(), Arc::new(client)));
    let host = Host { clients: clients.collect(), tokens: Mutex::default(), config: Config::default() };

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let asking = thread::spawn(move || ask(TcpStream::connect(address)?));
    host.serve(&mut listener.accept()?.0)?;
    println!("{}", asking.join().map_err(|_| "the client failed")??);
    Ok(())
}

fn ask(mut stream: TcpStream) -> io::Result<String> {
    let form = "grant_type=client_credentials&client_id=billing&client_secret=an-example-that-nobody-should-use";
    write!(
        stream,
        "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len(),
    )?;
    io::read_to_string(stream)
}
