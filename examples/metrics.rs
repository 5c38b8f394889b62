//! All endpoints in an axum service, and beside them what they count, for Prometheus to scrape.
//!
//!     cargo run --example metrics --features tower,metrics -- 127.0.0.1:8080
//!     curl -u billing:an-example-that-nobody-should-use -d grant_type=client_credentials http://127.0.0.1:8080/openidconnect/token
//!     curl http://127.0.0.1:8080/metrics
//!
//! Whoever can scrape it learns how busy the server is: keep the path from the clients.
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{error::Error, time::Duration};

use axum::{Router, routing::get};
use client_credentials::{
    AuthorizationServer, AuthorizationService, Config, Endpoints, MemoryStore, OpaqueIssuer, Provisioning,
    describe_metrics,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;

/// In seconds: from a mint in memory to a database that is in trouble.
const BUCKETS: [f64; 9] = [0.000_01, 0.000_1, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let durations = Matcher::Suffix("_duration_seconds".into());
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(durations, &BUCKETS)?.build_recorder();
    let prometheus = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe_metrics();

    let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
                       "seacatauth_credentials": true}]"#;
    let store = MemoryStore::from(Provisioning::from_json(clients)?);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let listener = TcpListener::bind(address).await?;
    let port = listener.local_addr()?.port();
    let service = AuthorizationService::new(server, Endpoints::new(format!("http://localhost:{port}"))?);
    let scraped = prometheus.clone();
    let app = Router::new().route("/metrics", get(async move || scraped.render())).fallback_service(service);

    tokio::spawn(async move {
        // Without it the samples of histograms pile up until somebody scrapes.
        let mut interval = tokio::time::interval(Duration::from_secs(5));
        loop {
            interval.tick().await;
            prometheus.run_upkeep();
        }
    });
    println!("http://{}/openidconnect/token", listener.local_addr()?);
    let stop = async {
        tokio::signal::ctrl_c().await.ok();
    };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}
