//! What is kept for how long, and what of it depends on what. Pure.

use super::{Config, Reader};

impl Config {
    /// What the log still has, the ledger and a rebuild count: nothing that it came to may be gone before it.
    pub(super) fn check_retention(&self, read: &mut Reader<'_>) {
        let log = self.kafka.retention;
        read.require(
            "clickhouse.keep_blocks",
            self.clickhouse.keep_blocks >= log,
            "at least kafka.retention",
        );
        for (key, kept) in [
            ("cassandra.retention", self.cassandra.retention),
            ("clickhouse.retention", self.clickhouse.retention),
        ] {
            read.require(key, kept.is_zero() || kept >= log, "0s, for ever, or at least kafka.retention");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::flags;

    #[test]
    fn nothing_goes_before_what_the_log_still_has() {
        let short = |key: &str, value: &str| flags(&[(key, value)]).map(drop).unwrap_err().to_string();
        for key in ["clickhouse.keep_blocks", "clickhouse.retention", "cassandra.retention"] {
            let said = short(key, "6d");
            assert!(said.contains(key) && said.contains("kafka.retention"), "{said}");
        }
        assert!(short("kafka.retention", "30d").contains("clickhouse.keep_blocks"));
        let long = [("clickhouse.retention", "400d"), ("cassandra.retention", "30d")];
        assert!(flags(&long).is_ok());
    }
}
