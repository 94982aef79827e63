-- How often each token was used, and when last: what remains of the access log when its rows have expired.

CREATE TABLE IF NOT EXISTS mcpcan.token_usage
(
    token_id UUID,
    requests SimpleAggregateFunction(sum, UInt64),
    last_used_at SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY token_id
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- A request is written when it is passed on: what the gateway refused was no use of the token.
CREATE MATERIALIZED VIEW IF NOT EXISTS mcpcan.token_usage_of_requests TO mcpcan.token_usage AS
SELECT token_id, count() AS requests, max(time) AS last_used_at
FROM mcpcan.access_log
WHERE event = 'request' AND token_id != toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY token_id;
