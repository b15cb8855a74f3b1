//! A TCP proxy that fails as networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it does to the next request that contains the mark.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nothing.
    None,
    /// Passes it on, and cuts the connection when the answer comes.
    LoseAnswer,
    /// Passes it on, and keeps the answer for itself.
    KeepAnswer,
    /// Cuts the connection, and passes nothing on.
    LoseRequest,
}

struct Shared {
    to: SocketAddr,
    mark: String,
    fault: AtomicU8,
    faults: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    closed: AtomicBool,
}

/// A proxy on a port of its own.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy to a server, which knows the requests it may fail by a mark in their first bytes.
    pub fn to(server: &str, mark: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            to: server.parse().unwrap(),
            mark: mark.into(),
            fault: AtomicU8::new(Fault::None as u8),
            faults: AtomicUsize::new(0),
            streams: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if own.closed.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(own.to).unwrap();
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                    own.streams.lock().unwrap().push(stream.try_clone().unwrap());
                }
                let failing = Arc::new(AtomicU8::new(Fault::None as u8));
                let (up, down) = ((client.try_clone(), server.try_clone()), (server, client));
                let (shared, now) = (Arc::clone(&own), Arc::clone(&failing));
                thread::spawn(move || carry_up(&up.0.unwrap(), &up.1.unwrap(), &shared, &now));
                thread::spawn(move || carry_down(&down.0, &down.1, &failing));
            }
        });
        Self { address, shared }
    }

    /// Fails the next request that has the mark.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.fault.store(fault as u8, Ordering::SeqCst);
    }

    /// How many requests were failed.
    pub fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::SeqCst)
    }

    /// Cuts all connections; new ones are closed at once, until it opens again.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        self.shared.closed.store(false, Ordering::SeqCst);
    }
}

fn carry_up(mut client: &TcpStream, mut server: &TcpStream, shared: &Shared, failing: &AtomicU8) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(read @ 1..) = client.read(&mut piece) {
        if String::from_utf8_lossy(&piece[..read]).contains(&shared.mark) {
            let fault = shared.fault.swap(Fault::None as u8, Ordering::SeqCst);
            failing.store(fault, Ordering::SeqCst);
            if fault != Fault::None as u8 {
                shared.faults.fetch_add(1, Ordering::SeqCst);
            }
            if fault == Fault::LoseRequest as u8 {
                break;
            }
        }
        if server.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn carry_down(mut server: &TcpStream, mut client: &TcpStream, failing: &AtomicU8) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(read @ 1..) = server.read(&mut piece) {
        let fault = failing.load(Ordering::SeqCst);
        if fault == Fault::KeepAnswer as u8 {
            continue;
        }
        if fault == Fault::LoseAnswer as u8 || client.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
