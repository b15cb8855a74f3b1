//! The schedule in examples, and its laws for all profiles.

use super::*;
use proptest::prelude::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_thousand_a_second_for_ten_seconds_is_ten_thousand_requests_a_millisecond_apart() {
    let schedule = Schedule::new(1_000.0, seconds(10), 1, usize::MAX).unwrap();
    assert_eq!(schedule.requests(), 10_000);
    assert_eq!(schedule.due_ns(0), 0);
    assert_eq!(schedule.due_ns(9_999), 9_999_000_000);
    assert_eq!(schedule.length(), seconds(10));
}

#[test]
fn the_rate_counts_orders_so_batches_come_less_often() {
    let schedule = Schedule::new(1_000.0, seconds(1), 100, usize::MAX).unwrap();
    assert_eq!(schedule.requests(), 10);
    assert_eq!(schedule.due_ns(1), 100_000_000);
}

#[test]
fn the_last_batch_carries_what_is_left() {
    let schedule = Schedule::new(10.0, seconds(1), 4, usize::MAX).unwrap();
    assert_eq!(schedule.orders_of(1), (4, 4));
    assert_eq!(schedule.orders_of(2), (8, 2));
    assert_eq!(schedule.orders_of(3), (10, 0));
}

#[test]
fn a_rate_that_does_not_divide_a_second_does_not_drift() {
    let schedule = Schedule::new(3.0, seconds(1_000), 1, usize::MAX).unwrap();
    assert_eq!(schedule.requests(), 3_000);
    assert_eq!(schedule.due_ns(1), 333_333_333);
    assert_eq!(schedule.due_ns(2_999), 999_666_666_666);
}

#[test]
fn slower_than_one_a_second_is_possible() {
    let schedule = Schedule::new(0.5, seconds(4), 1, usize::MAX).unwrap();
    assert_eq!((schedule.requests(), schedule.due_ns(1)), (2, 2_000_000_000));
}

#[test]
fn a_cap_on_orders_shortens_the_schedule_and_keeps_the_rate() {
    let schedule = Schedule::new(1_000.0, seconds(10), 1, 2_500).unwrap();
    assert_eq!(schedule.orders(), 2_500);
    assert_eq!(schedule.length(), Duration::from_millis(2_500));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.000_1, 2e9] {
        assert_eq!(Schedule::new(rate, seconds(1), 1, 1), Err(ScheduleError::Rate), "{rate}");
    }
    assert_eq!(Schedule::new(1.0, seconds(1), 0, 1), Err(ScheduleError::Batch));
    assert_eq!(Schedule::new(1.0, seconds(0), 1, 1), Err(ScheduleError::Empty));
    assert_eq!(Schedule::new(1.0, seconds(1), 1, 0), Err(ScheduleError::Empty));
}

#[test]
fn a_ramp_reaches_its_orders_by_the_square_of_time() {
    // From 0 to 200/s in 10 s: the integral at t is 10 t^2, so order j is due at sqrt(j / 10) s.
    let ramp = Profile::Ramp { from: 0.0, to: 200.0, duration: seconds(10) };
    let schedule = Schedule::of(&ramp, 1, usize::MAX).unwrap();
    assert_eq!(schedule.orders(), 1_000);
    assert_eq!(
        [0, 10, 90, 640].map(|order| schedule.due_ns(order)),
        [0, 1_000_000_000, 3_000_000_000, 8_000_000_000]
    );
    assert_eq!(schedule.due_ns(20), 1_414_213_562);
}

#[test]
fn a_ramp_down_is_a_ramp_up_that_runs_backwards() {
    let down = Profile::Ramp { from: 200.0, to: 0.0, duration: seconds(10) };
    let schedule = Schedule::of(&down, 1, usize::MAX).unwrap();
    // 1000 - 10 (10 - t)^2 orders by t.
    assert_eq!((schedule.due_ns(190), schedule.due_ns(990)), (1_000_000_000, 9_000_000_000));
    assert_eq!(schedule.length(), seconds(10));
}

#[test]
fn a_pause_has_no_orders_and_the_one_that_falls_on_it_is_due_at_its_end() {
    let steps = [(10.0, 1), (0.0, 5), (10.0, 1)];
    let steps = steps.map(|(rate, length)| Step { rate, duration: seconds(length) }).to_vec();
    let schedule = Schedule::of(&Profile::Steps { steps }, 1, usize::MAX).unwrap();
    assert_eq!(schedule.orders(), 20);
    assert_eq!((schedule.due_ns(9), schedule.due_ns(10)), (900_000_000, 6_000_000_000));
    assert_eq!((schedule.orders_before(6_000_000_000), schedule.orders_before(6_000_000_001)), (10, 11));
}

#[test]
fn bursts_end_each_interval() {
    let burst = Profile::Burst {
        rate: 100.0,
        burst_rate: 1_000.0,
        every: seconds(10),
        burst_for: seconds(1),
        duration: seconds(20),
    };
    let schedule = Schedule::of(&burst, 1, usize::MAX).unwrap();
    assert_eq!(schedule.orders(), 2 * (900 + 1_000));
    assert_eq!((schedule.rate_at(0), schedule.rate_at(9_500_000_000)), (100.0, 1_000.0));
    assert_eq!(schedule.due_ns(901), 9_001_000_000);
}

#[test]
fn a_sine_has_its_mean_over_whole_periods_and_its_peak_after_a_quarter() {
    let sine = Profile::Sine { mean: 500.0, amplitude: 500.0, period: seconds(4), duration: seconds(8) };
    let schedule = Schedule::of(&sine, 1, usize::MAX).unwrap();
    assert_eq!(schedule.orders(), 4_000);
    assert_eq!((schedule.rate_at(1_000_000_000), schedule.rate_at(3_000_000_000)), (1_000.0, 0.0));
    // By a quarter the integral is 500 (1 + 2 / pi); straight lines take a thousandth off the curve.
    let quarter = schedule.orders_before(1_000_000_000) as f64;
    assert!((quarter - 818.3).abs() < 1.0, "{quarter}");
}

#[test]
fn a_replay_keeps_the_gaps_divided_by_its_speed() {
    let instants = [5_000_000_000, 5_500_000_000, 4_000_000_000];
    let schedule = Schedule::replay(&instants, 2.0, 1, usize::MAX).unwrap();
    assert_eq!([0, 1, 2].map(|order| schedule.due_ns(order)), [0, 500_000_000, 750_000_000]);
    assert_eq!(schedule.orders_before(750_000_000), 2);
    assert_eq!(Schedule::replay(&instants, 0.0, 1, 9), Err(ScheduleError::Speed));
    assert_eq!(Schedule::replay(&[], 1.0, 1, 9), Err(ScheduleError::Replay));
}

#[test]
fn a_profile_that_cannot_be_kept_is_refused() {
    let of = |profile| Schedule::of(&profile, 1, usize::MAX).unwrap_err();
    let sine = |amplitude| Profile::Sine { mean: 1.0, amplitude, period: seconds(1), duration: seconds(1) };
    assert_eq!(of(sine(1.1)), ScheduleError::Amplitude);
    assert_eq!(of(sine(f64::NAN)), ScheduleError::Amplitude);
    let period = Profile::Sine {
        mean: 1.0,
        amplitude: 1.0,
        period: Duration::from_nanos(640),
        duration: seconds(9_000),
    };
    assert_eq!(of(period), ScheduleError::Period);
    let steep = Profile::Ramp { from: 0.0, to: 1e8, duration: seconds(1) };
    assert_eq!(of(steep), ScheduleError::Slope);
    let burst = Profile::Burst {
        rate: 1.0,
        burst_rate: 2.0,
        every: seconds(1),
        burst_for: seconds(2),
        duration: seconds(9),
    };
    assert_eq!(of(burst), ScheduleError::Burst);
    assert_eq!(of(Profile::Replay { speed: 1.0 }), ScheduleError::Replay);
    assert_eq!(of(Profile::Steps { steps: Vec::new() }), ScheduleError::Empty);
}

#[test]
fn a_fingerprint_is_of_rate_length_batch_and_orders() {
    let fingerprint =
        |rate, length, batch, most| Schedule::new(rate, seconds(length), batch, most).unwrap().fingerprint();
    let one = fingerprint(10.0, 10, 1, 50);
    assert_eq!(one, fingerprint(10.0, 10, 1, 50));
    for other in [fingerprint(11.0, 10, 1, 50), fingerprint(10.0, 9, 1, 50), fingerprint(10.0, 10, 2, 50)] {
        assert_ne!(one, other);
    }
    assert_ne!(one, fingerprint(10.0, 10, 1, 51));
}

prop_compose! {
    fn steady()(
        rate in prop_oneof![0.5..50.0, 50.0..60_000.0],
        millis in 1_u64..5_000,
        batch in 1_usize..400,
    ) -> Schedule {
        Schedule::new(rate, Duration::from_millis(millis), batch, usize::MAX).unwrap()
    }
}

fn lengths() -> impl Strategy<Value = Duration> {
    (1_u64..2_000_000_000).prop_map(Duration::from_nanos)
}

/// Profiles of all kinds, with lengths that divide nothing.
fn profiles() -> impl Strategy<Value = Profile> {
    let rates = || prop_oneof![Just(0.0), 0.5..50.0, 50.0..20_000.0];
    let step = (rates(), lengths()).prop_map(|(rate, duration)| Step { rate, duration });
    prop_oneof![
        (rates(), rates(), lengths()).prop_map(|(from, to, duration)| Profile::Ramp { from, to, duration }),
        prop::collection::vec(step, 1..6).prop_map(|steps| Profile::Steps { steps }),
        (rates(), 0.0..1.0_f64, 10_000_000_u64..900_000_000, lengths()).prop_map(
            |(mean, share, period, duration)| Profile::Sine {
                mean,
                amplitude: mean * share,
                period: Duration::from_nanos(period),
                duration
            }
        ),
        (rates(), rates(), 100_000_000_u64..900_000_000, 0.0..1.0_f64, lengths()).prop_map(
            |(rate, burst_rate, every, share, duration)| Profile::Burst {
                rate,
                burst_rate,
                every: Duration::from_nanos(every),
                burst_for: Duration::from_nanos(every).mul_f64(share),
                duration
            }
        ),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let shaped = (profiles(), 1_usize..400)
        .prop_filter_map("empty", |(profile, batch)| Schedule::of(&profile, batch, usize::MAX).ok());
    prop_oneof![steady(), shaped]
}

proptest! {
    #[test]
    fn each_request_belongs_to_exactly_one_thread(schedule in schedules(), threads in 1_usize..9) {
        let mut owners = vec![0_u8; schedule.requests()];
        for thread in 0..threads {
            let shard = schedule.shard(thread, threads);
            for turn in 0..shard.len() {
                owners[shard.request(turn)] += 1;
            }
        }
        prop_assert!(owners.iter().all(|count| *count == 1));
    }

    #[test]
    fn due_instants_never_go_back_and_end_before_the_schedule_does(schedule in schedules()) {
        let due: Vec<u64> = (0..schedule.requests()).map(|request| schedule.due_ns(request)).collect();
        prop_assert!(due.is_sorted());
        prop_assert!(u128::from(*due.last().unwrap()) < schedule.length().as_nanos());
    }

    #[test]
    fn each_order_is_in_exactly_one_request(schedule in schedules()) {
        let mut next = 0;
        for request in 0..schedule.requests() {
            let (first, count) = schedule.orders_of(request);
            prop_assert_eq!(first, next);
            prop_assert!(count > 0);
            next += count;
        }
        prop_assert_eq!(next, schedule.orders());
    }

    #[test]
    fn the_number_of_orders_is_the_integral_of_the_rate(schedule in schedules()) {
        // By the trapezoid rule in steps of 50 us, which cannot follow a jump closer than one step.
        let (length, step) = (schedule.length().as_nanos() as u64, 50_000);
        let sum: f64 = (0..length).step_by(step)
            .map(|ns| {
                let to = (ns + step as u64).min(length);
                schedule.rate_at(ns.midpoint(to)) * (to - ns) as f64 / 1e9
            })
            .sum();
        prop_assert!((schedule.orders() as f64 - sum).abs() < 30.0, "{} {sum}", schedule.orders());
    }

    #[test]
    fn the_total_is_rate_times_duration_within_one_order(rate in 0.5..60_000.0, millis in 1_u64..5_000) {
        let schedule = Schedule::new(rate, Duration::from_millis(millis), 1, usize::MAX).unwrap();
        let exact = schedule.rate() * millis as f64 / 1e3;
        prop_assert!((schedule.orders() as f64 - exact).abs() <= 1.0);
    }

    #[test]
    fn the_count_before_an_instant_agrees_with_the_due_instants(schedule in schedules(), ns in 0_u64..6_000_000_000) {
        let before = (0..schedule.requests()).take_while(|request| schedule.due_ns(*request) < ns).count();
        prop_assert_eq!(schedule.requests_before(ns), before);
    }
}
