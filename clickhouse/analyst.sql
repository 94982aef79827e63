-- A user for analysts: reads the tables and views of mcpcan, changes nothing, and cannot take the server away from others.
-- For a ClickHouse server; an administrator runs it once, with a password of their own:
--
--     clickhouse client --multiquery --param_password='…' < clickhouse/analyst.sql

CREATE SETTINGS PROFILE IF NOT EXISTS mcpcan_analyst SETTINGS
    readonly = 1,
    max_execution_time = 60,
    max_memory_usage = 4000000000,
    max_threads = 4;

CREATE ROLE IF NOT EXISTS mcpcan_analyst SETTINGS PROFILE 'mcpcan_analyst';

GRANT SELECT ON mcpcan.* TO mcpcan_analyst;

CREATE USER IF NOT EXISTS analyst IDENTIFIED WITH sha256_password BY {password:String} DEFAULT ROLE mcpcan_analyst;
GRANT mcpcan_analyst TO analyst;
