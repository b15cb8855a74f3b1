//! One connection through a proxy: two threads, one for each way.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use super::{Shared, Trick, locked};

/// What marks an insert in a request's head.
const INSERT: &[u8] = b"insert_deduplication_token=";
/// How a request ends whose body comes in pieces of which nobody knew the number.
const END_OF_BODY: &[u8] = b"0\r\n\r\n";
/// An acknowledgement, as the server makes it.
const ACKNOWLEDGED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// How long an end that may be the beginning of an address is kept for its rest.
const REST_WITHIN: Duration = Duration::from_millis(5);

/// What becomes of the next reply.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Reply {
    Pass,
    Lose,
    Hold,
    HoldAfter,
}

/// What both ways of a connection know.
struct Fate(AtomicU8);

impl Fate {
    fn set(&self, reply: Reply) {
        self.0.store(reply as u8, Ordering::SeqCst);
    }

    /// Takes it: it is of one reply.
    fn take(&self) -> Reply {
        let taken = self.0.swap(Reply::Pass as u8, Ordering::SeqCst);
        [Reply::Lose, Reply::Hold, Reply::HoldAfter]
            .into_iter()
            .find(|reply| *reply as u8 == taken)
            .unwrap_or(Reply::Pass)
    }
}

/// Carries both ways until the connection ends.
pub(super) fn both(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let number = shared.next.fetch_add(1, Ordering::SeqCst);
    locked(&shared.streams).insert(number, [client.try_clone()?, server.try_clone()?]);
    let fate = Arc::new(Fate(AtomicU8::new(Reply::Pass as u8)));
    let (own, told) = (Arc::clone(shared), Arc::clone(&fate));
    let (up_client, up_server) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        // However it ends, the other way ends too.
        let _ = upwards(&own, &up_client, &up_server, &told);
        let _ = up_server.shutdown(Shutdown::Write);
    });
    let _ = downwards(shared, &server, &client, &fate);
    let _ = client.shutdown(Shutdown::Both);
    let _ = up.join();
    let _ = server.shutdown(Shutdown::Both);
    locked(&shared.streams).remove(&number);
    Ok(())
}

fn upwards(shared: &Shared, mut client: &TcpStream, mut server: &TcpStream, fate: &Fate) -> io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    let mut forging = false;
    loop {
        let read = client.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        slow_down(shared, read);
        if shared.holding.load(Ordering::SeqCst) {
            shared.wait_released();
        }
        // The lock is not kept while the trick is played.
        let trick = locked(&shared.trick).take_if(|_| contains(bytes, INSERT));
        if let Some(trick) = trick {
            shared.hits.fetch_add(1, Ordering::SeqCst);
            match trick {
                Trick::LoseReply => fate.set(Reply::Lose),
                Trick::HoldReply => fate.set(Reply::Hold),
                Trick::HoldAfter => fate.set(Reply::HoldAfter),
                Trick::HoldRequest => shared.wait_released(),
                Trick::Forge => forging = true,
            }
        }
        if forging {
            if bytes.ends_with(END_OF_BODY) {
                client.write_all(ACKNOWLEDGED)?;
                forging = false;
            }
            continue;
        }
        server.write_all(bytes)?;
    }
}

fn downwards(shared: &Shared, mut server: &TcpStream, mut client: &TcpStream, fate: &Fate) -> io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    let mut held = Vec::new();
    loop {
        // What is kept for its rest is sent as it is when no rest comes.
        server.set_read_timeout((!held.is_empty()).then_some(REST_WITHIN))?;
        let read = match server.read(&mut piece) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                client.write_all(&std::mem::take(&mut held))?;
                continue;
            }
            read => read?,
        };
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        slow_down(shared, read);
        let reply = fate.take();
        match reply {
            Reply::Lose => return Ok(()),
            Reply::Hold => shared.wait_released(),
            Reply::HoldAfter => shared.holding.store(true, Ordering::SeqCst),
            Reply::Pass => {}
        }
        match &shared.rewrite {
            Some(rewrite) => {
                held.extend_from_slice(bytes);
                client.write_all(&rewrite.take(&mut held))?;
            }
            None => client.write_all(bytes)?,
        }
    }
}

fn slow_down(shared: &Shared, bytes: usize) {
    if let Some((delay, bytes_per_second)) = shared.pass() {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        thread::sleep(delay + Duration::from_secs(1) * bytes / bytes_per_second.max(1));
    }
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}
