//! Sample reports: a plausible run, and the same run gone wrong. Seeded, so that each test sees the same.

use std::collections::BTreeMap;

use bench::doctor::{Finding, Level};
use bench::report::{
    Across, Check, Data, LatencyMs, Ledger, Machine, Percentiles, Report, Resources, SCHEMA, Sale, Second,
    Sums, spectrum,
};
use hdrhistogram::Histogram;

const SECONDS: u64 = 60;
const RATE: u64 = 2000;
/// Histograms count nanoseconds.
const PER_MS: f64 = 1e6;

/// A run of a minute at 2,000 orders per second, with one stall of the disk.
pub(crate) fn valid() -> Report {
    let mut random = Random(7);
    let names = ["delay", "service", "response", "log", "orders", "rollup"];
    let mut histograms = names.map(|_| Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap());
    let mut series = Vec::new();
    for second in 0..SECONDS {
        let mut responses = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        for order in 0..RATE {
            // In second 38 the disk stalls for 180 ms, and the orders due meanwhile wait for its end.
            let stall = if second == 38 && order < 360 { 180.0 - order as f64 / 2.0 } else { 0.0 };
            let delay = random.lognormal(0.055, 0.5);
            let service = random.lognormal(1.05, 0.42) + stall;
            let log = delay + service * 0.9;
            let orders = log + 4.0 + random.lognormal(9.0, 0.5);
            let rollup = orders + random.lognormal(160.0, 0.45);
            for (histogram, ms) in
                histograms.iter_mut().zip([delay, service, delay + service, log, orders, rollup])
            {
                histogram.record(nanos(ms)).unwrap();
            }
            responses.record(nanos(delay + service)).unwrap();
        }
        let not_accepted = random.below(5);
        let response = Percentiles::of(&responses, PER_MS);
        series.push(Second {
            second,
            due: RATE,
            accepted: RATE - not_accepted,
            not_accepted,
            response_p50_ms: Some(response.p50),
            response_p99_ms: Some(response.p99),
            response_max_ms: Some(response.max),
        });
    }
    let [delay, service, response, log, orders, rollup] =
        [0, 1, 2, 3, 4, 5].map(|at: usize| Percentiles::of(&histograms[at], PER_MS));
    let spectra = names
        .iter()
        .zip(&histograms)
        .map(|(name, histogram)| ((*name).to_owned(), spectrum(histogram, PER_MS)));

    let rejected = series.iter().map(|second| second.not_accepted).sum();
    let accepted = SECONDS * RATE - rejected;
    let sales = sales(&mut random, accepted);
    let total: i128 = sales.iter().map(|sale| sale.total_minor).sum();
    let quantity: i128 = sales.iter().map(|sale| sale.quantity).sum();
    let mut ledger = Ledger {
        sent: SECONDS * RATE,
        accepted,
        rejected,
        retried: 14,
        log: accepted + 9,
        orders: accepted,
        duplicates: 9,
        rollup_orders: accepted,
        quantity: Some(Across { accepted: quantity, orders: quantity, rollup: quantity }),
        total_minor: Some(Across { accepted: total, orders: total, rollup: total }),
        ..Ledger::default()
    };
    ledger.settle();
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        started_at: "2025-03-14T09:26:53Z".to_owned(),
        way: "embedded".to_owned(),
        duration_seconds: SECONDS as f64,
        warm_up_seconds: 0,
        valid: false,
        reasons: Vec::new(),
        offered_per_second: RATE as f64,
        achieved_per_second: 1999.7,
        latency_ms: LatencyMs { delay, service, response, log, orders, rollup },
        ledger,
        machine: machine(),
        doctor: findings(),
        commit: "0f3c9d1e5b7a4f2d8c6e1a0b9f8e7d6c5b4a3f2e".to_owned(),
        services: map(&[("SQLite", "3.50.4"), ("Cargo.lock", "sha256:5f0e…c21a")]),
        config: map(&[
            ("receive.listen", "127.0.0.1:8080"),
            ("receive.in_flight_bytes_max", "64 MiB"),
            ("log.kind", "sqlite"),
            ("log.synchronous", "full"),
            ("rollup.block_rows_max", "20000"),
            ("rollup.block_age_max", "250ms"),
        ]),
        seed: 42,
        data: Data { kind: "generated".to_owned(), fingerprint: "xxh3:9c1f7d20a4e8b563".to_owned() },
        spectra: spectra.collect(),
        series,
        sales,
        currencies: BTreeMap::from([("USD".to_owned(), 2)]),
        resources: Some(Resources {
            cpu_seconds: 5.31,
            cpu_us_per_order: 44.3,
            memory_peak_bytes: 88 << 20,
            memory_last_bytes: 71 << 20,
            written_bytes: Some(412 << 20),
            context_switches: Some(183_402),
        }),
        processes: BTreeMap::new(),
        rejections: BTreeMap::new(),
        check: None,
    };
    let third = rejected / 3;
    report.rejections = BTreeMap::from([
        ("source_unknown".to_owned(), rejected - 2 * third),
        ("total_fraction".to_owned(), third),
        ("created_at_future".to_owned(), third),
    ]);
    let sums = Sums { count: accepted, quantity, total_minor: total };
    report.check = Some(Check { expected: sums, found: sums });
    report.judge();
    report
}

/// The same run on a machine that could not offer the load, with an order lost and rollups a cent short.
pub(crate) fn invalid() -> Report {
    let mut report = valid();
    report.achieved_per_second = 1742.0;
    let delay = report.latency_ms.delay;
    report.latency_ms.delay = Percentiles { p90: 4.1, p99: 61.0, p999: 66.2, max: 70.9, mean: 1.92, ..delay };
    report.latency_ms.rollup = Percentiles::default();
    report.spectra.remove("delay");
    // The load is judged by the generator, whose words these are.
    report.reasons = [
        "the load was not offered: 1742 of 2000 orders/s were sent",
        "requests were sent late: the 99th percentile of delay is 61 ms, the limit 50 ms",
        "The rollup histogram overflowed: 3 values were above 60 s.",
    ]
    .map(str::to_owned)
    .to_vec();
    report.ledger.failed = 310;
    report.ledger.unknown = 12;
    report.ledger.accepted -= 323;
    report.ledger.total_minor.as_mut().unwrap().rollup -= 1;
    report.ledger.dead = 2;
    report.ledger.settle();
    for second in report.series.iter_mut().filter(|at| (20..24).contains(&at.second)) {
        let not_accepted = second.due - 900;
        *second = Second { accepted: 900, not_accepted, ..*second };
    }
    for second in report.series.iter_mut().filter(|at| (24..27).contains(&at.second)) {
        let (accepted, not_accepted) = (0, second.due);
        let (response_p50_ms, response_p99_ms, response_max_ms) = (None, None, None);
        *second =
            Second { accepted, not_accepted, response_p50_ms, response_p99_ms, response_max_ms, ..*second };
    }
    let yen = report.sales.iter().take(9).cloned();
    let yen: Vec<_> = yen.map(|sale| Sale { currency: "JPY".to_owned(), orders: 1, ..sale }).collect();
    report.sales.extend(yen);
    report.currencies.insert("JPY".to_owned(), 0);
    report.resources = None;
    report.check = report.check.map(|check| Check { found: Sums { count: 7, ..check.found }, ..check });
    report.commit += "-dirty";
    report.machine.wsl = Some("2".to_owned());
    report.judge();
    report
}

fn nanos(ms: f64) -> u64 {
    std::time::Duration::from_secs_f64(ms / 1e3).as_nanos().try_into().unwrap()
}

fn sales(random: &mut Random, mut orders: u64) -> Vec<Sale> {
    let sources = [("In Store", 34), ("Online", 27), ("Dine In", 19), ("Takeaway", 12), ("Home Delivery", 8)];
    let states = [
        ("California", 21),
        ("Texas", 17),
        ("New York", 14),
        ("Florida", 12),
        ("Ohio", 8),
        ("Illinois", 7),
        ("Georgia", 6),
        ("Washington", 5),
        ("Oregon", 4),
        ("Maine", 3),
        ("Idaho", 2),
        ("unknown", 1),
    ];
    let all = orders;
    let mut sales = Vec::new();
    for (source, by_source) in sources {
        for (state, by_state) in states {
            let count = (all * by_source * by_state / 10_000).min(orders);
            orders -= count;
            let quantity = i128::from(count * 2 + random.below(count / 3 + 1));
            let total_minor = quantity * 1740 + i128::from(random.below(9973));
            let currency = "USD".to_owned();
            sales.push(Sale {
                source: source.to_owned(),
                state: state.to_owned(),
                currency,
                orders: count,
                quantity,
                total_minor,
            });
        }
    }
    // What the shares leave over by rounding.
    sales[0].orders += orders;
    sales
}

fn machine() -> Machine {
    Machine {
        cpu: "AMD Ryzen 7 7840U w/ Radeon 780M Graphics".to_owned(),
        cores: 16,
        kernel: "6.12.12-amd64".to_owned(),
        memory_bytes: 33_285_996_544,
        os: "Debian GNU/Linux 13 (trixie)".to_owned(),
        wsl: None,
        clock_source: "tsc".to_owned(),
        governor: Some("performance".to_owned()),
        virtualisation: None,
    }
}

fn findings() -> Vec<Finding> {
    let finding = |level, check: &str, found: &str, why: &str, mend: &str| {
        let [check, found, why, mend] = [check, found, why, mend].map(str::to_owned);
        Finding { check, level, found, why, mend }
    };
    vec![
        finding(Level::Ok, "clock source", "tsc, of tsc hpet", "", ""),
        finding(Level::Note, "governor", "powersave", "the frequency follows the load", "take performance"),
        finding(Level::Spoils, "other load", "50 % of all processors", "the tail becomes theirs", "end it"),
    ]
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Uniform in (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Lognormal by Box and Muller: half lie below `median`, and `spread` is the deviation of the logarithm.
    fn lognormal(&mut self, median: f64, spread: f64) -> f64 {
        let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        median * (spread * normal).exp()
    }
}
