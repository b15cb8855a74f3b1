//! The protocol whole, and without each of its rules: a model that finds nothing wrong when a rule is left out proves
//! nothing of that rule.

use super::Model;
use super::explore::explore;

/// A rule that can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    CommittedBeforeNewest,
    DeadLettersBeforeBlock,
    OrdersBeforeBlock,
    LookBeforeSend,
    SendSoonAfterTheLook,
    FirstAttemptAgainAfterLong,
    LastIsNotInTheToken,
    SameTokenAfterAnError,
    ReadBackWhatWon,
    WaitAfterABurnedToken,
    LookBeforeTheNextAttempt,
    AttemptsInTheSameOrder,
    BeginAnewBehindAnothers,
    CommitAfterBlock,
}

impl Model {
    pub(super) fn without(&self, rule: Rule) -> bool {
        self.left_out == Some(rule)
    }
}

/// Two processors and one block or two.
const SMALL: Model =
    Model { processors: 2, records: 2, failures: 2, days: 0, attempts: 2, late: false, left_out: None };
const OVER_A_DAY: Model = Model { days: 1, ..SMALL };

#[track_caller]
fn holds(model: Model) {
    let found = explore(&model);
    println!("{} worlds, {} in which all is done", found.worlds, found.done);
    if let Some((what, steps, world)) = &found.wrong {
        panic!("{what} after {steps} steps: {world:#?}");
    }
    assert!(found.worlds > 10_000 && found.done > 10, "the model does not go where it should");
}

#[track_caller]
fn fails(left_out: Rule, model: Model, expected: &str) {
    let found = explore(&Model { left_out: Some(left_out), ..model });
    let (what, steps, _) = found.wrong.unwrap_or_else(|| panic!("nothing is wrong without {left_out:?}"));
    println!("without {left_out:?}: {what}, after {steps} steps and {} worlds", found.worlds);
    assert_eq!(what, expected);
}

#[test]
fn nothing_is_lost_doubled_or_stuck_whatever_two_processors_and_a_server_go_through() {
    holds(OVER_A_DAY);
}

#[test]
fn nor_with_three_processors() {
    holds(Model { processors: 3, records: 1, failures: 1, ..SMALL });
}

/// Three blocks, more failures, more processors: tens of millions of worlds.
#[test]
#[ignore = "takes minutes, and some GiB of memory, in a release build"]
fn nor_in_larger_worlds() {
    holds(Model { processors: 3, failures: 1, ..OVER_A_DAY });
    holds(Model { records: 3, failures: 3, attempts: 3, ..SMALL });
    holds(Model { failures: 3, attempts: 3, days: 2, ..SMALL });
}

/// A processor may be stopped for a day between its last look at the clock and its insert, or the network may keep the
/// insert for so long. Nothing that it does can prevent that.
#[test]
fn an_insert_that_was_on_its_way_until_its_token_was_forgotten_may_count_twice_and_the_ledger_tells() {
    let found = explore(&Model { late: true, ..OVER_A_DAY });
    assert!(found.wrong.is_none(), "{:?}", found.wrong);
    assert!(found.doubled > 0, "the model does not go where it should");
}

const DOUBLED: &str = "a record counts twice";

#[test]
fn without_reading_the_committed_position_first_what_is_stored_meanwhile_is_taken_for_lost() {
    fails(Rule::CommittedBeforeNewest, SMALL, "something is taken for lost");
}

#[test]
fn without_dead_letters_before_the_block_they_can_be_lost() {
    fails(Rule::DeadLettersBeforeBlock, SMALL, "a block is there without its dead letters");
}

#[test]
fn without_orders_before_the_block_they_can_be_lost() {
    fails(Rule::OrdersBeforeBlock, SMALL, "a block is there without its orders");
}

#[test]
fn without_the_look_before_the_insert_who_woke_after_a_day_doubles_a_block() {
    fails(Rule::LookBeforeSend, OVER_A_DAY, DOUBLED);
}

#[test]
fn without_sending_soon_after_the_look_who_woke_after_a_day_doubles_a_block() {
    fails(Rule::SendSoonAfterTheLook, OVER_A_DAY, DOUBLED);
}

#[test]
fn without_the_first_attempt_again_who_woke_after_a_day_and_who_begins_anew_are_both_taken() {
    fails(Rule::FirstAttemptAgainAfterLong, OVER_A_DAY, DOUBLED);
}

#[test]
fn with_the_last_offset_in_the_token_two_blocks_that_end_elsewhere_are_both_taken() {
    fails(Rule::LastIsNotInTheToken, SMALL, DOUBLED);
}

#[test]
fn with_another_token_after_an_error_the_first_insert_and_the_second_are_both_taken() {
    fails(Rule::SameTokenAfterAnError, SMALL, DOUBLED);
}

#[test]
fn without_reading_back_what_won_a_processor_goes_on_behind_what_is_not_stored() {
    fails(Rule::ReadBackWhatWon, SMALL, "a processor goes on behind what is not stored");
}

#[test]
fn without_the_wait_after_a_burned_token_a_slow_insert_and_the_next_attempt_are_both_taken() {
    fails(Rule::WaitAfterABurnedToken, SMALL, DOUBLED);
}

#[test]
fn without_the_look_after_the_wait_a_slow_insert_and_the_next_attempt_are_both_taken() {
    fails(Rule::LookBeforeTheNextAttempt, SMALL, DOUBLED);
}

#[test]
fn without_one_order_of_attempts_two_processors_are_both_taken() {
    fails(Rule::AttemptsInTheSameOrder, SMALL, DOUBLED);
}

#[test]
fn without_beginning_anew_behind_anothers_block_a_processor_goes_on_behind_what_is_not_stored() {
    fails(Rule::BeginAnewBehindAnothers, SMALL, "a processor goes on behind what is not stored");
}

#[test]
fn with_a_commit_before_the_block_what_was_never_stored_is_taken_for_lost() {
    fails(Rule::CommitAfterBlock, SMALL, "what is not stored is committed");
}
