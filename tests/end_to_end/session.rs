//! What a user does, one method for each thing, each with the proof that it had its effect.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{Platform, Sdk, http, until};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A test waits so long for a row of the access log; the goal of two seconds is for a release build.
pub(crate) const ROW_DEADLINE: Duration = Duration::from_secs(60);
/// How long an instance may take to run again, or to be gone.
const INSTANCE_DEADLINE: Duration = Duration::from_secs(60);
/// More rows than a test makes.
const ROWS_MAX: &str = "10000";

/// What tells one row of the access log from every other: its span, and what it tells of it.
pub(crate) type Row = (String, String);

/// A user at the command line of one installation.
pub(crate) struct Session<'a> {
    pub(crate) platform: &'a Platform,
}

/// A token as it was printed.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) label: String,
    /// The mcpServers JSON that was printed with it.
    pub(crate) config: Value,
}

impl Token {
    fn server(&self) -> &Value {
        let servers = self.config["mcpServers"].as_object().expect("a configuration lists servers");
        servers.values().next().expect("it lists one server")
    }

    fn url(&self) -> &str {
        self.server()["url"].as_str().expect("a server has an address")
    }

    fn authorization(&self) -> &str {
        self.server()["headers"]["Authorization"].as_str().expect("a bearer token is in Authorization")
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(platform: &'a Platform) -> Self {
        Self { platform }
    }

    pub(crate) async fn creates_an_instance(&mut self, name: &str, command: &[&str]) {
        self.creates_an_instance_with(name, &[], command).await;
    }

    pub(crate) async fn creates_an_instance_with(&mut self, name: &str, options: &[&str], command: &[&str]) {
        let create = ["instance", "create", name, "--access", "hosted", "--transport", "stdio"];
        let arguments = [&create[..], options, &["--"], command].concat();
        let created = self.platform.run(&arguments).await.success(&arguments);
        assert_eq!(created.stdout.trim(), format!("{name} is ready"));
        // Each step is shown, in order; a terminal would show them on one line.
        let mut steps = created.stderr.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
        for step in ["accepted", "starting", "handshake", "ready"] {
            assert!(steps.any(|shown| shown == step), "no step `{step}` in order in {:?}", created.stderr);
        }
    }

    pub(crate) async fn issues_a_token(&mut self, instance: &str, label: &str) -> Token {
        let issued =
            self.platform.json(&["token", "issue", instance, "--kind", "bearer", "--label", label]).await;
        let secret = issued["token"].as_str().expect("the token is printed");
        let config = issued["config"].clone();
        let token = Token {
            id: issued["id"].as_str().expect("a token has an id").to_owned(),
            label: label.to_owned(),
            config,
        };
        assert_eq!(token.authorization(), format!("Bearer {secret}"));
        assert!(token.config["mcpServers"][instance].is_object(), "{}", token.config);
        token
    }

    pub(crate) async fn official_clients_call(&mut self, token: &Token) {
        for sdk in [Sdk::TypeScript, Sdk::Python] {
            let message = format!("from {sdk:?}");
            let seen = sdk.call(&token.config, "echo", &json!({ "message": message })).await;
            let seen = seen.unwrap_or_else(|error| panic!("{sdk:?} cannot call: {error}"));
            assert_eq!(seen.server, "mcp-servers/everything");
            assert!(seen.tools.contains(&"echo".to_owned()), "{seen:?}");
            assert_eq!(seen.text, format!("Echo: {message}"));
        }
    }

    pub(crate) async fn command_line_calls(&mut self) {
        let tools = self.platform.json(&["tools", "everything"]).await;
        assert!(tools.as_array().expect("a list").iter().any(|tool| tool["name"] == "echo"), "{tools}");
        let call = ["call", "everything", "echo", r#"{"message":"hi"}"#];
        assert_eq!(self.platform.run(&call).await.success(&call).stdout, "Echo: hi\n");
        let wrong = ["call", "everything", "echo", r#"{"message":7}"#];
        let failed = self.platform.run(&wrong).await;
        assert!(matches!(failed.status.code(), Some(3 | 5)), "{failed:?}");
    }

    #[expect(
        clippy::print_stdout,
        reason = "the time is for whoever reads the test's output; it is not asserted"
    )]
    pub(crate) async fn finds_the_calls_in_the_access_log(&mut self) {
        let trace = format!("{:032x}", 0x00c0_ffee);
        let call = ["call", "everything", "echo", r#"{"message":"found"}"#, "--trace", &trace];
        self.platform.run(&call).await.success(&call);
        let (rows, took) = self.rows_of_trace(&trace, "tools/call").await;
        println!("the rows of a call could be found {} ms after it", took.as_millis());
        let [request, response] = ["request", "response"].map(|event| {
            let mut found =
                rows.iter().filter(|row| row["event"] == event && row["rpc_method"] == "tools/call");
            found.next().unwrap_or_else(|| panic!("no {event} in {rows:?}")).clone()
        });
        for row in [&request, &response] {
            assert_eq!(row["trace_id"], trace.as_str());
            assert_eq!(row["instance_name"], "everything");
            assert_eq!(row["token_label"], "dev");
            assert_eq!(row["http_method"], "POST");
            assert_eq!(row["tool"], "echo");
            assert!(row["path"].as_str().is_some_and(|path| path.starts_with("/mcp-gateway/")), "{row}");
            assert!(row["time"].is_string() && row["level"].is_string(), "{row}");
        }
        assert_eq!(response["status"], 200);
        assert!(response["latency_ns"].as_u64().is_some_and(|latency| latency > 0), "{response}");
        let search = ["access-log", "search", "--instance", "everything", "--tool", "echo", "--token", "dev"];
        let shown = self.platform.run(&search).await.success(&search).stdout;
        assert!(shown.contains(&trace) && shown.contains("tools/call"), "{shown}");
    }

    pub(crate) async fn keeps_the_trace_id_of_a_client(&mut self, token: &Token) {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let response = self.pings(token, &[("traceparent", &parent)]).await;
        assert_eq!(response.headers()["x-trace-id"], trace);
        self.rows_of_trace(trace, "ping").await;

        let response = self.pings(token, &[("x-trace-id", "a-trace-of-my-own")]).await;
        assert_eq!(response.headers()["x-trace-id"], "a-trace-of-my-own");
        self.rows_of_trace("a-trace-of-my-own", "ping").await;

        let response = self.pings(token, &[]).await;
        let made = response.headers()["x-trace-id"].to_str().expect("text").to_owned();
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
        self.rows_of_trace(&made, "ping").await;
    }

    pub(crate) async fn a_revoked_token_is_refused_at_once(&mut self, token: &Token) {
        assert_ne!(self.pings(token, &[]).await.status(), StatusCode::UNAUTHORIZED);
        self.platform.json(&["token", "revoke", "everything", &token.label]).await;
        let refused = self.pings(token, &[]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "the very next request after the revocation");
        assert!(refused.headers().contains_key("www-authenticate"));
        let shown = self.platform.json(&["token", "show", "everything", &token.id]).await;
        assert_eq!(shown["state"], "revoked");
        assert!(Sdk::TypeScript.call(&token.config, "echo", &json!({ "message": "x" })).await.is_err());
        let trace = refused.headers()["x-trace-id"].to_str().expect("text").to_owned();
        let search = ["access-log", "search", "--trace", &trace];
        until("the refused request is in the access log", ROW_DEADLINE, async || {
            let rows = self.platform.json(&search).await;
            rows.as_array()?.iter().any(|row| row["event"] == "auth_failed").then_some(())
        })
        .await;
    }

    pub(crate) async fn a_rotated_token_takes_effect_at_once(&mut self) {
        let old = self.issues_a_token("everything", "rotated").await;
        assert_ne!(self.pings(&old, &[]).await.status(), StatusCode::UNAUTHORIZED);
        let edited =
            self.platform.json(&["token", "edit", "everything", "rotated", "--label", "turned"]).await;
        assert_eq!((&edited["id"], &edited["label"]), (&json!(old.id), &json!("turned")));
        assert_ne!(self.pings(&old, &[]).await.status(), StatusCode::UNAUTHORIZED, "only its label changed");

        let rotated = self.platform.json(&["token", "rotate", "everything", "turned"]).await;
        assert_eq!(rotated["id"], old.id.as_str());
        let refused = self.pings(&old, &[]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "the very next request after the rotation");
        let new = Token { id: old.id, label: "turned".to_owned(), config: rotated["config"].clone() };
        let seen = Sdk::TypeScript.call(&new.config, "echo", &json!({ "message": "new" })).await;
        assert_eq!(seen.expect("the new credential works").text, "Echo: new");
        self.platform.json(&["token", "revoke", "everything", "turned"]).await;
        assert_eq!(self.pings(&new, &[]).await.status(), StatusCode::UNAUTHORIZED);
    }

    pub(crate) async fn reads_logs_and_events(&mut self) {
        until("what the server wrote on stderr is in its log", ROW_DEADLINE, async || {
            let lines = self.platform.json(&["logs", "everything"]).await;
            lines.as_array()?.iter().any(|line| line["stream"] == "stderr").then_some(())
        })
        .await;
        let tail = ["--json", "events", "tail", "--from", "beginning", "--id", "everything", "--limit", "4"];
        let events = self.platform.run(&tail).await.success(&tail).stdout;
        let names: Vec<_> = events
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).expect("an event is a line of JSON")["name"].clone()
            })
            .collect();
        let expected = ["created", "replica_starting", "replica_handshaking", "replica_ready"];
        assert_eq!(names, expected.map(|name| json!(format!("instance.{name}"))));
    }

    pub(crate) async fn rebuilds_views_and_verifies_the_log(&mut self) {
        let rebuild = ["views", "rebuild", "--all"];
        self.platform.run(&rebuild).await.success(&rebuild);
        let views = self.platform.json(&["views", "list"]).await;
        let rebuilt = views.as_array().expect("a list").iter().all(|view| view["generation"] == 2);
        assert!(rebuilt, "{views}");
        let found = self.platform.json(&["events", "verify"]).await;
        assert_eq!(found["intact"], true, "{found}");
    }

    pub(crate) async fn stops_starts_and_restarts(&mut self) {
        let replica = self.replica().await;
        self.changes("stop", "stopped").await;
        assert_eq!(self.hosted_processes(), 0, "a stopped server runs: {:?}", self.platform.processes());
        self.changes("start", "ready").await;
        let started = self.replica().await;
        assert_ne!(replica, started);
        self.changes("restart", "ready").await;
        let restarted = self.replica().await;
        assert_ne!(started, restarted);
        let again =
            ["instance", "create", "everything", "--access", "hosted", "--transport", "stdio", "--", "true"];
        self.platform.run(&again).await.code(3, &again);
    }

    /// Calls, and gives every row that the instance has then.
    pub(crate) async fn calls_and_notes_rows(&mut self, token: &Token) -> BTreeSet<Row> {
        let trace = format!("{:032x}", 0xdec0_de00_u32);
        let call = ["call", "everything", "echo", r#"{"message":"last"}"#, "--trace", &trace];
        self.platform.run(&call).await.success(&call);
        // The response of the session's end is the last row of the call.
        until("all rows of the last call are found", ROW_DEADLINE, async || {
            let rows = self.platform.json(&["access-log", "search", "--trace", &trace]).await;
            let rows = rows.as_array()?;
            let ended =
                |event| rows.iter().any(|row| row["http_method"] == "DELETE" && row["event"] == event);
            (ended("request") && ended("response")).then_some(())
        })
        .await;
        assert_ne!(self.pings(token, &[]).await.status(), StatusCode::UNAUTHORIZED);
        self.rows_of_instance().await
    }

    pub(crate) async fn everything_is_still_there(&mut self, token: &Token, rows: &BTreeSet<Row>) {
        until("the instance runs again", INSTANCE_DEADLINE, async || {
            let shown = self.platform.json(&["instance", "show", "everything"]).await;
            (shown["phase"] == "ready").then_some(())
        })
        .await;
        let config = self.moved(token);
        for sdk in [Sdk::TypeScript, Sdk::Python] {
            let seen = sdk.call(&config, "echo", &json!({ "message": "again" })).await;
            assert_eq!(seen.expect("the token still works").text, "Echo: again");
        }
        let left = self.rows_of_instance().await;
        let lost: Vec<_> = rows.difference(&left).collect();
        assert!(lost.is_empty(), "rows of the access log are gone: {lost:?}");
        let tokens = self.platform.json(&["token", "list", "everything"]).await;
        assert_eq!(tokens.as_array().map(Vec::len), Some(3));
    }

    pub(crate) async fn deletes_the_instance(&mut self, token: &Token) {
        self.platform.json(&["instance", "delete", "everything"]).await;
        let show = ["instance", "show", "everything"];
        self.platform.run(&show).await.code(3, &show);
        let moved = Token { id: token.id.clone(), label: token.label.clone(), config: self.moved(token) };
        let refused = self.pings(&moved, &[]).await.status();
        assert!(matches!(refused, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND), "{refused}");
        until("nothing of the deleted instance runs", INSTANCE_DEADLINE, async || {
            (self.hosted_processes() == 0).then_some(())
        })
        .await;
    }

    /// The token's configuration with the gateway's present address: every start of a test takes free ports.
    fn moved(&self, token: &Token) -> Value {
        let gateway =
            self.platform.run_file()["gateway"].as_str().expect("the gateway has an address").to_owned();
        let (_, path) =
            token.url().split_once("/mcp-gateway/").expect("the address leads through the gateway");
        let mut config = token.config.clone();
        let servers = config["mcpServers"].as_object_mut().expect("a configuration lists servers");
        for server in servers.values_mut() {
            server["url"] = json!(format!("{gateway}mcp-gateway/{path}"));
        }
        config
    }

    async fn changes(&self, verb: &str, phase: &str) {
        let arguments = ["instance", verb, "everything"];
        let changed = self.platform.run(&arguments).await.success(&arguments);
        assert_eq!(changed.stdout.trim(), format!("everything is {phase}"));
    }

    async fn replica(&self) -> Value {
        let shown = self.platform.json(&["instance", "show", "everything"]).await;
        shown["replicas"][0]["id"].clone()
    }

    fn hosted_processes(&self) -> usize {
        self.platform
            .processes()
            .iter()
            .filter(|process| process.command.contains("server-everything"))
            .count()
    }

    /// A request of its own outside any session, which a server may refuse; only the gateway's part counts here.
    async fn pings(&self, token: &Token, headers: &[(&str, &str)]) -> reqwest::Response {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let mut request = http()
            .post(token.url())
            .header("authorization", token.authorization())
            .header("accept", "application/json, text/event-stream")
            .json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("the gateway answers")
    }

    /// The rows of a trace, once request and response with this method are among them.
    async fn rows_of_trace(&self, trace: &str, method: &str) -> (Vec<Value>, Duration) {
        let search = ["access-log", "search", "--instance", "everything", "--trace", trace];
        until(&format!("rows of trace {trace}"), ROW_DEADLINE, async || {
            let rows = self.platform.json(&search).await.as_array()?.clone();
            let has =
                |event: &str| rows.iter().any(|row| row["event"] == event && row["rpc_method"] == method);
            (has("request") && has("response")).then_some(rows)
        })
        .await
    }

    async fn rows_of_instance(&self) -> BTreeSet<Row> {
        let search = ["access-log", "search", "--instance", "everything", "--limit", ROWS_MAX];
        let rows = self.platform.json(&search).await;
        let rows = rows.as_array().expect("a list");
        assert!(rows.len() < ROWS_MAX.parse().expect("a number"), "not all rows are listed");
        let text = |row: &Value, name: &str| row[name].as_str().expect("every row has it").to_owned();
        rows.iter().map(|row| (text(row, "span_id"), text(row, "event"))).collect()
    }
}
