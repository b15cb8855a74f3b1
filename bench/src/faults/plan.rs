//! Which fault is tried when: a seeded choice that is spread over all faults. Pure.

use super::catalogue::{FAULTS, Fault, Needs};
use super::random::Random;

/// One injection that is to be done.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its number, from 1.
    pub number: u64,
    /// The fault.
    pub fault: Fault,
    /// What its own moments are drawn from.
    pub seed: u64,
}

/// So many injections. Every fault is tried once before any is tried again, in an order that the seed decides; those that
/// need three brokers come last, so that these are brought up once.
pub fn plan(seed: u64, injections: u64, only: Option<&str>, can: impl Fn(Needs) -> bool) -> Vec<Planned> {
    let mut random = Random::new(seed, 0);
    let possible: Vec<Fault> = FAULTS
        .into_iter()
        .filter(|fault| can(fault.needs()) && only.is_none_or(|only| fault.name.contains(only)))
        .collect();
    let mut chosen: Vec<Fault> = Vec::new();
    while (chosen.len() as u64) < injections && !possible.is_empty() {
        let mut round = possible.clone();
        // Fisher and Yates, from the end.
        for last in (1..round.len()).rev() {
            let other = usize::try_from(random.below(last as u64 + 1)).unwrap_or(last);
            round.swap(last, other);
        }
        chosen.extend(round);
    }
    chosen.truncate(usize::try_from(injections).unwrap_or(usize::MAX));
    chosen.sort_by_key(|fault| fault.needs() == Needs::Brokers);
    (1..).zip(chosen).map(|(number, fault)| Planned { number, fault, seed: random.number() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_seed_decides_and_every_fault_is_tried_before_any_is_tried_again() {
        let names = |planned: Vec<Planned>| planned.into_iter().map(|it| it.fault.name).collect::<Vec<_>>();
        let eight = names(plan(7, 8, None, |_| true));
        assert_eq!(eight, names(plan(7, 8, None, |_| true)));
        assert_ne!(eight, names(plan(8, 8, None, |_| true)));
        let mut times = BTreeMap::<_, u64>::new();
        for name in names(plan(7, 200, None, |_| true)) {
            *times.entry(name).or_default() += 1;
        }
        assert_eq!(times.len(), FAULTS.len());
        assert!(times.values().all(|times| (3..=4).contains(times)), "{times:?}");
    }

    #[test]
    fn what_cannot_be_tried_here_is_left_out() {
        let planned = plan(7, 100, None, |needs| needs == Needs::Stack);
        assert!(planned.iter().all(|it| it.fault.needs() == Needs::Stack));
        assert!(plan(7, 3, Some("no such fault"), |_| true).is_empty());
    }
}
