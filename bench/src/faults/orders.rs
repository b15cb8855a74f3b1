//! The orders of one sender: each follows from the sender's seed and its number, so that all that is kept of it is what
//! its sender was told. Pure.

use pipeline::outcomes::Outcome;

use super::random::Random;

/// The channels that the orders name.
const SOURCES: [&str; 3] = ["Dine In", "In Store", "Online"];

const ACCEPTED: u8 = 1;
const REJECTED: u8 = 2;
/// It went out once and no answer, or none that decides, came back.
const DOUBTFUL: u8 = 4;

/// One order as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key.
    pub id: String,
    /// 0 in an order that is invalid.
    pub quantity: i64,
    /// Cents.
    pub total_minor: i64,
    source: &'static str,
    /// Once it has failed it is not sent again, so that the ledger would find it if it came in after all.
    pub stays_failed: bool,
}

impl Order {
    /// The order's bytes, the same at each sending.
    pub fn body(&self) -> String {
        let Self { id, quantity, total_minor, source, .. } = self;
        let (units, cents) = (total_minor / 100, total_minor % 100);
        format!(
            r#"{{"order_id":"{id}","customer_id":3,"source":"{source}","quantity":{quantity},"total":"{units}.{cents:02}"}}"#
        )
    }
}

/// All orders that a sender has made.
#[derive(Debug)]
pub struct Orders {
    name: String,
    seed: u64,
    told: Vec<u8>,
}

impl Orders {
    /// No orders yet. The name begins each id.
    pub const fn new(name: String, seed: u64) -> Self {
        Self { name, seed, told: Vec::new() }
    }

    /// Makes the next order and returns its number.
    pub fn make(&mut self) -> usize {
        self.told.push(0);
        self.told.len() - 1
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The order of a number.
    pub fn order(&self, number: usize) -> Order {
        let mut random = Random::new(self.seed, number as u64);
        let quantity = if random.once_in(40) { 0 } else { 1 + random.below(9).cast_signed() };
        let total_minor = random.below(1_000_000).cast_signed();
        let source =
            usize::try_from(random.below(3)).ok().and_then(|at| SOURCES.get(at)).unwrap_or(&"Online");
        let id = format!("{}-{number:08}", self.name);
        Order { id, quantity, total_minor, source, stays_failed: random.once_in(4) }
    }

    /// Notes what a sender was told of an order; false if that cannot be true of it.
    pub fn note(&mut self, number: usize, outcome: Outcome) -> bool {
        let is_invalid = self.order(number).quantity == 0;
        if let Some(told) = self.told.get_mut(number) {
            *told |= match outcome {
                Outcome::Accepted => ACCEPTED,
                Outcome::Rejected => REJECTED,
                Outcome::Unknown => DOUBTFUL,
                Outcome::Failed => 0,
            };
        }
        match outcome {
            Outcome::Accepted => !is_invalid,
            Outcome::Rejected => is_invalid,
            Outcome::Failed | Outcome::Unknown => true,
        }
    }

    /// What the outcome file says of an order. What was acknowledged once stays so, whatever came of its repeats, and
    /// one whose answer was lost stays unknown until it is acknowledged, even if a repeat failed.
    pub fn outcome(&self, number: usize) -> Outcome {
        match self.told.get(number).copied().unwrap_or_default() {
            told if told & ACCEPTED != 0 => Outcome::Accepted,
            told if told & REJECTED != 0 => Outcome::Rejected,
            told if told & DOUBTFUL != 0 => Outcome::Unknown,
            _ => Outcome::Failed,
        }
    }

    /// The numbers of the orders that are to be sent again: the unknown, and most of the failed.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|number| match self.outcome(*number) {
            Outcome::Unknown => true,
            Outcome::Failed => !self.order(*number).stays_failed,
            Outcome::Accepted | Outcome::Rejected => false,
        })
    }

    /// Each order with what became of it.
    pub fn told(&self) -> impl Iterator<Item = (Order, Outcome)> {
        (0..self.len()).map(|number| (self.order(number), self.outcome(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_stays_so_and_what_is_in_doubt_is_sent_again() {
        let mut orders = Orders::new("t".into(), 7);
        let valid = (0..)
            .find(|_| {
                let number = orders.make();
                orders.order(number).quantity > 0
            })
            .unwrap();
        assert!(orders.note(valid, Outcome::Unknown) && orders.note(valid, Outcome::Failed));
        assert_eq!(orders.outcome(valid), Outcome::Unknown);
        assert!(orders.open().any(|open| open == valid));
        assert!(orders.note(valid, Outcome::Accepted) && orders.note(valid, Outcome::Unknown));
        assert_eq!(orders.outcome(valid), Outcome::Accepted);
        assert!(!orders.open().any(|open| open == valid));
        assert!(!orders.note(valid, Outcome::Rejected), "it is valid");
    }

    #[test]
    fn an_order_is_the_same_at_each_sending() {
        let mut orders = Orders::new("t".into(), 7);
        let number = orders.make();
        assert_eq!(orders.order(number), orders.order(number));
        assert!(orders.order(number).body().starts_with(r#"{"order_id":"t-00000000","customer_id":3,"#));
    }
}
