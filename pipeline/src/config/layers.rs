//! The layers of the configuration as a flat map from key to value, each value with its source.

use super::secret::shown;
use super::{ConfigErrors, Mode};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../../default.toml");
const ENVIRONMENT: &str = "PIPELINE_";
/// Sections whose keys are librdkafka's own. Any is taken; librdkafka refuses what it does not know.
const OPEN: [&str; 3] = ["kafka.client.", "kafka.producer.", "kafka.consumer."];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `default.toml`.
    Default,
    /// `[profile.NAME]` in `default.toml`.
    Profile(&'static str),
    /// A configuration file.
    File(String),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(out, "default"),
            Self::Profile(name) => write!(out, "default of {name}"),
            Self::File(path) => write!(out, "file {path}"),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::Flag => write!(out, "flag"),
        }
    }
}

/// The effective value of each key, and its source.
#[derive(Debug)]
pub struct Layers {
    pub(super) values: BTreeMap<String, (Value, Source)>,
    /// What was wrong with the layers themselves; the reader adds the rest.
    pub(super) errors: Vec<String>,
}

impl Layers {
    /// Lays the defaults, the profile's defaults, the file, the environment's `PIPELINE_…` variables and the flags
    /// over each other.
    ///
    /// # Errors
    /// Only where the defaults themselves cannot be read, or the file cannot; unknown keys and wrong types are kept
    /// for the list that [`super::Config::read`] makes.
    pub fn load(
        profile: Option<&'static str>,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigErrors> {
        let mut defaults = table(DEFAULTS, "default.toml")?;
        let profiles = defaults.remove("profile");
        let mut layers = Self { values: BTreeMap::new(), errors: Vec::new() };
        flatten(defaults, "", &mut |key, value| {
            layers.values.insert(key, (value, Source::Default));
        });
        if let (Some(name), Some(Value::Table(mut profiles))) = (profile, profiles)
            && let Some(Value::Table(own)) = profiles.remove(name)
        {
            layers.lay(own, &Source::Profile(name));
        }
        if let Some(path) = file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigErrors(vec![format!("{name}: cannot be read: {error}")]))?;
            layers.lay(table(&text, &name)?, &Source::File(name));
        }
        let keys: BTreeMap<String, String> =
            layers.values.keys().map(|key| (variable(key), key.clone())).collect();
        for (name, text) in environment {
            if !name.starts_with(ENVIRONMENT) {
                continue;
            }
            match (keys.get(&name), open_key(&name)) {
                (Some(key), _) => layers.set_text(key, &text, Source::Environment(name)),
                (None, Some(key)) => {
                    layers.values.insert(key, (Value::String(text), Source::Environment(name)));
                }
                (None, None) => {
                    let near = nearest(&name, keys.keys());
                    layers.errors.push(format!("environment {name}: no such setting{near}"));
                }
            }
        }
        for (key, text) in flags {
            if layers.values.contains_key(key) {
                layers.set_text(key, text, Source::Flag);
            } else if is_open(key) {
                layers.values.insert(key.clone(), (Value::String(text.clone()), Source::Flag));
            } else {
                layers.unknown(key, &Source::Flag);
            }
        }
        Ok(layers)
    }

    /// The mode, as far as it can be told; what is wrong with it [`super::Config::read`] says.
    pub fn mode(&self) -> Mode {
        let name = self.values.get("mode").and_then(|(value, _)| value.as_str());
        name.and_then(Mode::from_name).unwrap_or(Mode::Embedded)
    }

    /// Each key with its value as TOML, a secret masked, and its source, in alphabetical order.
    pub fn lines(&self) -> impl Iterator<Item = (&str, String, &Source)> {
        self.values.iter().map(|(key, (value, source))| (key.as_str(), shown(key, value), source))
    }

    fn lay(&mut self, layer: Table, source: &Source) {
        flatten(layer, "", &mut |key, value| match self.values.get_mut(&key) {
            Some(slot) => *slot = (value, source.clone()),
            None if is_open(&key) => {
                self.values.insert(key, (value, source.clone()));
            }
            None => self.unknown(&key, source),
        });
    }

    fn unknown(&mut self, key: &str, source: &Source) {
        let near = nearest(key, self.values.keys());
        self.errors.push(format!("{key} ({source}): no such setting{near}"));
    }

    /// Lays a text, taking it for what the default is: a string as it stands, all else as TOML; a list also with
    /// commas alone.
    fn set_text(&mut self, key: &str, text: &str, source: Source) {
        let Some((slot, from)) = self.values.get_mut(key) else { return };
        *slot = match slot {
            Value::String(_) => Value::String(text.to_owned()),
            Value::Array(_) if !text.trim_start().starts_with('[') => {
                Value::Array(text.split(',').map(|part| Value::String(part.trim().to_owned())).collect())
            }
            _ => toml::from_str::<Table>(&format!("value = {text}"))
                .ok()
                .and_then(|mut table| table.remove("value"))
                .unwrap_or_else(|| Value::String(text.to_owned())),
        };
        *from = source;
    }
}

fn is_open(key: &str) -> bool {
    OPEN.iter().any(|section| key.starts_with(section))
}

/// The key of an open section that a variable's name stands for: librdkafka's names have dots and no underscores, but
/// for a few that no default sets (use a file or a flag for those).
fn open_key(name: &str) -> Option<String> {
    let key = name.strip_prefix(ENVIRONMENT)?.to_lowercase().replace('_', ".");
    // The one name with an underscore that must work here: it keeps the password itself out of the environment.
    let key = key.replace("password.file", "password_file");
    is_open(&key).then_some(key)
}

fn variable(key: &str) -> String {
    format!("{ENVIRONMENT}{}", key.replace('.', "_").to_uppercase())
}

fn table(text: &str, name: &str) -> Result<Table, ConfigErrors> {
    // The error's own text shows the line that it is about, which may hold a secret.
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigErrors(vec![format!("{name}: line {line}: {}", error.message())])
    })
}

fn flatten(layer: Table, prefix: &str, each: &mut impl FnMut(String, Value)) {
    for (name, value) in layer {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(inner, &key, each),
            value => each(key, value),
        }
    }
}

/// The known name that differs least, if it differs by little: typing errors deserve an answer.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> String {
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, candidate)| format!("; did you mean {candidate}?"))
        .unwrap_or_default()
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((j, y), pair) in b.chars().enumerate().zip(row.windows(2)) {
            let (Some(diagonal), Some(above)) = (pair.first(), pair.last()) else { break };
            let left = next.get(j).copied().unwrap_or(usize::MAX);
            next.push((diagonal + usize::from(x != y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_over_the_environment_over_the_file_over_the_profile_over_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.toml");
        std::fs::write(&path, "[receive]\nthreads = 3\nlisten = '1.1.1.1:1'\n[log]\npartitions = 2\n")
            .unwrap();
        let environment =
            [("PIPELINE_RECEIVE_LISTEN".into(), "2.2.2.2:2".into()), ("HOME".into(), "/".into())];
        let flags = [("log.partitions".to_owned(), "9".to_owned())];
        let layers = Layers::load(Some("embedded"), Some(&path), environment, &flags).unwrap();
        let value = |key: &str| layers.values[key].0.to_string();
        assert!(layers.errors.is_empty(), "{:?}", layers.errors);
        assert_eq!(value("receive.threads"), "3");
        assert_eq!(value("receive.listen"), "\"2.2.2.2:2\"");
        assert_eq!(value("log.partitions"), "9");
        assert_eq!(value("process.block_interval"), "\"100ms\"");
        assert_eq!(layers.values["process.block_interval"].1.to_string(), "default of embedded");
        assert_eq!(layers.values["log.partitions"].1, Source::Flag);
    }

    #[test]
    fn unknown_names_are_errors_in_every_layer() {
        let environment = [("PIPELINE_LOG_PARTITION".into(), "2".into())];
        let layers = Layers::load(None, None, environment, &[("x".into(), "1".into())]).unwrap();
        assert_eq!(layers.errors.len(), 2);
        assert!(layers.errors[0].contains("did you mean PIPELINE_LOG_PARTITIONS?"), "{}", layers.errors[0]);
    }

    #[test]
    fn any_setting_of_librdkafka_is_taken_from_every_layer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.toml");
        std::fs::write(&path, "[kafka.consumer]\nfetch.min.bytes = 7\n").unwrap();
        let environment = [("PIPELINE_KAFKA_PRODUCER_BATCH_SIZE".to_owned(), "9".to_owned())];
        let flags = [("kafka.client.sasl.password".to_owned(), "x".to_owned())];
        let layers = Layers::load(None, Some(&path), environment, &flags).unwrap();
        assert!(layers.errors.is_empty(), "{:?}", layers.errors);
        let config = super::super::Config::read(&layers).unwrap();
        assert_eq!(config.kafka.consumer["fetch.min.bytes"], "7");
        assert_eq!(config.kafka.producer["batch.size"], "9");
        assert_eq!(config.kafka.client["sasl.password"], "x");
        assert!(!config.kafka.producer["linger.ms"].is_empty(), "a default");
        assert!(layers.lines().any(|(key, value, _)| key.ends_with("sasl.password") && value == "\"***\""));
    }

    #[test]
    fn a_file_that_is_not_toml_is_told_by_its_line_and_not_by_what_stands_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.toml");
        std::fs::write(&path, "[cassandra]\nuser = 'ann'\npassword = canary-1\n").unwrap();
        let error = Layers::load(None, Some(&path), [], &[]).unwrap_err().to_string();
        assert!(error.contains("my.toml: line 3: ") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn a_password_s_file_can_be_named_in_the_environment() {
        let open = open_key("PIPELINE_KAFKA_CLIENT_SASL_PASSWORD_FILE");
        assert_eq!(open.as_deref(), Some("kafka.client.sasl.password_file"));
    }
}
