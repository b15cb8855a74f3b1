//! The arguments of a run. Where a workload file says the same, the argument is an option and overrides it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use loadgen::plan::statuses;

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Where to send, e.g. http://127.0.0.1:8080/v1/orders or https://example.org/
    #[arg(long)]
    pub(crate) url: String,

    /// The rate over time and what to send, from a TOML file; see loadgen/workloads. Other arguments override it
    #[arg(long, value_name = "FILE")]
    pub(crate) workload: Option<PathBuf>,

    /// Orders a second, steadily; with --batch a request carries several. May have a fraction, e.g. 0.5 [default: 1000]
    #[arg(long, value_name = "ORDERS/S")]
    pub(crate) rate: Option<f64>,

    /// How long to send, e.g. 500ms, 10s, 5m or 1h [default: 10s]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,

    /// Replay the orders of --data with the gaps between their created_at, this many times as fast
    #[arg(long, value_name = "TIMES", conflicts_with_all = ["rate", "duration"])]
    pub(crate) speed: Option<f64>,

    /// No schedule: each connection sends its next request when it has its reply. Measures service alone, and the run
    /// is not valid
    #[arg(long, conflicts_with_all = ["rate", "speed"])]
    pub(crate) closed: bool,

    /// Connections over all threads, each with one request under way at a time, or one a stream
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) connections: usize,

    /// Requests that a connection may have under way; more than 1 needs --http2
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) streams: usize,

    /// The most requests under way over all connections; what is due above it waits, and that counts as delay
    #[arg(long, value_name = "N")]
    pub(crate) max_in_flight: Option<usize>,

    /// Threads, each with its own share of the schedule and of the connections
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,

    /// Orders a request: 1 posts single JSON objects, more posts NDJSON [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,

    /// Send no more orders than this
    #[arg(long, value_name = "N")]
    pub(crate) orders: Option<usize>,

    /// Send the orders of this file, .ndjson or .ndjson.gz, one a line; otherwise orders are generated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body_file", "body_template", "no_body"])]
    pub(crate) data: Option<PathBuf>,

    /// What generated orders, or the numbers of a template, are drawn from: the same seed is the same load [default: 1]
    #[arg(long, conflicts_with = "data")]
    pub(crate) seed: Option<u64>,

    /// The share of generated orders that are malformed, from 0 to 1
    #[arg(long, value_name = "SHARE", conflicts_with = "data")]
    pub(crate) malformed: Option<f64>,

    /// The beginning of the generated order ids; a new one each time unless it is given
    #[arg(long, conflicts_with = "data", value_name = "ID")]
    pub(crate) run_id: Option<String>,

    /// Send this file's bytes as each request's body, to any server; 2xx counts as accepted, nothing is sent again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body_template", "no_body", "batch", "outcomes"])]
    pub(crate) body_file: Option<PathBuf>,

    /// Send this file as each body with its placeholders filled in: {{seq}} {{uuid}} {{int:1:100}} {{choice:a|b}}
    /// {{now}} {{now_ms}} {{now_ns}}, the last three of the instant at which the request is due
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_body", "batch", "outcomes"])]
    pub(crate) body_template: Option<PathBuf>,

    /// Send no body; the default for GET, HEAD, DELETE and OPTIONS
    #[arg(long, conflicts_with_all = ["batch", "outcomes"])]
    pub(crate) no_body: bool,

    /// The HTTP method [default: POST]
    #[arg(long)]
    pub(crate) method: Option<String>,

    /// A further request header, "Name: value"; may be given several times
    #[arg(long, short = 'H', value_parser = header, value_name = "HEADER")]
    pub(crate) header: Vec<(String, String)>,

    /// Statuses that count as accepted: 200, 2xx, 200-204; may be given several times, or with commas
    #[arg(long, value_parser = statuses, value_delimiter = ',', value_name = "STATUS")]
    pub(crate) expect: Vec<RangeInclusive<u16>>,

    /// HTTP/2 instead of HTTP/1.1: with http by prior knowledge (h2c), with https agreed on by ALPN
    #[arg(long)]
    pub(crate) http2: bool,

    /// With https: trust the authorities of this PEM file and nobody else; otherwise those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// With https: do not check the server's certificate. Whoever answers is measured
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,

    /// Connect to this Unix socket; the URL then gives Host and path alone
    #[arg(long, value_name = "PATH")]
    pub(crate) unix_socket: Option<PathBuf>,

    /// A request without a whole reply after this time is given up; its orders are unknown
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,

    /// After the schedule, send failed and unknown orders again for up to this long; 0s: not at all
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) retry_for: Duration,

    /// The run is not valid if less than this share of the rate was achieved
    #[arg(long, default_value_t = 0.99, value_name = "SHARE")]
    pub(crate) min_achieved: f64,

    /// The run is not valid if the 99th percentile of delay (due -> sent) is longer than this
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    pub(crate) max_delay: Duration,

    /// The run is not valid if a thread of the generator computed for more than this share of its time
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    pub(crate) max_cpu: f64,

    /// Before each due instant look at the clock for this long rather than sleep: off, auto or e.g. 100us. auto does
    /// what the calibration has shown to help, and without one sleeps
    #[arg(long, default_value = "off", value_parser = spin, value_name = "TIME")]
    pub(crate) spin: Spin,

    /// Wake up no more often than this: what comes due in between is sent together, up to this late. It costs less CPU
    #[arg(long, default_value = "100us", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) slack: Duration,

    /// Put this calibration into the report, see `loadgen calibrate`
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,

    /// Calibrate before the run, which takes about half a minute, and put it into the report
    #[arg(long, conflicts_with = "calibration")]
    pub(crate) calibrate: bool,

    /// Write the report to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write the outcome of each order to this file, for `pipeline ledger`
    #[arg(long, value_name = "FILE")]
    pub(crate) outcomes: Option<PathBuf>,

    /// Write the latencies of each second to this file, as an HdrHistogram interval log with tags
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr_log: Option<PathBuf>,

    /// Serve Prometheus metrics of the running generator here, e.g. 127.0.0.1:9600
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// Show a line on standard error each second even if that is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

/// What to do before a due instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spin {
    /// What the calibration has shown to help.
    Auto,
    /// Look at the clock for this long; zero: not at all.
    For(Duration),
}

fn spin(text: &str) -> Result<Spin, String> {
    match text {
        "off" => Ok(Spin::For(Duration::ZERO)),
        "auto" => Ok(Spin::Auto),
        time => humantime::parse_duration(time)
            .map(Spin::For)
            .map_err(|_| "it is none of off, auto and a time such as 100us".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header looks like \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
