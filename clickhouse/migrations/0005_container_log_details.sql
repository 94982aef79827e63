-- What a line says of itself, and its place in its stream.

ALTER TABLE mcpcan.container_log
    ADD COLUMN IF NOT EXISTS level Enum8('' = 0, 'trace' = 1, 'debug' = 2, 'info' = 3, 'warn' = 4, 'error' = 5) COMMENT 'as the line names it' CODEC(ZSTD(1)) AFTER stream,
    ADD COLUMN IF NOT EXISTS module LowCardinality(String) COMMENT 'who wrote the line, as it names it' AFTER level,
    ADD COLUMN IF NOT EXISTS sequence UInt64 COMMENT 'of the message in the stream LOGS; with index it names the line for ever' CODEC(Delta(8), ZSTD(1)) AFTER text,
    ADD COLUMN IF NOT EXISTS index UInt32 COMMENT 'in the message, from 0' CODEC(T64, ZSTD(1)) AFTER sequence;
