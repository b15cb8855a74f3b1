//! Each decision on the way of a block, one by one.

use super::*;

pub(super) fn row(last: i64) -> BlockRow {
    BlockRow { topic_id: "t".into(), first: 10, last, ..BlockRow::default() }
}

const WAIT: Duration = Duration::from_secs(31);
const NOW: Duration = Duration::from_secs(1_000);

/// The way of a block whose orders are written.
fn written() -> Chain {
    let mut chain = Chain::new(WAIT);
    assert_eq!(chain.next(NOW), Action::Write);
    chain.on(Event::Written);
    chain
}

/// The actions of a way whose orders are written, each answered by the next of these events.
fn walk(events: &[Event]) -> Vec<Action> {
    let mut chain = written();
    let mut actions = vec![chain.next(NOW)];
    for event in events {
        chain.on(event.clone());
        actions.push(chain.next(NOW));
    }
    actions
}

#[test]
fn a_block_is_looked_for_sent_and_read_back() {
    let send = Action::Send { attempt: 0 };
    assert_eq!(
        walk(&[Event::Absent, Event::Acknowledged, Event::Found(row(19))]),
        [Action::Look, send, Action::Look, Action::Done(row(19))]
    );
}

#[test]
fn a_block_that_is_there_already_is_not_sent() {
    assert_eq!(walk(&[Event::Found(row(12))]), [Action::Look, Action::Done(row(12))]);
}

#[test]
fn after_an_error_the_same_token_is_sent_again_and_only_after_a_look() {
    let send = Action::Send { attempt: 0 };
    assert_eq!(
        walk(&[Event::Absent, Event::Failed, Event::Absent, Event::Failed, Event::Found(row(19))]),
        [Action::Look, send.clone(), Action::Look, send, Action::Look, Action::Done(row(19))]
    );
}

#[test]
fn a_burned_token_is_waited_for_before_the_next_attempt() {
    assert_eq!(
        walk(&[Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Absent]),
        [
            Action::Look,
            Action::Send { attempt: 0 },
            Action::Look,
            Action::Wait(WAIT),
            Action::Look,
            Action::Send { attempt: 1 }
        ]
    );
}

#[test]
fn what_comes_during_the_wait_is_taken() {
    let waited = [Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Found(row(30))];
    assert_eq!(walk(&waited).last(), Some(&Action::Done(row(30))));
}

#[test]
fn who_slept_between_look_and_send_looks_again() {
    let mut chain = written();
    assert_eq!(chain.next(NOW), Action::Look);
    chain.on(Event::Absent);
    assert_eq!(chain.next(NOW + SEND_WITHIN), Action::Send { attempt: 0 });
    assert_eq!(chain.next(NOW + SEND_WITHIN + Duration::from_nanos(1)), Action::Look);
    chain.on(Event::Found(row(19)));
    assert_eq!(chain.next(NOW + 2 * SEND_WITHIN), Action::Done(row(19)));
}

#[test]
fn an_attempt_that_was_reached_is_kept_over_sleep_and_errors() {
    let mut chain = written();
    for event in [Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Absent] {
        chain.next(NOW);
        chain.on(event);
    }
    assert_eq!(chain.next(NOW), Action::Send { attempt: 1 });
    assert_eq!(chain.next(NOW * 2), Action::Look);
    chain.on(Event::Absent);
    assert_eq!(chain.next(NOW * 2), Action::Send { attempt: 1 });
    chain.on(Event::Failed);
    assert_eq!(chain.next(NOW * 2), Action::Look);
}

#[test]
fn who_burned_a_token_long_ago_begins_with_the_first_attempt_again() {
    let mut chain = written();
    for event in [Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Absent] {
        chain.next(NOW);
        chain.on(event);
    }
    for _ in 0..2 {
        assert_eq!(chain.next(NOW + ATTEMPTS_WITHIN), Action::Look);
        chain.on(Event::Absent);
        assert_eq!(chain.next(NOW + ATTEMPTS_WITHIN), Action::Send { attempt: 1 });
        chain.on(Event::Failed);
    }
    let late = NOW + ATTEMPTS_WITHIN + Duration::from_nanos(1);
    assert_eq!(chain.next(late), Action::Look);
    chain.on(Event::Absent);
    assert_eq!(chain.next(late), Action::Send { attempt: 0 });
    chain.on(Event::Acknowledged);
    chain.on(Event::Absent);
    assert_eq!(chain.next(late + ATTEMPTS_WITHIN), Action::Wait(WAIT), "that attempt is a new beginning");
    chain.on(Event::Waited);
    assert_eq!(chain.next(late + ATTEMPTS_WITHIN), Action::Look);
    assert_eq!(chain.next(late + 2 * ATTEMPTS_WITHIN), Action::Look);
    chain.on(Event::Absent);
    assert_eq!(chain.next(late + 2 * ATTEMPTS_WITHIN), Action::Send { attempt: 0 }, "so does a long wait");
    chain.on(Event::Acknowledged);
    chain.on(Event::Found(row(19)));
    assert_eq!(chain.next(late * 9), Action::Done(row(19)));
}

#[test]
fn nothing_is_looked_for_before_the_orders_are_written_however_often_that_fails() {
    let mut chain = Chain::new(WAIT);
    for event in [Event::Failed, Event::Absent, Event::Acknowledged, Event::Found(row(19)), Event::Waited] {
        chain.on(event);
        assert_eq!(chain.next(NOW), Action::Write);
    }
    chain.on(Event::Written);
    assert_eq!(chain.next(NOW), Action::Look);
}

#[test]
fn an_event_out_of_place_changes_nothing() {
    let mut chain = written();
    for event in [Event::Acknowledged, Event::Failed, Event::Waited, Event::Written] {
        chain.on(event);
        assert_eq!(chain.next(NOW), Action::Look);
    }
}

#[test]
fn a_token_names_its_offset_and_no_other() {
    assert_eq!(token("topic", 3, 12, 0), "topic-3-12-0");
    assert!(!token("topic", 3, 120, 0).starts_with(&token_prefix("topic", 3, 12)));
}
