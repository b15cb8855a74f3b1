//! Reads typed values out of the layers and collects what is wrong with them.

use super::secret::shown;
use super::{ConfigErrors, Layers};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use toml::Value;

pub(super) struct Reader<'l> {
    layers: &'l Layers,
    errors: Vec<String>,
}

impl<'l> Reader<'l> {
    pub(super) fn new(layers: &'l Layers) -> Self {
        Self { layers, errors: layers.errors.clone() }
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.errors.is_empty() { Ok(value) } else { Err(ConfigErrors(self.errors)) }
    }

    /// Notes that a key has another value than is wanted. A key is complained of once.
    pub(super) fn wrong(&mut self, key: &str, wanted: &str) {
        let Some((value, source)) = self.layers.values.get(key) else {
            return self.errors.push(format!("{key}: not in default.toml"));
        };
        let begin = format!("{key} = ");
        if !self.errors.iter().any(|error| error.starts_with(&begin)) {
            self.errors.push(format!("{begin}{} ({source}): {wanted} is wanted", shown(key, value)));
        }
    }

    pub(super) fn require(&mut self, key: &str, holds: bool, wanted: &str) {
        if !holds {
            self.wrong(key, wanted);
        }
    }

    fn typed<T: Default>(&mut self, key: &str, wanted: &str, read: impl FnOnce(&Value) -> Option<T>) -> T {
        match self.layers.values.get(key).and_then(|(value, _)| read(value)) {
            Some(value) => value,
            None => {
                self.wrong(key, wanted);
                T::default()
            }
        }
    }

    /// A string that something else can read.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.typed(key, wanted, |value| value.as_str().and_then(read).map(Some))
    }

    /// All keys under a prefix, whatever they are, as texts: settings that are somebody else's.
    pub(super) fn open(&self, prefix: &str) -> BTreeMap<String, String> {
        let own = self.layers.values.iter().filter_map(|(key, (value, _))| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((key.strip_prefix(prefix)?.to_owned(), text))
        });
        own.collect()
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        self.typed(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        self.typed(key, "a list of strings", |value| {
            value.as_array()?.iter().map(|entry| entry.as_str().map(str::to_owned)).collect()
        })
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(super) fn count(&mut self, key: &str) -> usize {
        self.typed(key, "a whole number of 0 or more", |value| usize::try_from(value.as_integer()?).ok())
    }

    pub(super) fn address(&mut self, key: &str) -> SocketAddr {
        self.parsed(key, "an address and a port, such as 127.0.0.1:8080,", |text| text.parse().ok())
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(super) fn duration(&mut self, key: &str) -> Duration {
        self.typed(key, "a duration, such as 250ms or 5s,", |value| {
            humantime::parse_duration(value.as_str()?).ok()
        })
    }

    /// A size: a number of bytes, or a string with a unit.
    pub(super) fn bytes(&mut self, key: &str) -> usize {
        self.typed(key, "a size, such as 64KiB or 8MiB,", |value| match value {
            Value::Integer(bytes) => usize::try_from(*bytes).ok(),
            Value::String(text) => parse_bytes(text),
            _ => None,
        })
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..)?.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse_bytes("512"), Some(512));
        assert_eq!(parse_bytes("64KiB"), Some(65_536));
        assert_eq!(parse_bytes("2 MiB"), Some(2_097_152));
        for wrong in ["", "KiB", "1KB", "1.5MiB", "-1", "99999999999GiB"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }
}
