//! Every order of events that two processors and a server can go through, up to a few failures, tried out: the block is
//! never counted twice, and whoever says that it is stored names the block that is there.
//!
//! The server is modelled by what its engine does: it notes an insert's token, then stores its rows, then answers. It
//! may die between any two of these; answers may be lost; an insert whose sender has gone goes on until it ends by
//! itself, and a wait is over when none that was under way at its beginning still is.

use super::tests::row;
use super::{Action, Chain, Event};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

const FAILURES: u32 = 3;
const ATTEMPTS: u32 = 3;
/// Each processor ends its block elsewhere.
const LAST: [i64; 2] = [19, 29];

/// An insert that the server works on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Insert {
    attempt: u32,
    processor: usize,
    /// Its token is noted.
    noted: bool,
    /// Its sender has gone, or waits no more.
    alone: bool,
    /// Processors whose wait began while it was under way.
    waited_for: [bool; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    /// Decides what to do.
    Free,
    /// Waits for the answer to its insert.
    Answer,
    /// Waits.
    Waits,
    Done,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    chains: [Chain; 2],
    at: [At; 2],
    tokens: BTreeSet<u32>,
    /// The blocks that are stored, by the processor whose they are.
    rows: Vec<usize>,
    inserts: BTreeSet<Insert>,
    failures: u32,
}

impl World {
    fn new() -> Self {
        let chain = Chain::new(Duration::from_secs(31));
        Self {
            chains: [chain.clone(), chain],
            at: [At::Free; 2],
            tokens: BTreeSet::new(),
            rows: Vec::new(),
            inserts: BTreeSet::new(),
            failures: 0,
        }
    }

    fn tell(&mut self, processor: usize, event: Event) {
        self.chains[processor].on(event);
        self.at[processor] = At::Free;
    }

    fn failing(&self) -> Option<Self> {
        (self.failures < FAILURES).then(|| Self { failures: self.failures + 1, ..self.clone() })
    }

    /// All that can happen next.
    fn successors(&self, waits: bool) -> Vec<Self> {
        let mut found = Vec::new();
        for processor in 0..2 {
            self.step(processor, waits, &mut found);
        }
        for insert in &self.inserts {
            self.serve(*insert, &mut found);
        }
        // The server dies, and with it all that it works on.
        if let Some(mut world) = self.failing().filter(|_| !self.inserts.is_empty()) {
            for insert in std::mem::take(&mut world.inserts).into_iter().filter(|insert| !insert.alone) {
                world.tell(insert.processor, Event::Failed);
            }
            found.push(world);
        }
        found
    }

    fn step(&self, processor: usize, waits: bool, found: &mut Vec<Self>) {
        let mut world = self.clone();
        match self.at[processor] {
            At::Free => match world.chains[processor].next(Duration::ZERO) {
                Action::Look => {
                    let event = match world.rows.first() {
                        Some(whose) => Event::Found(row(LAST[*whose])),
                        None => Event::Absent,
                    };
                    world.tell(processor, event);
                    found.push(world);
                    // The look fails and is made again; nothing changes. Nor does anything for who slept and looks anew.
                }
                Action::Send { attempt } if attempt < ATTEMPTS => {
                    // Two of one processor's inserts can be under way, where it gave up waiting for the first.
                    world.at[processor] = At::Answer;
                    let insert =
                        Insert { attempt, processor, noted: false, alone: false, waited_for: [false; 2] };
                    world.inserts.insert(insert);
                    found.push(world);
                    // The processor dies before it sends, and begins anew.
                    found.extend(self.failing().map(|mut world| {
                        world.chains[processor] = Chain::new(Duration::from_secs(31));
                        world
                    }));
                }
                Action::Send { .. } => {}
                Action::Wait(_) => {
                    world.at[processor] = At::Waits;
                    let under_way = std::mem::take(&mut world.inserts).into_iter();
                    world.inserts = under_way
                        .map(|mut insert| {
                            insert.waited_for[processor] |= insert.noted;
                            insert
                        })
                        .collect();
                    found.push(world);
                }
                Action::Done(_) => {
                    world.at[processor] = At::Done;
                    found.push(world);
                }
            },
            At::Waits => {
                if !waits || !self.inserts.iter().any(|insert| insert.waited_for[processor]) {
                    world.tell(processor, Event::Waited);
                    found.push(world);
                }
            }
            At::Answer => {
                // It gives up waiting; the insert goes on alone.
                found.extend(self.failing().map(|mut world| {
                    let inserts = std::mem::take(&mut world.inserts).into_iter();
                    world.inserts = inserts
                        .map(|insert| Insert {
                            alone: insert.alone || insert.processor == processor,
                            ..insert
                        })
                        .collect();
                    world.tell(processor, Event::Failed);
                    world
                }));
            }
            At::Done => {}
        }
    }

    /// The server does the next thing for an insert.
    fn serve(&self, insert: Insert, found: &mut Vec<Self>) {
        let mut world = self.clone();
        world.inserts.remove(&insert);
        if !insert.noted && !self.tokens.contains(&insert.attempt) {
            world.tokens.insert(insert.attempt);
            world.inserts.insert(Insert { noted: true, ..insert });
            found.push(world);
            return;
        }
        if insert.noted {
            world.rows.push(insert.processor);
        }
        if !insert.alone {
            // The answer is lost.
            found.extend(world.failing().map(|mut world| {
                world.tell(insert.processor, Event::Failed);
                world
            }));
            world.tell(insert.processor, Event::Acknowledged);
        }
        found.push(world);
    }
}

/// Goes through all worlds; returns how many there are, in how many all is done, and one that is wrong.
fn explore(waits: bool) -> (usize, usize, Option<World>) {
    let mut seen = HashSet::from([World::new()]);
    let mut left = vec![World::new()];
    let mut done = 0;
    while let Some(mut world) = left.pop() {
        let told = (0..2).filter(|processor| world.at[*processor] == At::Done);
        let told: Vec<_> = told.map(|processor| world.chains[processor].next(Duration::ZERO)).collect();
        let there = world.rows.first().map(|whose| Action::Done(row(LAST[*whose])));
        if world.rows.len() > 1 || told.iter().any(|action| Some(action) != there.as_ref()) {
            return (seen.len(), done, Some(world));
        }
        done += usize::from(world.at == [At::Done; 2]);
        for next in world.successors(waits) {
            if seen.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    (seen.len(), done, None)
}

#[test]
fn a_block_is_stored_once_and_truly_told_of_in_every_order_of_events() {
    let (worlds, done, wrong) = explore(true);
    assert!(wrong.is_none(), "stored by {:?}", wrong.map(|world| world.rows));
    println!("{worlds} worlds, {done} in which both processors are done");
    assert!(worlds > 10_000 && done > 100, "{worlds} {done}: the model does not go where it should");
}

#[test]
fn without_the_wait_the_model_finds_the_doubling() {
    let (_, _, wrong) = explore(false);
    assert_eq!(wrong.expect("a model that finds nothing wrong proves nothing").rows.len(), 2);
}
