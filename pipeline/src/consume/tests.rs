//! A partition's way over a log and stores that fail as a script says: whatever fails, and wherever the partition is
//! taken away, each record is stored once, and nothing is committed before it is.

mod neighbours;

use super::{Shared, Until, partition};
use crate::block::Recipe;
use crate::config;
use crate::enrich::Dimension;
use crate::money::Currency;
use crate::observe::manage::Observed;
use crate::observe::metrics::partition as partition_label;
use crate::order::Rules;
use crate::store::StoreError;
use neighbours::{Neighbours, PARTITION, Script};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A processor among these neighbours, whose blocks hold so many records.
fn shared(neighbours: &Neighbours, block_records: usize, window: usize) -> Shared<Neighbours, Neighbours> {
    let rules = Rules {
        sources: ["Online".to_owned()].into(),
        currency: Currency::from_code("USD").unwrap(),
        default_price: "3.00".into(),
        max_order_bytes: 1 << 10,
    };
    let limits = config::Process {
        block_records,
        block_bytes: 1 << 20,
        block_interval: Duration::ZERO,
        window,
        retry_pause: Duration::from_millis(1),
        retry_pause_max: Duration::from_millis(4),
    };
    Shared {
        log: neighbours.clone(),
        stores: neighbours.clone(),
        recipe: Arc::new(Recipe { rules, categories: None, window }),
        dimension: Arc::new(Dimension::open(None).unwrap()),
        limits,
        observed: Observed::default(),
    }
}

/// One run of the partition, which is taken away after a while, if not stopped before.
fn run(shared: &Arc<Shared<Neighbours, Neighbours>>, until: Until, taken_after: Duration) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let (_until, follow) = watch::channel(until);
        let run = partition::run(shared.log.clone(), Arc::clone(shared), follow);
        tokio::time::timeout(taken_after, run).await.is_ok()
    })
}

const FOR_EVER: Duration = Duration::from_secs(1_000_000);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The double of the stores asserts at each block that it follows upon the one before, holds no more than it may,
    /// and has its dead letters in the log; that of the log, at each commit, that all before it is stored.
    #[test]
    fn whatever_fails_each_record_is_stored_once_and_nothing_is_committed_before(
        seed in any::<u64>(),
        records in 1_i64..40,
        failing in 0_u8..60,
        block_records in 1_usize..9,
        window in 1_usize..12,
        runs in proptest::collection::vec((0_u64..80, 0_u8..3), 0..6),
    ) {
        let neighbours = Neighbours::new(records, block_records, Script::new(seed, failing));
        let shared = Arc::new(shared(&neighbours, block_records, window));
        for (milliseconds, until) in runs {
            let until = [Until::Stopped, Until::BlockStored, Until::Drained][usize::from(until)];
            run(&shared, until, Duration::from_millis(milliseconds));
        }
        prop_assert!(run(&shared, Until::Drained, FOR_EVER), "it drains");
        prop_assert!(shared.observed.health.complaints().is_empty(), "{:?}", shared.observed.health.complaints());
        neighbours.assert_all_stored();
    }
}

#[test]
fn a_block_that_the_stores_refuse_stops_its_partition_with_its_range_and_reason_and_is_not_sent_again() {
    let neighbours = Neighbours::new(9, 3, Script::new(1, 0));
    neighbours.refuse_from(3, StoreError::Refused("ClickHouse: Code: 70. Cannot convert".into()));
    let shared = Arc::new(shared(&neighbours, 3, 100));
    assert!(run(&shared, Until::Stopped, FOR_EVER), "it ends by itself");
    let complaint = "partition 3: offsets 3 to 5 are not stored, because the stores refuse them: ClickHouse: Code: 70. \
                     Cannot convert";
    assert_eq!(shared.observed.health.complaints(), [complaint]);
    let metrics = &shared.observed.metrics;
    assert_eq!(metrics.consume_stopped.get_or_create(&partition_label(PARTITION)).get(), 1);
    assert_eq!(metrics.store_retries.get(), 0);
    assert_eq!(neighbours.puts(), 2, "one block that is taken, and one that is not");
    assert_eq!(neighbours.stored_to(), 3, "what lies before it is");
    neighbours.refuse_from(i64::MAX, StoreError::Refused(String::new()));
    assert!(run(&shared, Until::Drained, FOR_EVER), "once that is seen to, it goes on");
    assert!(shared.observed.health.complaints().is_empty());
    neighbours.assert_all_stored();
}

#[test]
fn a_log_that_was_cut_before_it_was_stored_stops_its_partition_with_the_way_on() {
    let neighbours = Neighbours::new(9, 3, Script::new(1, 0));
    neighbours.cut(6, 8);
    let shared = Arc::new(shared(&neighbours, 3, 100));
    assert!(run(&shared, Until::Stopped, FOR_EVER), "it ends by itself");
    let complaint = "partition 3: offsets 6 to 7 were deleted from the log before they were stored; `pipeline recover lost \
                     --partition 3 --from 6 --to 7` accepts that and goes on behind them";
    assert_eq!(shared.observed.health.complaints(), [complaint]);
    assert_eq!(neighbours.stored_to(), 6);
}

#[test]
fn a_partition_that_is_taken_away_is_shown_no_more() {
    let neighbours = Neighbours::new(9, 3, Script::new(1, 0));
    let shared = Arc::new(shared(&neighbours, 3, 100));
    run(&shared, Until::Drained, FOR_EVER);
    let shown = || {
        let text = shared.observed.metrics.encode();
        text.lines().filter(|line| line.contains(&format!("{{partition=\"{PARTITION}\"}}"))).count()
    };
    assert_eq!(shared.observed.metrics.window.window_offsets.get(), 100);
    assert_eq!(shown(), 6, "lag, how far in time, whether it stopped, and three of its window");
    super::count::forget(PARTITION, &shared.observed);
    assert_eq!(shown(), 0);
}
