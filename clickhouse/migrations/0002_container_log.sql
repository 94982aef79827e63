-- One row per line that a hosted server wrote. The README beside this folder says why it is laid out so.

CREATE TABLE IF NOT EXISTS mcpcan.container_log
(
    time DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    instance_id UUID CODEC(ZSTD(1)),
    replica_id UUID CODEC(ZSTD(1)),
    stream Enum8('stdout' = 1, 'stderr' = 2),
    text String CODEC(ZSTD(1)),
    expires_at DateTime('UTC') DEFAULT toDateTime(time, 'UTC') + toIntervalDay(3)
        COMMENT 'when this row may go; three days unless the insert says otherwise' CODEC(Delta(4), ZSTD(1)),

    INDEX replica_id_bloom replica_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (instance_id, time)
TTL expires_at
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
