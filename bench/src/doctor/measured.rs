//! How exactly a sleep ends, and how long a flush takes, as they were measured. Pure.

use super::judge::finding;
use super::{Facts, Finding, Level};
use crate::figures::latency;

/// Of an idle machine a sleep is late by its timer slack of 50 us and little more.
const SLEEP_NOTED_US: f64 = 200.0;
const SLEEP_SPOILS_US: f64 = 1000.0;
/// No disk is so fast; something says that it has flushed and has not.
const FLUSH_NOT_REAL_MS: f64 = 0.01;
const FLUSH_SLOW_MS: f64 = 10.0;

pub(super) fn sleep(facts: &Facts) -> Option<Finding> {
    let [median, longest] = middle_and_longest(&facts.sleep_errors_us)?;
    let level = match median {
        late if late >= SLEEP_SPOILS_US => Level::Spoils,
        late if late >= SLEEP_NOTED_US => Level::Note,
        _ => Level::Ok,
    };
    let slack = match facts.timer_slack.parse::<f64>() {
        Ok(slack) => format!(", timer slack {}", latency(slack / 1e6)),
        Err(_) => String::new(),
    };
    finding(
        "sleep",
        level,
        format!("late by {} in the median, {} at most{slack}", latency(median / 1e3), latency(longest / 1e3)),
        "the generator sends by such timers; what is late here is charged to the system under load as delay",
        "end other work; on a kernel without high-resolution timers take another one",
    )
}

pub(super) fn flush(facts: &Facts) -> Option<Finding> {
    let [median, longest] = middle_and_longest(&facts.flushes_ms)?;
    let (level, why, mend) = match median {
        quick if quick < FLUSH_NOT_REAL_MS => (
            Level::Note,
            "so fast nothing reaches a disk: memory, or a controller or host that only says so; durability is not paid for",
            "keep the data on a disk, and check what the host does with a flush",
        ),
        slow if slow >= FLUSH_SLOW_MS => (
            Level::Note,
            "every acknowledgement waits for a flush, so that latency is the disk's",
            "keep the data on a solid-state disk of its own",
        ),
        _ => (Level::Ok, "", ""),
    };
    let found = format!("{} in the median, {} at most, for a page", latency(median), latency(longest));
    finding("flush to disk", level, found, why, mend)
}

fn middle_and_longest(values: &[f64]) -> Option<[f64; 2]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some([*sorted.get(sorted.len() / 2)?, *sorted.last()?])
}
