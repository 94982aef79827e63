-- The database, and the table in which applied migrations are recorded. Runs at the start of every migration run.

CREATE DATABASE IF NOT EXISTS mcpcan;

-- The deduplication window keeps one record per migration when two runs finish it at once.
CREATE TABLE IF NOT EXISTS mcpcan.migrations
(
    name String,
    checksum String COMMENT 'BLAKE3 of the file as it was applied',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY name
SETTINGS non_replicated_deduplication_window = 1000;
