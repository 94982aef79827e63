-- What remains of the access log when its rows have gone: counts, bytes and latencies by minute, errors by hour. Kept for
-- 400 days, so that a month can be compared with that of the year before.

CREATE TABLE IF NOT EXISTS mcpcan.calls_per_minute
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    instance_id UUID,
    token_id UUID,
    rpc_method LowCardinality(String),
    tool LowCardinality(String),
    calls SimpleAggregateFunction(sum, UInt64) COMMENT 'requests that have ended, however',
    errors SimpleAggregateFunction(sum, UInt64) COMMENT 'those that went wrong on any level, but for the refused',
    refused SimpleAggregateFunction(sum, UInt64) COMMENT 'those that were not passed on: no credential, too many',
    request_bytes SimpleAggregateFunction(sum, UInt64),
    response_bytes SimpleAggregateFunction(sum, UInt64),
    latency_ns AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64) COMMENT 'of answered requests; off by one in a hundred at most'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (instance_id, minute, token_id, rpc_method, tool)
TTL minute + toIntervalDay(400)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- A stream is no call, and neither is asking for one that there is not.
CREATE MATERIALIZED VIEW IF NOT EXISTS mcpcan.calls_per_minute_of_ends TO mcpcan.calls_per_minute AS
SELECT
    toStartOfMinute(time) AS minute, instance_id, token_id, rpc_method, tool,
    count() AS calls,
    countIf(error_class != '' AND event NOT IN ('auth_failed', 'rate_limited')) AS errors,
    countIf(event IN ('auth_failed', 'rate_limited')) AS refused,
    sum(request_bytes) AS request_bytes,
    sum(response_bytes) AS response_bytes,
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(latency_ns, event = 'response') AS latency_ns
FROM mcpcan.access_log
WHERE event IN ('response', 'error', 'auth_failed', 'rate_limited') AND NOT (http_method = 'GET' AND event = 'response')
GROUP BY minute, instance_id, token_id, rpc_method, tool;

CREATE TABLE IF NOT EXISTS mcpcan.errors_per_hour
(
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    instance_id UUID,
    error_class LowCardinality(String),
    rpc_method LowCardinality(String),
    tool LowCardinality(String),
    errors SimpleAggregateFunction(sum, UInt64),
    last_at SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    example SimpleAggregateFunction(any, String) COMMENT 'one of these errors in words'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (instance_id, hour, error_class, rpc_method, tool)
TTL hour + toIntervalDay(400)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS mcpcan.errors_per_hour_of_ends TO mcpcan.errors_per_hour AS
SELECT
    toStartOfHour(time) AS hour, instance_id, error_class, rpc_method, tool,
    count() AS errors, max(time) AS last_at, any(error) AS example
FROM mcpcan.access_log
WHERE error_class != '' AND event IN ('response', 'error', 'auth_failed', 'rate_limited')
GROUP BY hour, instance_id, error_class, rpc_method, tool;
