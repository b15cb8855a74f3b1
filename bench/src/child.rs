//! The pipeline as a process of its own: the program that calls this runs itself again as `pipeline`, so that the
//! pipeline's memory and processor time are its own and can be read, and nothing but cargo is needed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpid, kill_process};

use crate::machine::{Usage, usage};

/// The first argument with which a program of this crate is `pipeline`.
const AS_PIPELINE: &str = "pipeline";
const WAIT: Duration = Duration::from_secs(30);
/// A start rebuilds windows and may wait for servers that start themselves.
const UP_WITHIN: Duration = Duration::from_secs(60);

/// What to call first in `main`: where the arguments ask for `pipeline`, it is that program to its end.
pub fn pipeline_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|first| first == AS_PIPELINE);
    asked.then(|| {
        end_with_parent();
        pipeline::cli::main([OsString::from(AS_PIPELINE)].into_iter().chain(arguments))
    })
}

/// Drains and ends when the program that started this one is gone, however it went: its end of standard input closes.
fn end_with_parent() {
    thread::spawn(|| {
        // Nothing is ever written, so this is over when there is nobody left who could.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Without a signal the process would stay, which is what it would have done anyway.
        let _ = kill_process(getpid(), Signal::TERM);
    });
}

/// Runs one of its commands to its end, with more settings as `key=value`.
///
/// # Errors
/// Where it fails; why is on standard error.
pub fn complete(command: &str, settings: &[String]) -> Result<()> {
    let mut child = spawn(command, &[], settings, &Launch::default())?;
    // To wait closes it, which would end the command.
    let _held = child.stdin.take();
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("`pipeline {command}` ended with {status}") }
}

/// How a process is started, beside its settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Launch<'a> {
    /// The file to which it logs; standard error without one.
    pub log: Option<&'a Path>,
    /// More variables of its environment.
    pub environment: &'a [(String, String)],
}

fn spawn(command: &str, own: &[&str], settings: &[String], launch: &Launch<'_>) -> Result<Child> {
    let mut pipeline = Command::new(std::env::current_exe().context("failed to find this program")?);
    pipeline.arg(AS_PIPELINE).args(command.split(' '));
    for setting in own.iter().copied().chain(["observe.log=warn"]).chain(settings.iter().map(String::as_str))
    {
        pipeline.args(["--set", setting]);
    }
    if let Some(path) = launch.log {
        let log = File::options().create(true).append(true).open(path);
        pipeline.stderr(log.with_context(|| format!("failed to open {}", path.display()))?);
    }
    // Ctrl-C at a terminal is for this program, which reports what was done and ends the pipeline in its turn.
    pipeline.process_group(0);
    pipeline.envs(launch.environment.iter().map(|(name, value)| (name, value)));
    pipeline.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("failed to start the pipeline")
}

/// A running `pipeline embedded`, `ingest` or `process`. Dropping it kills it.
#[derive(Debug)]
pub struct Pipeline {
    child: Child,
    /// Where it takes orders, if it does.
    pub orders: Option<SocketAddr>,
    /// Its management port.
    pub manage: SocketAddr,
}

impl Pipeline {
    /// Starts one of its commands, on free ports of loopback, with more settings as `key=value`.
    ///
    /// # Errors
    /// Where it does not start; why is on standard error.
    pub fn start(command: &str, settings: &[String]) -> Result<Self> {
        Self::start_as(command, settings, &Launch::default())
    }

    /// The same, with a log and an environment of its own.
    ///
    /// # Errors
    /// Where it does not start in time; why is in its log.
    pub fn start_as(command: &str, settings: &[String], launch: &Launch<'_>) -> Result<Self> {
        let own = ["receive.listen=127.0.0.1:0", "manage.listen=127.0.0.1:0"];
        let mut child = spawn(command, &own, settings, launch)?;
        match greeting(&mut child) {
            Ok((orders, manage)) => Ok(Self { child, orders, manage }),
            Err(error) => {
                // It has ended already, or hangs.
                let _ = child.kill();
                let _ = child.wait();
                Err(error.context(format!("`pipeline {command}` did not start")))
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and the end of it.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Where orders are posted.
    ///
    /// # Errors
    /// Where it takes none.
    pub fn url(&self) -> Result<String> {
        let address = self.orders.context("this process takes no orders")?;
        Ok(format!("http://{address}/v1/orders"))
    }

    /// A page of the management port.
    ///
    /// # Errors
    /// Where there is no answer, or one with another status than 200.
    pub fn page(&self, path: &str) -> Result<String> {
        self.ask("GET", path)
    }

    /// What the management port answers to a post without a body.
    ///
    /// # Errors
    /// As [`Pipeline::page`].
    pub fn post(&self, path: &str) -> Result<String> {
        self.ask("POST", path)
    }

    fn ask(&self, method: &str, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.manage)?;
        stream.set_read_timeout(Some(WAIT))?;
        // HTTP/1.0, so that the answer ends with the connection.
        write!(stream, "{method} {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
            _ => bail!("{path} was answered: {answer}"),
        }
    }

    /// The sum of a metric over its labels.
    ///
    /// # Errors
    /// As [`Pipeline::page`].
    pub fn metric(&self, name: &str) -> Result<f64> {
        self.metrics(&[name])
    }

    /// The sum of several metrics over their labels, all of one look.
    ///
    /// # Errors
    /// As [`Pipeline::page`].
    pub fn metrics(&self, names: &[&str]) -> Result<f64> {
        let text = self.page("/metrics")?;
        let values = text.lines().flat_map(|line| names.iter().map(move |name| (line, name)));
        let values = values.filter_map(|(line, name)| {
            let rest = line.strip_prefix(name)?;
            let value =
                rest.rsplit_once(' ').filter(|(label, _)| label.is_empty() || label.starts_with('{'))?.1;
            value.parse::<f64>().ok()
        });
        Ok(values.sum())
    }

    /// Its processor time and memory so far.
    ///
    /// # Errors
    /// Where `/proc` cannot be read.
    pub fn usage(&self) -> io::Result<Usage> {
        usage(self.child.id())
    }

    /// Stops it with SIGTERM, so that it drains, and waits for its end.
    ///
    /// # Errors
    /// Where it cannot be told, or does not end in time.
    pub fn stop(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("the pipeline has no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > WAIT {
                bail!("the pipeline did not stop within {WAIT:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads where a process takes orders, if it does, and its management port.
fn greeting(child: &mut Child) -> Result<(Option<SocketAddr>, SocketAddr)> {
    let output = child.stdout.take().context("the pipeline has no output")?;
    let (sender, lines) = mpsc::channel();
    // It ends with the process's output, or when nobody listens any more.
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        while let Some(Ok(line)) = lines.next()
            && sender.send(line).is_ok()
        {}
    });
    let started = Instant::now();
    let (mut orders, mut manage) = (None, None);
    while let Ok(line) = lines.recv_timeout(UP_WITHIN.saturating_sub(started.elapsed())) {
        let address = |marker: &str| -> Option<SocketAddr> {
            line.split_once(marker)?.1.split('/').next()?.parse().ok()
        };
        orders = orders.or(address("taken at http://"));
        manage = manage.or(address("are at http://"));
        if line.ends_with("Ctrl-C stops") {
            break;
        }
    }
    Ok((orders, manage.context("it did not say where its management port is")?))
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // It has ended already where it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
