//! Going through all worlds.

use super::{Model, World};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use xxhash_rust::xxh3::Xxh3;

/// What was found on the way.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) worlds: usize,
    /// Worlds in which all is done.
    pub(super) done: usize,
    /// Worlds in which a record counts twice.
    pub(super) doubled: usize,
    /// What is wrong in a world nearest to the beginning, after how many steps, and that world.
    pub(super) wrong: Option<(&'static str, u32, World)>,
}

/// Goes through all worlds, the nearest ones first, until one is wrong. Worlds are told apart by 128 bits of a hash: that
/// two of ten millions have the same is less likely than one in 2^80.
pub(super) fn explore(model: &Model) -> Explored {
    let mut explored = Explored { worlds: 0, done: 0, doubled: 0, wrong: None };
    let mut seen: HashMap<u128, u32> = HashMap::new();
    let mut left = VecDeque::from([(0_u32, 0_u32, World::new(model))]);
    seen.insert(fingerprint(&World::new(model)), 0);
    // From where to where one can come, and where all is done, or not looked at any further.
    let (mut steps, mut ends): (Vec<(u32, u32)>, Vec<u32>) = Default::default();
    while let Some((number, depth, world)) = left.pop_front() {
        if let Some(what) = world.wrong(model) {
            explored.wrong = Some((what, depth, world));
            break;
        }
        explored.doubled += usize::from(!world.server.balanced());
        if world.done(model) {
            explored.done += 1;
            ends.push(number);
        }
        if world.given_up {
            ends.push(number);
            continue;
        }
        for next in world.successors(model) {
            let count = u32::try_from(seen.len()).unwrap();
            let to = *seen.entry(fingerprint(&next)).or_insert(count);
            if to == count {
                left.push_back((to, depth + 1, next));
            }
            steps.push((to, number));
        }
    }
    explored.worlds = seen.len();
    if explored.wrong.is_none() && !model.late && reaching(&ends, steps, seen.len()) < seen.len() {
        explored.wrong = Some(("somebody is stuck", 0, World::new(model)));
    }
    explored
}

/// From how many worlds one of these ends can be reached, by these steps, each with where it leads first.
fn reaching(ends: &[u32], mut steps: Vec<(u32, u32)>, worlds: usize) -> usize {
    steps.sort_unstable();
    let mut known = vec![false; worlds];
    let mut left = ends.to_vec();
    let mut count = 0;
    while let Some(world) = left.pop() {
        if std::mem::replace(&mut known[world as usize], true) {
            continue;
        }
        count += 1;
        let begin = steps.partition_point(|(to, _)| *to < world);
        left.extend(steps[begin..].iter().take_while(|(to, _)| *to == world).map(|(_, from)| *from));
    }
    count
}

fn fingerprint(world: &World) -> u128 {
    let mut hasher = Words(Xxh3::new());
    world.hash(&mut hasher);
    hasher.0.digest128()
}

struct Words(Xxh3);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.digest()
    }
}
