//! `mode`.

/// Where log and stores are, for commands that serve both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Two SQLite files.
    Embedded,
    /// Kafka, Cassandra and ClickHouse.
    Servers,
}

impl Mode {
    /// A mode by its name in the configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "embedded" => Some(Self::Embedded),
            "servers" => Some(Self::Servers),
            _ => None,
        }
    }
}
