//! A place of its own for each test: where its log and its stores are.

use super::process::{Process, program, spawn};
use super::running::Running;
use super::wait::{DEADLINE, block_on};
use pipeline::config::{Config, Layers};
use pipeline::rollup::Sums;
use pipeline::store::{Found, SalesKey};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A way that orders go: its processes, and what only the drivers of its servers or files can tell or do.
pub trait Way {
    /// The commands, in the order of the way: the first one takes orders, the last one stores them.
    fn commands(&self) -> &'static [&'static str];

    /// The settings that make the place the test's own, as `key=value`.
    fn settings(&self) -> Vec<String>;

    /// How often a test that kills may kill, and how long it lets things run at most before each kill: long enough for
    /// blocks to be stored, and too short for all of them.
    fn kills(&self) -> (usize, Duration);

    /// Quantity and total of every order in the orders store, by id, read past the product.
    fn stored(&self) -> BTreeMap<String, (i64, i64)>;

    /// Writes records of a foreign producer into the log, which nothing else writes to yet, and says where each is.
    fn write(&self, records: &[Foreign<'_>]) -> Vec<Written>;

    /// Deletes the records of a partition before an offset, as retention does.
    fn delete_records(&self, partition: u32, before: i64);

    /// Empties both stores, as a restore from nothing does.
    fn wipe_stores(&self);

    /// Counts one order too many in one row of sums, and takes all orders out of the orders store.
    fn spoil_stores(&self);

    /// Deletes all block rows but the newest of each partition, as age does.
    fn forget_blocks(&self);

    /// Makes the blocks look older than a processor of other rules may find them when it starts.
    fn age_blocks(&self);

    /// So many dead letters, in the order of their places.
    fn dead_letters(&self, count: usize) -> Vec<Letter>;
}

/// A record of a foreign producer.
#[derive(Clone, Copy)]
pub struct Foreign<'r> {
    pub key: Option<&'r str>,
    pub value: &'r str,
}

/// Where a record is.
pub struct Written {
    pub topic_id: String,
    pub partition: u32,
    pub offset: i64,
}

/// What a dead letter tells.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    pub partition: u32,
    pub offset: i64,
    pub value: String,
    pub reason: String,
    pub detail: String,
}

/// One test's place.
pub struct Place {
    way: Box<dyn Way>,
    folder: TempDir,
}

impl Place {
    /// A place on a way.
    pub fn on(way: impl Way + 'static) -> Self {
        Self { way: Box::new(way), folder: tempfile::tempdir().unwrap() }
    }

    /// The way.
    pub fn way(&self) -> &dyn Way {
        &*self.way
    }

    /// A folder for the test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings of its processes, with more.
    pub fn settings(&self, more: &[&str]) -> Vec<String> {
        self.way.settings().into_iter().chain(more.iter().map(|setting| (*setting).to_owned())).collect()
    }

    /// Starts all processes, with more settings, and waits until they are up.
    pub fn start(&self, more: &[&str]) -> Running {
        Running::of(self.way.commands().iter().map(|command| self.start_part(command, more, None)).collect())
    }

    /// Starts one process and waits until it is up; what it logs goes to a file, as JSON, if one is named.
    pub fn start_part(&self, command: &str, more: &[&str], log: Option<&Path>) -> Process {
        let mut settings = self.settings(more);
        settings.push("observe.log_format=json".to_owned());
        let log = log.map_or_else(Stdio::null, |path| File::create(path).unwrap().into());
        Process::start(command, &settings, log)
    }

    /// Starts one process and waits for nothing.
    pub fn spawn(&self, command: &str, more: &[&str]) -> Child {
        spawn(command, &self.settings(more), Stdio::piped())
    }

    /// A command line of the program at this place, with more settings.
    pub fn command(&self, arguments: &[&str], more: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments);
        for setting in self.settings(more) {
            command.args(["--set", &setting]);
        }
        command
    }

    /// Runs a command line and returns its exit code, standard output and standard error.
    pub fn run(&self, arguments: &[&str], more: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments, more).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// `pipeline ledger --json`.
    pub fn ledger(&self, more: &[&str]) -> serde_json::Value {
        let output = self.command(&[&["ledger", "--json"], more].concat(), &[]).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Waits until everything in the log is stored, and asserts that the books balance.
    pub fn balanced(&self) -> serde_json::Value {
        let start = Instant::now();
        loop {
            let found = self.ledger(&[]);
            let pending = found["total"]["pending"].as_u64().unwrap();
            if pending == 0 {
                assert_eq!(found["balanced"], true, "{found:#}");
                return found;
            }
            assert!(start.elapsed() < DEADLINE, "{pending} records are still pending");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the rollups hold, as `pipeline sales` reads it.
    pub fn sales(&self) -> BTreeMap<SalesKey, Sums> {
        block_on(pipeline::wire::sales(&self.config())).unwrap()
    }

    /// An order, as `pipeline order` reads it.
    pub fn order(&self, id: &str) -> Option<Found> {
        block_on(pipeline::wire::order(&self.config(), id, None)).unwrap()
    }

    /// The configuration that the processes have.
    fn config(&self) -> Config {
        let flags = self.settings(&[]);
        let flags: Vec<_> = flags
            .iter()
            .map(|setting| setting.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Config::read(&Layers::load(None, None, std::env::vars(), &flags).unwrap()).unwrap()
    }
}

/// An order id that belongs to a partition of the default six.
pub fn id_of(partition: u32, name: &str) -> String {
    let mut ids = (0..).map(|n| format!("{name}-{n}"));
    ids.find(|id| pipeline::log::partitioner::partition(id.as_bytes(), 6) == partition).unwrap()
}
