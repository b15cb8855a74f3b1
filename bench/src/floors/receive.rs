//! The floor of receive: a bare hyper server that collects each body and answers 202, beside ours, which receives and
//! validates and hands to a log that keeps nothing.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use loadgen::payload::Payload;
use loadgen::plan::Plan;
use loadgen::run::{run, unobserved};
use pipeline::config::{Config, Layers};
use pipeline::log::void::VoidLog;
use pipeline::observe::manage::Observed;
use pipeline::receive::admission::Admission;
use pipeline::receive::{Gate, Ingest};
use tokio::net::{TcpListener, TcpStream};

use crate::machine::usage;

/// Serves the floor until the process is ended; `announce` is told the address.
///
/// # Errors
/// Where it cannot listen or accept.
pub async fn sink(listen: SocketAddr, announce: impl Fn(SocketAddr)) -> Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await.context("failed to accept a connection")?;
        tokio::spawn(serve(stream));
    }
}

/// A connection that fails is the client's matter: the floor has no one to tell.
async fn serve(stream: TcpStream) {
    if stream.set_nodelay(true).is_ok() {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(take)).await;
    }
}

async fn take(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let status = match request.into_body().collect().await.map(|body| body.to_bytes()) {
        Ok(body) if !body.is_empty() => StatusCode::ACCEPTED,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// Serves our receive and validate, on one thread as the floor, until the process is ended.
///
/// # Errors
/// Where it cannot listen.
pub async fn ours(listen: SocketAddr, announce: impl Fn(SocketAddr)) -> Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
    let server = pipeline::receive::start(listener, Arc::new(void_ingest()?))?;
    announce(server.address);
    std::future::pending().await
}

/// What takes orders in and hands them to a log that keeps nothing, on one thread, by the default settings.
///
/// # Errors
/// Where they cannot be read.
pub fn void_ingest() -> Result<Ingest<VoidLog>> {
    let config = Config::read(&Layers::load(None, None, [], &[])?)?;
    let mut limits = config.receive;
    limits.threads = 1;
    Ok(Ingest {
        log: VoidLog,
        rules: config.rules,
        admission: Admission::of(&limits),
        gate: Gate::default(),
        limits,
        observed: Observed::default(),
    })
}

/// The load that both are measured under.
#[derive(Clone, Debug)]
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    /// How long.
    pub duration: Duration,
    /// Connections.
    pub connections: usize,
    /// The bodies.
    pub payload: Arc<Payload>,
}

/// Runs this program with an argument that makes it a server, and returns the server's processor time for a request of
/// the load, in microseconds.
///
/// # Errors
/// Where the server does not start, or does not accept every order.
pub fn cpu_us_per_request(server: &str, load: &Load) -> Result<f64> {
    let mut child = Ended(
        Command::new(std::env::current_exe()?)
            .args([server, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {server}"))?,
    );
    let mut address = String::new();
    BufReader::new(child.0.stdout.as_mut().context("the server has no output")?).read_line(&mut address)?;
    let mut plan = Plan::new(format!("http://{}/v1/orders", address.trim()), load.rate, load.duration);
    plan.connections = load.connections;
    // Connections are opened, buffers grown and caches warmed before it counts.
    let warm = Plan { duration: Duration::from_millis(500), ..plan.clone() };
    run(&warm, &load.payload, unobserved)?;
    let before = usage(child.0.id())?.cpu_seconds;
    let result = run(&plan, &load.payload, unobserved)?;
    let after = usage(child.0.id())?.cpu_seconds;
    if result.counts.accepted != result.counts.sent || result.counts.sent == 0 {
        bail!("{server} accepted {} of {} orders", result.counts.accepted, result.counts.sent);
    }
    Ok((after - before) * 1e6 / result.counts.sent as f64)
}

/// Ends the process however the measurement ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
