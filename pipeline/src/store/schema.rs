//! The schema of the two servers: numbered files, each applied once and remembered with its checksum, and the values
//! that must not change under the data. What talks to the servers is in their own modules; this is the part that decides.

use super::StoreError;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// A file of `deploy/schema`, compiled in.
#[derive(Clone, Copy, Debug)]
pub struct SchemaFile {
    /// Its number. Number 0 makes the place where the others are remembered, and is run every time.
    pub version: u32,
    /// Its name.
    pub name: &'static str,
    /// Its text, with placeholders in braces.
    pub text: &'static str,
}

macro_rules! file {
    ($folder:literal, $version:literal, $name:literal) => {
        SchemaFile {
            version: $version,
            name: concat!("deploy/schema/", $folder, "/", $name),
            text: include_str!(concat!("../../../deploy/schema/", $folder, "/", $name)),
        }
    };
}

/// Cassandra's files.
pub const CASSANDRA: &[SchemaFile] =
    &[file!("cassandra", 0, "000_schema.cql"), file!("cassandra", 1, "001_orders.cql")];

/// ClickHouse's files.
pub const CLICKHOUSE: &[SchemaFile] = &[
    file!("clickhouse", 0, "000_schema.sql"),
    file!("clickhouse", 1, "001_sales.sql"),
    file!("clickhouse", 2, "002_views.sql"),
];

impl SchemaFile {
    /// What tells its statements from any others. Its comments may change.
    pub fn checksum(&self) -> String {
        format!("{:016x}", xxh3_64(self.statements(&[]).join(";").as_bytes()))
    }

    /// The statements, with the placeholders filled in and without the comments.
    pub fn statements(&self, values: &[(&str, &str)]) -> Vec<String> {
        let lines = self.text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let mut text = lines.collect::<Vec<_>>().join("\n");
        for (name, value) in values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

/// What `pipeline schema` says: what is as it should be, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What holds, or was done.
    pub lines: Vec<String>,
    /// What does not hold. With any of these the pipeline must not start.
    pub wrong: Vec<String>,
}

impl Report {
    /// Adds another part's report.
    pub fn merge(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.wrong.extend(other.wrong);
    }

    /// Notes for how many seconds something is kept, and whether that is as wanted; 0 is for ever.
    pub fn kept(&mut self, server: &str, what: &str, found: u64, wanted: u64) {
        if found == wanted {
            self.lines.push(format!("{server}: {what} are kept {}", kept_for(found)));
        } else {
            self.wrong.push(format!(
                "{server}: {what} are kept {}, the configuration wants {}; run `pipeline schema apply`",
                kept_for(found),
                kept_for(wanted)
            ));
        }
    }

    /// The report as an error, if anything is wrong.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn verdict(&self) -> Result<(), StoreError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(StoreError::Refused(self.wrong.join("; "))) }
    }
}

/// For how many seconds something is kept, in words.
pub fn kept_for(seconds: u64) -> String {
    match seconds {
        0 => "for ever".to_owned(),
        days if days % 86_400 == 0 => format!("for {} days", days / 86_400),
        seconds => format!("for {seconds} seconds"),
    }
}

/// What one server remembers of its schema.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The checksum of each applied file, by version.
    pub files: BTreeMap<u32, String>,
    /// The values that must not change.
    pub values: BTreeMap<String, String>,
}

/// The values that must not change under the data, of a configuration.
pub type Values = Vec<(&'static str, String)>;

impl Remembered {
    /// The files that are still to be applied; what is applied must be what this build holds.
    pub fn compare_files<'f>(
        &self,
        server: &str,
        files: &'f [SchemaFile],
        report: &mut Report,
    ) -> Vec<&'f SchemaFile> {
        let mut missing = Vec::new();
        for file in files {
            match self.files.get(&file.version) {
                None => missing.push(file),
                Some(checksum) if *checksum == file.checksum() => {
                    report.lines.push(format!("{server}: {} is applied", file.name));
                }
                Some(checksum) => report.wrong.push(format!(
                    "{server}: {} was applied with the checksum {checksum}, this build has {}",
                    file.name,
                    file.checksum()
                )),
            }
        }
        let newest = files.last().map_or(0, |file| file.version);
        for version in self.files.keys().filter(|version| **version > newest) {
            report.wrong.push(format!("{server}: version {version} is applied, this build knows {newest}"));
        }
        missing
    }

    /// The values that are not remembered yet; those that are must be the configuration's.
    pub fn compare_values<'v>(
        &self,
        server: &str,
        values: &'v Values,
        report: &mut Report,
    ) -> Vec<(&'static str, &'v str)> {
        let mut missing = Vec::new();
        for (name, value) in values {
            match self.values.get(*name) {
                None => missing.push((*name, value.as_str())),
                Some(kept) if kept == value => report.lines.push(format!("{server}: {name} = {value}")),
                Some(kept) => report.wrong.push(format!(
                    "{server}: its data was written with {name} = {kept}, the configuration has {value}"
                )),
            }
        }
        missing
    }

    /// What is wrong where nothing may be missing.
    pub fn check(&self, server: &str, files: &[SchemaFile], values: &Values) -> Report {
        let mut report = Report::default();
        for file in self.compare_files(server, files, &mut report) {
            report.wrong.push(format!("{server}: {} is not applied; run `pipeline schema apply`", file.name));
        }
        for (name, _) in self.compare_values(server, values, &mut report) {
            report.wrong.push(format!("{server}: {name} is not kept; run `pipeline schema apply`"));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(partitions: &str) -> Remembered {
        Remembered {
            files: CASSANDRA.iter().map(|file| (file.version, file.checksum())).collect(),
            values: [("partitions".to_owned(), partitions.to_owned())].into(),
        }
    }

    #[test]
    fn versions_count_up_from_zero_and_stand_in_the_names() {
        for files in [CASSANDRA, CLICKHOUSE] {
            for (file, version) in files.iter().zip(0..) {
                assert_eq!(file.version, version);
                assert!(file.name.contains(&format!("/{version:03}_")), "{}", file.name);
            }
        }
    }

    #[test]
    fn statements_come_without_comments_and_with_their_placeholders_filled() {
        let values = [("keyspace", "k"), ("replication", "{'class': 'SimpleStrategy'}"), ("database", "d")];
        for file in CASSANDRA.iter().chain(CLICKHOUSE) {
            let statements = file.statements(&values);
            assert!(!statements.is_empty());
            for statement in statements {
                assert!(statement.starts_with("CREATE "), "{statement}");
                assert!(!statement.contains("--") && !statement.contains("{k") && !statement.contains("{d"));
            }
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_said_and_nothing_else() {
        let report = remembered("6").check("Cassandra", CASSANDRA, &vec![("partitions", "6".into())]);
        assert_eq!(report.wrong, Vec::<String>::new());
        assert_eq!(report.lines.len(), CASSANDRA.len() + 1);
    }

    #[test]
    fn what_differs_is_named() {
        let mut kept = remembered("6");
        kept.files.insert(1, "0123".into());
        kept.files.insert(9, "4567".into());
        let values = vec![("partitions", "12".into()), ("buckets_per_partition", "1".into())];
        let wrong = kept.check("Cassandra", CASSANDRA, &values).wrong.join("\n");
        for part in [
            "001_orders.cql",
            "0123",
            "version 9",
            "partitions = 6",
            "12",
            "buckets_per_partition is not kept",
        ] {
            assert!(wrong.contains(part), "{part} is missing in {wrong}");
        }
    }
}
