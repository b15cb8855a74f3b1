//! Secrets stay secret: every command is given canaries in every place that a secret can come from, told to log all that
//! it can, and made to fail where it can fail; nothing that it prints holds one.

use crate::support::exchange;
use crate::ways::process::program;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// What every canary has in it, whatever else is around it.
const CANARY: &str = "canary";

/// Where the canaries are, beside flags: the environment, a file of settings, and files of secrets.
struct Nest {
    folder: tempfile::TempDir,
}

impl Nest {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nest = Self { folder };
        nest.write("password", "canary-of-a-file\n");
        let password = path(&nest.path("password"));
        let settings = [
            "[cassandra]\nuser = 'ann'\npassword = 'canary-cassandra'\n",
            "[clickhouse]\nuser = 'ann'\npassword_file = '",
            &password,
            "'\n[kafka.client]\nsasl.password = 'canary-kafka'\nssl.key.password = 'canary-key'\ndebug = 'all'\n",
            "security.protocol = 'sasl_plaintext'\nsasl.mechanisms = 'PLAIN'\n",
        ];
        nest.write("settings.toml", &settings.concat());
        nest
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A command with all of them; servers are named that nobody runs.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--config").arg(self.path("settings.toml"));
        command.env("PIPELINE_KAFKA_CLIENT_SASL_USERNAME", "canary-user");
        command.env("PIPELINE_KAFKA_PRODUCER_SSL_KEY_PEM", "canary-pem");
        for setting in [
            "kafka.consumer.sasl.oauthbearer.client.secret=canary-flag",
            "kafka.brokers=127.0.0.1:1",
            "cassandra.nodes=127.0.0.1:1",
            "clickhouse.url=http://127.0.0.1:1",
            "kafka.timeout=300ms",
            "cassandra.connect_timeout=300ms",
            "observe.log=trace",
            "receive.listen=127.0.0.1:0",
            "manage.listen=127.0.0.1:0",
        ] {
            command.args(["--set", setting]);
        }
        command
    }

    fn data(&self) -> String {
        format!("embedded.data_dir={}", self.path("data").display())
    }
}

/// Runs a command that ends by itself; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

/// Starts a command that goes on, lets `visit` ask it something where it takes orders, stops it; what it printed.
fn serve(command: &mut Command, visit: impl FnOnce(std::net::SocketAddr)) -> String {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut said = String::new();
        errors.read_to_string(&mut said).unwrap();
        said
    });
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut said, mut at) = (String::new(), None);
    while at.is_none() && out.read_line(&mut said).unwrap() > 0 {
        let address = said.split("taken at http://").nth(1).and_then(|rest| rest.split('/').next());
        at = address.map(|address| address.parse().unwrap());
    }
    visit(at.unwrap_or_else(|| panic!("it takes no orders: {said}")));
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    out.read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    said + &reading.join().unwrap()
}

fn assert_silent(what: &str, said: &str) {
    assert!(!said.is_empty(), "{what} said nothing, so that nothing was tested");
    for line in said.lines() {
        assert!(!line.to_lowercase().contains(CANARY), "{what} gives a secret away: {line}");
        // A digest, an encoding or a part would be as bad; these are the ones that protocols use.
        for encoded in ["Y2FuYXJ5", "63616e617279"] {
            assert!(!line.contains(encoded), "{what} gives a secret away, encoded: {line}");
        }
    }
}

#[test]
fn no_command_prints_a_secret_wherever_it_came_from() {
    let nest = Nest::new();
    for arguments in [
        &["config"][..],
        &["schema", "apply"],
        &["schema", "check"],
        &["process"],
        &["ledger"],
        &["ledger", "--json"],
        &["sales"],
        &["order", "some-id"],
    ] {
        let mut command = nest.command(arguments);
        command.args(["--set", "mode=servers"]);
        assert_silent(&arguments.join(" "), &run(&mut command));
    }
    let shown = run(&mut nest.command(&["config"]));
    for line in [
        "cassandra.password = \"***\"",
        "kafka.client.sasl.password = \"***\"",
        "kafka.client.sasl.username = \"***\"",
        "kafka.client.ssl.key.password = \"***\"",
        "kafka.producer.ssl.key.pem = \"***\"",
        "kafka.consumer.sasl.oauthbearer.client.secret = \"***\"",
        "kafka.client.sasl.mechanisms = \"PLAIN\"",
    ] {
        assert!(shown.contains(line), "{line} is missing in {shown}");
    }
}

#[test]
fn what_serves_logs_neither_its_secrets_nor_those_that_clients_show() {
    let nest = Nest::new();
    let digest = "ab".repeat(32);
    nest.write("tokens", &format!("client {digest}\n"));
    let tokens = format!("receive.tokens_file={}", nest.path("tokens").display());
    let ask = |address| {
        let body = r#"{"customer_id":3,"source":"Online","quantity":1,"total":5}"#;
        let length = body.len();
        let request = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer canary-token\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        assert_eq!(exchange(address, request.as_bytes()).unwrap().status, 401);
    };
    let mut embedded = nest.command(&["embedded"]);
    embedded.args(["--set", &nest.data(), "--set", &tokens]);
    assert_silent("embedded", &serve(&mut embedded, ask));
    // librdkafka is not made to take ssl.key.password, which this build may not know.
    let mut ingest = nest.command(&["ingest"]);
    nest.write("settings.toml", "[kafka.client]\nsasl.password = 'canary-kafka'\nsasl.mechanisms = 'PLAIN'\ndebug = 'all'\nsecurity.protocol = 'sasl_plaintext'\n");
    ingest.env_remove("PIPELINE_KAFKA_PRODUCER_SSL_KEY_PEM").args(["--set", &tokens]);
    assert_silent("ingest", &serve(&mut ingest, ask));
}

#[test]
fn what_is_wrong_with_a_setting_is_told_without_the_secret_in_it() {
    let nest = Nest::new();
    let broken = |name: &str, text: &str| {
        nest.write(name, text);
        ["config".to_owned(), "--config".to_owned(), path(&nest.path(name))]
    };
    let set = |setting: &str| ["config".to_owned(), "--set".to_owned(), setting.to_owned()];
    let file = nest.path("password");
    for (arguments, complaint) in [
        (broken("1.toml", "[cassandra]\npassword = canary"), "line 2"),
        (broken("2.toml", "[cassandra]\npassword = ['canary']"), "cassandra.password"),
        (broken("3.toml", "[cassandra]\npassword = 'canary'\npassword = 'canary'"), "line 3"),
        (broken("4.toml", "[cassandra]\npasword = 'canary'"), "did you mean cassandra.password"),
        (set("cassandra.password:canary"), "KEY=VALUE is wanted"),
        (set("cassandra.pasword=canary"), "did you mean cassandra.password"),
        (set("clickhouse.url=http://ann:canary@127.0.0.1:1"), "instead of a login in it"),
        (set("clickhouse.url=ftp://ann:canary@127.0.0.1:1"), "begins with http://"),
        (set(&format!("clickhouse.authorities={}", path(&file))), "there is no certificate in it"),
    ] {
        let output = program().args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(said[1].contains(complaint), "{complaint} is missing in {}", said[1]);
        // A flag's value stands in the list of processes in any case, but not in what is logged of an error.
        assert_silent(complaint, &said.concat());
    }
    // A setting of librdkafka that it does not take is named without its value.
    let mut ingest = program();
    ingest.args(["ingest", "--set", "receive.listen=127.0.0.1:0", "--set", "manage.listen=127.0.0.1:0"]);
    ingest.args(["--set", "kafka.client.sasl.oauthbearer.secret.of.nobody=canary"]);
    let mut child = ingest.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{said}");
    assert_silent("ingest", &said);
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
