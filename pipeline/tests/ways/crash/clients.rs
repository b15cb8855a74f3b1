//! The senders of the crash test: each remembers every order that it sent and what it was told of it, and knows apart
//! from the pipeline what the orders come to.

use crate::ways::http::read_reply;
use pipeline::outcomes::Outcome;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex};

/// The channels that the orders name.
pub const SOURCES: [&str; 3] = ["Dine In", "In Store", "Online"];

/// SplitMix64 (Steele, Lea and Flood 2014): a published generator that takes no crate.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Where the pipeline is now, for senders to wait at while it is dead.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Dead,
    Alive(SocketAddr),
    Over,
}

impl Gate {
    pub fn open(&self, address: SocketAddr) {
        self.set(State::Alive(address));
    }

    pub fn shut(&self) {
        self.set(State::Dead);
    }

    pub fn end(&self) {
        self.set(State::Over);
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Waits while it is dead; `None` when there will be no more.
    fn wait(&self) -> Option<SocketAddr> {
        let dead = |state: &mut State| matches!(state, State::Dead);
        match *self.changed.wait_while(self.state.lock().unwrap(), dead).unwrap() {
            State::Alive(address) => Some(address),
            State::Dead | State::Over => None,
        }
    }
}

/// An order and what its sender knows of it.
pub struct Sent {
    pub source: usize,
    /// 0 in an order that is invalid.
    pub quantity: i64,
    pub total_minor: i64,
    accepted: bool,
    rejected: bool,
    /// It went out once and no answer, or none that decides, came back.
    doubtful: bool,
}

impl Sent {
    /// What the outcome file says of it. An id that was acknowledged once stays so, whatever came of its repeats, and
    /// one whose answer was lost stays unknown until it is acknowledged, even if a repeat failed.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self { accepted: true, .. } => Outcome::Accepted,
            Self { rejected: true, .. } => Outcome::Rejected,
            Self { doubtful: true, .. } => Outcome::Unknown,
            _ => Outcome::Failed,
        }
    }

    fn settled(&self) -> bool {
        self.accepted || self.rejected
    }
}

/// One sender. It waits for each answer before it sends again.
pub struct Client {
    number: u64,
    random: Random,
    /// Every order that it ever sent.
    pub orders: BTreeMap<String, Sent>,
    /// Ids whose outcome is open and that are to be sent again during the load.
    open: Vec<String>,
    /// Requests that went out.
    pub requests: u64,
    /// Requests whose connection ended without an answer.
    pub unanswered: u64,
    /// Orders that were sent again although they had been acknowledged.
    pub repeats: u64,
}

impl Client {
    pub fn new(number: u64, seed: u64) -> Self {
        let random = Random(seed ^ (number + 1).wrapping_mul(0xd134_2543_de82_ef95));
        let (orders, open) = (BTreeMap::new(), Vec::new());
        Self { number, random, orders, open, requests: 0, unanswered: 0, repeats: 0 }
    }

    /// Sends until the gate ends.
    pub fn load(&mut self, gate: &Gate) {
        while let Some(address) = gate.wait() {
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            let mut alive = true;
            while alive {
                let ids = self.next_request();
                alive = self.send(&mut stream, &ids);
                for id in ids {
                    // Half of what is open waits for the end, so that a ledger in between has unknown ids to judge.
                    if !self.orders[&id].settled() && !self.open.contains(&id) && self.random.once_in(2) {
                        self.open.push(id);
                    }
                }
            }
        }
    }

    /// Sends all that is open again until each has its outcome.
    pub fn settle(&mut self, address: SocketAddr) {
        let mut stream = TcpStream::connect(address).unwrap();
        loop {
            let open = self.orders.iter().filter(|(_, order)| !order.settled());
            let ids: Vec<String> = open.map(|(id, _)| id.clone()).take(50).collect();
            if ids.is_empty() {
                return;
            }
            assert!(self.send(&mut stream, &ids), "the pipeline went away while nobody killed it");
        }
    }

    /// The ids of the next request: open ones, new ones, and some that are sent again without need.
    fn next_request(&mut self) -> Vec<String> {
        if !self.open.is_empty() && self.random.once_in(2) {
            return self.open.drain(..self.open.len().min(20)).collect();
        }
        let count = if self.random.once_in(3) { 2 + self.random.below(39) } else { 1 };
        (0..count).map(|_| if self.random.once_in(12) { self.earlier() } else { self.make() }).collect()
    }

    fn earlier(&mut self) -> String {
        let most = self.orders.len() as u64;
        if most == 0 {
            return self.make();
        }
        // Ids count up, so one of the newest is found by its number.
        let back = self.random.below(most.min(500));
        let id = self.id(most - 1 - back);
        self.repeats += u64::from(self.orders[&id].accepted);
        id
    }

    fn make(&mut self) -> String {
        let id = self.id(self.orders.len() as u64);
        let random = &mut self.random;
        let quantity = if random.once_in(40) { 0 } else { 1 + random.below(9).cast_signed() };
        let total_minor = random.below(1_000_000).cast_signed();
        let source = random.below(SOURCES.len() as u64) as usize;
        let order = Sent { source, quantity, total_minor, accepted: false, rejected: false, doubtful: false };
        self.orders.insert(id.clone(), order);
        id
    }

    fn id(&self, number: u64) -> String {
        format!("client-{}-{number:07}", self.number)
    }

    /// Sends orders in one request and notes what each was told; false if the connection is of no use any more.
    fn send(&mut self, stream: &mut TcpStream, ids: &[String]) -> bool {
        let body = ids.iter().map(|id| self.body(id)).collect::<Vec<_>>().join("\n");
        let media = if ids.len() == 1 { "application/json" } else { "application/x-ndjson" };
        let request = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: t\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.requests += 1;
        // A request whose bytes only went out in part counts as one that may have arrived.
        let reply = stream.write_all(request.as_bytes()).ok().and_then(|()| read_reply(stream));
        let Some(reply) = reply else {
            self.unanswered += 1;
            for id in ids {
                self.orders.get_mut(id).unwrap().doubtful = true;
            }
            return false;
        };
        let told = reply.json();
        for (index, id) in ids.iter().enumerate() {
            let result = &told["results"][index];
            assert_eq!(result["index"], index, "{told}");
            let order = self.orders.get_mut(id).unwrap();
            match result["outcome"].as_str().unwrap() {
                "accepted" => order.accepted = true,
                "rejected" => order.rejected = true,
                "failed" => {}
                _ => order.doubtful = true,
            }
            assert_eq!(order.quantity == 0, order.rejected, "{id}: {told}");
        }
        true
    }

    /// An order's bytes, the same at each sending.
    fn body(&self, id: &str) -> String {
        let Sent { source, quantity, total_minor, .. } = &self.orders[id];
        format!(
            r#"{{"order_id":"{id}","customer_id":3,"source":"{}","quantity":{quantity},"total":"{}.{:02}"}}"#,
            SOURCES[*source],
            total_minor / 100,
            total_minor % 100
        )
    }
}
