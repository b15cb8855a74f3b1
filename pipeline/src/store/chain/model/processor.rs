//! What a processor does next, by what the two state machines say.

use super::rules::Rule;
use super::server::Insert;
use super::{At, DAY, Model, Offsets, Processor, World, offsets, row};
use crate::block::BlockRow;
use crate::log::Bounds;
use crate::position::Position;
use crate::store::chain::{Action, Before, Chain, Event, State};
use std::time::Duration;

impl World {
    /// A processor dies and another takes its place, which knows nothing.
    pub(super) fn die(&self, model: &Model, number: usize, found: &mut Vec<Self>) {
        if self.processors[number] != Processor::new() {
            found.extend(self.failing(model).map(|mut world| {
                world.server.leave_alone(number);
                world.processors[number] = Processor::new();
                world
            }));
        }
    }

    /// A processor does the next thing.
    pub(super) fn step(&self, model: &Model, number: usize, found: &mut Vec<Self>) {
        let mut world = self.clone();
        let one = &mut world.processors[number];
        let newest = self.server.rows.iter().map(|row| row.last).max();
        match one.at {
            At::Start => {
                let newest_first = model.without(Rule::CommittedBeforeNewest);
                one.at = At::Asked(if newest_first { newest } else { self.committed });
                found.push(world);
            }
            At::Asked(told) => {
                let newest_first = model.without(Rule::CommittedBeforeNewest);
                let (newest, committed) = if newest_first { (told, self.committed) } else { (newest, told) };
                let log = Bounds { first: 0, end: model.records };
                match Position::resume(("", 0), newest.map(row).as_ref(), committed, log) {
                    Ok(position) => (one.position, one.at) = (position, At::Block),
                    Err(_) => world.lost = true,
                }
                found.push(world);
            }
            At::Block if one.position.next() == one.position.stored() => self.take(model, number, found),
            At::Block if !one.buried => {
                one.buried = true;
                if !model.without(Rule::DeadLettersBeforeBlock) {
                    world.dead |= self.held(number);
                }
                found.push(world);
            }
            At::Block => self.act(model, number, world, found),
            At::Stored => {
                // It commits now and then.
                one.at = At::Block;
                found.push(Self { committed: Some(one.position.stored()), ..world.clone() });
                found.push(world);
            }
            At::Answer => {
                // It gives up waiting, and the insert goes on alone.
                found.extend(self.failing(model).map(|mut world| {
                    world.server.leave_alone(number);
                    world.tell_failed(model, number);
                    world
                }));
            }
            At::Waits => {
                if model.without(Rule::WaitAfterABurnedToken) || !self.server.waited_for(number) {
                    world.tell(number, Event::Waited);
                    found.push(world);
                }
            }
        }
    }

    /// A processor takes records and ends its block anywhere.
    fn take(&self, model: &Model, number: usize, found: &mut Vec<Self>) {
        let mut world = self.clone();
        for offset in self.processors[number].position.stored()..model.records {
            let one = &mut world.processors[number];
            assert!(one.position.take(offset));
            (one.chain, one.buried) = (Chain::new(Duration::ZERO), false);
            if model.without(Rule::CommitAfterBlock) {
                world.committed = Some(one.position.next());
            }
            found.push(world.clone());
            if model.without(Rule::AttemptsInTheSameOrder) {
                let mut other = world.clone();
                other.processors[number].chain.attempt = 1;
                found.push(other);
            }
        }
    }

    /// A processor does what its block's way says.
    fn act(&self, model: &Model, number: usize, mut world: Self, found: &mut Vec<Self>) {
        let one = &mut world.processors[number];
        let now = DAY * self.days.into();
        if model.without(Rule::SendSoonAfterTheLook) {
            one.chain.looked_at = now;
        }
        if model.without(Rule::FirstAttemptAgainAfterLong) {
            one.chain.begun_at = now;
        }
        match one.chain.next(now) {
            Action::Write => {
                if !model.without(Rule::OrdersBeforeBlock) {
                    world.orders |= self.held(number);
                }
                world.tell(number, Event::Written);
            }
            Action::Look => {
                let event = self.look(model, number, one.chain.state.clone());
                world.tell(number, event);
                world.settle(model, number);
            }
            Action::Send { attempt } if attempt < model.attempts => {
                world.processors[number].at = At::Answer;
                let (position, sender) = (&world.processors[number].position, Some(number));
                let (first, last) = (position.stored(), position.next() - 1);
                world.server.receive(Insert { first, last, attempt, sender, noted: false, waited_for: 0 });
            }
            Action::Send { .. } => world.given_up = true,
            Action::Wait(_) => {
                one.at = At::Waits;
                world.server.begin_wait(number);
            }
            Action::Done(_) => unreachable!("a block that is there was settled"),
        }
        found.push(world);
    }

    /// What a look finds.
    fn look(&self, model: &Model, number: usize, state: State) -> Event {
        let position = &self.processors[number].position;
        let own = || Event::Found(BlockRow { first: position.stored(), ..row(position.next() - 1) });
        match state {
            State::Looking(Before::Insert) if model.without(Rule::LookBeforeSend) => return Event::Absent,
            State::Looking(Before::NextAttempt) if model.without(Rule::LookBeforeTheNextAttempt) => {
                return Event::Absent;
            }
            State::Looking(Before::Wait) if model.without(Rule::ReadBackWhatWon) => return own(),
            _ => {}
        }
        let there = self.server.rows.iter().filter(|row| row.first == position.stored());
        match there.min_by_key(|row| row.attempt) {
            Some(there) => Event::Found(BlockRow { first: there.first, ..row(there.last) }),
            None => Event::Absent,
        }
    }

    /// A processor that has found its block, or another's in its place, goes on.
    fn settle(&mut self, model: &Model, number: usize) {
        let one = &mut self.processors[number];
        if !matches!(one.chain.state, State::Done(_)) {
            return;
        }
        let Action::Done(mut there) = one.chain.next(Duration::ZERO) else { unreachable!() };
        if model.without(Rule::BeginAnewBehindAnothers) {
            there.last = one.position.next() - 1;
        }
        one.at = if one.position.advance(&there) { At::Stored } else { At::Start };
        (one.chain, one.buried) = (Chain::new(Duration::ZERO), false);
        if one.at == At::Start {
            *one = Processor::new();
        }
    }

    /// The offsets of a processor's block.
    fn held(&self, number: usize) -> Offsets {
        let position = &self.processors[number].position;
        offsets(position.stored(), position.next() - 1)
    }
}
