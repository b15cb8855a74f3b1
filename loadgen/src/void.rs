//! A server that answers 202 to everything, at once: what a generator reaches against it is the generator's own limit.
//! It can be told to stand still, which shows whether a generator tells the truth.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

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

/// The server on a thread of this process, which ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stalls: Option<UnboundedSender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the server on a free port of the loopback interface.
    ///
    /// # Errors
    /// Those of listening, and of starting a thread.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (stalls, told) = unbounded_channel();
        let thread = thread::Builder::new().name("void".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // It fails only where the system has no more descriptors; the run then sees refused connections.
                    _ = serve(listener) => {}
                    () = stand_still(told) => {}
                }
            });
        })?;
        Ok(Self { address, stalls: Some(stalls), thread: Some(thread) })
    }

    /// Makes the server stand still for this long, from now on: connections are still taken and bytes still kept by the
    /// kernel, as with a process that is stopped.
    pub fn stall(&self, length: Duration) {
        if let Some(stalls) = &self.stalls {
            // It serves until it is dropped, so somebody listens.
            stalls.send(length).unwrap_or(());
        }
    }
}

/// Blocks the only thread of the server whenever it is told to, and ends when nobody can tell it any more.
async fn stand_still(mut told: UnboundedReceiver<Duration>) {
    while let Some(length) = told.recv().await {
        thread::sleep(length);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stalls = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing more to end.
            thread.join().unwrap_or(());
        }
    }
}
