//! The yardstick of the bridge: the least that can stand before a server on stdio. One child for everybody, ids
//! replaced and put back, answers as JSON; no authentication, no log, no streams, no limits, and nothing that lasts
//! when something goes wrong. [`NAME`], a port and a program as arguments make this program one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::process::Stdio;
use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

/// The first argument of a process that is a prototype.
pub(crate) const NAME: &str = "prototype";

const INITIALIZE: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"prototype","version":"1"}}"#;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The child, as those see it who call it.
struct Child {
    lines: mpsc::UnboundedSender<String>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<String>>>,
    last_id: Cell<u64>,
}

/// Serves until it is killed.
pub(crate) fn run(arguments: &[String]) {
    let [port, program @ ..] = arguments else { panic!("a port and a program are needed") };
    let port = port.parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, serve(port, program));
}

async fn serve(port: u16, program: &[String]) {
    let mut process = Command::new(&program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let (lines, queue) = mpsc::unbounded_channel();
    let child = Rc::new(Child { lines, waiting: RefCell::default(), last_id: Cell::new(0) });
    tokio::task::spawn_local(write(process.stdin.take().expect("a pipe"), queue));
    tokio::task::spawn_local(read(process.stdout.take().expect("a pipe"), child.clone()));
    let initialized = Rc::new(child.call(r#""initialize""#, INITIALIZE).await);
    child.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned());
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("bind the port");
    loop {
        let (stream, _) = listener.accept().await.expect("accept a connection");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        let (child, initialized) = (child.clone(), initialized.clone());
        let service = service_fn(move |request| {
            let (child, initialized) = (child.clone(), initialized.clone());
            async move { Ok::<_, Infallible>(answer(&child, &initialized, request).await) }
        });
        tokio::task::spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(child: &Child, initialized: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return Response::new(Full::default());
    }
    let body = request.into_body().collect().await.expect("the request has an end").to_bytes();
    let message: Message<'_> = serde_json::from_slice(&body).expect("the request is JSON");
    let (Some(id), Some(method)) = (message.id, message.method) else {
        let mut accepted = Response::new(Full::default());
        *accepted.status_mut() = StatusCode::ACCEPTED;
        return accepted;
    };
    let rest = match method.get() {
        r#""initialize""# => initialized.to_owned(),
        method => child.call(method, message.params.map_or("{}", RawValue::get)).await,
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":{}{rest}"#, id.get());
    let answer = Response::builder().header("content-type", "application/json").header("mcp-session-id", "1");
    answer.body(Full::new(body.into())).expect("an answer can be made")
}

impl Child {
    /// Gives what follows the id in the answer.
    async fn call(&self, method: &str, params: &str) -> String {
        let (id, (answer, answered)) = (self.last_id.get() + 1, oneshot::channel());
        self.last_id.set(id);
        self.waiting.borrow_mut().insert(id, answer);
        self.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#));
        answered.await.expect("the server answers")
    }

    fn send(&self, mut line: String) {
        line.push('\n');
        self.lines.send(line).expect("the server reads");
    }
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::UnboundedReceiver<String>) {
    while let Some(mut lines) = queue.recv().await {
        while let Ok(line) = queue.try_recv() {
            lines.push_str(&line);
        }
        stdin.write_all(lines.as_bytes()).await.expect("the server reads");
    }
}

async fn read(stdout: ChildStdout, child: Rc<Child>) {
    let (mut stdout, mut line) = (BufReader::with_capacity(1 << 16, stdout), String::new());
    while stdout.read_line(&mut line).await.expect("the server writes") > 0 {
        let message: Message<'_> = serde_json::from_str(&line).expect("the server writes JSON");
        let id = message.id.and_then(|id| id.get().parse().ok());
        if let Some(waiting) = id.and_then(|id| child.waiting.borrow_mut().remove(&id)) {
            let rest = match (message.result, message.error) {
                (Some(result), _) => format!(r#","result":{result}}}"#),
                (None, error) => format!(r#","error":{}}}"#, error.map_or("null", RawValue::get)),
            };
            let _ = waiting.send(rest);
        }
        line.clear();
    }
}
