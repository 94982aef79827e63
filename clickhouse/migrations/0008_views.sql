-- What analysts read: names that need no explanation, one row for one thing. clickhouse/queries.md shows how they are used.
-- The types are those of the tables: the engine cannot see through a view that changes them.

CREATE VIEW IF NOT EXISTS mcpcan.calls
(
    started_at DateTime64(9, 'UTC') COMMENT 'when the request came',
    ended_at DateTime64(9, 'UTC') COMMENT 'when its answer had ended',
    latency_ms Float64,
    first_byte_ms Float64 COMMENT 'from the request to the first byte of the answer',
    outcome String COMMENT 'ok, failed or refused; a refused call was not passed on',
    error_class LowCardinality(String),
    error String,
    http_status UInt16,
    rpc_error_code Int32 COMMENT 'of the JSON-RPC error that was the answer, else 0',
    is_tool_error Bool COMMENT 'whether the tool said that it had failed',
    instance LowCardinality(String) COMMENT 'its name then',
    instance_id UUID,
    replica_id UUID,
    token LowCardinality(String) COMMENT 'its label then',
    token_id UUID,
    client_address String,
    client LowCardinality(String) COMMENT 'as its User-Agent says',
    session String COMMENT 'a digest',
    protocol_version LowCardinality(String),
    method LowCardinality(String) COMMENT 'of JSON-RPC',
    tool LowCardinality(String) COMMENT 'or prompt or resource',
    request_bytes UInt64,
    response_bytes UInt64,
    trace_id String,
    span_id String
)
AS SELECT
    time - toIntervalNanosecond(latency_ns) AS started_at,
    time AS ended_at,
    latency_ns / 1e6 AS latency_ms,
    first_byte_ns / 1e6 AS first_byte_ms,
    multiIf(event IN ('auth_failed', 'rate_limited'), 'refused', error_class != '', 'failed', 'ok') AS outcome,
    error_class,
    error,
    status AS http_status,
    rpc_error_code,
    is_error AS is_tool_error,
    instance_name AS instance,
    instance_id,
    replica_id,
    token_label AS token,
    token_id,
    client_address,
    user_agent AS client,
    session_id AS session,
    protocol_version,
    rpc_method AS method,
    tool,
    request_bytes,
    response_bytes,
    trace_id,
    span_id
FROM mcpcan.access_log
WHERE event IN ('response', 'error', 'auth_failed', 'rate_limited') AND NOT (http_method = 'GET' AND event = 'response');

CREATE VIEW IF NOT EXISTS mcpcan.usage_by_minute
(
    minute DateTime('UTC'),
    instance_id UUID,
    token_id UUID,
    method LowCardinality(String) COMMENT 'of JSON-RPC',
    tool LowCardinality(String) COMMENT 'or prompt or resource',
    calls UInt64,
    errors UInt64 COMMENT 'calls that went wrong on any level, but for the refused',
    refused UInt64 COMMENT 'calls that were not passed on',
    request_bytes UInt64,
    response_bytes UInt64,
    latency_p50_ms Float64,
    latency_p95_ms Float64,
    latency_p99_ms Float64
)
AS SELECT
    u.minute AS minute, u.instance_id AS instance_id, u.token_id AS token_id, u.rpc_method AS method, u.tool AS tool,
    sum(u.calls) AS calls, sum(u.errors) AS errors, sum(u.refused) AS refused,
    sum(u.request_bytes) AS request_bytes, sum(u.response_bytes) AS response_bytes,
    (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(u.latency_ns) AS latencies)[1] / 1e6 AS latency_p50_ms,
    latencies[2] / 1e6 AS latency_p95_ms,
    latencies[3] / 1e6 AS latency_p99_ms
FROM mcpcan.calls_per_minute AS u
GROUP BY minute, instance_id, token_id, method, tool;

CREATE VIEW IF NOT EXISTS mcpcan.errors_by_hour
(
    hour DateTime('UTC'),
    instance_id UUID,
    error_class LowCardinality(String),
    method LowCardinality(String),
    tool LowCardinality(String),
    errors UInt64,
    last_at DateTime64(9, 'UTC'),
    example String COMMENT 'one of these errors in words'
)
AS SELECT
    e.hour AS hour, e.instance_id AS instance_id, e.error_class AS error_class, e.rpc_method AS method, e.tool AS tool,
    sum(e.errors) AS errors, max(e.last_at) AS last_at, any(e.example) AS example
FROM mcpcan.errors_per_hour AS e
GROUP BY hour, instance_id, error_class, method, tool;

CREATE VIEW IF NOT EXISTS mcpcan.server_output
(
    time DateTime64(9, 'UTC'),
    instance_id UUID,
    replica_id UUID,
    stream String COMMENT 'stdout or stderr',
    level String COMMENT 'as the line names it, or empty',
    module LowCardinality(String) COMMENT 'who wrote the line, as it names it',
    text String
)
AS SELECT time, instance_id, replica_id, toString(stream) AS stream, toString(level) AS level, module, text
FROM mcpcan.container_log;
