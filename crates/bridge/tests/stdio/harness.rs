//! A bridge under test, what it reported, and the processes it answers for.
//!
//! Every wait has a deadline. Dropping a bridge ends it by its lifeline and checks that nothing of it is left.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use mcp::sse::{Decoder, Event};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const CHILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stdio/child.py");

pub(crate) struct Bridge {
    process: Child,
    lifeline: Option<ChildStdin>,
    cookie: String,
    records: Arc<Records>,
    pub(crate) url: String,
    http: reqwest::Client,
}

#[derive(Default)]
struct Records {
    list: Mutex<Vec<Value>>,
    added: Condvar,
}

impl Records {
    #[track_caller]
    fn wait(&self, what: &str, mut found: impl FnMut(&[Value]) -> Option<Value>) -> Value {
        let until = Instant::now() + DEADLINE;
        let mut list = self.list.lock().unwrap();
        loop {
            if let Some(found) = found(&list) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} among {:#?}", list.iter().rev().take(20).collect::<Vec<_>>());
            list = self.added.wait_timeout(list, left).unwrap().0;
        }
    }
}

impl Bridge {
    /// In front of `child.py`.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_before(options, &["python3", CHILD])
    }

    pub(crate) fn start_before(options: &[&str], program: &[&str]) -> Self {
        Self::start_through(&["env"], options, program)
    }

    /// Through a program that becomes the bridge after it has changed what the bridge inherits.
    pub(crate) fn start_through(launcher: &[&str], options: &[&str], program: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let cookie = format!("test-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let mut process = Command::new(launcher[0])
            .args(&launcher[1..])
            .arg(env!("CARGO_BIN_EXE_mcpcan-bridge"))
            .args(["stdio", "--listen", "127.0.0.1:0", "--lifeline"])
            .args(options)
            .arg("--")
            .args(program)
            .env("MCPCAN_REPLICA", &cookie)
            .env("GIVEN", "to the child")
            .env("MCPCAN_LOG", "warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bridge starts");
        let lifeline = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let records = Arc::new(Records::default());
        let sink = records.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let record = serde_json::from_str(&line).expect("every line of the bridge is JSON");
                sink.list.lock().unwrap().push(record);
                sink.added.notify_all();
            }
        });
        let listening = records
            .wait("listening", |list| list.iter().find(|record| record["type"] == "listening").cloned());
        let url = format!("http://{}/mcp", listening["address"].as_str().unwrap());
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { process, lifeline, cookie, records, url, http }
    }

    /// Waits for a log line that contains `text`.
    #[track_caller]
    pub(crate) fn log_line(&self, text: &str) -> Value {
        self.records.wait(text, |list| {
            let mut lines = list.iter().filter(|record| record["type"] == "line");
            lines.find(|line| line["text"].as_str().unwrap().contains(text)).cloned()
        })
    }

    /// Waits for another log line that contains `text` than one that was found before.
    #[track_caller]
    pub(crate) fn log_line_besides(&self, text: &str, other: &Value) -> Value {
        self.records.wait(text, |list| {
            let mut lines = list.iter().filter(|record| record["type"] == "line" && record["text"] != *other);
            lines.find(|line| line["text"].as_str().unwrap().contains(text)).cloned()
        })
    }

    /// Waits until that many lines that contain `text` were logged.
    #[track_caller]
    pub(crate) fn log_lines(&self, text: &str, count: usize) {
        self.records.wait(text, |list| {
            let lines =
                list.iter().filter(|record| record["text"].as_str().is_some_and(|line| line.contains(text)));
            (lines.count() >= count).then_some(Value::Null)
        });
    }

    /// How many lines that contain `text` were logged so far.
    pub(crate) fn count_logged(&self, text: &str) -> usize {
        let list = self.records.list.lock().unwrap();
        list.iter().filter(|record| record["text"].as_str().is_some_and(|line| line.contains(text))).count()
    }

    /// Waits for a record of this type.
    #[track_caller]
    pub(crate) fn record(&self, kind: &str) -> Value {
        self.records.wait(kind, |list| list.iter().find(|record| record["type"] == kind).cloned())
    }

    /// Whether a line that was logged so far contains `text`.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        let list = self.records.list.lock().unwrap();
        list.iter().filter_map(|record| record["text"].as_str()).any(|line| line.contains(text))
    }

    /// Waits for a child that ended, in the way that `test` recognises.
    #[track_caller]
    pub(crate) fn child_exited(&self, test: impl Fn(&Value) -> bool) {
        self.records.wait("exited child", |list| {
            list.iter().find(|record| record["type"] == "child_exited" && test(record)).cloned()
        });
    }

    pub(crate) fn post(&self, session: Option<&str>, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.http.post(&self.url).header(CONTENT_TYPE, "application/json");
        self.of_session(request.header(ACCEPT, "application/json, text/event-stream").body(body), session)
    }

    /// A request of 2026-07-28 with the fields that it must have.
    pub(crate) fn stateless(&self, id: i64, method: &str, params: Value) -> RequestBuilder {
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let request = self.post(None, stateless(id, method, params));
        let request = request.header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", method);
        match name {
            Some(name) => request.header("Mcp-Name", name),
            None => request,
        }
    }

    /// Calls a tool in 2026-07-28.
    pub(crate) async fn stateless_call(&self, id: i64, tool: &str, arguments: Value) -> Response {
        let params = json!({"name": tool, "arguments": arguments});
        self.stateless(id, "tools/call", params).send().await.unwrap()
    }

    /// A request to another path than that of Streamable HTTP.
    pub(crate) fn at(&self, path: &str, method: reqwest::Method) -> RequestBuilder {
        let url = self.url.replace("/mcp", path);
        self.http.request(method, url).timeout(DEADLINE)
    }

    pub(crate) fn get(&self, session: Option<&str>) -> RequestBuilder {
        self.of_session(self.http.get(&self.url).header(ACCEPT, "text/event-stream"), session)
    }

    pub(crate) fn delete(&self, session: Option<&str>) -> RequestBuilder {
        self.of_session(self.http.delete(&self.url), session)
    }

    fn of_session(&self, request: RequestBuilder, session: Option<&str>) -> RequestBuilder {
        match session {
            Some(session) => request.header("Mcp-Session-Id", session).timeout(DEADLINE),
            None => request.timeout(DEADLINE),
        }
    }

    /// Opens a session of this revision.
    pub(crate) async fn session(&self, revision: &str) -> String {
        let response = self.post(None, initialize(revision)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["result"]["protocolVersion"], revision);
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
        let response = self.post(Some(&session), initialized).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        session
    }

    pub(crate) async fn call(&self, session: &str, id: i64, tool: &str, arguments: Value) -> Response {
        self.post(Some(session), call(id, tool, arguments)).send().await.unwrap()
    }

    /// Calls a tool that answers with JSON.
    pub(crate) async fn result(&self, session: &str, id: i64, tool: &str, arguments: Value) -> Value {
        let response = self.call(session, id, tool, arguments).await;
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    }

    /// The processes that carry this bridge's cookie, by command line.
    pub(crate) fn processes(&self) -> Vec<String> {
        processes_with(&self.cookie)
    }

    /// Waits until no process but the bridge and as many children as given carries the cookie.
    #[track_caller]
    pub(crate) fn wait_for_children(&self, children: usize) {
        let until = Instant::now() + DEADLINE;
        while self.processes().len() != children + 1 {
            assert!(Instant::now() < until, "{:#?} instead of {children} children", self.processes());
            std::thread::yield_now();
        }
    }

    /// Waits until no process carries the cookie: the bridge was killed.
    #[track_caller]
    pub(crate) fn wait_until_nothing_runs(&self) {
        let until = Instant::now() + DEADLINE;
        while !self.processes().is_empty() {
            assert!(Instant::now() < until, "left running: {:#?}", self.processes());
            std::thread::yield_now();
        }
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    /// Waits for the exit, after something was done that should bring it about.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> std::process::ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert_eq!(self.processes(), Vec::<String>::new(), "left running");
                return status;
            }
            assert!(Instant::now() < until, "the bridge does not end");
            std::thread::yield_now();
        }
    }

    pub(crate) fn cut_lifeline(&mut self) {
        self.lifeline = None;
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.cut_lifeline();
        if !std::thread::panicking() {
            self.ends();
            return;
        }
        // The assertion that failed is the one to read; here only nothing must stay behind.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Processes that carry the cookie in their environment. Zombies have none.
fn processes_with(cookie: &str) -> Vec<String> {
    let wanted = format!("MCPCAN_REPLICA={cookie}");
    let entries = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let matches = entries.filter(|entry| {
        std::fs::read(entry.path().join("environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
    });
    matches
        .map(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            format!("{:?} {}", entry.file_name(), String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

pub(crate) fn initialize(revision: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
    }})
    .to_string()
}

pub(crate) fn call(id: i64, tool: &str, arguments: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        .to_string()
}

/// The body of a request of 2026-07-28.
pub(crate) fn stateless(id: i64, method: &str, mut params: Value) -> String {
    let meta = params["_meta"].take();
    let mut all = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (key, value) in meta.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    params["_meta"] = all;
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// The answer to a call, as JSON or as the last message of a stream: a child that has to be started first may need long.
pub(crate) async fn answer_of(response: Response) -> Value {
    if response.headers()[CONTENT_TYPE] == "application/json" {
        return response.json().await.unwrap();
    }
    Events::of(response).messages().await.pop().expect("a stream ends with an answer")
}

/// An answer that is a stream of events.
pub(crate) struct Events {
    response: Response,
    decoder: Decoder,
    ready: std::collections::VecDeque<Event>,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Self { response, decoder: Decoder::new(), ready: Default::default() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            let chunk = self.response.chunk().await.expect("the stream is not broken off")?;
            let mut events = Vec::new();
            self.decoder.feed(&chunk, &mut events).unwrap();
            self.ready.extend(events);
        }
        self.ready.pop_front()
    }

    /// The next message, passing over events without data.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let event = self.next().await.expect("the stream has not ended");
            if !event.data.is_empty() {
                return serde_json::from_slice(&event.data).unwrap();
            }
        }
    }

    /// All messages to the end of the stream.
    pub(crate) async fn messages(mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(event) = self.next().await {
            if !event.data.is_empty() {
                messages.push(serde_json::from_slice(&event.data).unwrap());
            }
        }
        messages
    }
}
