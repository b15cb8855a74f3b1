//! One process of the pipeline.

use super::http::{Reply, exchange};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The program under test.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pipeline"))
}

/// Starts one of the commands that go on, on ports that the system chooses, with settings as `key=value`; waits for
/// nothing.
pub fn spawn(command: &str, settings: &[String], log: Stdio) -> Child {
    spawn_build(program(), command, settings, log)
}

/// Does so with another build of the program.
pub fn spawn_build(mut pipeline: Command, command: &str, settings: &[String], log: Stdio) -> Child {
    pipeline.arg(command);
    let own = ["receive.listen=127.0.0.1:0", "manage.listen=127.0.0.1:0"];
    for setting in own.into_iter().chain(settings.iter().map(String::as_str)) {
        pipeline.args(["--set", setting]);
    }
    pipeline.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

/// A process that runs. Dropping it kills it.
pub struct Process {
    child: Child,
    /// Where it takes orders, if it does.
    pub orders: Option<SocketAddr>,
    /// Its management port.
    pub manage: SocketAddr,
}

impl Process {
    /// Starts a process as [`spawn`] does, and waits until it says that it is up.
    pub fn start(command: &str, settings: &[String], log: Stdio) -> Self {
        Self::up(command, spawn(command, settings, log))
    }

    /// Waits until a process says that it is up.
    pub fn up(command: &str, child: Child) -> Self {
        Self::up_unless_it_ends(child)
            .unwrap_or_else(|| panic!("`pipeline {command}` ended before it was up"))
    }

    /// Waits until a process says that it is up. None: it ended instead.
    pub fn up_unless_it_ends(mut child: Child) -> Option<Self> {
        let greeting = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut orders, mut manage) = (None, None);
        for line in greeting {
            let line = line.unwrap();
            let address = |marker: &str| -> Option<SocketAddr> {
                Some(line.split_once(marker)?.1.split('/').next()?.parse().unwrap())
            };
            orders = orders.or(address("taken at http://")).or(address("taken at https://"));
            manage = manage.or(address("are at http://"));
            if line.ends_with("Ctrl-C stops") {
                break;
            }
        }
        match manage {
            Some(manage) => Some(Self { child, orders, manage }),
            None => {
                child.wait().unwrap();
                None
            }
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and the end of it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// A page of the management port.
    pub fn page(&self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        exchange(self.manage, request.as_bytes()).expect("the management port answers")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
