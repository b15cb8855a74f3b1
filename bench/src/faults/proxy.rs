//! A TCP proxy that fails as networks do, or as one server's answers do: see [`Mode`] and [`Trick`].
//!
//! Kafka's clients are told by a broker where brokers are. The proxy puts its own port in the place of the broker's, so
//! that a broker needs no setting for it.

mod carry;
mod rewrite;

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rewrite::Rewrite;

/// A server on the same machine takes a connection at once or never.
const CONNECT: Duration = Duration::from_secs(2);

/// What it does to all that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Pass,
    /// Cuts connections, new ones too.
    Cut,
    /// Takes connections and lets nothing through, until the mode changes.
    Hold,
    /// Lets each piece through late, and few bytes a second.
    Slow {
        /// How late.
        delay: Duration,
        /// How many bytes a second, each way of a connection.
        bytes_per_second: u32,
    },
}

/// What it does to one insert into ClickHouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Passes it on, and cuts the connection when the reply comes.
    LoseReply,
    /// Passes it on, and holds its reply back until it is told to release it.
    HoldReply,
    /// Holds the insert itself back.
    HoldRequest,
    /// Passes it and its reply on, and holds back all requests after it.
    HoldAfter,
    /// Passes nothing on, and replies as the server does.
    Forge,
}

/// The state that a proxy's threads share.
struct Shared {
    to: Mutex<Option<SocketAddr>>,
    mode: Mutex<Mode>,
    /// The mode has changed, or what was held back is released.
    changed: Condvar,
    trick: Mutex<Option<Trick>>,
    hits: AtomicUsize,
    /// Requests after a trick are held back.
    holding: AtomicBool,
    /// What a trick holds back may go on.
    released: AtomicBool,
    rewrite: Option<Rewrite>,
    streams: Mutex<HashMap<u64, [TcpStream; 2]>>,
    next: AtomicU64,
    ended: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Waits while all is held; then how what passes is slowed down, if it is.
    fn pass(&self) -> Option<(Duration, u32)> {
        let held = |mode: &mut Mode| *mode == Mode::Hold && !self.ended.load(Ordering::SeqCst);
        let mode = self.changed.wait_while(locked(&self.mode), held).unwrap_or_else(PoisonError::into_inner);
        match *mode {
            Mode::Slow { delay, bytes_per_second } => Some((delay, bytes_per_second)),
            _ => None,
        }
    }

    /// Waits until what a trick holds back is released.
    fn wait_released(&self) {
        let held = |_: &mut Mode| !self.released.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst);
        drop(self.changed.wait_while(locked(&self.mode), held));
    }

    fn wake(&self) {
        // Whoever is about to wait holds this lock while it looks.
        drop(locked(&self.mode));
        self.changed.notify_all();
    }

    fn cut_all(&self) {
        for [client, server] in locked(&self.streams).values() {
            for stream in [client, server] {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A proxy on a port of its own. Dropping it cuts what goes through it.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy to a server that is known later, or changes.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn to(server: Option<SocketAddr>) -> io::Result<Self> {
        Self::with(server, false)
    }

    /// A proxy to a Kafka broker, in whose answers it stands in the broker's place.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn to_broker(broker: SocketAddr) -> io::Result<Self> {
        Self::with(Some(broker), true)
    }

    fn with(to: Option<SocketAddr>, is_broker: bool) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let rewrite = to.filter(|_| is_broker).map(|broker| Rewrite::new(broker, address));
        let shared = Arc::new(Shared {
            to: Mutex::new(to),
            mode: Mutex::new(Mode::Pass),
            changed: Condvar::new(),
            trick: Mutex::new(None),
            hits: AtomicUsize::new(0),
            holding: AtomicBool::new(false),
            released: AtomicBool::new(true),
            rewrite,
            streams: Mutex::default(),
            next: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &own));
        Ok(Self { address, shared })
    }

    /// Leads new connections elsewhere.
    pub fn lead_to(&self, server: Option<SocketAddr>) {
        *locked(&self.shared.to) = server;
    }

    /// Changes what happens to all that passes.
    pub fn set(&self, mode: Mode) {
        *locked(&self.shared.mode) = mode;
        self.shared.changed.notify_all();
        if mode == Mode::Cut {
            self.shared.cut_all();
        }
    }

    /// Plays a trick on the next insert, once.
    pub fn play(&self, trick: Trick) {
        self.shared.released.store(false, Ordering::SeqCst);
        *locked(&self.shared.trick) = Some(trick);
    }

    /// How many inserts tricks were played on.
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    /// Lets go on what tricks hold back, and plays none any more.
    pub fn release(&self) {
        *locked(&self.shared.trick) = None;
        self.shared.released.store(true, Ordering::SeqCst);
        self.shared.holding.store(false, Ordering::SeqCst);
        self.shared.wake();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.release();
        self.shared.cut_all();
        // Wakes the thread that accepts; it may have ended.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        // Dropping a connection cuts it.
        let Ok(client) = client else { continue };
        if *locked(&shared.mode) == Mode::Cut {
            continue;
        }
        let own = Arc::clone(shared);
        thread::spawn(move || {
            let to = *locked(&own.to);
            let Some(server) = to.and_then(|to| TcpStream::connect_timeout(&to, CONNECT).ok()) else {
                return;
            };
            // A connection that breaks while it is set up is one that was cut.
            let _ = carry::both(&own, client, server);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::time::Instant;

    /// A server that sends back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut piece = [0; 1000];
                    while let Ok(read @ 1..) = stream.read(&mut piece) {
                        if stream.write_all(&piece[..read]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    fn exchange(stream: &mut TcpStream) -> io::Result<[u8; 4]> {
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(b"ping")?;
        let mut back = [0; 4];
        stream.read_exact(&mut back)?;
        Ok(back)
    }

    #[test]
    fn what_is_held_comes_when_it_is_let_go_and_what_is_cut_does_not() {
        let proxy = Proxy::to(Some(echo())).unwrap();
        let mut stream = TcpStream::connect(proxy.address).unwrap();
        assert_eq!(&exchange(&mut stream).unwrap(), b"ping");
        proxy.set(Mode::Hold);
        assert!(exchange(&mut stream).is_err());
        proxy.set(Mode::Pass);
        let mut back = [0; 4];
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"ping");
        proxy.set(Mode::Cut);
        assert!(exchange(&mut stream).is_err());
        assert!(TcpStream::connect(proxy.address).map_or(true, |mut new| exchange(&mut new).is_err()));
        proxy.set(Mode::Pass);
        assert!(exchange(&mut TcpStream::connect(proxy.address).unwrap()).is_ok());
    }

    #[test]
    fn a_slow_network_is_slow_both_ways() {
        let proxy = Proxy::to(Some(echo())).unwrap();
        let mut stream = TcpStream::connect(proxy.address).unwrap();
        proxy.set(Mode::Slow { delay: Duration::from_millis(60), bytes_per_second: 1_000_000 });
        let started = Instant::now();
        exchange(&mut stream).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(120), "{:?}", started.elapsed());
    }
}
