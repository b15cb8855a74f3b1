//! Secrets: what they are known by, how they are shown, which is not at all, and the files that they may stand in.

use super::reader::Reader;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use toml::Value;

/// What stands for a secret wherever a value is shown.
pub const MASK: &str = "***";
/// A setting whose name ends so is the path of a file that holds the value of the setting without it.
const FILE: &str = "_file";

/// A text that is never shown: not by `Debug`, and there is no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the driver that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_empty() { "\"\"" } else { MASK })
    }
}

/// Settings that are somebody else's, by name. `Debug` shows which there are, and of secrets no more.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Deref for Settings {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| (name, if is_secret(name) { MASK } else { value }));
        out.debug_map().entries(shown).finish()
    }
}

/// Whether a setting of this name holds a secret. The path of a file is none; what stands in the file is.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let named = ["password", "secret", "token", "passphrase", "credential", "sasl.", "ssl.key."];
    // Which mechanism is used is what an operator has to know when a login fails.
    let told = key.ends_with(FILE) || key.ends_with("sasl.mechanism") || key.ends_with("sasl.mechanisms");
    !told && named.iter().any(|word| key.contains(word))
}

/// A value as it may be shown: a secret is masked, and so are user and password within a URL.
pub(super) fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => value.to_string(),
        _ if is_secret(key) => format!("\"{MASK}\""),
        Value::String(text) => Value::String(without_login(text)).to_string(),
        _ => value.to_string(),
    }
}

/// A text in which what stands between `://` and `@` is masked.
fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => text.to_owned(),
    }
}

impl Reader<'_> {
    /// A secret: the setting itself, or what stands in the file that `<key>_file` names.
    pub(super) fn secret(&mut self, key: &str) -> Secret {
        let value = self.text(key);
        let file = format!("{key}{FILE}");
        let path = self.text(&file);
        match (value.is_empty(), path.is_empty()) {
            (_, true) => Secret(value),
            (true, false) => Secret(self.content(&file, &path)),
            (false, false) => {
                self.wrong(&file, &format!("only one of {key} and {file}"));
                Secret::default()
            }
        }
    }

    /// All settings under a prefix; one whose name ends in `_file` is replaced by what stands in the file.
    pub(super) fn settings(&mut self, prefix: &str) -> Settings {
        let mut settings = self.open(prefix);
        let files: Vec<String> = settings.keys().filter(|name| name.ends_with(FILE)).cloned().collect();
        for file in files {
            let path = settings.remove(&file).unwrap_or_default();
            let name = file.trim_end_matches(FILE).to_owned();
            let content = self.content(&format!("{prefix}{file}"), &path);
            if settings.insert(name.clone(), content).is_some() {
                self.wrong(&format!("{prefix}{file}"), &format!("only one of {name} and {file}"));
            }
        }
        Settings(settings)
    }

    /// A file's text without the line's end that editors put there.
    fn content(&mut self, key: &str, path: &str) -> String {
        match std::fs::read_to_string(path) {
            Ok(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
            Err(error) => {
                self.wrong(key, &format!("a file that can be read ({error})"));
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Layers};
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_paths_are_none() {
        for secret in [
            "cassandra.password",
            "kafka.client.sasl.password",
            "kafka.client.sasl.username",
            "kafka.consumer.ssl.key.pem",
            "kafka.client.ssl.keystore.password",
            "kafka.client.sasl.oauthbearer.client.secret",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in ["receive.listen", "cassandra.password_file", "kafka.client.sasl.mechanisms"] {
            assert!(!is_secret(open), "{open}");
        }
    }

    #[test]
    fn a_login_within_a_url_is_masked() {
        for (url, wanted) in [
            ("http://ann:canary@host:1/x?a@b", "http://***@host:1/x?a@b"),
            ("http://host:1/a@b", "http://host:1/a@b"),
            ("plain@text", "plain@text"),
        ] {
            assert_eq!(without_login(url), wanted);
        }
    }

    #[test]
    fn a_secret_comes_from_its_setting_or_from_a_file_and_never_from_both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "from a file \n").unwrap();
        let path = path.display().to_string();
        let read = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Layers::load(None, None, [], &pairs).and_then(|layers| Config::read(&layers))
        };
        let pairs = [("cassandra.password_file", path.as_str()), ("kafka.client.sasl.password_file", &path)];
        let config = read(&pairs).unwrap();
        assert_eq!(config.cassandra.password.expose(), "from a file ");
        assert_eq!(config.kafka.client["sasl.password"], "from a file ");
        let debug = format!("{config:?}");
        assert!(!debug.contains("from a file") && debug.contains("sasl.password"), "{debug}");
        for (pairs, complaint) in [
            ([("clickhouse.password", "canary"), ("clickhouse.password_file", &path)], "only one of"),
            (
                [("kafka.client.sasl.password", "canary"), ("kafka.client.sasl.password_file", &path)],
                "only one",
            ),
            ([("clickhouse.password_file", "/nowhere/x"), ("order.currency", "USD")], "No such file"),
        ] {
            let error = read(&pairs).unwrap_err().to_string();
            assert!(error.contains(complaint) && !error.contains("canary"), "{error}");
        }
    }
}
