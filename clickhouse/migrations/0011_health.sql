-- One row per probe of an instance, and what remains of them by the hour: how long an instance was up.

CREATE TABLE IF NOT EXISTS mcpcan.health_samples
(
    time DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    instance_id UUID CODEC(ZSTD(1)),
    status LowCardinality(String) COMMENT 'healthy, restricted, degraded or unhealthy',
    container LowCardinality(String) COMMENT 'ready, not_ready, unknown or not_applicable, as the two below',
    service LowCardinality(String),
    mcp LowCardinality(String),
    problem LowCardinality(String) COMMENT 'the class of what is wrong; empty if nothing is',
    detail String CODEC(ZSTD(1)),
    asked UInt16 COMMENT 'replicas, or servers elsewhere',
    answered UInt16 COMMENT 'those of them that answered as they should',
    took_ns UInt64 CODEC(T64, ZSTD(1)),
    sequence UInt64 CODEC(Delta(8), ZSTD(1)),
    `index` UInt32 CODEC(T64, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (instance_id, time)
TTL toDateTime(time, 'UTC') + toIntervalDay(7)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS mcpcan.health_per_hour
(
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    instance_id UUID,
    status LowCardinality(String),
    problem LowCardinality(String),
    samples SimpleAggregateFunction(sum, UInt64),
    took_ns SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (instance_id, hour, status, problem)
TTL hour + toIntervalDay(400)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS mcpcan.health_per_hour_of_samples TO mcpcan.health_per_hour AS
SELECT
    toStartOfHour(time) AS hour, instance_id, status, problem,
    count() AS samples, sum(took_ns) AS took_ns
FROM mcpcan.health_samples
GROUP BY hour, instance_id, status, problem;
