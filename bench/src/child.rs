//! The pipeline as a process of its own: the program that calls this runs itself again as `pipeline`, so that the
//! pipeline's memory and processor time are its own and can be read, and nothing but cargo is needed.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
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

/// A running `pipeline embedded`. Dropping it kills it.
#[derive(Debug)]
pub struct Pipeline {
    child: Child,
    /// Where it takes orders.
    pub orders: SocketAddr,
    /// Its management port.
    pub manage: SocketAddr,
}

impl Pipeline {
    /// Starts it on a data folder, on free ports of loopback, with more settings as `key=value`.
    ///
    /// # Errors
    /// Where it does not start; why is on standard error.
    pub fn start(data_dir: &Path, settings: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("failed to find this program")?);
        command.args([AS_PIPELINE, "embedded", "--set", "receive.listen=127.0.0.1:0"]);
        command.args(["--set", "manage.listen=127.0.0.1:0", "--set", "observe.log=warn", "--data-dir"]);
        command.arg(data_dir);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the pipeline")?;
        let greeting = child.stdout.take().map(BufReader::new).context("the pipeline has no output")?;
        let mut lines = greeting.lines();
        let mut address = |before: &str| -> Result<SocketAddr> {
            let line = lines.next().context("the pipeline did not start")??;
            let rest = line.split_once(before).with_context(|| format!("the pipeline said: {line}"))?.1;
            rest.split('/').next().unwrap_or_default().parse().context("the pipeline gave no address")
        };
        let (orders, manage) = (address("taken at http://")?, address("are at http://")?);
        Ok(Self { child, orders, manage })
    }

    /// Where orders are posted.
    pub fn url(&self) -> String {
        format!("http://{}/v1/orders", self.orders)
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
