//! The server: one thread accepts connections and hands each to one of the serving threads, which have an event loop of
//! their own, so that a connection never moves between cores.

use super::Ingest;
use super::idle::Activity;
use super::refusal::Refusal;
use super::unread::Unread;
use crate::deadline::within;
use crate::log::Publish;
use crate::observe::access::NoHandshake;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// What a connection over the limit is told, before it is closed.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How often the drain rate is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(500);

type Handed = (std::net::TcpStream, OwnedSemaphorePermit);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    watching: tokio::task::JoinHandle<()>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Stops accepting and ends each connection behind the request that it is at. Returns when all have ended, or when
    /// the time is over; then what is open is cut off.
    pub async fn stop(self, within: Duration) {
        self.stop.send_replace(true);
        self.watching.abort();
        let started = Instant::now();
        // The accepting task holds the serving threads' inboxes; a thread ends when its connections have.
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "accepting connections failed");
        }
        while started.elapsed() < within && self.threads.iter().any(|thread| !thread.is_finished()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let open = self.threads.iter().filter(|thread| !thread.is_finished()).count();
        if open > 0 {
            tracing::warn!(threads = open, "connections were cut off at the end of the drain time-out");
        }
    }
}

/// Starts serving.
///
/// # Errors
/// Where a thread cannot be started.
pub fn start<P: Publish>(listener: TcpListener, ingest: Arc<Ingest<P>>) -> std::io::Result<Server> {
    let address = listener.local_addr()?;
    for refusal in Refusal::ALL {
        // So that a reason that was never given stands at 0 among the metrics.
        ingest.observed.metrics.refusals(refusal.tag());
    }
    let (stop, stopped) = watch::channel(false);
    let count = match ingest.limits.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let mut inboxes = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    for number in 0..count {
        let (handed, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ingest, stopped) = (Arc::clone(&ingest), stopped.clone());
        let serve = move || runtime.block_on(serve(inbox, ingest, stopped));
        threads.push(std::thread::Builder::new().name(format!("receive-{number}")).spawn(serve)?);
        inboxes.push(handed);
    }
    let watched = Arc::clone(&ingest);
    let watching = tokio::spawn(async move {
        watched.gate.watch(watched.limits.access.reload, &watched.observed.metrics.access).await;
    });
    let accepting = tokio::spawn(accept(listener, ingest, inboxes, stopped));
    Ok(Server { address, stop, accepting, watching, threads })
}

/// Accepts connections and deals them out in turn. The inboxes need no limit of their own: there are never more
/// connections than permits.
async fn accept<P: Publish>(
    listener: TcpListener,
    ingest: Arc<Ingest<P>>,
    inboxes: Vec<mpsc::UnboundedSender<Handed>>,
    mut stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(ingest.limits.max_connections));
    let mut measure = tokio::time::interval(MEASURE_EVERY);
    let mut measured = Instant::now();
    let mut turn = inboxes.iter().cycle();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Mostly there are no file descriptors left; connections that end make room.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = measure.tick() => {
                ingest.admission.measure(measured.elapsed());
                measured = Instant::now();
                continue;
            }
            () = stop(&mut stopped) => return,
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            ingest.observed.metrics.receive_connections_refused.inc();
            // The client gets an answer if its socket takes it at once, which a new socket does. Over TLS that would be
            // a handshake first, which is the work that there is no room for.
            if !ingest.gate.is_tls() {
                let _ = stream.try_write(FULL);
            }
            continue;
        };
        // Without delay, so that a reply does not wait for the client's acknowledgement of the one before.
        if stream.set_nodelay(true).is_ok()
            && let (Ok(stream), Some(inbox)) = (stream.into_std(), turn.next())
        {
            // A thread that is gone has failed; its connections are closed by being dropped.
            let _ = inbox.send((stream, permit));
        }
    }
}

/// Serves the connections of one thread until no more come and all have ended.
async fn serve<P: Publish>(
    mut inbox: mpsc::UnboundedReceiver<Handed>,
    ingest: Arc<Ingest<P>>,
    stopped: watch::Receiver<bool>,
) {
    let mut tasks = tokio::task::JoinSet::new();
    while let Some((stream, permit)) = inbox.recv().await {
        let (ingest, stopped) = (Arc::clone(&ingest), stopped.clone());
        tasks.spawn(async move {
            let metrics = &ingest.observed.metrics;
            metrics.receive_connections.inc();
            match TcpStream::from_std(stream) {
                Ok(stream) => connection(stream, &ingest, stopped).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
            }
            metrics.receive_connections.dec();
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

/// Makes TLS of a connection, if that is spoken, within the time for a head, and serves it.
async fn connection<P: Publish>(
    stream: TcpStream,
    ingest: &Arc<Ingest<P>>,
    mut stopped: watch::Receiver<bool>,
) {
    let Some(acceptor) = ingest.gate.acceptor() else { return requests(stream, ingest, stopped).await };
    let shaken = tokio::select! {
        shaken = within(ingest.limits.head_timeout, acceptor.accept(stream)) => shaken,
        () = stop(&mut stopped) => return,
    };
    let (why, error) = match shaken {
        Ok(Ok(stream)) => return requests(stream, ingest, stopped).await,
        // rustls wraps its own errors in this kind.
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidData => (NoHandshake::Refused, error.to_string()),
        Ok(Err(error)) => (NoHandshake::Broken, error.to_string()),
        Err(_) => (NoHandshake::Late, "the client was too slow".to_owned()),
    };
    let metrics = &ingest.observed.metrics.access;
    metrics.no_handshakes(why).inc();
    tracing::debug!(error, "a connection came to no TLS");
}

/// Serves the requests of a connection, whatever it goes over, until it ends or `stopped` says so.
pub async fn requests<P: Publish>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    ingest: &Arc<Ingest<P>>,
    mut stopped: watch::Receiver<bool>,
) {
    let (activity, unread) = (Activity::default(), Arc::new(Unread::default()));
    let service = service_fn(|request| {
        let under_way = activity.begin();
        let (ingest, unread) = (Arc::clone(ingest), Arc::clone(&unread));
        async move {
            let answer = ingest.answer(request, &unread).await;
            drop(under_way);
            Ok::<_, Infallible>(answer)
        }
    });
    let limits = &ingest.limits;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.max_head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.head_timeout)
        .keep_alive_timeout(limits.head_timeout);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // What may end a connection from outside is looked at when it wakes, and not whenever the connection does.
    let mut ends = FuturesUnordered::from_iter([async {
        tokio::select! {
            () = stop(&mut stopped) => End::Stopped,
            () = activity.idle(limits.head_timeout) => End::Idle,
            () = unread.overdue() => End::Unread,
        }
    }]);
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        Some(end) = ends.next() => match end {
            End::Stopped => {
                served.as_mut().graceful_shutdown();
                served.await
            }
            End::Idle => {
                // A client of HTTP/2 is told, so that it sends no request into a connection that ends. An answer that is
                // still being read has its time.
                served.as_mut().graceful_shutdown();
                let _ = within(limits.head_timeout.max(limits.write_timeout), served).await;
                return;
            }
            End::Unread => Err("the client did not read its answer in time".into()),
        },
    };
    if let Err(error) = ended {
        ingest.observed.metrics.receive_connection_errors.inc();
        tracing::debug!(%error, "a connection ended in an error");
    }
}

/// What may end a connection from outside.
enum End {
    Stopped,
    Idle,
    Unread,
}

/// Waits until the server is told to stop, or is gone.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}
