-- A follower of the log asks for runs of places: which granules hold them, without reading the column.

ALTER TABLE mcpcan.access_log
    ADD INDEX IF NOT EXISTS sequence_range sequence TYPE minmax GRANULARITY 1;

ALTER TABLE mcpcan.container_log
    ADD INDEX IF NOT EXISTS sequence_range sequence TYPE minmax GRANULARITY 1;
