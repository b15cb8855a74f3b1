//! Which of the two goes first in a pair. Pure.

use crate::faults::random::Random;

/// How it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By a seeded coin: where the two do not differ, a ratio is as likely as its inverse, whatever the machine does.
    Random(u64),
    /// A B, B A, A B, …: a machine that slows down evenly favours none.
    Abba,
}

/// Tells turn by turn.
#[derive(Clone, Debug)]
pub struct Turns {
    order: Order,
    random: Random,
    taken: u64,
}

impl Order {
    /// From the first pair on.
    pub fn turns(self) -> Turns {
        let seed = match self {
            Self::Random(seed) => seed,
            Self::Abba => 0,
        };
        Turns { order: self, random: Random::new(seed, 0), taken: 0 }
    }
}

impl Turns {
    /// Whether A goes first in the next pair.
    pub fn next_is_a_first(&mut self) -> bool {
        match self.order {
            Order::Abba => {
                self.taken += 1;
                self.taken % 2 == 1
            }
            Order::Random(_) => self.random.below(2) == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abba_alternates_and_begins_with_a() {
        let mut turns = Order::Abba.turns();
        let first: Vec<bool> = (0..4).map(|_| turns.next_is_a_first()).collect();
        assert_eq!(first, [true, false, true, false]);
    }

    #[test]
    fn a_seed_gives_the_same_turns_again_and_about_as_many_of_each() {
        let turns = |seed| {
            let mut turns = Order::Random(seed).turns();
            (0..1000).map(|_| turns.next_is_a_first()).collect::<Vec<_>>()
        };
        assert_eq!(turns(7), turns(7));
        assert_ne!(turns(7), turns(8));
        let first = turns(7).into_iter().filter(|first| *first).count();
        assert!((400..600).contains(&first), "{first} of 1000");
    }
}
