//! What the targets have in common: a server with a few clients, requests that people can read, and what must hold of every
//! reply.

mod audit;
mod memory;
mod requests;
mod server;

pub use audit::Log;
pub use memory::bounded;
pub use requests::run;
pub use server::{
    ISSUER, Issuer, SECRET, Server, clients, endpoints, issuer, now, random, serve, serve_as, signing_key,
};

use std::task::{Context, Poll, Waker};

/// What a future comes to that waits for nothing.
pub fn done<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
