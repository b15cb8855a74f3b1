//! Reading a stretch of a partition from one end to the other.

use super::{LogError, LogRecord, ReadLimit, ReadPartition};
use std::time::{Duration, Instant};

/// Records that are read at once.
const READ: ReadLimit = ReadLimit { records: 5_000, bytes: 2 << 20 };
/// How long one read waits for records.
const WAIT: Duration = Duration::from_secs(1);
/// How long a log whose end was told may bring nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows the records from an offset up to, not including, an end. Offsets at the end that hold no records, as the last
/// mark of a foreign producer's transaction, are not waited for.
///
/// # Errors
/// Where the log cannot be read, or brings nothing for a minute.
pub async fn scan<R: ReadPartition>(
    reader: &mut R,
    from: i64,
    end: i64,
    mut each: impl FnMut(LogRecord),
) -> Result<(), LogError> {
    let (mut at, mut progress) = (from, Instant::now());
    while at < end {
        let records = reader.read(at, READ, WAIT).await?;
        if records.is_empty() {
            if reader.at_end() {
                return Ok(());
            }
            if progress.elapsed() > PATIENCE {
                let partition = reader.partition();
                return Err(LogError::Unavailable(format!(
                    "partition {partition} brings nothing at offset {at}, though it ends at {end}; is a transaction \
                     of a foreign producer open?"
                )));
            }
            continue;
        }
        progress = Instant::now();
        for record in records {
            if record.offset >= end {
                return Ok(());
            }
            at = record.offset + 1;
            each(record);
        }
    }
    Ok(())
}
