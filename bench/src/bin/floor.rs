//! The floors: the least that a piece of the way costs on this machine, to hold the product's own cost against.
//!
//! `floor sink` is the floor of any ingest over HTTP: a bare hyper server on one thread that collects each body and
//! answers 202, and does nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context;
use clap::{Parser, Subcommand};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
#[command(about = "The least that a piece of the way costs on this machine")]
struct Cli {
    #[command(subcommand)]
    floor: Floor,
}

#[derive(Subcommand)]
enum Floor {
    /// A bare HTTP server: collects the body, answers 202 (400 if there is none), on one thread
    Sink {
        /// Where to listen; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:18080")]
        listen: SocketAddr,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().floor {
        Floor::Sink { listen } => sink(listen).await,
    }
}

/// Serves until the process is ended. The first line of stdout is the address, for whoever asked for port 0.
async fn sink(listen: SocketAddr) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
    announce(listener.local_addr().context("failed to read the address listened on")?);
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

#[expect(clippy::print_stdout, reason = "the address is this program's output")]
fn announce(address: SocketAddr) {
    println!("{address}");
}
