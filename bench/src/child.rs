//! The pipeline as a process of its own: the program that calls this runs itself again as `pipeline`, so that the
//! pipeline's memory and processor time are its own and can be read, and nothing but cargo is needed.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::machine::{Usage, usage};

/// The first argument with which a program of this crate is `pipeline`.
const AS_PIPELINE: &str = "pipeline";
const WAIT: Duration = Duration::from_secs(30);

/// What to call first in `main`: where the arguments ask for `pipeline`, it is that program to its end.
pub fn pipeline_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|first| first == AS_PIPELINE);
    asked.then(|| pipeline::cli::main([OsString::from(AS_PIPELINE)].into_iter().chain(arguments)))
}

/// Runs one of its commands to its end, with more settings as `key=value`.
///
/// # Errors
/// Where it fails; why is on standard error.
pub fn complete(command: &str, settings: &[String]) -> Result<()> {
    let status = spawn(command, &[], settings)?.wait()?;
    if status.success() { Ok(()) } else { bail!("`pipeline {command}` ended with {status}") }
}

fn spawn(command: &str, own: &[&str], settings: &[String]) -> Result<Child> {
    let mut pipeline = Command::new(std::env::current_exe().context("failed to find this program")?);
    pipeline.arg(AS_PIPELINE).args(command.split(' '));
    for setting in own.iter().copied().chain(["observe.log=warn"]).chain(settings.iter().map(String::as_str))
    {
        pipeline.args(["--set", setting]);
    }
    pipeline.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("failed to start the pipeline")
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
        let mut child =
            spawn(command, &["receive.listen=127.0.0.1:0", "manage.listen=127.0.0.1:0"], settings)?;
        let greeting = child.stdout.take().map(BufReader::new).context("the pipeline has no output")?;
        let (mut orders, mut manage) = (None, None);
        for line in greeting.lines() {
            let line = line?;
            let address = |marker: &str| -> Option<SocketAddr> {
                line.split_once(marker)?.1.split('/').next()?.parse().ok()
            };
            orders = orders.or(address("taken at http://"));
            manage = manage.or(address("are at http://"));
            if line.ends_with("Ctrl-C stops") {
                break;
            }
        }
        let manage = manage.with_context(|| format!("`pipeline {command}` did not start"))?;
        Ok(Self { child, orders, manage })
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
        let mut stream = TcpStream::connect(self.manage)?;
        stream.set_read_timeout(Some(WAIT))?;
        // HTTP/1.0, so that the answer ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
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
        let text = self.page("/metrics")?;
        let values = text.lines().filter_map(|line| {
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

impl Drop for Pipeline {
    fn drop(&mut self) {
        // It has ended already where it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
