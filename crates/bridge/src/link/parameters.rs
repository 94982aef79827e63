//! Arguments of tools that clients mirror into header fields (2026-07-28, Streamable HTTP, Custom Headers from Tool
//! Parameters): which ones, the server says in its list of tools, which is read once before the first call.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use mcp::message::Outcome;
use mcp::session::PARAMETER_PREFIX;
use mcp::splice;
use memchr::memmem;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Introduction, Link, outcome};
use crate::probe;

/// Pages of the list of tools that are read.
const PAGES_MAX: usize = 64;
/// Bytes of what is kept of them.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Time from one reading of the list to the next that a caller can bring about.
const READ_PAUSE: Duration = Duration::from_secs(5);
/// Objects in objects that are looked into.
const DEPTH_MAX: usize = 16;
const ANNOTATION: &str = "x-mcp-header";

/// The mirrored arguments of all tools of a server.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    list: Vec<Parameter>,
    bytes: usize,
}

/// What a link knows of them.
#[derive(Default)]
pub(super) struct KnownParameters {
    read: RefCell<Option<Read>>,
    reading: Mutex<()>,
    /// How often they were forgotten: what is read meanwhile may be old.
    forgotten: Cell<u64>,
}

struct Read {
    parameters: Rc<Parameters>,
    /// Whether the server gave its list. If not, nothing is known, and it is asked again after [`READ_PAUSE`].
    complete: bool,
    at: Instant,
}

#[derive(Debug)]
struct Parameter {
    tool: String,
    path: Vec<String>,
    header: String,
}

/// An argument of a call that has to be in a header field as well.
pub(crate) struct Mirrored<'a> {
    /// The name of the field, in lower case.
    pub(crate) header: String,
    /// The value, as it stands in the call.
    pub(crate) value: &'a str,
}

impl Parameters {
    /// What of the arguments of a call has to be mirrored.
    pub(crate) fn of_call<'a>(&self, params: &'a str) -> Vec<Mirrored<'a>> {
        let text = |place: std::ops::Range<usize>| &params[place];
        let name = splice::find(params, &["name"]).map(text);
        let Some(name) = name.and_then(|name| serde_json::from_str::<String>(name).ok()) else {
            return vec![];
        };
        let of_tool = self.list.iter().filter(|parameter| parameter.tool == name);
        let mirrored = of_tool.filter_map(|parameter| {
            let path: Vec<&str> =
                std::iter::once("arguments").chain(parameter.path.iter().map(String::as_str)).collect();
            let value = text(splice::find(params, &path)?);
            // An object where a value should be is for the server to refuse.
            let is_value = !matches!(value.as_bytes().first(), None | Some(b'{' | b'[')) && value != "null";
            is_value.then(|| Mirrored { header: parameter.header.clone(), value })
        });
        mirrored.collect()
    }

    fn add(&mut self, parameter: Parameter) {
        let texts = parameter.path.iter().chain([&parameter.tool, &parameter.header]);
        let bytes =
            size_of::<Parameter>() + texts.map(|text| size_of::<String>() + text.len()).sum::<usize>();
        if self.bytes + bytes > BYTES_MAX {
            // The server itself refuses what is not as it should be.
            tracing::warn!(tool = parameter.tool, "the server mirrors more arguments than are checked");
            return;
        }
        self.bytes += bytes;
        self.list.push(parameter);
    }

    fn read(&mut self, tools: &Value) {
        for tool in tools.as_array().into_iter().flatten() {
            if let (Some(name), Some(schema)) = (tool["name"].as_str(), tool.get("inputSchema")) {
                self.walk(name, schema, &mut Vec::new());
            }
        }
    }

    fn walk(&mut self, tool: &str, schema: &Value, path: &mut Vec<String>) {
        if path.len() > DEPTH_MAX {
            return;
        }
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            path.push(key.clone());
            if let Some(name) = property[ANNOTATION].as_str() {
                let header = format!("{PARAMETER_PREFIX}{}", name.to_ascii_lowercase());
                self.add(Parameter { tool: tool.to_owned(), path: path.clone(), header });
            }
            self.walk(tool, property, path);
            path.pop();
        }
    }
}

impl KnownParameters {
    fn usable(&self) -> Option<Rc<Parameters>> {
        let read = self.read.borrow();
        let usable = read.as_ref().filter(|read| read.complete || read.at.elapsed() < READ_PAUSE);
        usable.map(|read| read.parameters.clone())
    }
}

impl Mirrored<'_> {
    /// Whether the decoded text of a header field says the same.
    pub(crate) fn says(&self, field: &str) -> bool {
        match self.value.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(self.value).is_ok_and(|value| value == field),
            Some(b't' | b'f') => self.value == field,
            // Numbers are compared as such: `42.0` is `42`.
            _ => {
                let numbers = self.value.parse::<f64>().ok().zip(field.parse::<f64>().ok());
                self.value == field || numbers.is_some_and(|(value, field)| value == field)
            }
        }
    }
}

impl Link {
    /// The mirrored arguments of the server's tools; none as long as the server does not list them.
    pub(crate) async fn parameters(&self, server: &Introduction) -> Rc<Parameters> {
        let known = &self.parameters;
        if let Some(parameters) = known.usable() {
            return parameters;
        }
        // One caller reads for all who wait.
        let _reading = known.reading.lock().await;
        if let Some(parameters) = known.usable() {
            return parameters;
        }
        let forgotten = known.forgotten.get();
        let read =
            if server.has(&["tools"]) { self.read_parameters().await } else { Some(Parameters::default()) };
        let (complete, parameters) = (read.is_some(), Rc::new(read.unwrap_or_default()));
        if known.forgotten.get() == forgotten {
            let (at, parameters) = (Instant::now(), parameters.clone());
            *known.read.borrow_mut() = Some(Read { parameters, complete, at });
        }
        parameters
    }

    /// The mirrored arguments for a call that does not fit to those known: the tools may have changed since. They are
    /// not read again for every such call.
    pub(crate) async fn newer_parameters(&self, server: &Introduction) -> Rc<Parameters> {
        if self.parameters.read.borrow().as_ref().is_some_and(|read| read.at.elapsed() >= READ_PAUSE) {
            self.forget_parameters();
        }
        self.parameters(server).await
    }

    /// What was read is read again before the next call: the tools have changed.
    pub(crate) fn forget_parameters(&self) {
        self.parameters.read.take();
        self.parameters.forgotten.set(self.parameters.forgotten.get() + 1);
    }

    /// Reads the list of tools; `None` if the server does not give it.
    async fn read_parameters(&self) -> Option<Parameters> {
        let mut parameters = Parameters::default();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let answer = self.ask("tools/list", &page(cursor.take())).await.ok()?;
            let Some(Outcome::Result(result)) = outcome(&answer) else { return None };
            let text = result.get();
            if memmem::find(text.as_bytes(), ANNOTATION.as_bytes()).is_some()
                && let Some(tools) = splice::find(text, &["tools"])
            {
                parameters.read(&serde_json::from_str(&text[tools]).unwrap_or_default());
            }
            cursor = splice::find(text, &["nextCursor"]).map(|place| text[place].to_owned());
            if cursor.as_deref().is_none_or(|cursor| cursor == "null") {
                break;
            }
        }
        Some(parameters)
    }
}

fn page(cursor: Option<String>) -> Box<RawValue> {
    let mut params = serde_json::json!({ "_meta": probe::meta_of_the_bridge() });
    if let Some(cursor) = cursor.and_then(|cursor| serde_json::from_str::<Value>(&cursor).ok()) {
        params["cursor"] = cursor;
    }
    to_raw_value(&params).expect("a JSON value always serialises")
}
