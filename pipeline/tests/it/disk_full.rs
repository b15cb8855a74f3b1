//! A disk that is full: orders are refused truthfully, none that was acknowledged is lost, and when there is room again
//! all goes on without a restart.

use crate::support::{Pipeline, eventually, ledger};
use pipeline::outcomes::{Outcome, OutcomeWriter};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A file system of its own, in memory, that can be filled.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "tillflow-test"]).arg(dir.path());
        let output = mount.output().expect("there is a program mount");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(dir)
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut filler = File::create(self.0.path().join("filler")).unwrap();
        for piece in [vec![0; 1 << 16], vec![0; 512]] {
            while filler.write_all(&piece).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, since a failing test may still have it open.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// Sends batches of orders and keeps what was said of each.
struct Sender<'p> {
    pipeline: &'p Pipeline,
    told: Vec<(String, Outcome)>,
}

impl Sender<'_> {
    /// Sends one batch and returns its status; every order in it was accepted, or every one has failed.
    fn send(&mut self) -> u16 {
        let ids: Vec<String> = (0..20).map(|n| format!("order-{}", self.told.len() + n)).collect();
        let note = "x".repeat(1_000);
        let order = |id: &String| {
            format!(r#"{{"order_id":"{id}","customer_id":3,"source":"Online","quantity":1,"note":"{note}"}}"#)
        };
        let body = ids.iter().map(order).collect::<Vec<_>>().join("\n");
        let reply = self.pipeline.post_as("application/x-ndjson", body.as_bytes()).expect("an answer");
        let outcome = match reply.status {
            202 => Outcome::Accepted,
            503 => Outcome::Failed,
            other => panic!("status {other}: {}", reply.body),
        };
        if outcome == Outcome::Failed {
            let result = &reply.json()["results"][0];
            assert_eq!(
                (&result["outcome"], &result["retry"]),
                (&"failed".into(), &true.into()),
                "{}",
                reply.body
            );
            assert!(reply.head.contains("retry-after: "), "{}", reply.head);
        }
        self.told.extend(ids.into_iter().map(|id| (id, outcome)));
        reply.status
    }

    fn accepted(&self) -> usize {
        self.told.iter().filter(|(_, outcome)| *outcome == Outcome::Accepted).count()
    }

    fn write_outcomes(&self, path: &Path) {
        let mut writer = OutcomeWriter::create(path).unwrap();
        for (id, outcome) in &self.told {
            writer.write(id, *outcome).unwrap();
        }
        writer.finish().unwrap();
    }
}

#[test]
#[ignore = "it mounts a file system of 16 MiB in memory, for which it must be root: TILLFLOW_TEST_MOUNTS=1 cargo test \
            --package pipeline --test it -- --ignored"]
fn a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room_again() {
    assert!(std::env::var_os("TILLFLOW_TEST_MOUNTS").is_some(), "say so with TILLFLOW_TEST_MOUNTS=1");
    let mounted = Mounted::new();
    let data = mounted.0.path().join("data");
    let settings = ["process.block_interval=20ms", "process.retry_pause_max=200ms"];
    let pipeline = Pipeline::start(&data, &settings);
    let mut sender = Sender { pipeline: &pipeline, told: Vec::new() };
    for _ in 0..5 {
        assert_eq!(sender.send(), 202);
    }
    for round in 0..3 {
        mounted.fill();
        // Room inside the files is still used; so it takes some batches until none is left.
        let mut failed = 0;
        for _ in 0..1_000 {
            failed += usize::from(sender.send() == 503);
            if failed == 20 {
                break;
            }
        }
        assert_eq!(failed, 20, "round {round}: the disk was never full");
        assert_eq!(pipeline.page("/livez").status, 200);
        mounted.free();
        for _ in 0..5 {
            assert_eq!(sender.send(), 202, "round {round}: there is room again");
        }
        let accepted = sender.accepted() as f64;
        eventually("what was accepted is stored", || {
            pipeline.metric("tillflow_store_orders_total") == accepted
        });
    }
    // What cannot be stored waits in the log and not in memory.
    let (_, most) = pipeline.memory();
    assert!(most < 256 << 10, "{most} KiB");
    println!(
        "{} accepted, {} failed, {most} KiB of memory at most",
        sender.accepted(),
        sender.told.len() - sender.accepted()
    );
    println!("{} blocks were sent again", pipeline.metric("tillflow_store_retries_total"));
    let outcomes = tempfile::NamedTempFile::new().unwrap();
    sender.write_outcomes(outcomes.path());
    assert_eq!(pipeline.terminate(), Some(0));
    let found = ledger(&data, &["--outcomes", outcomes.path().to_str().unwrap()]);
    assert_eq!(found["balanced"], true, "{found:#}");
    for none in ["lost", "ghosts", "not_told", "unknown"] {
        assert_eq!(found["ids"][none], 0, "{none}: {found:#}");
    }
}
