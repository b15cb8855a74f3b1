//! A server that answers 202 to everything, at once: what a generator reaches against it is the generator's own limit.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// Serves HTTP/1.1, and HTTP/2 with prior knowledge, until the future is dropped. Each body is read and forgotten.
///
/// # Errors
/// Those of accepting connections.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            // A client that hangs up in the middle of a request is its own affair.
            drop(builder.serve_connection(TokioIo::new(stream), service_fn(accept)).await);
        });
    }
}

async fn accept(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut reply = Response::new(Empty::new());
    *reply.status_mut() = StatusCode::ACCEPTED;
    Ok(reply)
}
