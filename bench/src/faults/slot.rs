//! One process of ours with the proxies through which it is reached and reaches its servers. The proxies stay when the
//! process dies, so that whoever knows its address finds the next one there.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::catalogue::{Link, Part};
use super::processes::MARK;
use super::proxy::Proxy;
use super::stack::Addresses;
use crate::child::{Launch, Pipeline};

/// Whoever supervises a process starts it again when it ends: for so long, while servers are away.
const START_WITHIN: Duration = Duration::from_secs(120);
const START_PAUSE: Duration = Duration::from_millis(300);
/// Where Debian's package puts it.
const FAKE_TIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const FAKE_TIME_ARM: &str = "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1";

/// libfaketime, if it is installed.
pub fn fake_time() -> Option<&'static str> {
    [FAKE_TIME, FAKE_TIME_ARM].into_iter().find(|path| Path::new(path).exists())
}

/// A place for one process.
pub struct Slot {
    /// Which part of the way it is.
    pub part: Part,
    command: &'static str,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    process: Option<Pipeline>,
    links: Vec<(Link, Proxy)>,
    /// The file that says how far its clock is off.
    clock: Option<PathBuf>,
    /// How often it ended by itself.
    pub exits: u32,
}

impl Slot {
    /// A place for a part, not started. Without addresses it is the embedded pipeline.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn new(
        part: Part,
        name: &str,
        folder: &Path,
        settings: &[String],
        addresses: Option<&Addresses>,
    ) -> Result<Self> {
        let mut settings = settings.to_vec();
        let mut links = Vec::new();
        let mut link = |link: Link, proxy: io::Result<Proxy>| -> Result<SocketAddr> {
            let proxy = proxy.context("failed to start a proxy")?;
            let address = proxy.address;
            links.push((link, proxy));
            Ok(address)
        };
        if part == Part::Ingest {
            link(Link::ClientIngest, Proxy::to(None))?;
        }
        if let Some(addresses) = addresses {
            let kafka = if part == Part::Ingest { Link::IngestKafka } else { Link::ProcessKafka };
            let brokers = match addresses.kafka.as_slice() {
                [broker] => link(kafka, Proxy::to_broker(*broker))?.to_string(),
                // Each names the others, so three are reached as they are.
                brokers => brokers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(","),
            };
            settings.push(format!("kafka.brokers={brokers}"));
            if part == Part::Process {
                let cassandra = link(Link::ProcessCassandra, Proxy::to(Some(addresses.cassandra)))?;
                let clickhouse = link(Link::ProcessClickHouse, Proxy::to(Some(addresses.clickhouse)))?;
                settings.push(format!("cassandra.nodes={cassandra}"));
                settings.push(format!("clickhouse.url=http://{clickhouse}"));
            }
        }
        let command = match (addresses, part) {
            (None, _) => "embedded",
            (_, Part::Ingest) => "ingest",
            (_, Part::Process) => "process",
        };
        Ok(Self {
            part,
            command,
            settings,
            environment: Vec::new(),
            log: folder.join(format!("{name}.log")),
            process: None,
            links,
            clock: None,
            exits: 0,
        })
    }

    /// Lets a later fault move the process's clock.
    ///
    /// # Errors
    /// Where libfaketime is not installed, or its file cannot be written.
    pub fn with_clock(&mut self, folder: &Path) -> Result<()> {
        let library = fake_time().context("libfaketime is not installed")?;
        let file = folder.join(format!("{}.clock", self.command));
        std::fs::write(&file, "+0").context("failed to write the clock's file")?;
        let path = file.display().to_string();
        // Only the wall clock jumps, as it does where an operator sets it; what measures spans goes on.
        self.environment.extend(
            [
                ("LD_PRELOAD", library),
                ("FAKETIME_TIMESTAMP_FILE", &path),
                ("FAKETIME_CACHE_DURATION", "1"),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ("FAKETIME_DISABLE_SHM", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        self.clock = Some(file);
        Ok(())
    }

    /// Moves its clock by so many seconds from the right time.
    ///
    /// # Errors
    /// Where it has none of its own.
    pub fn set_clock(&self, seconds: i64) -> Result<()> {
        let file = self.clock.as_ref().context("this process has no clock of its own")?;
        std::fs::write(file, format!("{seconds:+}")).context("failed to set the clock")
    }

    /// Starts the process, again and again while it does not start.
    ///
    /// # Errors
    /// Where it has not started in time.
    pub fn start(&mut self, mark: &str) -> Result<()> {
        let started = Instant::now();
        let mut environment = self.environment.clone();
        environment.push((MARK.to_owned(), mark.to_owned()));
        let launch = Launch { log: Some(&self.log), environment: &environment };
        let process = loop {
            match Pipeline::start_as(self.command, &self.settings, &launch) {
                Ok(process) => break process,
                Err(error) if started.elapsed() > START_WITHIN => {
                    return Err(error.context(format!("see {}", self.log.display())));
                }
                Err(_) => std::thread::sleep(START_PAUSE),
            }
        };
        for (_, front) in self.links.iter().filter(|(link, _)| *link == Link::ClientIngest) {
            front.lead_to(process.orders);
        }
        self.process = Some(process);
        Ok(())
    }

    /// kill -9.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        let process = self.process.take().context("it does not run")?;
        process.kill().context("failed to kill it")
    }

    /// Stops it in an orderly way.
    ///
    /// # Errors
    /// Where it does not end in time, or not well.
    pub fn stop(&mut self) -> Result<()> {
        let Some(process) = self.process.take() else { return Ok(()) };
        let status = process.stop()?;
        if !status.success() {
            anyhow::bail!("the pipeline's {} ended with {status}; see {}", self.command, self.log.display());
        }
        Ok(())
    }

    /// Starts it again if it has ended by itself, as a supervisor does.
    ///
    /// # Errors
    /// As [`Slot::start`].
    pub fn supervise(&mut self, mark: &str) -> Result<()> {
        if self.process.as_mut().is_some_and(Pipeline::has_ended) {
            self.exits += 1;
            self.process = None;
            self.start(mark)?;
        }
        Ok(())
    }

    /// The process, if it runs.
    pub const fn process(&self) -> Option<&Pipeline> {
        self.process.as_ref()
    }

    /// The proxy of a link.
    ///
    /// # Errors
    /// Where it has no such link.
    pub fn link(&self, wanted: Link) -> Result<&Proxy> {
        let found = self.links.iter().find(|(link, _)| *link == wanted);
        found.map(|(_, proxy)| proxy).with_context(|| format!("{} has no link {wanted:?}", self.command))
    }

    /// Where orders are posted, if it takes any.
    pub fn front(&self) -> Option<SocketAddr> {
        self.link(Link::ClientIngest).ok().map(|proxy| proxy.address)
    }
}
