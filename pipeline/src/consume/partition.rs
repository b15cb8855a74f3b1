//! One partition's way from the log into the stores.

use super::count::count;
use super::lag::Lag;
use super::stop::Stop;
use super::{Shared, Until};
use crate::backoff::{Backoff, jitter};
use crate::block::{Block, Builder, Growing};
use crate::log::{Deliveries, Delivery, LogError, Publish, ReadLimit, ReadPartition};
use crate::observe::metrics;
use crate::position::Position;
use crate::store::{StoreError, Stored, Stores};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long an empty log is waited for at once, and how often a stop is looked for meanwhile.
pub(super) const WAIT: Duration = Duration::from_millis(100);
/// How often the position is committed: it serves lag tools and a check, so it need not be exact.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How often a block that is not full is added to before it is stored.
const READS_PER_BLOCK: u32 = 4;
/// The bytes of a short order: a block holds no more of them than fit.
const SHORT_ORDER: usize = 192;
/// So many records behind the log's end, nothing is waited for.
const KEEP_UP: i64 = 1_000;
/// Records that one read brings at most.
pub(super) const READ: ReadLimit = ReadLimit { records: 1_000, bytes: 512 << 10 };

/// The name of a partition's part in the health report.
pub(super) fn part(partition: u32) -> String {
    format!("partition {partition}")
}

/// Runs until drained. A partition that cannot go on says so in the health report, the metrics and the log of events,
/// and leaves the others alone.
pub(super) async fn run<R, P, S>(mut reader: R, shared: Arc<Shared<P, S>>, until: watch::Receiver<Until>)
where
    R: ReadPartition,
    P: Publish,
    S: Stores,
{
    let partition = reader.partition();
    let stopped =
        shared.observed.metrics.consume_stopped.get_or_create(&metrics::partition(partition)).clone();
    stopped.set(0);
    shared.observed.health.up(part(partition));
    let lag = Lag::of(partition, &shared.observed.metrics);
    let position = Position::default();
    let mut way =
        Way { reader: &mut reader, shared: &shared, until, partition, committed_at: None, position, lag };
    if let Err(stop) = way.go().await {
        tracing::error!(partition, error = %stop, "this partition has stopped and needs an operator");
        stopped.set(1);
        shared.observed.health.down(part(partition), stop.to_string());
    }
}

pub(super) struct Way<'w, R, P, S> {
    pub(super) reader: &'w mut R,
    pub(super) shared: &'w Shared<P, S>,
    until: watch::Receiver<Until>,
    pub(super) partition: u32,
    committed_at: Option<Instant>,
    pub(super) position: Position,
    lag: Lag,
}

impl<'w, R: ReadPartition, P: Publish, S: Stores> Way<'w, R, P, S> {
    /// Finds the place to go on at, and goes on.
    async fn go(&mut self) -> Result<(), Stop> {
        let mut backoff = self.backoff();
        loop {
            match self.go_on().await {
                // Another's block was there first, of another length than this one's. What the window holds is behind or
                // ahead of it now, so this partition begins anew behind that block.
                Ok(Until::Stopped) => {}
                // The log was cut meanwhile. Only a look at the stores tells whether anything was lost by it, and what to do.
                Err(stop @ Stop::Log(LogError::OutOfRange { .. })) => self.pause(stop, &mut backoff).await?,
                ended => return ended.map(|_| ()),
            }
        }
    }

    async fn go_on(&mut self) -> Result<Until, Stop> {
        self.resume().await?;
        let mut builder = self.rebuild().await?;
        self.follow(&mut builder).await
    }

    /// Builds and stores block after block.
    async fn follow(&mut self, builder: &mut Builder) -> Result<Until, Stop> {
        loop {
            let Some(growing) = self.gather(builder).await? else {
                self.commit(true).await;
                return Ok(*self.until.borrow());
            };
            let block = Arc::new(growing.finish());
            self.bury(&block).await?;
            let stored = self.store(&block).await?;
            // Another's block, in the place of this one, was counted by the other.
            if !self.position.advance(&stored.row) {
                return Ok(Until::Stopped);
            }
            count(&block, &stored, builder.window(), &self.shared.observed);
            self.commit(false).await;
            self.lag.note(self.reader, self.position.stored());
        }
    }

    /// Reads until the block is full or old enough; `None` when the log is drained and there is nothing more.
    async fn gather(&mut self, builder: &mut Builder) -> Result<Option<Growing>, Stop> {
        let shared: &'w Shared<P, S> = self.shared;
        let limits = &shared.limits;
        let mut backoff = self.backoff();
        let mut growing = builder.begin(self.position.stored());
        // When the first record came, and the dimension as it was then: one for the whole block, and not the one from
        // when an idle partition began to wait.
        let mut since: Option<Instant> = None;
        let mut customers = None;
        loop {
            let left = since.map_or(WAIT, |since| limits.block_interval.saturating_sub(since.elapsed()));
            let full =
                growing.records() >= limits.block_records as u64 || growing.bytes() >= limits.block_bytes;
            if full || (left.is_zero() && growing.records() > 0) {
                return Ok(Some(growing));
            }
            let until = *self.until.borrow();
            if until == Until::BlockStored {
                return Ok((growing.records() > 0).then_some(growing));
            }
            let draining = until == Until::Drained;
            let wait = if draining { Duration::ZERO } else { left.min(WAIT) };
            let room = limits.block_records - usize::try_from(growing.records()).unwrap_or(0);
            let limit = ReadLimit { records: READ.records.min(room), bytes: READ.bytes };
            let records = self.reader.read(self.position.next(), limit, wait).await;
            let records = match records {
                Err(error @ LogError::Unavailable(_)) => {
                    self.pause(Stop::Log(error), &mut backoff).await?;
                    continue;
                }
                records => records.map_err(Stop::Log)?,
            };
            if records.is_empty() && draining {
                return Ok((growing.records() > 0).then_some(growing));
            }
            if records.is_empty() {
                continue;
            }
            if since.is_none() {
                since = Some(Instant::now());
                growing.reserve(limits.block_records.min(limits.block_bytes / SHORT_ORDER));
            }
            let customers = customers.get_or_insert_with(|| shared.dimension.current());
            self.shared.observed.metrics.consume_records.inc_by(records.len() as u64);
            for record in &records {
                if self.position.take(record.offset) {
                    builder.add(&mut growing, record, customers);
                }
            }
            // The block waits for its time anyway. Reading each record as it comes would cost a read for each; what
            // came in is let gather, unless there is so much that it must be kept up with.
            let behind = self.reader.known_end().map_or(0, |end| end - self.position.next());
            let keep_up = records.len() >= READ.records / 2 || behind >= KEEP_UP;
            if !keep_up && !draining {
                let left = since
                    .map_or(Duration::ZERO, |since| limits.block_interval.saturating_sub(since.elapsed()));
                let pause = left.min(limits.block_interval / READS_PER_BLOCK);
                // A drain does not wait for it: a block's interval may be longer than the time for a stop.
                let drain = self.until.wait_for(|until| *until != Until::Stopped);
                let _ = tokio::time::timeout(pause, drain).await;
            }
        }
    }

    /// Sends the block's dead letters and waits until the log has them: before the block, so that none is lost.
    async fn bury(&mut self, block: &Block) -> Result<(), Stop> {
        if block.dead.is_empty() {
            return Ok(());
        }
        let mut backoff = self.backoff();
        loop {
            let deliveries = self.shared.log.publish_dead(block.dead.clone()).wait().await;
            let durable = match &deliveries {
                Deliveries::All(delivery) => *delivery == Delivery::Durable,
                Deliveries::Each(each) => each.iter().all(|delivery| *delivery == Delivery::Durable),
            };
            if durable {
                return Ok(());
            }
            let error = LogError::Unavailable(format!("dead letters were not taken: {deliveries:?}"));
            self.pause(Stop::Log(error), &mut backoff).await?;
        }
    }

    async fn store(&mut self, block: &Arc<Block>) -> Result<Stored, Stop> {
        let mut backoff = self.backoff();
        loop {
            let sent = Instant::now();
            let stored = tokio::select! {
                stored = self.shared.stores.put(Arc::clone(block)) => stored,
                never = self.lag.watch(self.reader, self.position.stored()) => match never {},
            };
            match stored {
                Ok(stored) => {
                    self.shared.observed.metrics.store_block_seconds.observe(sent.elapsed().as_secs_f64());
                    return Ok(stored);
                }
                Err(StoreError::Refused(reason)) => {
                    let (first, last) = (block.row.first, block.row.last);
                    return Err(Stop::Refused { first, last, reason });
                }
                Err(error) => {
                    self.shared.observed.metrics.store_retries.inc();
                    self.pause(Stop::Store(error), &mut backoff).await?;
                }
            }
        }
    }

    /// Commits the position, now and then; a failure is nothing but a late position.
    async fn commit(&mut self, now: bool) {
        let due = self.committed_at.is_none_or(|at| at.elapsed() >= COMMIT_EVERY);
        if !due && !now {
            return;
        }
        match self.reader.commit(self.position.stored()).await {
            Ok(()) => self.committed_at = Some(Instant::now()),
            Err(error) => {
                tracing::warn!(partition = self.partition, %error, "the position was not committed")
            }
        }
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.shared.limits.retry_pause, self.shared.limits.retry_pause_max)
    }

    /// Waits before the next try, or gives up where another try would fail in the same way.
    pub(super) async fn pause(&mut self, stop: Stop, backoff: &mut Backoff) -> Result<(), Stop> {
        if !stop.passes() {
            return Err(stop);
        }
        tracing::warn!(partition = self.partition, error = %stop, "trying again");
        let pause = backoff.pause(jitter());
        // The time is over when it is over: nothing is to be had from the log's end then.
        let Err(_) = tokio::time::timeout(pause, self.lag.watch(self.reader, self.position.stored())).await;
        Ok(())
    }
}
