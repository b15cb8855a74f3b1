"""What is on the dashboards, in the order of the flow: ingest, log, processor, stores, end to end, machine."""

from __future__ import annotations

from panels import Dashboard, Panel, Row

HERE = '{instance=~"$instance"}'


def rate(metric: str, by: str = "", more: str = "", function: str = "rate") -> str:
    """What a counter grows by in a second, summed over all that is looked at, or for each value of a label."""
    where = f'{{instance=~"$instance"{more}}}'
    return f"sum{f' by ({by})' if by else ''} ({function}({metric}{where}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f'histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{HERE}[$__rate_interval])))'


def latencies(histogram: str, by: str = "") -> tuple[tuple[str, str], ...]:
    name = f" {{{{{by}}}}}" if by else ""
    return tuple((quantile(share, histogram, by), f"{word}{name}") for share, word in ((0.5, "half"), (0.99, "99%"), (0.999, "99.9%")))


def gauge(metric: str, by: str, function: str = "sum") -> str:
    return f"{function} by ({by}) ({metric}{HERE})"


INGEST = Dashboard(
    "ingest",
    "ingest",
    "receive, validate: from a client's request to a verdict on each order.",
    (
        Row(
            "Orders",
            (
                Panel("Orders answered, by outcome", "ops", ((rate("tillflow_receive_orders_total", "outcome"), "{{outcome}}"),),
                      "accepted: durable. rejected: invalid. failed: certainly not in the log. unknown: may be in it, and is safe to send again."),
                Panel("Orders not accepted, share", "percentunit",
                      (("instance:receive_order_errors:ratio5m" + HERE, "failed or unknown {{instance}}"),
                       ("instance:receive_order_rejections:ratio5m" + HERE, "rejected {{instance}}")),
                      "Over five minutes. Alerts: IngestErrors over 0.1%, RejectionsHigh over 5%."),
                Panel("Orders rejected, by reason", "ops", ((rate("tillflow_validate_rejections_total", "reason"), "{{reason}}"),),
                      "The closed list of reasons that clients are told."),
            ),
        ),
        Row(
            "Requests",
            (
                Panel("Requests, by status", "reqps", ((rate("tillflow_receive_requests_total", "status"), "{{status}}"),),
                      "202 all accepted, 207 mixed, 422 none valid, 429 and 503 come again later, 504 unknown."),
                Panel("Requests told to come again, share", "percentunit", (("instance:receive_pushback:ratio5m" + HERE, "{{instance}}"),),
                      "429 or 503, over five minutes. Alert: IngestPushback over 1%.", limit=0.01),
                Panel("Requests refused whole, by reason", "reqps", ((rate("tillflow_receive_refusals_total", "reason"), "{{reason}}"),),
                      "Refused before any order was looked at."),
                Panel("Time to the answer", "s", latencies("tillflow_receive_request_seconds"),
                      "From a request's head to its answer, the log's acknowledgement included."),
                Panel("Time to the answer, 99%, over five minutes", "s", (("instance:receive_request_seconds:p99_5m" + HERE, "{{instance}}"),),
                      "What the alert IngestSlow looks at.", limit=0.5),
                Panel("Times to the answer", "s",
                      ((f"sum by (le) (increase(tillflow_receive_request_seconds_bucket{HERE}[$__rate_interval]))", "{{le}}"),),
                      "How many requests took how long.", kind="heatmap"),
            ),
        ),
        Row(
            "Limits",
            (
                Panel("Bytes in flight", "bytes", ((gauge("tillflow_receive_in_flight_bytes", "instance"), "{{instance}}"),),
                      "Taken in and not yet answered; at receive.max_in_flight_bytes the answer is 429."),
                Panel("Requests in flight", "short", ((gauge("tillflow_receive_in_flight_requests", "instance"), "{{instance}}"),),
                      "Taken in and not yet answered; at receive.max_in_flight_requests the answer is 429."),
                Panel("Connections", "short",
                      ((gauge("tillflow_receive_connections", "instance"), "open {{instance}}"),
                       (rate("tillflow_receive_connections_refused_total", function="increase"), "refused"),
                       (rate("tillflow_receive_connection_errors_total", function="increase"), "ended in an error")),
                      "Open now; refused at receive.max_connections; ended in an error, such as no HTTP."),
                Panel("Bytes copied on the way, by cause", "Bps", ((rate("tillflow_receive_copied_bytes_total", "cause"), "{{cause}}"),),
                      "What did not go from the socket to the log as it was: bodies in pieces, compressed, or over TLS."),
            ),
        ),
        Row(
            "Who gets in",
            (
                Panel("Requests let in, by client", "reqps", ((rate("tillflow_receive_token_requests_total", "client"), "{{client}}"),),
                      "By the client's name in receive.tokens_file. Without that file nobody is asked for a token."),
                Panel("Connections that came to no TLS", "short",
                      ((rate("tillflow_receive_tls_handshake_errors_total", "reason", function="increase"), "{{reason}}"),),
                      "Refused: no TLS, or none that is understood. Broken: the client went. Late: the client was too slow."),
                Panel("Files read again", "short",
                      ((rate("tillflow_receive_reloads_total", "file", function="increase"), "read {{file}}"),
                       (rate("tillflow_receive_reload_errors_total", "file", function="increase"), "not readable {{file}}")),
                      "Tokens and certificate. Alert: ReloadFailed."),
                Panel("Tokens in force", "short", ((gauge("tillflow_receive_tokens", "instance"), "{{instance}}"),),
                      "Names in receive.tokens_file; 0 without one.", kind="stat"),
                Panel("The certificate ends in", "s",
                      ((f"min by (instance) (tillflow_receive_certificate_not_after_seconds{HERE} > 0) - time()", "{{instance}}"),),
                      "Alert: CertificateEnds, two weeks before.", kind="stat"),
            ),
        ),
    ),
)

LOG = Dashboard(
    "log",
    "log",
    "publish, and the log between the halves: Kafka, or SQLite in the embedded mode.",
    (
        Row(
            "Publish",
            (
                Panel("Time to durability", "s", latencies("tillflow_publish_seconds"),
                      "From handing a request's records to the log to its acknowledgement."),
                Panel("Bytes that wait for the log", "bytes", ((gauge("tillflow_log_queue_bytes", "instance"), "{{instance}}"),),
                      "At log.max_queue_bytes orders are answered as failed."),
                Panel("Disk of the embedded log, full to", "percentunit",
                      ((f"1 - tillflow_log_disk_free_bytes{HERE} / tillflow_log_disk_bytes", "{{instance}} {{folder}}"),),
                      "Alert: LogDiskLow over 90%. Kafka's disk is on the dashboard of the machine.", limit=0.9),
            ),
        ),
        Row(
            "Kafka's clients",
            (
                Panel("Brokers connected", "short", ((gauge("tillflow_log_client_brokers_up", "client, instance"), "{{client}} {{instance}}"),),
                      "0: LogUnreachable."),
                Panel("Messages without a report", "short",
                      ((gauge("tillflow_log_client_queue_messages", "client"), "{{client}}"),),
                      "Handed to librdkafka and not yet acknowledged by the broker."),
                Panel("Bytes without a report", "bytes", ((gauge("tillflow_log_client_queue_bytes", "client"), "{{client}}"),),
                      "librdkafka's own count."),
                Panel("Requests under way to brokers", "short", ((gauge("tillflow_log_client_requests", "client"), "{{client}}"),),
                      "Waiting to be sent, or for their answers."),
                Panel("Round trip and throttling, 99%", "s",
                      ((gauge("tillflow_log_client_round_trip_seconds", "client", "max"), "round trip {{client}}"),
                       (gauge("tillflow_log_client_throttle_seconds", "client", "max"), "throttled {{client}}")),
                      "To the slowest broker. A consumer's round trip includes the broker's wait for new records."),
                Panel("Bytes to and from brokers", "Bps",
                      ((rate("tillflow_log_client_sent_bytes", "client"), "sent {{client}}"),
                       (rate("tillflow_log_client_received_bytes", "client"), "received {{client}}")),
                      "As compressed on the wire."),
                Panel("Requests that went wrong", "short",
                      ((rate("tillflow_log_client_retries", "client", function="increase"), "sent again {{client}}"),
                       (rate("tillflow_log_client_timeouts", "client", function="increase"), "timed out {{client}}"),
                       (rate("tillflow_log_client_errors_total", "client", function="increase"), "errors {{client}}")),
                      "librdkafka tries again by itself; records get no second place by it."),
            ),
        ),
        Row(
            "Kafka's group",
            (
                Panel("Messages fetched and not yet read", "short",
                      ((gauge("tillflow_log_fetch_queue_messages", "partition"), "partition {{partition}}"),),
                      "Full queues: the processor, or a store behind it, is slower than the log."),
                Panel("Bytes fetched and not yet read", "bytes",
                      ((gauge("tillflow_log_fetch_queue_bytes", "partition"), "partition {{partition}}"),),
                      "At kafka.consumer.queued.max.messages.kbytes no more are fetched."),
                Panel("Changes of the group", "short",
                      ((rate("tillflow_log_rebalances_total", function="increase"), "partitions assigned or taken"),
                       (rate("tillflow_log_consumers_replaced_total", function="increase"), "consumers made anew")),
                      "Each change moves partitions. A consumer is made anew when it finds no coordinator though brokers answer."),
            ),
        ),
    ),
)

PROCESSOR = Dashboard(
    "processor",
    "processor",
    "consume, parse, enrich, roll up: from the log to a block.",
    (
        Row(
            "Consume",
            (
                Panel("Records read", "ops", ((rate("tillflow_consume_records_total", "instance"), "{{instance}}"),),
                      "From the log, by processor; what is read again after a change of place counts again."),
                Panel("Records behind the log, by partition", "short",
                      (("partition:consume_lag_records:max", "partition {{partition}}"),
                       (gauge("tillflow_consume_lag_records", "instance"), "all of {{instance}}")),
                      "Alert: LagGrowing, over 10,000 and growing.", limit=10_000),
                Panel("Partitions", "short",
                      ((gauge("tillflow_consume_partitions", "instance"), "read by {{instance}}"),
                       (gauge("tillflow_consume_stopped_partitions", "instance"), "stopped at {{instance}}")),
                      "A stopped one needs an operator. Alert: PartitionStopped."),
            ),
        ),
        Row(
            "Parse",
            (
                Panel("Dead letters, by reason", "short", ((rate("tillflow_parse_dead_total", "reason", function="increase"), "{{reason}}"),),
                      "Records of foreign producers that the rules refuse. Alert: DeadLetters."),
                Panel("Repeated orders", "ops",
                      ((rate("tillflow_parse_duplicates_total"), "repeated"), (rate("tillflow_parse_conflicts_total"), "with another body")),
                      "Under an id that was in the window; they count once. Alert: ConflictingRepeats."),
                Panel("The window's length, in orders", "short",
                      ((gauge("tillflow_parse_window_ids", "partition"), "ids of partition {{partition}}"),
                       (gauge("tillflow_parse_window_offsets", "instance", "max"), "offsets looked back, {{instance}}")),
                      "An id is remembered for process.window offsets of its partition."),
                Panel("The window's memory", "bytes", ((gauge("tillflow_parse_window_bytes", "partition"), "partition {{partition}}"),),
                      "About 30 bytes for each offset."),
                Panel("The window's rebuilding, offsets left", "short",
                      ((gauge("tillflow_parse_window_rebuild_left", "partition"), "partition {{partition}}"),),
                      "After a change of place the window is read from the log before the partition goes on."),
                Panel("The window's rebuilding, time taken", "s",
                      (("sum by (instance) (tillflow_parse_window_rebuild_seconds_sum" + HERE + ") / sum by (instance) "
                        "(tillflow_parse_window_rebuild_seconds_count" + HERE + ")", "mean of {{instance}}"),),
                      "Since the process started."),
            ),
        ),
        Row(
            "Enrich and roll up",
            (
                Panel("Orders that could not be told apart", "ops",
                      ((rate("tillflow_enrich_unknown_states_total"), "state unknown"),
                       (rate("tillflow_enrich_other_categories_total"), "category other")),
                      "Customers that the dimension does not know; categories that order.categories does not list."),
                Panel("Customers in the dimension", "short", ((gauge("tillflow_enrich_customers", "instance"), "{{instance}}"),),
                      "As the file was read last."),
                Panel("The dimension, read again", "short",
                      ((rate("tillflow_enrich_reloads_total", function="increase"), "read"),
                       (rate("tillflow_enrich_reload_errors_total", function="increase"), "not readable")),
                      "Alert: ReloadFailed."),
                Panel("Rows of sums", "ops", ((rate("tillflow_roll_up_rows_total"), "rows"),),
                      "What blocks of orders come to by minute, currency, source, state and category."),
                Panel("Orders for each row of sums", "short",
                      ((rate("tillflow_store_orders_total") + " / " + rate("tillflow_roll_up_rows_total"), "orders a row"),),
                      "How much the sums are smaller than what they sum up."),
            ),
        ),
    ),
)

STORES = Dashboard(
    "stores",
    "stores",
    "store: blocks into the orders store and the rollups.",
    (
        Row(
            "Blocks",
            (
                Panel("Orders stored", "ops", ((rate("tillflow_store_orders_total", "instance"), "{{instance}}"),),
                      "In both stores, each once."),
                Panel("Blocks stored", "ops", ((rate("tillflow_store_blocks_total", "instance"), "{{instance}}"),),
                      "About one a second and partition, or fewer: each is one insert and one part in ClickHouse."),
                Panel("Orders in a block", "short",
                      ((rate("tillflow_store_orders_total") + " / " + rate("tillflow_store_blocks_total"), "orders a block"),),
                      "At process.block_records the processor is at its limit."),
                Panel("Time to store a block", "s", latencies("tillflow_store_block_seconds"), "In both stores, tries again included."),
                Panel("Blocks sent again", "short", ((rate("tillflow_store_retries_total", "instance", function="increase"), "{{instance}}"),),
                      "After an error; the store takes each once. Alert: StoreErrors."),
            ),
        ),
        Row(
            "Cassandra (orders) and ClickHouse (rollups)",
            (
                Panel("Time of a request", "s", latencies("tillflow_store_request_seconds", "store"),
                      "A batch into Cassandra, an insert into ClickHouse, until it is acknowledged."),
                Panel("Errors, by store and kind", "short", ((rate("tillflow_store_errors_total", "store, kind", function="increase"), "{{store}} {{kind}}"),),
                      "Alert: StoreErrors."),
                Panel("Requests sent again", "short",
                      ((rate("tillflow_store_request_retries_total", "store", function="increase"), "{{store}}"),
                       (rate("tillflow_store_burned_tokens_total", function="increase"), "acknowledged and not stored")),
                      "An insert that ClickHouse acknowledged and does not show is made again under another token, after it cannot come any more."),
                Panel("Requests in flight", "short", ((gauge("tillflow_store_requests_in_flight", "store"), "{{store}}"),),
                      "At cassandra.in_flight batches wait for each other."),
                Panel("Rows acknowledged", "ops", ((rate("tillflow_store_rows_total", "store"), "{{store}}"),),
                      "An order is one row; a block's sums are a few, and one for the block."),
                Panel("Bytes sent", "Bps", ((rate("tillflow_store_sent_bytes_total", "store"), "{{store}}"),), "Of the rows, before any compression."),
            ),
        ),
    ),
)

END_TO_END = Dashboard(
    "end-to-end",
    "end to end",
    "Whether orders come through, how fresh what people read is, and whether the books balance.",
    (
        Row(
            "Now",
            (
                Panel("Alerts that fire", "short", (('count(ALERTS{alertstate="firing"}) or vector(0)', "alerts"),),
                      "Which, is in Prometheus under /alerts.", kind="stat", width=4, limit=1),
                Panel("Parts that do not work", "short", (("sum(tillflow_observe_complaints)", "parts"),),
                      "A process's /readyz names them. Alert: NotReady.", kind="stat", width=4, limit=1),
                Panel("Processes that answer", "short", (("count by (job) (up == 1)", "{{job}}"),), "Alert: TargetDown.", kind="stat", width=8),
                Panel("Newest order stored, age", "s", (("time() - max(tillflow_store_newest_received_at_seconds > 0)", "since it came in"),
                      ("time() - max(tillflow_store_newest_created_at_seconds > 0)", "since it was made")),
                      "It grows when nobody sends; see freshness for what waits.", kind="stat", width=8),
            ),
        ),
        Row(
            "Through",
            (
                Panel("Orders in and out", "ops",
                      ((rate("tillflow_receive_orders_total", more=', outcome="accepted"'), "accepted"),
                       (rate("tillflow_store_orders_total"), "stored"), (rate("tillflow_parse_duplicates_total"), "repeated"),
                       (rate("tillflow_parse_dead_total"), "dead")),
                      "What is accepted is stored, or repeats, or is dead; the difference waits in the log."),
                Panel("Freshness, by partition", "s", (("partition:consume_freshness_seconds:max", "partition {{partition}}"),),
                      "Age of the newest stored record of each partition that has more to store; 0: all is stored. Alert: FreshnessLate.", limit=30),
                Panel("Records behind the log", "short", (("sum(partition:consume_lag_records:max)", "all partitions"),),
                      "By partition it is on the processor's dashboard."),
                Panel("Received up to, by partition", "dateTimeAsIso",
                      (("1000 * max by (partition) (tillflow_consume_newest_received_at_seconds)", "partition {{partition}}"),),
                      "All that came in up to then is stored.", kind="stat", width=24),
            ),
        ),
        Row(
            "The books",
            (
                Panel("Differences in the newest ledger", "short", (("max(tillflow_observe_ledger_differences)", "differences"),),
                      "Of log, orders and sums. Alert: LedgerDiffers.", kind="stat", width=6, limit=1),
                Panel("The newest ledger's age", "s", (("time() - max(tillflow_observe_ledger_at_seconds)", "age"),),
                      "Alert: LedgerLate over 26 hours.", kind="stat", width=6, limit=26 * 3600),
                Panel("Records that the ledger counted", "short", (("max by (kind) (tillflow_observe_ledger_records)", "{{kind}}"),),
                      "log = orders + duplicates + dead + what is still to be stored.", kind="stat", width=6),
                Panel("Records not stored", "short",
                      (("max(tillflow_observe_ledger_pending_records)", "still to be stored"),
                       ("max(tillflow_observe_ledger_lost_records)", "lost, and accepted as lost")),
                      "As the newest ledger found it.", kind="stat", width=6),
            ),
        ),
    ),
)

MACHINE = Dashboard(
    "machine",
    "machine",
    "What the processes take, and what the machines have left.",
    (
        Row(
            "Processes",
            (
                Panel("Memory", "bytes", ((gauge("tillflow_observe_memory_bytes", "job, instance"), "{{job}} {{instance}}"),),
                      "Resident. Every queue has a limit, so that it is flat under load."),
                Panel("Up for", "s", ((f"time() - tillflow_observe_start_seconds{HERE}", "{{job}} {{instance}}"),), "Alert: Restarting."),
                Panel("Answers to Prometheus", "short", (("min by (job, instance) (up)", "{{job}} {{instance}}"),), "0: TargetDown."),
            ),
        ),
        Row(
            "Machines",
            (
                Panel("Processors busy", "percentunit",
                      (('1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))', "{{instance}}"),),
                      "Of all of a machine's."),
                Panel("Memory available", "bytes",
                      (("min by (instance) (node_memory_MemAvailable_bytes)", "{{instance}}"),
                       ("min by (instance) (node_memory_MemTotal_bytes)", "all of {{instance}}")),
                      "What processes could still get."),
                Panel("Disks, full to", "percentunit",
                      (('1 - min by (instance, mountpoint) (node_filesystem_avail_bytes{fstype!~"overlay|squashfs|ramfs|iso9660"}'
                        " / node_filesystem_size_bytes)", "{{instance}} {{mountpoint}}"),),
                      "Among them the log's. Alert: DiskLow over 90%.", limit=0.9),
                Panel("Disks, bytes", "Bps",
                      (("sum by (instance) (rate(node_disk_written_bytes_total[$__rate_interval]))", "written {{instance}}"),
                       ("sum by (instance) (rate(node_disk_read_bytes_total[$__rate_interval]))", "read {{instance}}")),
                      "Of all disks."),
                Panel("Disks, busy", "percentunit",
                      (("max by (instance, device) (rate(node_disk_io_time_seconds_total[$__rate_interval]))", "{{instance}} {{device}}"),),
                      "Each acknowledgement waits for a disk."),
                Panel("Network, bytes", "Bps",
                      (("sum by (instance) (rate(node_network_receive_bytes_total[$__rate_interval]))", "received {{instance}}"),
                       ("sum by (instance) (rate(node_network_transmit_bytes_total[$__rate_interval]))", "sent {{instance}}")),
                      "Of all interfaces, loopback included."),
            ),
        ),
        Row(
            "Prometheus itself",
            (
                Panel("Time to scrape", "s", (("max by (job, instance) (scrape_duration_seconds)", "{{job}} {{instance}}"),),
                      "A process that is too busy to answer in time counts as down."),
                Panel("Series", "short", (("max(prometheus_tsdb_head_series)", "series"),), "In Prometheus's memory."),
                Panel("Rules that failed", "short",
                      (("sum(increase(prometheus_rule_evaluation_failures_total[$__rate_interval]))", "evaluations"),),
                      "Alerts are such rules."),
            ),
        ),
    ),
)

FLOW = (INGEST, LOG, PROCESSOR, STORES, END_TO_END, MACHINE)

# Metrics that are on no panel, and why.
ON_NO_PANEL: dict[str, str] = {}
