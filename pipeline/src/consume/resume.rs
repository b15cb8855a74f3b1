//! How a partition begins, or begins anew: where it goes on, and its window, rebuilt from the log.

use super::count::{note_newest, note_window};
use super::partition::{READ, WAIT, Way};
use super::past::Past;
use super::stop::Stop;
use crate::block::{BlockRow, Builder};
use crate::log::{Bounds, LogError, LogRecord, Publish, ReadPartition};
use crate::observe::metrics;
use crate::position::Position;
use crate::store::Stores;
use std::sync::Arc;
use std::time::Instant;

impl<R: ReadPartition, P: Publish, S: Stores> Way<'_, R, P, S> {
    /// Finds the place to go on at.
    pub(super) async fn resume(&mut self) -> Result<(), Stop> {
        let mut backoff = self.backoff();
        let (newest, committed, bounds) = loop {
            match self.place().await {
                Ok(place) => break place,
                Err(stop) => self.pause(stop, &mut backoff).await?,
            }
        };
        self.position =
            Position::resume((self.reader.topic_id(), self.partition), newest.as_ref(), committed, bounds)?;
        if let Some(newest) = &newest {
            note_newest(newest, &self.shared.observed);
        }
        let offset = self.position.stored();
        tracing::info!(partition = self.partition, offset, end = bounds.end, "goes on");
        Ok(())
    }

    /// What the group, the stores and the log say of this partition, asked in this order: a block that
    /// another stores meanwhile can then only be newer than the position, and the log's end newer than the block.
    async fn place(&mut self) -> Result<(Option<BlockRow>, Option<i64>, Bounds), Stop> {
        let committed = self.reader.committed().await.map_err(Stop::Log)?;
        let newest = self.shared.stores.newest_block(self.partition).await.map_err(Stop::Store)?;
        let bounds = self.reader.bounds().await.map_err(Stop::Log)?;
        Ok((newest, committed, bounds))
    }

    /// Fills a new window with the preceding offsets, each by the rules by which it was stored or refused.
    pub(super) async fn rebuild(&mut self) -> Result<Builder, Stop> {
        let (recipe, observed) = (&self.shared.recipe, &self.shared.observed);
        let metrics = &observed.metrics.window;
        let left = metrics.window_rebuild_left.get_or_create(&metrics::partition(self.partition)).clone();
        metrics.window_offsets.set(i64::try_from(recipe.window).unwrap_or(i64::MAX));
        let (started, next) = (Instant::now(), self.position.stored());
        let mut backoff = self.backoff();
        let first = loop {
            match self.reader.bounds().await {
                Ok(bounds) => break bounds.first,
                Err(error) => self.pause(Stop::Log(error), &mut backoff).await?,
            }
        };
        let mut at = (next - i64::try_from(recipe.window).unwrap_or(i64::MAX)).max(first).min(next);
        let mut builder = Builder::new(Arc::clone(recipe), self.reader.topic_id(), self.partition, at);
        let past = self.past(at).await?;
        left.set(next - at);
        while at < next {
            for record in self.read(at).await? {
                if (at..next).contains(&record.offset) {
                    builder.remember(&record, past.recipe(record.offset));
                }
                at = at.max(record.offset + 1);
            }
            left.set((next - at).max(0));
        }
        metrics.window_rebuild_seconds.observe(started.elapsed().as_secs_f64());
        note_window(self.partition, builder.window(), observed);
        Ok(builder)
    }

    /// By which rules the offsets from here on were stored.
    async fn past(&mut self, from: i64) -> Result<Past, Stop> {
        let recipe = &self.shared.recipe;
        let mut backoff = self.backoff();
        let (blocks, kept) = loop {
            let rules = recipe.fingerprint();
            match self.shared.stores.other_rules(self.partition, from, &rules).await {
                Ok(found) => break found,
                Err(error) => self.pause(Stop::Store(error), &mut backoff).await?,
            }
        };
        let past = Past::new(recipe, blocks, &kept);
        for unknown in &past.unknown {
            tracing::warn!(
                partition = self.partition,
                rules = unknown,
                "blocks of another build's rules are taken for blocks of this one's"
            );
        }
        Ok(past)
    }

    async fn read(&mut self, from: i64) -> Result<Vec<LogRecord>, Stop> {
        let mut backoff = self.backoff();
        loop {
            match self.reader.read(from, READ, WAIT).await {
                Err(error @ LogError::Unavailable(_)) => self.pause(Stop::Log(error), &mut backoff).await?,
                records => return records.map_err(Stop::Log),
            }
        }
    }
}
