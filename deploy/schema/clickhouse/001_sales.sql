-- Sums by minute, and beside them the blocks that they came in: an insert holds both, and is one part, since there is no
-- PARTITION BY. So a block's row is there exactly when its sums are.
--
-- A row of sums has an empty block. A block's row has the minute 0, by which the primary key finds it, its token as the
-- block, and 1 in blocks, which the engine adds up like the sums: 2 there is a block that is stored twice. Its own sums
-- have columns of their own, so that whoever adds up the whole table is right.
--
-- The engine forgets tokens when it has seen as many later ones as the window has. This one holds a day of six partitions
-- with a block each second, 518,400, and some more. Full, it takes 140 MB of memory and 40 MB of disk, and an insert takes
-- no longer. A processor looks for its block less than 30 seconds before it sends it, so that far less would do where
-- memory is short.
CREATE TABLE IF NOT EXISTS {database}.sales_by_minute (
    minute DateTime('UTC'),
    currency LowCardinality(String),
    source LowCardinality(String),
    state LowCardinality(String),
    category LowCardinality(String),
    block String,
    orders UInt64,
    quantity Int64,
    total_minor Int128,
    blocks UInt64,
    topic_id LowCardinality(String),
    partition UInt32,
    first Int64,
    last Int64,
    records UInt64,
    block_orders UInt64,
    duplicates UInt64,
    dead UInt64,
    block_quantity Int64,
    block_total_minor Int128,
    newest_created_at DateTime64(9, 'UTC'),
    newest_received_at DateTime64(9, 'UTC'),
    inserted_at DateTime64(9, 'UTC'),
    rules LowCardinality(String)
) ENGINE = SummingMergeTree((orders, quantity, total_minor, blocks))
ORDER BY (minute, currency, source, state, category, block)
SETTINGS non_replicated_deduplication_window = 600000;
