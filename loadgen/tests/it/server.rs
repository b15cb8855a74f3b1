//! A server in this process that answers as a test tells it to, and remembers what it was sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// A request as the server got it.
#[derive(Clone)]
pub(crate) struct Got {
    /// How many requests came before it.
    pub(crate) number: usize,
    pub(crate) body: String,
    pub(crate) content_type: String,
    pub(crate) due_at: u64,
}

impl Got {
    /// The order ids of its orders.
    pub(crate) fn order_ids(&self) -> Vec<String> {
        let orders = self.body.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        orders.map(|order| order["order_id"].as_str().unwrap().to_owned()).collect()
    }
}

/// What the server does with a request.
pub(crate) enum Answer {
    Reply(u16, &'static str),
    /// With `Retry-After` of so many seconds.
    Later(u16, u64),
    /// Accept, and close the connection after the reply.
    AcceptAndClose,
    /// Close the connection without a reply.
    Hangup,
    Silence,
}

/// What the server was sent so far.
pub(crate) type Log = Arc<Mutex<Vec<Got>>>;

/// Starts a server on a free port; it lives as long as the process.
pub(crate) fn start(answer: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> (String, Log) {
    let log = Log::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (answer, kept) = (Arc::new(answer), Arc::clone(&log));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&kept));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                        async move { serve(request, &log, &*answer).await }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
    });
    (format!("http://{address}/v1/orders"), log)
}

async fn serve(
    request: Request<Incoming>,
    log: &Log,
    answer: &(impl Fn(&Got) -> Answer + Sync),
) -> Result<Response<Full<Bytes>>, &'static str> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let content_type = header("content-type").unwrap();
    // Orders alone say when they were due.
    let due_at = header("tillflow-due-at").map_or(0, |due_at| due_at.parse().unwrap());
    let body = request.into_body().collect().await.map_err(|_| "the client left")?.to_bytes();
    let got = {
        let mut log = log.lock().unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let got = Got { number: log.len(), body, content_type, due_at };
        log.push(got.clone());
        got
    };
    let reply = Response::builder();
    let reply = match answer(&got) {
        Answer::Reply(status, body) => reply.status(status).body(Full::from(body)),
        Answer::Later(status, seconds) => {
            reply.status(status).header("retry-after", seconds).body(Full::default())
        }
        Answer::AcceptAndClose => reply.status(202).header("connection", "close").body(Full::default()),
        Answer::Hangup => return Err("as told"),
        Answer::Silence => match std::future::pending::<Infallible>().await {},
    };
    Ok(reply.unwrap())
}
