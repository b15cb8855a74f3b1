//! The outcome file: what a load generator was told of each order, for the ledger to compare by id.
//!
//! The format is text in one zstd frame, so that `zstd -dc FILE | sort | uniq -c` is a tool for it: a first line
//! `tillflow-outcomes 1`, then one line an order, a letter, a tab and the order id. An order that was sent several
//! times stands there once, with its last outcome.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

const HEADER: &str = "tillflow-outcomes 1";

/// What became of an order, as its sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The log has it durably.
    Accepted,
    /// It is invalid, and nothing was written.
    Rejected,
    /// It is certainly not in the log and may be sent again.
    Failed,
    /// The log may have it; sending it again under the same id is harmless.
    Unknown,
}

impl Outcome {
    /// All outcomes, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Rejected, Self::Failed, Self::Unknown];

    /// The word used in replies, metrics and reports.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    const fn letter(self) -> u8 {
        match self {
            Self::Accepted => b'A',
            Self::Rejected => b'R',
            Self::Failed => b'F',
            Self::Unknown => b'U',
        }
    }

    fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| letter.as_bytes() == [outcome.letter()])
    }
}

/// Writes an outcome file. Dropping it without [`OutcomeWriter::finish`] leaves a file that readers refuse.
pub struct OutcomeWriter {
    lines: zstd::Encoder<'static, BufWriter<File>>,
}

impl OutcomeWriter {
    /// Creates or replaces the file.
    ///
    /// # Errors
    /// Those of creating and writing a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut lines = zstd::Encoder::new(BufWriter::new(File::create(path)?), 3)?;
        writeln!(lines, "{HEADER}")?;
        Ok(Self { lines })
    }

    /// Adds an order's outcome.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&mut self, order_id: &str, outcome: Outcome) -> io::Result<()> {
        self.lines.write_all(&[outcome.letter(), b'\t'])?;
        self.lines.write_all(order_id.as_bytes())?;
        self.lines.write_all(b"\n")
    }

    /// Ends the frame and puts the file on disk.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn finish(self) -> io::Result<()> {
        let file = self.lines.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

/// Reads an outcome file and hands each order's id and outcome to `each`.
///
/// # Errors
/// Those of reading a file; `InvalidData` where it is not an outcome file, or ends too early.
pub fn read(path: &Path, mut each: impl FnMut(&str, Outcome)) -> io::Result<()> {
    let bad = |line: usize, what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: line {line}: {what}", path.display()))
    };
    let mut reader = BufReader::new(zstd::Decoder::new(File::open(path)?)?);
    let mut line = String::new();
    let mut number = 0_usize;
    while reader.read_line(&mut line)? > 0 {
        number += 1;
        let text = line.strip_suffix('\n').ok_or_else(|| bad(number, "the line does not end"))?;
        if number == 1 {
            if text != HEADER {
                return Err(bad(number, "not an outcome file of version 1"));
            }
        } else {
            let (letter, id) = text.split_once('\t').ok_or_else(|| bad(number, "no tab"))?;
            each(id, Outcome::from_letter(letter).ok_or_else(|| bad(number, "not an outcome"))?);
        }
        line.clear();
    }
    if number == 0 { Err(bad(0, "the file is empty")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outcomes.zst");
        let orders: Vec<(String, Outcome)> =
            (0..1000).map(|n| (format!("order-{n}"), Outcome::ALL[n % 4])).collect();
        let mut writer = OutcomeWriter::create(&path).unwrap();
        for (id, outcome) in &orders {
            writer.write(id, *outcome).unwrap();
        }
        writer.finish().unwrap();
        let mut found = Vec::new();
        read(&path, |id, outcome| found.push((id.to_owned(), outcome))).unwrap();
        assert_eq!(found, orders);
    }

    #[test]
    fn a_file_that_was_not_finished_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outcomes.zst");
        let mut writer = OutcomeWriter::create(&path).unwrap();
        writer.write("order-1", Outcome::Accepted).unwrap();
        drop(writer);
        assert!(read(&path, |_, _| ()).is_err());
    }
}
