//! A whole pipeline while it runs: one process, or ingest and processor.

use super::http::{Reply, exchange};
use super::process::Process;
use std::net::SocketAddr;

/// The processes of a way, in its order: the first one takes orders, the last one stores them.
pub struct Running {
    pub parts: Vec<Process>,
    /// Where orders are taken.
    pub orders: SocketAddr,
}

impl Running {
    /// A pipeline of these processes.
    pub fn of(parts: Vec<Process>) -> Self {
        let orders = parts[0].orders.expect("the first process takes orders");
        Self { parts, orders }
    }

    /// kill -9 of each process, and the end of all.
    pub fn kill(self) {
        self.parts.into_iter().for_each(Process::kill);
    }

    /// SIGTERM to one after the other, each when the one before it has ended; the first exit code that is not 0, or 0.
    pub fn terminate(self) -> Option<i32> {
        let codes: Vec<_> = self.parts.into_iter().map(Process::terminate).collect();
        codes.into_iter().find(|code| *code != Some(0)).unwrap_or(Some(0))
    }

    /// The value of a metric, named with its labels as it stands in the text, over all processes; 0 where it does not.
    pub fn metric(&self, name: &str) -> f64 {
        self.values(|line| line.strip_prefix(name)?.strip_prefix(' '))
    }

    /// The sum of a metric over its labels and all processes.
    pub fn sum(&self, name: &str) -> f64 {
        self.values(|line| {
            let rest = line.strip_prefix(name)?;
            (rest.starts_with('{') || rest.starts_with(' ')).then(|| rest.rsplit(' ').next())?
        })
    }

    fn values(&self, value: impl Fn(&str) -> Option<&str>) -> f64 {
        let pages = self.parts.iter().map(|part| part.page("/metrics").body);
        pages
            .map(|page| page.lines().filter_map(&value).map(|text| text.parse::<f64>().unwrap()).sum::<f64>())
            .sum()
    }

    /// Posts a body as JSON.
    pub fn post(&self, body: &str) -> Reply {
        self.post_as("application/json", body.as_bytes()).expect("the pipeline answers")
    }

    /// Posts a body with a media type; `None` if the connection ended without a whole answer.
    pub fn post_as(&self, media: &str, body: &[u8]) -> Option<Reply> {
        let head = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        exchange(self.orders, &[head.as_bytes(), body].concat())
    }
}
