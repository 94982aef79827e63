//! What the server answers, in both eras: only tools, which never change while it runs.

use std::collections::{BTreeMap, HashMap};

use mcp::message::{self, Request, code};
use mcp::protocol::{Era, Revision};
use mcp::splice;
use openapi::{Api, Scheme, Tool};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::backend::Backend;
use super::calls::NoResult;
use super::credentials::Credentials;
use super::pages::Pages;
use super::tokens::Tokens;
use crate::link::meta;

/// For how long a client may keep the list of tools, in milliseconds (2026-07-28, Caching): a restart may change it.
const LIST_KEPT_MS: u64 = 60_000;

pub(super) struct Server {
    tools: Vec<Tool>,
    by_name: HashMap<String, usize>,
    with_sessions: Pages,
    stateless: Pages,
    info: Value,
    pub(super) schemes: BTreeMap<String, Scheme>,
    pub(super) credentials: Credentials,
    pub(super) tokens: Tokens,
    pub(super) backend: Backend,
    pub(super) passes_headers: bool,
}

impl Server {
    pub(super) fn new(api: Api, credentials: Credentials, backend: Backend, passes_headers: bool) -> Self {
        let Api { mut tools, schemes, report } = api;
        let with_sessions = Pages::of(&tools, |tool| &tool.listed.with_sessions);
        let stateless = Pages::of(&tools, |tool| &tool.listed.stateless);
        for tool in &mut tools {
            // The pages have them.
            tool.listed.with_sessions = Value::Null;
            tool.listed.stateless = Value::Null;
        }
        let by_name = tools.iter().enumerate().map(|(at, tool)| (tool.name.clone(), at)).collect();
        let title = if report.title.is_empty() { "OpenAPI" } else { &report.title };
        let version = if report.version.is_empty() { "0" } else { &report.version };
        let info = json!({ "name": title, "version": version });
        Self {
            tools,
            by_name,
            with_sessions,
            stateless,
            info,
            schemes,
            credentials,
            tokens: Tokens::default(),
            backend,
            passes_headers,
        }
    }

    pub(super) fn tool(&self, name: &str) -> Option<&Tool> {
        self.by_name.get(name).map(|at| &self.tools[*at])
    }

    /// The line that answers a request.
    pub(super) async fn answer(&self, request: &Request<'_>) -> String {
        let params = request.params.map_or("", RawValue::get);
        let revision = splice::find(params, &["_meta", meta::REVISION]).map(|place| &params[place]);
        let is_stateless = revision.is_some() || request.method == "server/discover";
        match &*request.method {
            "initialize" => self.initialize(request, params),
            "ping" if !is_stateless => result(request, "{}"),
            "server/discover" => self.discover(request),
            "tools/list" => self.list(request, params, is_stateless),
            "tools/call" => match self.call(request, !is_stateless).await {
                Ok(called) if is_stateless => result(request, &complete(called.get())),
                Ok(called) => result(request, called.get()),
                Err(NoResult::Malformed(reason)) => error(request, code::INVALID_PARAMS, &reason),
                Err(NoResult::NoSuchTool(name)) => {
                    error(request, code::INVALID_PARAMS, &format!("there is no tool {name}"))
                }
            },
            method => error(request, code::METHOD_NOT_FOUND, &format!("the method {method} is not served")),
        }
    }

    fn initialize(&self, request: &Request<'_>, params: &str) -> String {
        let asked = splice::find(params, &["protocolVersion"]);
        let asked = asked.and_then(|place| serde_json::from_str::<String>(&params[place]).ok());
        let asked = asked.and_then(|text| text.parse::<Revision>().ok());
        let agreed = asked
            .filter(|revision| revision.era() == Era::Sessions)
            .unwrap_or(Revision::LATEST_WITH_SESSIONS);
        let introduction = json!({
            "protocolVersion": agreed.as_str(),
            "capabilities": { "tools": {} },
            "serverInfo": self.info,
        });
        result(request, &introduction.to_string())
    }

    fn discover(&self, request: &Request<'_>) -> String {
        let discovered = json!({
            "resultType": "complete",
            "supportedVersions": [Revision::LATEST_STATELESS.as_str()],
            "capabilities": { "tools": {} },
            "ttlMs": LIST_KEPT_MS,
            "cacheScope": "public",
            "_meta": { meta::SERVER_INFO: self.info },
        });
        result(request, &discovered.to_string())
    }

    fn list(&self, request: &Request<'_>, params: &str, is_stateless: bool) -> String {
        let cursor = splice::find(params, &["cursor"]).map(|place| &params[place]);
        let cursor = cursor.and_then(|cursor| serde_json::from_str::<Option<String>>(cursor).ok()).flatten();
        let pages = if is_stateless { &self.stateless } else { &self.with_sessions };
        match pages.at(cursor.as_deref()) {
            Some(page) if is_stateless => {
                let kept = format!("\"ttlMs\":{LIST_KEPT_MS},\"cacheScope\":\"public\"");
                result(request, &format!("{{\"resultType\":\"complete\",{kept},{page}}}"))
            }
            Some(page) => result(request, &format!("{{{page}}}")),
            None => error(request, code::INVALID_PARAMS, "the cursor leads to no page; begin without one"),
        }
    }
}

/// A result of the era that says whether it is whole.
fn complete(called: &str) -> String {
    called.replacen('{', "{\"resultType\":\"complete\",", 1)
}

fn result(request: &Request<'_>, result: &str) -> String {
    message::line(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", request.id)).into_owned()
}

fn error(request: &Request<'_>, code: i64, text: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": request.id, "error": { "code": code, "message": text } }).to_string()
}
