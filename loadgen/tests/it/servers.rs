//! Servers for the tests, each on a thread of its own, which ends with the test.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A request as a server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub version: Version,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Of the connection that it came over, from 0.
    pub connection: usize,
}

#[derive(Clone, Default)]
struct Kept {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Under way now, and the most that ever were.
    under_way: Arc<Mutex<(usize, usize)>>,
    answer: Answer,
}

/// What a server answers.
#[derive(Clone, Copy, Default)]
pub struct Answer {
    /// 0: 202.
    pub status: u16,
    /// How long it takes.
    pub after: Duration,
}

/// A server that keeps what it has seen.
pub struct Server {
    /// Where it is, `http://…` or `https://…`.
    pub url: String,
    kept: Kept,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// HTTP/1.1, and HTTP/2 with prior knowledge.
    pub fn plain(answer: Answer) -> Self {
        Self::start(answer, "http", None, None)
    }

    /// With TLS: a certificate for localhost of an authority that is written to `ca`. It offers these protocols.
    pub fn secure(ca: &Path, protocols: &[&str]) -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(ca, signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::start(Answer::default(), "https", Some(TlsAcceptor::from(Arc::new(config))), None)
    }

    /// On a Unix socket.
    pub fn unix(path: &Path) -> Self {
        Self::start(Answer::default(), "http", None, Some(path))
    }

    fn start(answer: Answer, scheme: &str, tls: Option<TlsAcceptor>, unix: Option<&Path>) -> Self {
        let kept = Kept { answer, ..Kept::default() };
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tcp = runtime.block_on(TcpListener::bind("localhost:0")).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let unix = unix.map(|path| {
            let _in_runtime = runtime.enter();
            UnixListener::bind(path).unwrap()
        });
        let keeping = kept.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(tcp, unix, tls, keeping) => {}
                    _ = stopped => {}
                }
            });
        });
        let url = format!("{scheme}://localhost:{port}");
        Self { url, kept, stop: Some(stop), thread: Some(thread) }
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.kept.seen.lock().unwrap().clone()
    }

    /// The most requests that were ever under way.
    pub fn most_under_way(&self) -> usize {
        self.kept.under_way.lock().unwrap().1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn accept(tcp: TcpListener, unix: Option<UnixListener>, tls: Option<TlsAcceptor>, kept: Kept) {
    for connection in 0.. {
        let kept = kept.clone();
        if let Some(unix) = &unix {
            let (stream, _) = unix.accept().await.unwrap();
            tokio::spawn(serve(stream, kept, connection));
            continue;
        }
        let (stream, _) = tcp.accept().await.unwrap();
        match tls.clone() {
            None => drop(tokio::spawn(serve(stream, kept, connection))),
            Some(tls) => drop(tokio::spawn(async move {
                // A client that does not trust this server hangs up here.
                if let Ok(stream) = tls.accept(stream).await {
                    serve(stream, kept, connection).await;
                }
            })),
        }
    }
}

async fn serve<S>(stream: S, kept: Kept, connection: usize)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| take(request, kept.clone(), connection));
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}

async fn take(
    request: Request<Incoming>,
    kept: Kept,
    connection: usize,
) -> Result<Response<Full<Bytes>>, Infallible> {
    {
        let mut under_way = kept.under_way.lock().unwrap();
        under_way.0 += 1;
        under_way.1 = under_way.1.max(under_way.0);
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let headers = head.headers.iter();
    kept.seen.lock().unwrap().push(Seen {
        method: head.method.to_string(),
        path: head.uri.path_and_query().unwrap().to_string(),
        version: head.version,
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        connection,
    });
    tokio::time::sleep(kept.answer.after).await;
    kept.under_way.lock().unwrap().0 -= 1;
    let mut response = Response::new(Full::default());
    let status = if kept.answer.status == 0 { 202 } else { kept.answer.status };
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}
