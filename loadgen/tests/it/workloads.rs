//! The workload files that ship: each is read, and run in miniature.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use loadgen::payload::{
    CreatedAt, Customers, DEFAULT_MAX_BYTES, GenerateSpec, Shape, generate, generate_shaped,
};
use loadgen::workload::Workload;
use pipeline::config::{Config, Layers};
use pipeline::parse::Parser;
use serde_json::Value;

use crate::servers::{Answer, Server};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads")
}

#[test]
fn each_workload_that_ships_is_read_and_runs_in_miniature() {
    let server = Server::plain(Answer::default());
    let mut ran = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let workload = Workload::read(&path).unwrap_or_else(|error| panic!("{error:?}"));
        assert!(workload.description.len() > 20, "{}", path.display());
        let report = tempfile::NamedTempFile::new().unwrap();
        // As few orders as show the beginning of it: what is sent, and by which schedule. A ramp begins slowly.
        let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args([
                "run",
                "--url",
                &server.url,
                "--orders",
                "40",
                "--min-achieved",
                "0.1",
                "--max-delay",
                "60s",
                "--max-cpu",
                "2",
            ])
            .args(["--retry-for", "0s", "--workload"])
            .arg(&path)
            .arg("--report")
            .arg(report.path())
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&fs::read(report.path()).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}: {output:?}", path.display()));
        assert_eq!((&report["sent"], &report["due"]), (&Value::from(40), &Value::from(40)), "{report:#}");
        let kind = serde_json::to_value(&workload.profile).unwrap()["kind"].clone();
        assert_eq!(report["plan"]["profile"]["kind"], kind);
        ran += 1;
    }
    assert_eq!(ran, 7);
}

fn spec() -> GenerateSpec {
    GenerateSpec {
        orders: 20_000,
        seed: 5,
        run_id: "r".to_owned(),
        created_at: CreatedAt::Absent,
        max_bytes: DEFAULT_MAX_BYTES,
    }
}

#[test]
fn the_share_of_malformed_orders_is_what_the_pipeline_rejects() {
    let shape = Shape { malformed: 0.1, ..Shape::default() };
    let payload = generate_shaped(&spec(), &shape).unwrap();
    let straight = generate(&spec()).unwrap();
    let rules = Config::read(&Layers::load(None, None, [], &[]).unwrap()).unwrap().rules;
    let mut parser = Parser::default();
    let mut rejected = 0;
    for index in 0..payload.len() {
        let order = payload.order(index).unwrap();
        // It can be followed, malformed or not, and what is not malformed is what it was.
        assert_eq!(payload.order_id(index).unwrap(), format!("r-{index}"));
        match parser.parse(&order, pipeline::time::now(), &rules) {
            Ok(_) => assert_eq!(order, straight.order(index).unwrap()),
            Err(_) => rejected += 1,
        }
    }
    assert!((1_800..2_200).contains(&rejected), "{rejected}");
}

#[test]
fn customers_are_skewed_as_zipf_says() {
    let of_customer = |zipf, customer: u64| {
        let shape = Shape { customers: Some(Customers { count: 1_000, zipf }), ..Shape::default() };
        let payload = generate_shaped(&spec(), &shape).unwrap();
        let wanted = format!("\"customer_id\":{customer},");
        let of = |index| String::from_utf8(payload.order(index).unwrap().to_vec()).unwrap().contains(&wanted);
        (0..payload.len()).filter(|index| of(*index)).count() as f64
    };
    // The thousandth harmonic number is 7.485: the first customer has 13.4 % of the baskets, the tenth a tenth of that.
    assert!((of_customer(1.0, 1) / 20_000.0 - 0.134).abs() < 0.02);
    let ratio = of_customer(1.0, 1) / of_customer(1.0, 10);
    assert!((6.0..16.0).contains(&ratio), "{ratio}");
    // Without an exponent the first is one of a thousand; it has some baskets, of up to some tens of orders.
    assert!(of_customer(0.0, 1) < 600.0);
}
