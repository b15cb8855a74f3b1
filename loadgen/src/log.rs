//! The latencies of each second as an HdrHistogram interval log, which the standard tools read.
//!
//! One line a second and latency, by the time at which replies were read, with the latency's name as its tag. Values
//! are nanoseconds, the column of the longest is milliseconds, as the format has it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::gauges::{Phase, Progress};
use crate::measure::Recent;

const EACH: Duration = Duration::from_secs(1);
const NANOS_PER_MILLI: f64 = 1e6;

/// An interval log that is being written.
pub struct IntervalLog {
    out: Box<dyn Write>,
    begun: Duration,
    until: Duration,
    interval: Recent,
    serializer: V2DeflateSerializer,
    /// The first fault; nothing is written after it.
    fault: Option<io::Error>,
}

impl IntervalLog {
    /// Begins a log in a new file.
    ///
    /// # Errors
    /// Those of writing it.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::new(BufWriter::new(File::create(path)?), SystemTime::now())
    }

    fn new(mut out: impl Write + 'static, start: SystemTime) -> io::Result<Self> {
        let start = start.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        writeln!(
            out,
            "#[Latencies in ns: delay is due to sent, service sent to reply, response due to reply]"
        )?;
        writeln!(out, "#[Histogram log format version 1.3]")?;
        writeln!(out, "#[StartTime: {start:.3} (seconds since epoch)]")?;
        writeln!(out, "#[BaseTime: {start:.3} (seconds since epoch)]")?;
        writeln!(
            out,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
        )?;
        Ok(Self {
            out: Box::new(out),
            begun: Duration::ZERO,
            until: Duration::ZERO,
            interval: Recent::new(),
            serializer: V2DeflateSerializer::new(),
            fault: None,
        })
    }

    /// Adds what an observer is told; a line goes out each second.
    pub fn observe(&mut self, progress: &Progress) {
        if progress.phase == Phase::Retry {
            return;
        }
        self.interval.add(&progress.recent);
        self.until = progress.elapsed;
        if progress.elapsed.saturating_sub(self.begun) >= EACH {
            self.end_interval();
        }
    }

    fn end_interval(&mut self) {
        let length = self.until.saturating_sub(self.begun).as_secs_f64();
        let Recent { delay, service, response } = &self.interval;
        for (tag, histogram) in [("delay", delay), ("service", service), ("response", response)] {
            if self.fault.is_none() && !histogram.is_empty() {
                self.fault = line(
                    &mut self.out,
                    &mut self.serializer,
                    tag,
                    (self.begun.as_secs_f64(), length),
                    histogram,
                )
                .err();
            }
        }
        self.interval = Recent::new();
        self.begun = self.until;
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first that writing the log met.
    pub fn finish(mut self) -> io::Result<()> {
        self.end_interval();
        match self.fault {
            Some(fault) => Err(fault),
            None => self.out.flush(),
        }
    }
}

fn line(
    out: &mut impl Write,
    serializer: &mut V2DeflateSerializer,
    tag: &str,
    (start, length): (f64, f64),
    histogram: &Histogram<u32>,
) -> io::Result<()> {
    let mut packed = Vec::new();
    serializer.serialize(histogram, &mut packed).map_err(io::Error::other)?;
    let longest = histogram.max() as f64 / NANOS_PER_MILLI;
    writeln!(out, "Tag={tag},{start:.3},{length:.3},{longest:.3},{}", STANDARD.encode(packed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::Counts;
    use crate::measure::Instants;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn progress(elapsed_ms: u64, latency_ns: u64) -> Progress {
        let mut recent = Recent::new();
        recent.record(Instants { due_ns: 0, sent_ns: 1_000, reply_ns: latency_ns }, 3);
        Progress {
            started_at: 0,
            phase: Phase::Schedule,
            elapsed: Duration::from_millis(elapsed_ms),
            length: EACH,
            due: 0,
            rate: 0.0,
            statuses: Default::default(),
            counts: Counts::default(),
            requests_under_way: 0,
            recent,
        }
    }

    #[test]
    fn the_log_is_read_back_by_the_standard_format() {
        let kept = Kept::default();
        let mut log = IntervalLog::new(kept.clone(), UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        [(400, 2_000_000), (1_000, 9_000_000), (1_500, 4_000_000)]
            .into_iter()
            .for_each(|(elapsed, latency)| log.observe(&progress(elapsed, latency)));
        log.finish().unwrap();
        let bytes = kept.0.lock().unwrap().clone();
        let mut read = Vec::new();
        let mut starts = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            match entry.unwrap() {
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => starts.push(time),
                LogEntry::Interval(interval) => {
                    let packed = STANDARD.decode(interval.encoded_histogram()).unwrap();
                    let histogram: Histogram<u32> =
                        Deserializer::new().deserialize(&mut packed.as_slice()).unwrap();
                    let tag = interval.tag().unwrap().as_str().to_owned();
                    let millis = interval.start_timestamp().as_millis();
                    read.push((
                        tag,
                        millis,
                        interval.duration().as_millis(),
                        histogram.len(),
                        interval.max().round(),
                    ));
                }
            }
        }
        assert_eq!(starts, [Duration::from_secs(5); 2]);
        assert_eq!(read.len(), 6);
        assert_eq!(read[2], ("response".to_owned(), 0, 1_000, 6, 9.0));
        assert_eq!(read[5], ("response".to_owned(), 1_000, 500, 3, 4.0));
    }
}
