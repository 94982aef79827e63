-- Which change of each instance's retention plan the rows that lie in the tables have followed.

CREATE TABLE IF NOT EXISTS mcpcan.applied_retention
(
    instance_id UUID,
    sequence UInt64 COMMENT 'of the event that changed the plan',
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree(sequence)
ORDER BY instance_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
