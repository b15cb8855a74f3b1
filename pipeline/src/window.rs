//! The window of order ids: whether an id was already among the preceding W offsets of its partition.
//!
//! It is a function of the log alone, so every processor that reads the same records comes to the same verdicts, and a
//! new owner of a partition rebuilds it from the log. Ids are kept as 128-bit fingerprints (xxh3): two ids of the same
//! fingerprint would be taken for one, at odds of about 2^-94 for a window of 131,072 ids. The hash is not keyed, since
//! whoever could make another's id collide must know it beforehand, and could as well send that id itself.

use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// What the window knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not in the window.
    New,
    /// It is, with the same body.
    Duplicate,
    /// It is, with another body.
    Conflict,
}

/// The ids of the preceding offsets of one partition.
#[derive(Debug)]
pub struct Window {
    capacity: usize,
    /// The offset that comes next.
    next: i64,
    /// A ring: the slot of an offset is its distance from the first one, modulo the capacity.
    slots: Vec<Slot>,
    /// The slot that comes next.
    at: usize,
    /// Where each id was seen last, as the index of its slot.
    newest: HashTable<u32>,
}

/// A fingerprint of an id, and a short one of the body, as words: 20 bytes, where u128 would be padded to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Slot {
    id: [u32; 4],
    body: u32,
}

impl Slot {
    fn hash(self) -> u64 {
        u64::from(self.id[0]) << 32 | u64::from(self.id[1])
    }
}

impl Window {
    /// An empty window over that many preceding offsets, which begins at offset `next`.
    pub fn new(capacity: usize, next: i64) -> Self {
        Self { capacity: capacity.max(1), next, slots: Vec::new(), at: 0, newest: HashTable::new() }
    }

    /// The offset that comes next.
    pub const fn next(&self) -> i64 {
        self.next
    }

    /// How many ids it holds.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// The memory that it has taken, in bytes: about 30 an offset once it is full, where the capacity is a power of two.
    pub fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.newest.allocation_size()
    }

    /// Takes a valid record's id and body at its offset and says whether the id was in the window.
    pub fn add(&mut self, offset: i64, id: &[u8], body: &[u8]) -> Seen {
        self.add_within(self.capacity, offset, id, body)
    }

    /// Takes a record as [`Window::add`] does, where only so many of the preceding offsets count.
    pub fn add_within(&mut self, horizon: usize, offset: i64, id: &[u8], body: &[u8]) -> Seen {
        self.skip_to(offset);
        let slot = Slot { id: words(xxh3_128(id)), body: (xxh3_64(body) >> 32) as u32 };
        let seen = match self.newest.find_entry(slot.hash(), |at| id_at(&self.slots, *at) == slot.id) {
            Ok(found) => {
                let (at, _) = found.remove();
                let at = at as usize;
                let age = if at < self.at { self.at - at } else { self.at + self.capacity - at };
                if age > horizon {
                    Seen::New
                } else if self.slots.get(at).is_some_and(|before| before.body == slot.body) {
                    Seen::Duplicate
                } else {
                    Seen::Conflict
                }
            }
            Err(_) => Seen::New,
        };
        let at = self.advance(slot);
        let slots = &self.slots;
        let hash_of = |at: &u32| slots.get(*at as usize).copied().unwrap_or_default().hash();
        self.newest.insert_unique(slot.hash(), at, hash_of);
        seen
    }

    /// Passes over an offset that holds no valid record.
    pub fn skip(&mut self, offset: i64) {
        self.skip_to(offset);
        self.advance(Slot::default());
    }

    /// Passes over offsets that the log does not have.
    fn skip_to(&mut self, offset: i64) {
        if usize::try_from(offset - self.next).is_ok_and(|gap| gap >= self.capacity) {
            *self = Self::new(self.capacity, offset);
        }
        while self.next < offset {
            self.advance(Slot::default());
        }
    }

    /// Puts a slot in the place of the oldest one, whose id, if it was not seen since, is forgotten.
    fn advance(&mut self, slot: Slot) -> u32 {
        let at = u32::try_from(self.at).unwrap_or(u32::MAX);
        match self.slots.get(self.at).copied() {
            None => self.slots.push(slot),
            Some(oldest) => {
                if let Ok(entry) = self.newest.find_entry(oldest.hash(), |found| *found == at) {
                    entry.remove();
                }
                if let Some(place) = self.slots.get_mut(self.at) {
                    *place = slot;
                }
            }
        }
        self.at = (self.at + 1) % self.capacity;
        self.next += 1;
        at
    }
}

fn id_at(slots: &[Slot], at: u32) -> [u32; 4] {
    slots.get(at as usize).map(|slot| slot.id).unwrap_or_default()
}

const fn words(hash: u128) -> [u32; 4] {
    [hash as u32, (hash >> 32) as u32, (hash >> 64) as u32, (hash >> 96) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shorter_horizon_forgets_sooner() {
        let mut window = Window::new(5, 0);
        for (offset, id, horizon, seen) in [
            (0, b"a", 2, Seen::New),
            (2, b"a", 2, Seen::Duplicate),
            (5, b"a", 2, Seen::New),
            (8, b"a", 3, Seen::Duplicate),
            (13, b"a", 5, Seen::Duplicate),
            (14, b"b", 5, Seen::New),
            (19, b"b", 4, Seen::New),
        ] {
            assert_eq!(window.add_within(horizon, offset, id, b""), seen, "offset {offset}");
        }
    }

    #[test]
    fn an_id_is_a_duplicate_for_w_offsets_and_no_longer() {
        let mut window = Window::new(3, 0);
        assert_eq!(window.add(0, b"a", b"1"), Seen::New);
        assert_eq!(window.add(1, b"b", b"1"), Seen::New);
        window.skip(2);
        assert_eq!(window.add(3, b"a", b"1"), Seen::Duplicate, "offset 0 is among the three before 3");
        assert_eq!(window.add(4, b"x", b"1"), Seen::New);
        assert_eq!(window.add(5, b"b", b"1"), Seen::New, "offset 1 is not among the three before 5");
        assert_eq!(window.add(6, b"a", b"2"), Seen::Conflict, "each repeat is remembered anew");
    }

    #[test]
    fn offsets_that_are_missing_count_as_passed() {
        let mut window = Window::new(3, 10);
        window.add(10, b"a", b"");
        assert_eq!(window.add(13, b"a", b""), Seen::Duplicate);
        assert_eq!(window.add(17, b"a", b""), Seen::New);
        assert_eq!(window.next(), 18);
    }

    #[test]
    fn its_memory_is_what_the_configuration_says() {
        let mut window = Window::new(131_072, 0);
        for n in 0..400_000_i64 {
            window.add(n, &n.to_le_bytes(), b"");
        }
        assert_eq!(window.len(), 131_072);
        let over = window.memory_bytes() - 131_072 * 30;
        assert!(over < 1_024, "{over} bytes more than default.toml and the page for clients say");
    }

    proptest! {
        /// Against the definition, looked up the slow way; and a window that is rebuilt from the last W offsets alone
        /// goes on as the old one does.
        #[test]
        fn it_is_what_the_definition_says(
            capacity in 1_usize..8,
            records in proptest::collection::vec(proptest::option::of((0_u8..6, 0_u8..2)), 0..60),
            cut in 0_usize..60,
        ) {
            let mut window = Window::new(capacity, 0);
            let cut = cut.min(records.len());
            let signed = |offset: usize| i64::try_from(offset).unwrap();
            let mut rebuilt = Window::new(capacity, signed(cut.saturating_sub(capacity)));
            for (offset, record) in records.iter().enumerate() {
                let mut verdicts = Vec::new();
                for (window, from) in [(&mut window, 0), (&mut rebuilt, cut.saturating_sub(capacity))] {
                    if offset < from { continue; }
                    match record {
                        None => window.skip(signed(offset)),
                        Some((id, body)) => verdicts.push(window.add(signed(offset), &[*id], &[*body])),
                    }
                }
                if let Some((id, body)) = record {
                    let expected = records[offset.saturating_sub(capacity)..offset].iter().rev().flatten()
                        .find(|(other, _)| other == id)
                        .map_or(Seen::New, |(_, other)| if other == body { Seen::Duplicate } else { Seen::Conflict });
                    prop_assert_eq!(verdicts[0], expected);
                    if offset >= cut { prop_assert_eq!(verdicts[1], expected); }
                }
            }
        }
    }
}
