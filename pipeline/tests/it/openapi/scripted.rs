//! A server in this process over a log of the test's own, which does with an order what the order's id says. The
//! embedded log fails only with its disk, and that cannot be had from the outside.

use pipeline::config::{Config, Layers};
use pipeline::log::{Completion, DeadLetter, Deliveries, Delivery, Publish, Record};
use pipeline::observe::manage::Observed;
use pipeline::receive::admission::Admission;
use pipeline::receive::{self, Ingest};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// The log. Of a request with an id that begins with `silent` it says nothing, of one with `gone` it drops the
/// completion, of one with `short` it says only what became of the first order. Else `failed` fails, `unknown` is
/// unknown, and everything else is durable.
#[derive(Debug, Default)]
pub struct Scripted {
    unanswered: Mutex<Vec<oneshot::Sender<Deliveries>>>,
}

impl Publish for Scripted {
    fn publish(&self, records: Vec<Record>) -> Completion {
        let any = |word: &str| records.iter().any(|record| record.key.starts_with(word.as_bytes()));
        let (sender, completion) = Completion::pending();
        let mut each: Vec<_> = records.iter().map(delivery).collect();
        let deliveries = if any("silent") {
            self.unanswered.lock().unwrap().push(sender);
            return completion;
        } else if any("gone") {
            drop(sender);
            return completion;
        } else if any("short") {
            each.truncate(1);
            Deliveries::Each(each)
        } else if each.windows(2).all(|pair| pair[0] == pair[1]) {
            Deliveries::All(each.remove(0))
        } else {
            Deliveries::Each(each)
        };
        Completion::ready(deliveries)
    }

    fn publish_dead(&self, _: Vec<DeadLetter>) -> Completion {
        Completion::ready(Deliveries::All(Delivery::Durable))
    }
}

fn delivery(record: &Record) -> Delivery {
    if record.key.starts_with(b"failed") {
        Delivery::Failed("the test wants it so")
    } else if record.key.starts_with(b"unknown") {
        Delivery::Unknown("the test wants it so")
    } else {
        Delivery::Durable
    }
}

/// The server. It ends with its value.
pub struct Server {
    pub address: SocketAddr,
    pub ingest: Arc<Ingest<Scripted>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Serves with the default configuration but for a short wait for the log.
pub fn serve() -> Server {
    let flags =
        [("log.delivery_timeout", "50ms"), ("receive.reply_timeout", "100ms"), ("receive.threads", "1")];
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = Config::read(&Layers::load(None, None, [], &flags).unwrap()).unwrap();
    let limits = config.receive;
    let ingest = Arc::new(Ingest {
        log: Scripted::default(),
        rules: config.rules,
        admission: Admission::of(&limits),
        gate: receive::Gate::default(),
        limits,
        observed: Observed::default(),
    });
    let ((stop, stopped), (tell, told)) = (oneshot::channel::<()>(), mpsc::channel());
    let serving = Arc::clone(&ingest);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = receive::start(listener, serving).unwrap();
            tell.send(server.address).unwrap();
            // It ends as well when the test is gone.
            let _ = stopped.await;
            server.stop(Duration::from_secs(1)).await;
        });
    });
    Server { address: told.recv().unwrap(), ingest, stop: Some(stop), thread: Some(thread) }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic in there has been printed.
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}
