//! One connection to the target: opened when needed, one request at a time, or with HTTP/2 one a stream, each reply
//! read to its end.
//!
//! It knows no schedule, no clock and no meaning of replies. It says of a request that failed whether a byte of it may
//! have left, because failed and unknown differ in exactly that.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::target::{Place, Target};

/// A server that does not answer a connection request in this time is counted as not to be reached.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// A reply longer than this is not kept: its status alone then counts. A batch of 10,000 rejections takes about 2 MB.
const LONGEST_REPLY: usize = 16 << 20;

type Body = Full<Bytes>;

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// Empty where all was accepted: nobody reads it then.
    pub(crate) body: Bytes,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No connection could be opened. Nothing was sent.
    NotOpened(io::Error),
    /// The connection had closed before it took the request. Nothing was sent.
    NotTaken,
    /// The connection broke after it had taken the request, which may have arrived.
    Lost,
}

impl Trouble {
    /// True if the server may have the request.
    pub(crate) const fn may_have_arrived(&self) -> bool {
        match self {
            Self::NotOpened(_) | Self::NotTaken => false,
            Self::Lost => true,
        }
    }

    /// The reason as reports spell it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotOpened(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "connection_refused"
            }
            // rustls gives its faults this kind.
            Self::NotOpened(error) if error.kind() == io::ErrorKind::InvalidData => "tls_not_agreed",
            Self::NotOpened(_) => "connection_not_opened",
            Self::NotTaken => "connection_closed",
            Self::Lost => "connection_lost",
        }
    }
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// A connection to the target, open or not, or one of the streams of it.
pub(crate) struct Connection {
    target: Rc<Target>,
    open_within: Duration,
    sender: Option<Sender>,
    /// What the streams of an HTTP/2 connection share. Whoever needs it first opens it, and the others wait.
    shared: Rc<Mutex<Option<http2::SendRequest<Body>>>>,
}

impl Connection {
    /// A connection that is not open yet, and may take `open_within` to open.
    pub(crate) fn new(target: Rc<Target>, open_within: Duration) -> Self {
        Self { target, open_within, sender: None, shared: Rc::default() }
    }

    /// Another stream of the same connection, which must be one of HTTP/2.
    pub(crate) fn stream(&self) -> Self {
        Self { target: Rc::clone(&self.target), sender: None, shared: Rc::clone(&self.shared), ..*self }
    }

    /// True from its opening until it is known to be closed.
    pub(crate) const fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    /// Waits until the connection can take a request, and opens it if it is not open.
    pub(crate) async fn ready(&mut self) -> Result<(), Trouble> {
        let still_open = match &mut self.sender {
            Some(Sender::Http1(sender)) => sender.ready().await.is_ok(),
            Some(Sender::Http2(sender)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !still_open {
            self.sender = None;
            let shared = Rc::clone(&self.shared);
            let mut shared = shared.lock().await;
            if let Some(sender) = shared.take_if(|sender| !sender.is_closed()) {
                *shared = Some(sender.clone());
                self.sender = Some(Sender::Http2(sender));
                return Ok(());
            }
            // Apart, because a handshake's state is large, and whoever only sends would carry its place along.
            let opening = timeout(self.open_within, Box::pin(open(&self.target))).await;
            let sender = opening.unwrap_or_else(|late| Err(late.into())).map_err(Trouble::NotOpened)?;
            if let Sender::Http2(sender) = &sender {
                *shared = Some(sender.clone());
            }
            self.sender = Some(sender);
        }
        Ok(())
    }

    /// Hands the request over and reads the reply to its end.
    ///
    /// Dropping the future before it is done gives the request up; the connection must then be closed.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Result<Reply, Trouble> {
        let reply = match &mut self.sender {
            Some(Sender::Http1(sender)) => sender.try_send_request(request).await,
            Some(Sender::Http2(sender)) => sender.try_send_request(request).await,
            None => return Err(Trouble::NotTaken),
        };
        let reply = match reply {
            Ok(reply) => read(reply).await,
            // hyper gives the request back exactly if it never began to write it.
            Err(mut error) => {
                Err(if error.take_message().is_some() { Trouble::NotTaken } else { Trouble::Lost })
            }
        };
        if reply.is_err() {
            self.close();
        }
        reply
    }

    /// Closes the connection, so that the next request opens another. Of several streams the others end in peace.
    pub(crate) fn close(&mut self) {
        self.sender = None;
        if let Ok(mut shared) = self.shared.try_lock() {
            *shared = None;
        }
    }
}

async fn open(target: &Target) -> io::Result<Sender> {
    match &target.place {
        Place::Tcp(addresses) => {
            let stream = TcpStream::connect(addresses.as_slice()).await?;
            stream.set_nodelay(true)?;
            secured(target, stream).await
        }
        Place::Unix(path) => secured(target, UnixStream::connect(path).await?).await,
    }
}

async fn secured<S>(target: &Target, stream: S) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let Some((config, name)) = &target.tls else { return handshake(target, stream).await };
    let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
    // Offered one protocol, a server may still agree on none; that is HTTP/1.1 by default, and not HTTP/2.
    if target.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the server did not agree on HTTP/2"));
    }
    handshake(target, stream).await
}

async fn handshake<S>(target: &Target, stream: S) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    // The connection runs as a task of its own, which ends when its sender is dropped or the server hangs up. Its
    // error reaches the request under way; without one there is nobody to tell.
    if target.http2 {
        let (sender, connection) = http2::handshake(LocalExecutor, io).await.map_err(io::Error::other)?;
        spawn_local(async move { drop(connection.await) });
        Ok(Sender::Http2(sender))
    } else {
        // One buffer costs a request some 4 % less than a list of two, and a body of hundreds of orders little more.
        let opening = http1::Builder::new().writev(false).handshake(io);
        let (sender, connection) = opening.await.map_err(io::Error::other)?;
        spawn_local(async move { drop(connection.await) });
        Ok(Sender::Http1(sender))
    }
}

async fn read(reply: Response<Incoming>) -> Result<Reply, Trouble> {
    let (head, mut incoming) = reply.into_parts();
    let keep = !head.status.is_success() || head.status == StatusCode::MULTI_STATUS;
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Trouble::Lost)?;
        if let Some(data) = frame.data_ref()
            && keep
            && body.len() + data.len() <= LONGEST_REPLY
        {
            body.extend_from_slice(data);
        }
    }
    // Only the form in seconds is read: a date would need a calendar, and servers under load send seconds.
    let retry_after =
        head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(Reply { status: head.status, retry_after: retry_after.map(Duration::from_secs), body: body.freeze() })
}

/// Runs HTTP/2's own tasks on the thread of the connection.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
