//! An order as a row.

use crate::block::{BlockRow, StoredOrder};
use crate::log::partitioner;
use scylla::SerializeRow;
use scylla::value::{CqlTimestamp, MaybeUnset};

/// Nanoseconds in an hour, and milliseconds.
const HOUR_NS: i64 = 3_600_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// The columns are in the order of [`OrderRow`]'s fields.
pub(super) const INSERT: &str = "INSERT INTO {table} (hour, bucket, order_id, customer_id, source, quantity, \
     total_minor, currency, state, store_id, product_id, category, created_at, received_at, topic, partition, offset) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";

/// A row as the driver writes it. The names are compared by nobody, so the order is what counts; the types are checked.
#[derive(Debug, SerializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct OrderRow<'o> {
    hour: CqlTimestamp,
    bucket: i32,
    order_id: &'o str,
    customer_id: i64,
    source: &'o str,
    quantity: i32,
    total_minor: i64,
    currency: &'o str,
    // What is absent is not written at all: a null would be a tombstone.
    state: MaybeUnset<&'o str>,
    store_id: MaybeUnset<i64>,
    product_id: MaybeUnset<i64>,
    category: MaybeUnset<&'o str>,
    created_at: i64,
    received_at: i64,
    topic: &'o str,
    partition: i32,
    offset: i64,
    /// Of two writes of an order the one received later wins, whichever comes last.
    write_time: i64,
}

/// The hour of an instant as Cassandra has it, and the bucket of an order id.
pub(super) fn place(created_at: i64, order_id: &str, buckets: u32) -> (CqlTimestamp, i32) {
    (CqlTimestamp(hour(created_at)), bucket(order_id, buckets))
}

/// The hour of an instant, in Cassandra's milliseconds.
pub fn hour(created_at: i64) -> i64 {
    created_at.div_euclid(HOUR_NS) * HOUR_MS
}

/// The bucket of an order id.
pub(super) fn bucket(order_id: &str, buckets: u32) -> i32 {
    partitioner::partition(order_id.as_bytes(), buckets).cast_signed()
}

impl<'o> OrderRow<'o> {
    pub(super) fn of(order: &'o StoredOrder, block: &'o BlockRow, buckets: u32) -> Self {
        let (hour, bucket) = place(order.created_at, &order.order_id, buckets);
        Self {
            hour,
            bucket,
            order_id: &order.order_id,
            customer_id: order.customer_id,
            source: &order.source,
            // The contract's limit is a million.
            quantity: i32::try_from(order.quantity).unwrap_or(i32::MAX),
            total_minor: order.total_minor,
            currency: order.currency.code(),
            state: MaybeUnset::from_option(order.state.as_deref()),
            store_id: MaybeUnset::from_option(order.store_id),
            product_id: MaybeUnset::from_option(order.product_id),
            category: MaybeUnset::from_option(order.category.as_deref()),
            created_at: order.created_at,
            received_at: order.received_at,
            topic: &block.topic_id,
            partition: block.partition.cast_signed(),
            offset: order.offset,
            write_time: order.received_at / 1_000,
        }
    }

    /// What decides the Cassandra partition.
    pub(super) const fn partition_key(&self) -> (i64, i32) {
        (self.hour.0, self.bucket)
    }

    /// Its bytes in a request: 18 values, each with its length in 4 bytes.
    pub(super) fn size(&self) -> usize {
        const FIXED: usize = 18 * 4 + 9 * 8 + 3 * 4;
        let length = |text: &MaybeUnset<&str>| match text {
            MaybeUnset::Set(text) => text.len(),
            MaybeUnset::Unset => 0,
        };
        FIXED
            + self.order_id.len()
            + self.source.len()
            + self.currency.len()
            + self.topic.len()
            + length(&self.state)
            + length(&self.category)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::money::Currency;
    use std::sync::OnceLock;

    /// An order of an hour of Unix time.
    pub(in crate::store::cassandra) fn order(id: &str, hour: i64) -> StoredOrder {
        StoredOrder {
            order_id: id.into(),
            customer_id: 1,
            source: "Online".into(),
            quantity: 2,
            total_minor: 3,
            currency: Currency::from_code("USD").unwrap(),
            state: None,
            store_id: None,
            product_id: None,
            category: None,
            created_at: hour * HOUR_NS + 1,
            received_at: 5_000,
            due_at: None,
            offset: 7,
        }
    }

    /// A block's row.
    pub(in crate::store::cassandra) fn block_row() -> &'static BlockRow {
        static BLOCK: OnceLock<BlockRow> = OnceLock::new();
        BLOCK.get_or_init(|| BlockRow { topic_id: "topic".into(), partition: 3, ..BlockRow::default() })
    }

    /// The row of an order, where there is one bucket.
    pub(in crate::store::cassandra) fn row_of(order: &StoredOrder) -> OrderRow<'_> {
        OrderRow::of(order, block_row(), 1)
    }

    #[test]
    fn the_bucket_tells_the_kafka_partition() {
        for n in 0..1_000 {
            let id = format!("order-{n}");
            let partition = partitioner::partition(id.as_bytes(), 6).cast_signed();
            for k in 1..4 {
                assert_eq!(bucket(&id, 6 * k) % 6, partition);
            }
        }
    }

    #[test]
    fn an_hour_holds_its_sixty_minutes_also_before_the_epoch() {
        let hour = |created_at| place(created_at, "id", 6).0.0;
        assert_eq!((hour(0), hour(HOUR_NS - 1), hour(HOUR_NS)), (0, 0, HOUR_MS));
        assert_eq!(hour(-1), -HOUR_MS);
    }

    #[test]
    fn the_write_time_is_when_the_order_was_received_in_microseconds() {
        assert_eq!(row_of(&order("id", 3)).write_time, 5);
    }
}
