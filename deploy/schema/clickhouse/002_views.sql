-- For people: sales in units of the currency. The scale is that of the currency with the most fraction digits (4), so
-- that one column holds them all.
CREATE OR REPLACE VIEW {database}.sales AS
SELECT
    minute, currency, source, state, category,
    sum(sales_by_minute.orders) AS orders,
    sum(sales_by_minute.quantity) AS quantity,
    toDecimal128(sum(sales_by_minute.total_minor), 4) / transform(
        toString(currency),
        ['JPY', 'KRW', 'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'KMF', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF',
         'XPF', 'BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND', 'CLF', 'UYW'],
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
         1, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 10000, 10000],
        100
    ) AS total
FROM {database}.sales_by_minute
WHERE block = ''
GROUP BY minute, currency, source, state, category;

-- For operators: every block, newest first.
CREATE OR REPLACE VIEW {database}.blocks AS
SELECT
    block,
    sum(sales_by_minute.blocks) AS blocks,
    any(sales_by_minute.topic_id) AS topic_id,
    any(sales_by_minute.partition) AS partition,
    any(sales_by_minute.first) AS first,
    any(sales_by_minute.last) AS last,
    any(sales_by_minute.records) AS records,
    any(sales_by_minute.block_orders) AS orders,
    any(sales_by_minute.duplicates) AS duplicates,
    any(sales_by_minute.dead) AS dead,
    any(sales_by_minute.block_quantity) AS quantity,
    any(sales_by_minute.block_total_minor) AS total_minor,
    any(sales_by_minute.newest_created_at) AS newest_created_at,
    any(sales_by_minute.newest_received_at) AS newest_received_at,
    any(sales_by_minute.inserted_at) AS inserted_at,
    any(sales_by_minute.rules) AS rules
FROM {database}.sales_by_minute
WHERE minute = toDateTime(0, 'UTC') AND block != ''
GROUP BY block
ORDER BY inserted_at DESC;
