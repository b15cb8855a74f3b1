//! Filling the window of order ids from the records before a processor's first block, each by the rules by which it was
//! stored or refused.

use super::Way;
use crate::block::Builder;
use crate::consume::past::Past;
use crate::consume::stop::Stop;
use crate::log::{Publish, ReadPartition};
use crate::store::Stores;
use std::sync::Arc;

impl<R: ReadPartition, P: Publish, S: Stores> Way<'_, R, P, S> {
    /// Fills a new window with the preceding offsets.
    pub(super) async fn rebuild(&mut self, next: i64) -> Result<Builder, Stop> {
        let recipe = &self.shared.recipe;
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
        while at < next {
            for record in self.read(at).await? {
                if record.offset < next {
                    builder.remember(&record, past.recipe(record.offset));
                }
                at = record.offset + 1;
            }
        }
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
}
