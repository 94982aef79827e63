//! `tools` and `call`: an MCP client of the gateway, with the same configuration that any client gets.

use clap::Args;
use mcp::client::{Client, Error};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::config;
use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

/// How many pages of tools are read before the server is taken to be going in circles.
const TOOL_PAGES_MAX: usize = 1000;

/// Whom to speak to, and as whom.
#[derive(Debug, Args)]
struct Target {
    /// Name or id of the instance.
    instance: String,
    /// Id or label of the token to present; the newest active one otherwise.
    #[arg(long, value_name = "ID|LABEL")]
    token: Option<String>,
    /// A trace id of your own, to find the requests by in the access log.
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ToolsArguments {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    #[command(flatten)]
    target: Target,
    /// The tool.
    tool: String,
    /// Its arguments, as a JSON object.
    #[arg(default_value = "{}", value_parser = json_object)]
    arguments: Map<String, Value>,
}

/// The configuration as clients read it (`mcpServers`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    mcp_servers: std::collections::BTreeMap<String, ServerEntry>,
}

#[derive(Deserialize)]
struct ServerEntry {
    url: String,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
}

pub(crate) async fn tools(arguments: ToolsArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let client = connect(&arguments.target, rest).await?;
    let listed = list_tools(&client).await;
    close(client).await;
    Ok(output.list(&listed?, ["tool", "description"], |tool| {
        let description = field(tool, "/description");
        [field(tool, "/name"), description.lines().next().unwrap_or_default().to_owned()]
    })?)
}

pub(crate) async fn call(arguments: CallArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let client = connect(&arguments.target, rest).await?;
    let params = json!({ "name": arguments.tool, "arguments": arguments.arguments });
    let called = request(&client, "tools/call", &params).await;
    close(client).await;
    let result = called?;
    output.one(&result, || content(&result))?;
    if result.get("isError") == Some(&Value::Bool(true)) { Err(Failure::Tool) } else { Ok(()) }
}

async fn connect(target: &Target, rest: &Rest) -> Result<Client, Failure> {
    let document = config::fetch(rest, &target.instance, target.token.as_deref()).await?;
    let config: ClientConfig = serde_json::from_value(document)
        .map_err(|error| anyhow::Error::from(error).context("read the configuration"))?;
    let entry = config.mcp_servers.into_values().next();
    let entry = entry.ok_or_else(|| Failure::Failed(anyhow::anyhow!("the configuration names no server")))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &entry.headers {
        headers.insert(header_name(name)?, header_value(name, value)?);
    }
    if let Some(trace) = &target.trace {
        headers.insert(HeaderName::from_static("x-trace-id"), header_value("--trace", trace)?);
    }
    Client::connect(&entry.url, headers).await.map_err(|error| failure(error, &target.instance))
}

fn header_name(name: &str) -> Result<HeaderName, Failure> {
    HeaderName::try_from(name).map_err(|_| Failure::Usage(format!("{name} is no header field's name")))
}

/// The value stays out of the message: it may be a credential.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::try_from(value)
        .map_err(|_| Failure::Usage(format!("the value of {name} fits into no HTTP header")))
}

async fn list_tools(client: &Client) -> Result<Vec<Value>, Failure> {
    let (mut tools, mut cursor) = (vec![], None);
    for _ in 0..TOOL_PAGES_MAX {
        let params = cursor.take().map_or_else(|| json!({}), |cursor: Value| json!({ "cursor": cursor }));
        let mut page = request(client, "tools/list", &params).await?;
        if let Some(Value::Array(listed)) = page.get_mut("tools").map(Value::take) {
            tools.extend(listed);
        }
        match page.get_mut("nextCursor").map(Value::take) {
            None | Some(Value::Null) => return Ok(tools),
            next => cursor = next,
        }
    }
    Err(Failure::Failed(anyhow::anyhow!("the server's list of tools has more than {TOOL_PAGES_MAX} pages")))
}

async fn request(client: &Client, method: &str, params: &Value) -> Result<Value, Failure> {
    let params: Box<RawValue> = to_raw_value(params).expect("a JSON value can always be written");
    let result = client.request(method, Some(&params)).await.map_err(|error| failure(error, method))?;
    let result = serde_json::from_str(result.get());
    Ok(result.map_err(|error| anyhow::Error::from(error).context("read the server's answer"))?)
}

/// The answer is there already; that the session could not be ended is no failure of the command.
async fn close(client: Client) {
    if let Err(error) = client.close().await {
        tracing::debug!(%error, "end the session");
    }
}

fn failure(error: Error, what: &str) -> Failure {
    match error {
        Error::Unreachable(_) | Error::Timeout { .. } => Failure::unreachable(what, error),
        Error::Status { code: 401 | 403, .. } => Failure::Unauthorized(format!("{what}: {error}")),
        Error::Status { code: 502..=504, ref body } => match refusal(body) {
            Some(words) => Failure::Refused(format!("{what}: {words}")),
            None => Failure::unreachable(what, error),
        },
        Error::Status { .. } | Error::Rpc { .. } => Failure::Refused(format!("{what}: {error}")),
        Error::Protocol(_) => Failure::Failed(anyhow::Error::from(error).context(what.to_owned())),
    }
}

/// The gateway's words for an instance that is not in a state to be called; none when the trouble is behind it.
fn refusal(body: &str) -> Option<String> {
    const STATES: [&str; 2] = ["instance_stopped", "instance_not_ready"];
    let answer: Value = serde_json::from_str(body).ok()?;
    let code = answer.pointer("/error/data/code")?.as_str()?;
    STATES.contains(&code).then(|| field(&answer, "/error/message"))
}

/// What a tool answered, as people read it: texts as they are, everything else by its kind.
fn content(result: &Value) -> String {
    let blocks = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let shown: Vec<_> = blocks.iter().map(block).collect();
    match result.get("structuredContent") {
        Some(structured) if shown.is_empty() => structured.to_string(),
        _ => shown.join("\n"),
    }
}

fn block(block: &Value) -> String {
    match field(block, "/type").as_str() {
        "text" => printable_lines(&field(block, "/text")),
        "resource" if block.pointer("/resource/text").is_some() => {
            printable_lines(&field(block, "/resource/text"))
        }
        "resource" => format!("[resource {}]", printable(&field(block, "/resource/uri"))),
        "resource_link" => format!("[resource {}]", printable(&field(block, "/uri"))),
        kind => format!("[{} {}]", printable(kind), printable(&field(block, "/mimeType"))),
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("a JSON object was expected: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_instance_is_told_from_one_that_cannot_be_reached() {
        let body = |code: &str| json!({ "error": { "message": "m", "data": { "code": code } } }).to_string();
        let status = |body: String| failure(Error::Status { code: 503, body }, "everything");
        assert!(
            matches!(status(body("instance_stopped")), Failure::Refused(words) if words == "everything: m")
        );
        assert!(matches!(status(body("upstream_unreachable")), Failure::Unreachable { .. }));
        assert!(matches!(status("busy".to_owned()), Failure::Unreachable { .. }));
    }

    #[test]
    fn what_a_tool_answers_is_shown_as_text() {
        let result = json!({ "content": [
            { "type": "text", "text": "a\nb\u{1b}[0m" },
            { "type": "image", "mimeType": "image/png", "data": "AAAA" },
            { "type": "resource", "resource": { "uri": "file:///x", "text": "inside" } },
            { "type": "resource_link", "uri": "file:///y" },
        ] });
        assert_eq!(content(&result), "a\nb\\u{1b}[0m\n[image image/png]\ninside\n[resource file:///y]");
        assert_eq!(content(&json!({ "structuredContent": { "a": 1 } })), r#"{"a":1}"#);
    }
}
