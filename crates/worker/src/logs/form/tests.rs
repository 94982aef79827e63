//! Goal: lines as real servers and loggers write them are understood, and ordinary text is left alone.

use super::*;

/// What a line says.
fn read(text: &str) -> (Option<Level>, String) {
    Reader::default().read(Stream::Stderr, text)
}

#[test]
fn lines_of_python_are_understood() {
    for (text, level, module) in [
        ("[I 2025-11-20 12:00:03.686.686] Serving incoming MCP requests", Level::Info, ""),
        ("[W 251120 12:00:03 web:2348] 404 GET /x (127.0.0.1) 0.61ms", Level::Warn, "web"),
        ("[I 2025-11-20 12:00:03.686 ServerApp] Jupyter Server is running", Level::Info, "ServerApp"),
        (
            "INFO:mcp.server.lowlevel.server:Processing request of type ListToolsRequest",
            Level::Info,
            "mcp.server.lowlevel.server",
        ),
        ("WARNING:root:Failed to validate request", Level::Warn, "root"),
        (
            "2025-11-20 12:00:03,686 - mcp_server_sqlite - DEBUG - Handling list_tools request",
            Level::Debug,
            "mcp_server_sqlite",
        ),
        ("2025-11-20 12:00:03,686 - INFO - Server started", Level::Info, ""),
        ("2025-11-20 12:00:03,686 INFO server.main: Ready", Level::Info, "server.main"),
        ("2025-11-20 12:00:03,686 server.main ERROR Cannot connect", Level::Error, "server.main"),
        ("INFO:     Started server process [22]", Level::Info, ""),
        ("INFO:     10.42.0.6:34656 - \"POST /mcp HTTP/1.1\" 307 Temporary Redirect", Level::Info, ""),
        ("ERROR:    Exception in ASGI application", Level::Error, ""),
        ("[INFO] StreamableHTTP session manager started", Level::Info, ""),
        ("[2025-11-20 12:00:03 +0000] [22] [INFO] Starting gunicorn 23.0.0", Level::Info, ""),
        ("2025-11-20 12:00:03.686 | SUCCESS  | server.main:run:22 - up", Level::Info, "server.main"),
        ("2025-11-20 12:00:03.686 | CRITICAL | __main__:<module>:3 - gone", Level::Error, "__main__"),
        (
            "[11/20/25 12:00:03] INFO     Starting MCP server 'demo' with transport 'stdio'    server.py:1495",
            Level::Info,
            "server.py",
        ),
        ("[11/20/25 12:00:03] WARNING  no end", Level::Warn, ""),
        ("2025-11-20 12:00:03 [info     ] started                        port=8080", Level::Info, ""),
        ("event='started' level='warning' logger='server.main'", Level::Warn, "server.main"),
        (
            "INFO  [alembic.runtime.migration] Context impl SQLiteImpl.",
            Level::Info,
            "alembic.runtime.migration",
        ),
        (
            r#"{"event": "started", "level": "info", "logger": "server.main", "timestamp": "2025-11-20T12:00:03Z"}"#,
            Level::Info,
            "server.main",
        ),
        (
            r#"{"asctime": "2025-11-20 12:00:03,686", "name": "server", "levelname": "ERROR", "message": "no"}"#,
            Level::Error,
            "server",
        ),
        (
            r#"{"text": "x\n", "record": {"level": {"name": "DEBUG", "no": 10}, "name": "server.main"}}"#,
            Level::Debug,
            "server.main",
        ),
    ] {
        assert_eq!(read(text), (Some(level), module.to_owned()), "{text}");
    }
}

#[test]
fn lines_of_node_are_understood() {
    for (text, level, module) in [
        (r#"{"level":30,"time":1763640003686,"pid":22,"hostname":"h","msg":"listening"}"#, Level::Info, ""),
        (
            r#"{"name":"server","hostname":"h","pid":22,"level":50,"msg":"no","time":"2025-11-20T12:00:03Z","v":0}"#,
            Level::Error,
            "server",
        ),
        (r#"{"level":"warn","message":"slow","timestamp":"2025-11-20T12:00:03.686Z"}"#, Level::Warn, ""),
        ("info: Server listening on port 3000", Level::Info, ""),
        ("2025-11-20T12:00:03.686Z [error]: Cannot connect", Level::Error, ""),
        ("2025-11-20 12:00:03 warn: slow", Level::Warn, ""),
        ("[2025-11-20T12:00:03.686Z] DEBUG polling", Level::Debug, ""),
        ("[12:00:03.686] INFO (server/22): listening", Level::Info, "server"),
        ("[12:00:03.686] WARN (22): slow", Level::Warn, ""),
        ("[2025-11-20T12:00:03.686] [ERROR] server - no", Level::Error, ""),
        ("npm WARN deprecated inflight@1.0.6: This module is not supported", Level::Warn, "npm"),
        ("npm warn exec The following package was not found", Level::Warn, "npm"),
        ("npm ERR! code E404", Level::Error, "npm"),
        ("npm notice New major version of npm available!", Level::Info, "npm"),
        ("(node:22) ExperimentalWarning: SQLite is an experimental feature", Level::Warn, "node"),
        ("(node:22) [DEP0040] DeprecationWarning: The `punycode` module is deprecated.", Level::Warn, "node"),
        ("Error: Cannot find module 'x'", Level::Error, ""),
        ("[FastMCP warning] could not infer client capabilities", Level::Warn, "FastMCP"),
    ] {
        assert_eq!(read(text), (Some(level), module.to_owned()), "{text}");
    }
}

#[test]
fn lines_of_others_are_understood() {
    for (text, level, module) in [
        ("2025-11-20T12:00:03.686123Z  INFO server::main: listening port=8080", Level::Info, "server::main"),
        (
            "\u{1b}[2m2025-11-20T12:00:03.686123Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[2mserver::http\u{1b}[0m\u{1b}[2m:\u{1b}[0m slow",
            Level::Warn,
            "server::http",
        ),
        ("[2025-11-20T12:00:03Z ERROR server::main] no", Level::Error, "server::main"),
        (
            r#"{"timestamp":"2025-11-20T12:00:03Z","level":"TRACE","fields":{"message":"x"},"target":"server::main"}"#,
            Level::Trace,
            "server::main",
        ),
        ("time=2025-11-20T12:00:03.686Z level=INFO msg=\"listening on\" port=8080", Level::Info, ""),
        ("ts=2025-11-20T12:00:03Z caller=main.go:22 level=error msg=no", Level::Error, "main.go:22"),
        ("2025/11/20 12:00:03 WARN slow path=/mcp", Level::Warn, ""),
        ("12:00PM INF listening", Level::Info, ""),
        ("I1120 12:00:03.686000      22 server.go:12] listening", Level::Info, "server.go"),
        ("12:00:03.686 [main] INFO  com.example.Main - listening", Level::Info, "com.example.Main"),
        ("2025-11-20T12:00:03.686Z  WARN 1 --- [main] o.s.Main : slow", Level::Warn, "o.s.Main"),
        ("fail: Server.Main[14]", Level::Error, "Server.Main"),
        ("\u{1b}[32minfo\u{1b}[39m: listening", Level::Info, ""),
    ] {
        assert_eq!(read(text), (Some(level), module.to_owned()), "{text}");
    }
}

#[test]
fn what_has_no_known_form_says_nothing() {
    for text in [
        "",
        "Secure MCP Filesystem Server running on stdio",
        "an error occurred, see the log: level=error",
        "Information about this server: see the README",
        "Note: this is no level",
        "2025/11/20 12:00:03 listening on :8080",
        "2025-11-20 12:00:03 Starting: server",
        r#"{"jsonrpc":"2.0","name":"x","method":"ping"}"#,
        r#"{"level":"info", cut"#,
        r#"{"level":7}"#,
        "https://example.com/?level=info",
        "[1/4] Resolving packages...",
        "\u{1b}[",
    ] {
        assert_eq!(read(text), (None, String::new()), "{text}");
    }
}

#[test]
fn a_traceback_is_an_error_to_its_last_line_and_on_its_own_stream() {
    let mut reader = Reader::default();
    let mut level = |stream, text| reader.read(stream, text).0;
    assert_eq!(level(Stream::Stderr, "  File \"x.py\", line 1"), None, "it stands in none");
    for text in [
        "Traceback (most recent call last):",
        "  File \"x.py\", line 1, in <module>",
        "    x()",
        "ValueError: no",
    ] {
        assert_eq!(level(Stream::Stderr, text), Some(Level::Error), "{text}");
        assert_eq!(level(Stream::Stdout, "    ordinary"), None);
    }
    assert_eq!(level(Stream::Stderr, "going on"), None);
}

#[test]
fn a_long_line_costs_no_more_than_its_beginning() {
    let long = format!("2025-11-20 12:00:03 {}", "x ".repeat(8000));
    assert_eq!(read(&long), (None, String::new()));
    let module = format!("INFO:{}:text", "m".repeat(500));
    assert_eq!(read(&module).1.len(), MODULE_BYTES_MAX);
}
