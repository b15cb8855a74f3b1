//! The commands that go on until a signal ends them.

use crate::config::Config;
use crate::wire;
use anyhow::{Result, anyhow};
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) async fn embedded(config: &Config) -> Result<ExitCode> {
    start_tracing(config)?;
    let signals = Signals::new()?;
    let embedded = wire::start_embedded(config).await?;
    let data = format!("the data is in {}; ", config.embedded.data_dir.display());
    greet(Some((config, embedded.address)), embedded.manage, &data);
    signals.stop(|| embedded.stop()).await
}

pub(super) async fn ingest(config: &Config) -> Result<ExitCode> {
    start_tracing(config)?;
    let signals = Signals::new()?;
    let ingest = wire::start_ingest(config).await?;
    let log = format!("they go to topic {} at {}; ", config.kafka.topic, config.kafka.brokers);
    greet(Some((config, ingest.address)), ingest.manage, &log);
    signals.stop(|| ingest.stop()).await
}

pub(super) async fn process(config: &Config) -> Result<ExitCode> {
    start_tracing(config)?;
    let signals = Signals::new()?;
    let process = wire::start_process(config).await?;
    let group = format!("topic {} is read as a member of group {}; ", config.kafka.topic, config.kafka.group);
    greet(None, process.manage, &group);
    signals.stop(|| process.stop()).await
}

/// Says where things are, once they are there.
fn greet(orders: Option<(&Config, SocketAddr)>, manage: Option<SocketAddr>, about: &str) {
    let orders = orders.map_or_else(String::new, |(config, address)| {
        let scheme = if config.receive.access.tls.is_some() { "https" } else { "http" };
        format!("orders are taken at {scheme}://{address}/v1/orders\n")
    });
    let manage = manage.map_or_else(String::new, |manage| {
        format!("metrics and health are at http://{manage}/metrics and /readyz\n")
    });
    let greeting = format!("{orders}{manage}{about}Ctrl-C stops\n");
    // Whoever started it may have closed its standard output; that is no reason to stop.
    let _ = std::io::stdout().write_all(greeting.as_bytes());
}

/// The signals that end the process: the first one drains, a second interrupt does not wait for it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    /// Waits for a signal, then for the stop that it asks for.
    async fn stop<F: Future<Output = Result<()>>>(mut self, stop: impl FnOnce() -> F) -> Result<ExitCode> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("stopping");
        tokio::select! {
            stopped = stop() => stopped?,
            _ = self.interrupt.recv() => return Err(anyhow!("stopped a second time, without draining")),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn start_tracing(config: &Config) -> Result<()> {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_directives)
        .map_err(|error| anyhow!("observe.log: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.log_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|error| anyhow!(error))
}
