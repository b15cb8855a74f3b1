//! The management port: `/livez`, `/readyz`, `/metrics`, `/hops` and, to be posted to, `/hops/seconds`, apart from the
//! port that takes orders.

use super::health::Health;
use super::hops::Hops;
use super::metrics::Metrics;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What the port shows.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The latencies by hop.
    pub hops: Arc<Hops>,
    /// Whether all works.
    pub health: Arc<Health>,
}

/// Connections at once: scrapers and probes are few.
const MAX_CONNECTIONS: usize = 64;

/// Serves until it is dropped. `before` brings gauges up to date before they are shown.
pub async fn serve(
    listener: TcpListener,
    observed: Observed,
    before: impl Fn(&Metrics) + Send + Sync + 'static,
) {
    let before = Arc::new(before);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the management port could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (observed, before) = (observed.clone(), Arc::clone(&before));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                before(&observed.metrics);
                let response = answer(&request, &observed);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection of the management port ended");
            }
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, observed: &Observed) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if request.method() == Method::POST && request.uri().path() == "/hops/seconds" {
        // A POST, because what is handed over is forgotten.
        return response(StatusCode::OK, "application/json", observed.hops.take_seconds(crate::time::now()));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is served here\n".into());
    }
    match request.uri().path() {
        "/livez" => response(StatusCode::OK, TEXT, "ok\n".into()),
        "/readyz" => {
            let complaints = observed.health.complaints();
            if complaints.is_empty() {
                response(StatusCode::OK, TEXT, "ok\n".into())
            } else {
                response(StatusCode::SERVICE_UNAVAILABLE, TEXT, complaints.join("\n") + "\n")
            }
        }
        "/metrics" => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response(StatusCode::OK, kind, observed.metrics.encode())
        }
        "/hops" => response(StatusCode::OK, "application/json", observed.hops.encode()),
        _ => response(StatusCode::NOT_FOUND, TEXT, "there are /livez, /readyz, /metrics and /hops\n".into()),
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
