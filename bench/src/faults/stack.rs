//! The native stack of the suite: brought up, broken, mended, and taken down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::catalogue::Server;
use super::{mounts, processes};
use crate::way::STACK;

/// A server that is broken may take as long to start as it likes, up to this.
const MENDED_WITHIN: Duration = Duration::from_secs(150);
/// The three brokers' ports are this far above those of the one.
const BROKERS_ABOVE: u16 = 100;
/// Room for each server's data, in MiB.
const ROOM: [(Server, u32); 3] =
    [(Server::Kafka, 640), (Server::Cassandra, 1_536), (Server::ClickHouse, 512)];

/// A stack, which is taken down when it is dropped.
#[derive(Debug)]
pub struct Stack {
    home: PathBuf,
    port_base: u16,
    brokers: u8,
    /// The services of it that are used; all if it is empty.
    services: &'static [&'static str],
    /// Whether it was up before, and so is left as it is.
    found: bool,
    pids: BTreeMap<String, u32>,
}

/// Where a stack's servers are.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// One broker, or three.
    pub kafka: Vec<SocketAddr>,
    /// A node.
    pub cassandra: SocketAddr,
    /// Its HTTP port.
    pub clickhouse: SocketAddr,
}

impl Stack {
    /// Brings up a stack with empty data, each server's on a file system in memory if these are wanted. What an earlier
    /// suite left in its home is ended and deleted.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn up(home: &Path, port_base: u16, in_memory: bool) -> Result<Self> {
        let mut stack = Self::at(home, port_base, 1, &[], false)?;
        stack.clear()?;
        if in_memory {
            for (server, megabytes) in ROOM {
                mounts::mount(&stack.data(server), megabytes)?;
            }
        }
        stack.run(&["up"])?;
        stack.look()?;
        Ok(stack)
    }

    /// Three brokers alone, beside a stack.
    ///
    /// # Errors
    /// Where they do not come up.
    pub fn three_brokers(beside: &Self) -> Result<Self> {
        let home = beside.home.join("brokers");
        let mut stack = Self::at(&home, beside.port_base + BROKERS_ABOVE, 3, &["kafka"], false)?;
        stack.clear()?;
        stack.run(&["up", "kafka"])?;
        stack.look()?;
        Ok(stack)
    }

    /// A stack that is up, and stays so.
    ///
    /// # Errors
    /// Where it is not up.
    pub fn found(home: &Path, port_base: u16) -> Result<Self> {
        let mut stack = Self::at(home, port_base, 1, &[], true)?;
        stack.look()?;
        Ok(stack)
    }

    fn at(
        home: &Path,
        port_base: u16,
        brokers: u8,
        services: &'static [&'static str],
        found: bool,
    ) -> Result<Self> {
        let home = std::path::absolute(home).context("failed to find the stack's home")?;
        Ok(Self { home, port_base, brokers, services, found, pids: BTreeMap::new() })
    }

    fn clear(&self) -> Result<()> {
        std::fs::create_dir_all(&self.home)
            .with_context(|| format!("failed to create {}", self.home.display()))?;
        self.run(&["down"])?;
        mounts::unmount_below(&self.home)?;
        self.run(&["clean"])
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(STACK);
        command.args(arguments).stdin(Stdio::null());
        command.env("STACK_HOME", &self.home).env("STACK_PORT_BASE", self.port_base.to_string());
        command.env("STACK_BROKERS", self.brokers.to_string());
        // A suite's data are small, and so may its servers be.
        for (name, value) in [("CASSANDRA_HEAP", "512m"), ("KAFKA_HEAP", "256m"), ("CLICKHOUSE_MEMORY", "1g")]
        {
            command.env(name, value);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let output = self.command(arguments).output().context("failed to run deploy/native/stack")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("`deploy/native/stack {}` ended with {}: {said}", arguments.join(" "), output.status)
    }

    /// Notes the processes of the servers.
    ///
    /// # Errors
    /// Where none runs.
    pub fn look(&mut self) -> Result<()> {
        let output = self.command(&["status"]).output().context("failed to run deploy/native/stack")?;
        let server = |line: &str| {
            let mut fields = line.split_whitespace();
            let (name, _state, pid) = (fields.next()?, fields.next()?, fields.next()?);
            Some((name.to_owned(), pid.parse().ok()?))
        };
        self.pids = String::from_utf8_lossy(&output.stdout).lines().filter_map(server).collect();
        if self.pids.is_empty() {
            bail!("no stack is up in {}", self.home.display());
        }
        Ok(())
    }

    /// Where its servers are.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn addresses(&self) -> Result<Addresses> {
        let output = self.command(&["env"]).output().context("failed to run deploy/native/stack")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.with_context(|| format!("`stack env` does not print {name}"))
        };
        let address = |text: &str| -> Result<SocketAddr> {
            text.parse().with_context(|| format!("{text} is no address"))
        };
        let kafka =
            value("export PIPELINE_KAFKA_BROKERS=")?.split(',').map(address).collect::<Result<_>>()?;
        let url = value("export PIPELINE_CLICKHOUSE_URL=")?;
        Ok(Addresses {
            kafka,
            cassandra: address(value("export PIPELINE_CASSANDRA_NODES=")?)?,
            clickhouse: address(url.trim_start_matches("http://"))?,
        })
    }

    /// The folder of a server's data.
    pub fn data(&self, server: Server) -> PathBuf {
        self.home.join("data").join(server.service())
    }

    /// The folder of the servers' logs.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// The process of a service.
    ///
    /// # Errors
    /// Where there is none.
    pub fn pid(&self, service: &str) -> Result<u32> {
        self.pids.get(service).copied().with_context(|| format!("{service} does not run"))
    }

    /// Stops a server in an orderly way; it stays down until the stack is mended.
    ///
    /// # Errors
    /// Where it does not stop.
    pub fn stop(&self, service: &str) -> Result<()> {
        self.run(&["stop", service])
    }

    /// Sees to it that all servers are up and ready, whatever was done to them.
    ///
    /// # Errors
    /// Where one does not come up in time.
    pub fn mend(&mut self) -> Result<()> {
        let started = Instant::now();
        let arguments: Vec<&str> = std::iter::once("up").chain(self.services.iter().copied()).collect();
        while let Err(error) = self.run(&arguments) {
            if started.elapsed() > MENDED_WITHIN {
                return Err(error.context("the stack cannot be mended"));
            }
            thread::sleep(Duration::from_millis(500));
        }
        self.look()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.found {
            return;
        }
        // A paused server would not hear that it is to stop.
        for pid in self.pids.values() {
            let _ = processes::resume(*pid);
        }
        let _ = self.run(&["down"]);
        let _ = mounts::unmount_below(&self.home);
    }
}
