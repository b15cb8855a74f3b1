//! What may know what: the modules of the pipeline import only earlier ones, drivers are known where they are used, and
//! what is pure touches neither clock nor files nor sockets.

use crate::sources::{Source, files, none};

/// The modules of the pipeline. Each may import those before it, and none behind it.
const ORDER: [&[&str]; 6] = [
    // The contract of an order, pure but for the file of the dimension, whose changes are seen by its stamp.
    &["money", "numbers", "time", "order", "outcomes", "parse", "window", "rollup", "stamp", "enrich"],
    // What all stages may know.
    &["observe", "config", "deadline", "backoff"],
    // The log, what becomes of its records, and where that goes.
    &["log", "block", "position", "store"],
    // The ingest half, whose stages stand in the order of the way.
    &["validate", "publish", "receive"],
    // The processing half.
    &["consume"],
    // What looks at all of it, and what puts it together.
    &["ledger", "rebuild", "dead", "whereabouts", "wire", "cli", "main"],
];
/// The two halves of the way know nothing of each other; the log lies between them.
const INGEST: [&str; 3] = ["validate", "publish", "receive"];
const PROCESSING: [&str; 4] = ["block", "position", "store", "consume"];

/// Crates that only these files of the pipeline may name.
const DRIVERS: [(&str, &[&str]); 11] = [
    ("hyper", &["receive", "observe/manage"]),
    // The driver of ClickHouse is given its connector, for the time-out.
    ("hyper_util", &["receive", "observe/manage", "store/clickhouse"]),
    ("http_body_util", &["receive", "observe/manage"]),
    // TLS: of ingest, and to the two stores.
    ("rustls", &["receive/tls", "config/authorities"]),
    ("tokio_rustls", &["receive/gate"]),
    ("hyper_rustls", &["store/clickhouse"]),
    ("rusqlite", &["log/sqlite", "store/sqlite"]),
    ("rdkafka", &["log/kafka"]),
    ("rdkafka_sys", &["log/kafka/native"]),
    ("scylla", &["store/cassandra"]),
    ("clickhouse", &["store/clickhouse"]),
];
/// What stands behind the traits; stages know the traits.
const IMPLEMENTATIONS: [&str; 15] = [
    "KafkaLog",
    "KafkaConsumer",
    "KafkaReader",
    "SqliteLog",
    "SqliteReader",
    "SqliteConsumer",
    "SqliteStores",
    "SqliteBooks",
    "VoidLog",
    "CassandraOrders",
    "CassandraBooks",
    "ClickHouseRollups",
    "ClickHouseBooks",
    "ServerStores",
    "ServerBooks",
];

/// Files, and folders with all that they hold, that compute and do nothing else, each with what it may name all the
/// same.
const PURE: [(&str, &[&str]); 64] = [
    ("pipeline/src/money", &[]),
    ("pipeline/src/numbers", &[]),
    ("pipeline/src/order", &[]),
    ("pipeline/src/parse", &[]),
    ("pipeline/src/window", &[]),
    ("pipeline/src/rollup", &[]),
    ("pipeline/src/block", &[]),
    ("pipeline/src/position", &[]),
    ("pipeline/src/validate", &[]),
    ("pipeline/src/receive/frame", &[]),
    ("pipeline/src/receive/reply", &[]),
    ("pipeline/src/receive/refusal", &[]),
    ("pipeline/src/receive/tokens", &[]),
    ("pipeline/src/log/partitioner", &[]),
    ("pipeline/src/ledger/report", &[]),
    ("pipeline/src/ledger/repeats", &[]),
    ("pipeline/src/ledger/checkpoint", &[]),
    ("pipeline/src/rebuild/change", &[]),
    ("pipeline/src/store/chain", &[]),
    ("pipeline/src/store/schema", &[]),
    ("pipeline/src/store/cassandra/batches", &[]),
    ("pipeline/src/store/cassandra/retry", &[]),
    ("pipeline/src/store/clickhouse/retry", &[]),
    // The clock is read in one place, `time::now`.
    ("pipeline/src/time", &["SystemTime"]),
    // Jitter comes from the clock.
    ("pipeline/src/backoff", &["time::now"]),
    // The dimension comes from a file that is looked at again.
    ("pipeline/src/enrich", &["std::fs"]),
    ("loadgen/src/schedule", &[]),
    ("loadgen/src/outcome", &[]),
    ("loadgen/src/measure", &[]),
    ("loadgen/src/validity", &[]),
    ("loadgen/src/payload/generate", &[]),
    ("loadgen/src/payload/shape", &[]),
    ("loadgen/src/payload/template", &[]),
    ("bench/src/ab/order", &[]),
    ("bench/src/ab/settle", &[]),
    ("bench/src/ab/shift", &[]),
    ("bench/src/ab/text", &[]),
    ("bench/src/compare/comparable", &[]),
    ("bench/src/compare/figures", &[]),
    ("bench/src/compare/judge", &[]),
    ("bench/src/compare/quantile", &[]),
    ("bench/src/compare/series", &[]),
    ("bench/src/compare/student", &[]),
    ("bench/src/compare/text", &[]),
    ("bench/src/doctor/judge", &[]),
    ("bench/src/doctor/limits", &[]),
    ("bench/src/doctor/load", &[]),
    ("bench/src/doctor/measured", &[]),
    ("bench/src/doctor/place", &[]),
    ("bench/src/doctor/processor", &[]),
    ("bench/src/report", &[]),
    ("bench/src/figures", &[]),
    ("bench/src/html", &[]),
    ("bench/src/plots", &[]),
    ("bench/src/text", &[]),
    ("bench/src/verdict", &[]),
    ("bench/src/objective", &[]),
    ("bench/src/lag", &[]),
    ("bench/src/warm_up", &[]),
    ("bench/src/logs", &[]),
    ("bench/src/saturation", &[]),
    ("bench/src/measurement", &[]),
    ("bench/src/capacity/search", &[]),
    ("bench/src/probe/agree", &[]),
];
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "tokio",
    "Instant::now",
    "SystemTime",
    "time::now",
];

/// The module of the pipeline that a file belongs to.
fn module(source: &Source) -> &str {
    let path = source.path.strip_prefix("pipeline/src/").unwrap();
    path.split(['/', '.']).next().unwrap()
}

/// Whether a file is `place.rs` or lies in the folder `place`.
fn is_at(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Whether a line names a crate by a path that begins with it. A module of the same name stands behind `super::`.
fn names_crate(name: &str, line: &str) -> bool {
    let inside = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':');
    line.match_indices(name)
        .any(|(at, _)| !line[..at].ends_with(inside) && line[at + name.len()..].starts_with("::"))
}

/// The modules that a piece of the pipeline's code imports, written without spaces: `crate::log::…`, and each of
/// `crate::{time,wire}`.
fn imported(dense: &str) -> Vec<&str> {
    let end = |rest: &str| rest.find(|character: char| !character.is_ascii_lowercase()).unwrap_or(rest.len());
    let mut found = Vec::new();
    for root in ["crate::", "pipeline::"] {
        for (at, _) in dense.match_indices(root) {
            let rest = &dense[at + root.len()..];
            match rest.strip_prefix('{') {
                None => found.push(&rest[..end(rest)]),
                Some(group) => {
                    let group = group.split('}').next().unwrap_or_default();
                    found.extend(
                        group.split(',').filter(|item| !item.is_empty()).map(|item| &item[..end(item)]),
                    );
                }
            }
        }
    }
    found
}

#[test]
fn a_module_imports_only_modules_before_it_and_never_the_other_half() {
    let mut complaints = Vec::new();
    let place = |name: &str| ORDER.iter().copied().flatten().position(|known| *known == name);
    for source in files("pipeline/src", &[".rs"]).iter().filter(|source| module(source) != "lib") {
        let own = module(source);
        let Some(own_place) = place(own) else {
            complaints.push(format!("{}: {own} has no place in the order of modules", source.path));
            continue;
        };
        let dense = source.dense();
        for other in imported(&dense).into_iter().filter(|other| *other != own) {
            match place(other) {
                // A path that this rule cannot read is not taken on trust.
                None => complaints.push(format!("{}: imports `{other}`, which is no module", source.path)),
                Some(at) if at > own_place => {
                    complaints.push(format!("{}: {own} imports {other}, which comes later", source.path));
                }
                Some(_)
                    if INGEST.contains(&own) && PROCESSING.contains(&other)
                        || PROCESSING.contains(&own) && INGEST.contains(&other) =>
                {
                    complaints.push(format!("{}: {own} imports {other}, of the other half", source.path));
                }
                Some(_) => {}
            }
        }
    }
    none(complaints);
}

#[test]
fn a_driver_is_named_only_by_the_files_that_speak_to_it() {
    let mut complaints = Vec::new();
    for source in files("pipeline/src", &[".rs"]) {
        let path = source.path.strip_prefix("pipeline/src/").unwrap();
        for (driver, places) in DRIVERS {
            let allowed = places.iter().any(|place| is_at(path, place));
            if !allowed && source.code().any(|line| names_crate(driver, line)) {
                complaints.push(format!("{}: names {driver}; only {places:?} may", source.path));
            }
        }
        let own = ["log/", "store/", "wire/"].iter().any(|folder| path.starts_with(folder));
        if own || matches!(path, "wire.rs" | "cli.rs" | "main.rs") {
            continue;
        }
        for name in IMPLEMENTATIONS.into_iter().filter(|name| source.names(name)) {
            complaints.push(format!("{}: names {name}; it should see the trait", source.path));
        }
    }
    none(complaints);
}

#[test]
fn what_is_pure_names_no_clock_no_file_and_no_socket() {
    let mut complaints = Vec::new();
    for (place, allowed) in PURE {
        let folder = place.split("/src/").next().unwrap();
        let sources: Vec<_> =
            files(folder, &[".rs"]).into_iter().filter(|file| is_at(&file.path, place)).collect();
        assert!(!sources.is_empty(), "there is no {place}");
        for source in sources {
            for what in IMPURE.into_iter().filter(|what| source.names(what)) {
                if !allowed.contains(&what) {
                    complaints.push(format!("{}: names {what}", source.path));
                }
            }
            for what in allowed.iter().filter(|what| !source.names(what)) {
                complaints
                    .push(format!("{}: does not name {what} any more; take it off the list", source.path));
            }
        }
    }
    none(complaints);
}

#[test]
fn crates_depend_on_one_another_in_one_direction() {
    let manifests = [("pipeline", ["loadgen", "bench"].as_slice()), ("loadgen", &["bench"])];
    for (folder, others) in manifests {
        let manifest = files(folder, &["Cargo.toml"]).into_iter().next().unwrap();
        for line in manifest.text.lines() {
            let key = line.split(['.', ' ', '=']).next().unwrap();
            assert!(!others.contains(&key), "{folder} depends on {key}");
        }
    }
}
