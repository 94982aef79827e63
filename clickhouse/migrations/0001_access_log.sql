-- One row per event of a call through the gateway. The README beside this folder says why it is laid out so.

CREATE TABLE IF NOT EXISTS mcpcan.access_log
(
    time DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    level Enum8('trace' = 1, 'debug' = 2, 'info' = 3, 'warn' = 4, 'error' = 5),
    event LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    instance_id UUID COMMENT 'nil when the call named no known instance' CODEC(ZSTD(1)),
    instance_name LowCardinality(String) COMMENT 'as it was at the time of the call',
    token_id UUID COMMENT 'nil when the call carried no known token' CODEC(ZSTD(1)),
    token_label LowCardinality(String),
    gateway_id LowCardinality(String),
    session_id String COMMENT 'keyed digest of the MCP session id' CODEC(ZSTD(1)),
    protocol_version LowCardinality(String),
    http_method LowCardinality(String),
    path LowCardinality(String),
    rpc_method LowCardinality(String),
    rpc_id String CODEC(ZSTD(1)),
    tool LowCardinality(String) COMMENT 'name of the tool, prompt or resource',
    status UInt16 COMMENT 'HTTP status, 0 on a request' CODEC(ZSTD(1)),
    latency_ns UInt64 COMMENT 'from request to this event, 0 on a request' CODEC(T64, ZSTD(1)),
    request_bytes UInt64 CODEC(T64, ZSTD(1)),
    response_bytes UInt64 CODEC(T64, ZSTD(1)),
    client_address String CODEC(ZSTD(1)),
    user_agent LowCardinality(String),
    content_type LowCardinality(String),
    error String CODEC(ZSTD(1)),
    expires_at DateTime('UTC') DEFAULT toDateTime(time, 'UTC') + toIntervalDay(7)
        COMMENT 'when this row may go; seven days unless the insert says otherwise' CODEC(Delta(4), ZSTD(1)),

    INDEX time_range time TYPE minmax GRANULARITY 1,
    INDEX trace_id_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX token_id_bloom token_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (instance_id, time)
TTL expires_at
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
