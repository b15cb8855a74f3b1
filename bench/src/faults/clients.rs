//! The senders: a steady load of orders over real connections, each sender remembering what it was told of every order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use pipeline::outcomes::Outcome;
use serde::{Deserialize, Serialize};

use super::http::Connection;
use super::orders::Orders;
use super::random::Random;

const PATH: &str = "/v1/orders?results=all";
/// A sender that is late by more than this gives up what it is late with: its load is steady, not made up for.
const LATE: Duration = Duration::from_millis(500);
/// How many are sent again in one request at the end.
const AGAIN: usize = 100;

/// What senders did and were told, added up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that went out.
    pub requests: u64,
    /// Requests that had no answer.
    pub unanswered: u64,
    /// Orders that were sent once more though they had been acknowledged.
    pub repeats: u64,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
    /// Answers that cannot be true of their orders.
    pub wrong: Vec<String>,
    /// The longest time in which no order was accepted, in seconds.
    pub longest_stall_seconds: f64,
}

/// What the senders of a load share.
struct Shared {
    /// Where orders are taken; more than one where there are several ingests.
    fronts: Mutex<Vec<SocketAddr>>,
    over: AtomicBool,
    /// Whether each request is sent twice.
    twice: AtomicBool,
    counts: Mutex<Counts>,
    /// When an order was last accepted.
    accepted_at: Mutex<Instant>,
    /// How long an answer may take.
    patience: Duration,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a load is.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Orders a second, over all senders.
    pub per_second: u32,
    /// Senders.
    pub senders: u32,
    /// Orders a request, on average.
    pub batch: u32,
    /// How long an answer may take.
    pub patience: Duration,
    /// Whether what is unknown is sent again with the next request. A long load must: a repeat counts once only within the
    /// pipeline's window of order ids. A short one leaves most to the end, so that a ledger in between has some to judge.
    pub again_soon: bool,
}

/// A load under way.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Sender>>,
}

impl Load {
    /// Starts the senders.
    pub fn start(offer: Offer, fronts: Vec<SocketAddr>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            fronts: Mutex::new(fronts),
            over: AtomicBool::new(false),
            twice: AtomicBool::new(false),
            counts: Mutex::default(),
            accepted_at: Mutex::new(Instant::now()),
            patience: offer.patience,
        });
        let threads = (0..offer.senders).map(|number| {
            let sender = Sender::new(number, seed, Arc::clone(&shared));
            thread::spawn(move || sender.load(offer))
        });
        Self { threads: threads.collect(), shared }
    }

    /// Sends to other places from now on.
    pub fn lead_to(&self, fronts: Vec<SocketAddr>) {
        *locked(&self.shared.fronts) = fronts;
    }

    /// Sends each request twice, or once again.
    pub fn send_twice(&self, twice: bool) {
        self.shared.twice.store(twice, Ordering::SeqCst);
    }

    /// What the senders were told so far.
    pub fn counts(&self) -> Counts {
        locked(&self.shared.counts).clone()
    }

    /// Ends the load, when each sender has its last answer.
    ///
    /// # Errors
    /// Where a sender panicked.
    pub fn end(self) -> Result<Senders> {
        self.shared.over.store(true, Ordering::SeqCst);
        let senders =
            self.threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a sender panicked")));
        Ok(Senders { senders: senders.collect::<Result<_>>()?, shared: self.shared })
    }
}

/// The senders when their load is over.
pub struct Senders {
    senders: Vec<Sender>,
    shared: Arc<Shared>,
}

impl Senders {
    /// The orders of each.
    pub fn orders(&self) -> impl Iterator<Item = &Orders> {
        self.senders.iter().map(|sender| &sender.orders)
    }

    /// What they were told.
    pub fn counts(&self) -> Counts {
        locked(&self.shared.counts).clone()
    }

    /// Sends again what is unknown and most of what failed, until all of it is acknowledged, and returns how many those
    /// were.
    ///
    /// # Errors
    /// Where something is still open at the deadline.
    pub fn settle(&mut self, within: Duration) -> Result<u64> {
        let started = Instant::now();
        let mut again = 0;
        for sender in &mut self.senders {
            again += sender.orders.open().count() as u64;
            loop {
                let numbers: Vec<usize> = sender.orders.open().take(AGAIN).collect();
                if numbers.is_empty() {
                    break;
                }
                if started.elapsed() > within {
                    bail!(
                        "{} orders have no outcome after {within:?} of retries",
                        sender.orders.open().count()
                    );
                }
                if !sender.send(&numbers, 0) {
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
        Ok(again)
    }
}

/// One sender. It waits for each answer before it sends again.
struct Sender {
    number: u32,
    random: Random,
    orders: Orders,
    /// Orders whose answer was lost, to be sent again soon.
    unknown: Vec<usize>,
    connections: BTreeMap<SocketAddr, Connection>,
    shared: Arc<Shared>,
}

impl Sender {
    fn new(number: u32, seed: u64, shared: Arc<Shared>) -> Self {
        let random = Random::new(seed, number.into());
        let orders = Orders::new(format!("f{seed:x}-{number}"), seed ^ u64::from(number) << 32);
        Self { number, random, orders, unknown: Vec::new(), connections: BTreeMap::new(), shared }
    }

    fn load(mut self, offer: Offer) -> Self {
        let mut due = Instant::now();
        while !self.shared.over.load(Ordering::SeqCst) {
            let now = Instant::now();
            if let Some(early) = due.checked_duration_since(now) {
                thread::sleep(early.min(Duration::from_millis(100)));
                continue;
            }
            if now.duration_since(due) > LATE {
                due = now;
            }
            let mut numbers = self.next_request(offer.batch);
            let again = std::mem::take(&mut self.unknown).into_iter().filter(|_| offer.again_soon);
            let again: Vec<usize> = again.filter(|number| !numbers.contains(number)).collect();
            numbers.extend(again);
            due += Duration::from_secs(1) * u32::try_from(numbers.len()).unwrap_or(1) * offer.senders
                / offer.per_second.max(1);
            let at = usize::try_from(self.number).unwrap_or(0);
            let mut alive = self.send(&numbers, at);
            if self.shared.twice.load(Ordering::SeqCst) {
                alive |= self.send(&numbers, at + 1);
            }
            if !alive {
                thread::sleep(Duration::from_millis(20));
            }
        }
        self
    }

    /// New orders, now and then one that was acknowledged, and now and then one whose answer was lost.
    fn next_request(&mut self, batch: u32) -> Vec<usize> {
        let count = 1 + self.random.below(u64::from(batch.max(1)) * 2 - 1);
        let mut numbers = Vec::new();
        for _ in 0..count {
            let back = usize::try_from(1 + self.random.below(500)).unwrap_or(1);
            let earlier = self.orders.len().checked_sub(back).filter(|earlier| !numbers.contains(earlier));
            let outcome = earlier.map(|earlier| self.orders.outcome(earlier));
            let number = match (earlier, outcome) {
                (Some(earlier), Some(Outcome::Accepted)) if self.random.once_in(20) => {
                    locked(&self.shared.counts).repeats += 1;
                    earlier
                }
                // Most of what is unknown waits for the end, so that a ledger in between has some to judge.
                (Some(earlier), Some(Outcome::Unknown)) if self.random.once_in(10) => earlier,
                _ => self.orders.make(),
            };
            numbers.push(number);
        }
        numbers
    }

    /// Sends orders in one request to one of the places and notes what each was told; false if none was accepted.
    fn send(&mut self, numbers: &[usize], place: usize) -> bool {
        let bodies: Vec<String> = numbers.iter().map(|number| self.orders.order(*number).body()).collect();
        let media = if numbers.len() == 1 { "application/json" } else { "application/x-ndjson" };
        let fronts = locked(&self.shared.fronts).clone();
        let Some(address) = place.checked_rem(fronts.len()).and_then(|at| fronts.get(at).copied()) else {
            return false;
        };
        let kept = self.connections.remove(&address);
        let connection = kept.map_or_else(|| Connection::open(address, self.shared.patience), Ok);
        // Nothing went out: these are failed, for now.
        let Ok(mut connection) = connection else { return false };
        let reply = connection.post(PATH, media, &bodies.join("\n"));
        let shared = Arc::clone(&self.shared);
        let mut counts = locked(&shared.counts);
        counts.requests += 1;
        let outcomes = match &reply {
            Ok(reply) => {
                *counts.statuses.entry(reply.status.to_string()).or_default() += 1;
                reply.outcomes(numbers.len())
            }
            Err(_) => {
                counts.unanswered += 1;
                vec![Outcome::Unknown; numbers.len()]
            }
        };
        for (number, outcome) in numbers.iter().zip(&outcomes) {
            if !self.orders.note(*number, *outcome) && counts.wrong.len() < 20 {
                let id = self.orders.order(*number).id;
                counts.wrong.push(format!("{id} was {}", outcome.tag()));
            }
        }
        let pairs = numbers.iter().zip(&outcomes);
        self.unknown.extend(pairs.filter(|(_, it)| **it == Outcome::Unknown).map(|(number, _)| *number));
        if outcomes.contains(&Outcome::Accepted) {
            let stall = std::mem::replace(&mut *locked(&shared.accepted_at), Instant::now()).elapsed();
            counts.longest_stall_seconds = counts.longest_stall_seconds.max(stall.as_secs_f64());
        }
        if reply.is_ok() {
            self.connections.insert(address, connection);
        }
        outcomes.contains(&Outcome::Accepted)
    }
}
