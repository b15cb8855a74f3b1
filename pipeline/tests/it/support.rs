//! What the tests start and speak to: a pipeline of their own, in a process of its own, and a client that sends bytes
//! exactly as it is told.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// `pipeline embedded` on a data folder, on ports that the system chose. Dropping it kills it.
pub struct Pipeline {
    child: Child,
    /// Where it takes orders.
    pub orders: SocketAddr,
    /// Its management port.
    pub manage: SocketAddr,
}

impl Pipeline {
    /// Starts it, with more settings as `key=value`, and waits until it takes orders.
    pub fn start(data_dir: &Path, settings: &[&str]) -> Self {
        Self::listening(Self::spawn(data_dir, settings, Stdio::null()))
    }

    /// Starts it as [`Pipeline::start`] does; what it logs goes to a file, as JSON.
    pub fn start_logging(data_dir: &Path, settings: &[&str], log: &Path) -> Self {
        let settings = [settings, &["observe.log_format=json"]].concat();
        Self::listening(Self::spawn(data_dir, &settings, File::create(log).unwrap().into()))
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(data_dir: &Path, settings: &[&str], log: Stdio) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        command.args([
            "embedded",
            "--set",
            "receive.listen=127.0.0.1:0",
            "--set",
            "manage.listen=127.0.0.1:0",
        ]);
        command.arg("--data-dir").arg(data_dir);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
    }

    fn listening(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |marker: &str| {
            let line = lines.next().expect("the pipeline ended before it listened").unwrap();
            let rest = line.split_once(marker).unwrap_or_else(|| panic!("unexpected: {line}")).1;
            rest.split('/').next().unwrap().parse().unwrap()
        };
        let (orders, manage) = (address("taken at http://"), address("are at http://"));
        Self { child, orders, manage }
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
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// A page of the management port.
    pub fn page(&self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        exchange(self.manage, request.as_bytes()).expect("the management port answers")
    }

    /// The value of a metric, named with its labels as it stands in the text; 0 if it does not.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.page("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Resident memory in KiB, now and at its peak.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
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

impl Drop for Pipeline {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The head, in small letters.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends bytes on a new connection and reads one answer; `None` if the connection ended without a whole one.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // The server may answer and close before it has read all; what it said is read then all the same.
    let _ = stream.write_all(request);
    read_answer(&mut stream, !request.starts_with(b"HEAD "))
}

/// Reads one answer with a content length.
pub fn read_reply(stream: &mut TcpStream) -> Option<Reply> {
    read_answer(stream, true)
}

/// Reads one answer. One to HEAD has the length of a body, but none.
fn read_answer(stream: &mut TcpStream, has_body: bool) -> Option<Reply> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.filter(|_| has_body).map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let status = head.split(' ').nth(1)?.parse().ok()?;
                let body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned();
                return Some(Reply { status, head, body });
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// `pipeline ledger --json` on a data folder.
pub fn ledger(data_dir: &Path, more: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(["ledger", "--json", "--data-dir"])
        .arg(data_dir)
        .args(more)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Waits until a condition holds, and fails when it does not in time.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until everything in the log is stored, and asserts that the books balance.
pub fn balanced(data_dir: &Path) -> serde_json::Value {
    let start = Instant::now();
    loop {
        let found = ledger(data_dir, &[]);
        let pending = found["total"]["pending"].as_u64().unwrap();
        if pending == 0 {
            assert_eq!(found["balanced"], true, "{found:#}");
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "{pending} records are still pending");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits for a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// An order id that belongs to a partition of the default six.
pub fn id_of(partition: u32, name: &str) -> String {
    let mut ids = (0..).map(|n| format!("{name}-{n}"));
    ids.find(|id| pipeline::log::partitioner::partition(id.as_bytes(), 6) == partition).unwrap()
}
