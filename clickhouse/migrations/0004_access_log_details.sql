-- What the first form of the access log left out: replica, header of the credential, the outcome on all three levels,
-- header fields, bodies, and each row's place in its stream.

ALTER TABLE mcpcan.access_log
    ADD COLUMN IF NOT EXISTS parent_span_id String COMMENT 'the span that the client named as the caller' CODEC(ZSTD(1)) AFTER span_id,
    ADD COLUMN IF NOT EXISTS replica_id UUID COMMENT 'nil when the call went to a server elsewhere' CODEC(ZSTD(1)) AFTER instance_name,
    ADD COLUMN IF NOT EXISTS token_header LowCardinality(String) COMMENT 'header field and scheme of the credential, in lower case' AFTER token_label,
    ADD COLUMN IF NOT EXISTS rpc_error_code Int32 COMMENT 'of the JSON-RPC error that was the answer, else 0' CODEC(T64, ZSTD(1)) AFTER status,
    ADD COLUMN IF NOT EXISTS is_error Bool COMMENT 'whether the result said that the tool had failed' CODEC(ZSTD(1)) AFTER rpc_error_code,
    ADD COLUMN IF NOT EXISTS first_byte_ns UInt64 COMMENT 'from request to the first byte of the answer' CODEC(T64, ZSTD(1)) AFTER latency_ns,
    ADD COLUMN IF NOT EXISTS error_class LowCardinality(String) COMMENT 'what kind of thing went wrong' AFTER content_type,
    ADD COLUMN IF NOT EXISTS headers Map(LowCardinality(String), String) COMMENT 'of the request, masked, on its first event' CODEC(ZSTD(1)) AFTER error,
    ADD COLUMN IF NOT EXISTS response_headers Map(LowCardinality(String), String) COMMENT 'of the answer, masked, on its first event' CODEC(ZSTD(1)) AFTER headers,
    ADD COLUMN IF NOT EXISTS cookies Map(LowCardinality(String), String) COMMENT 'values are masked' CODEC(ZSTD(1)) AFTER response_headers,
    ADD COLUMN IF NOT EXISTS form Map(LowCardinality(String), String) CODEC(ZSTD(1)) AFTER cookies,
    ADD COLUMN IF NOT EXISTS body String COMMENT 'of the request or of the answer, masked, where the instance keeps bodies' CODEC(ZSTD(3)) AFTER form,
    ADD COLUMN IF NOT EXISTS is_body_cut Bool COMMENT 'whether the body went on beyond what is kept' CODEC(ZSTD(1)) AFTER body,
    ADD COLUMN IF NOT EXISTS sequence UInt64 COMMENT 'of the message in the stream TRACES; with index it names the row for ever' CODEC(Delta(8), ZSTD(1)) AFTER is_body_cut,
    ADD COLUMN IF NOT EXISTS index UInt32 COMMENT 'in the message, from 0' CODEC(T64, ZSTD(1)) AFTER sequence;
