//! `config`: what clients take to reach an instance.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id.
    instance: String,
    /// Id or label of the token to put in; the newest active one otherwise.
    #[arg(value_name = "TOKEN")]
    named: Option<String>,
    /// The same.
    #[arg(long, value_name = "ID|LABEL", conflicts_with = "named")]
    token: Option<String>,
    /// One of the transports that the instance offers; the preferred one otherwise.
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// What one client takes, ready to be pasted, in place of the mcpServers JSON that most do.
    #[arg(long = "for", value_enum, value_name = "CLIENT")]
    client: Option<Client>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Transport {
    StreamableHttp,
    Sse,
}

impl Transport {
    fn as_str(self) -> &'static str {
        match self {
            Transport::StreamableHttp => "streamable-http",
            Transport::Sse => "sse",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Client {
    /// A command, `claude mcp add`.
    ClaudeCode,
    /// claude_desktop_config.json, by way of mcp-remote.
    ClaudeDesktop,
    /// ~/.cursor/mcp.json
    Cursor,
    /// .vscode/mcp.json
    #[value(name = "vscode")]
    VsCode,
    /// Dify's MCP plugin.
    Dify,
    /// A first request.
    Curl,
}

impl Client {
    fn as_str(self) -> &'static str {
        match self {
            Client::ClaudeCode => "claude-code",
            Client::ClaudeDesktop => "claude-desktop",
            Client::Cursor => "cursor",
            Client::VsCode => "vscode",
            Client::Dify => "dify",
            Client::Curl => "curl",
        }
    }
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Arguments { instance, named, token, transport, client } = arguments;
    let query = query(named.or(token), transport);
    let Some(client) = client else {
        let config = rest.get(&["instances", &instance, "config"], &query).await?;
        // It is JSON for people too: they paste it.
        return Ok(output.one(&config, || pasteable(&config))?);
    };
    let document = rest.get(&["instances", &instance, "config", "snippets"], &query).await?;
    let snippets = document.get("snippets").and_then(Value::as_array).into_iter().flatten();
    let snippet = snippets.into_iter().find(|snippet| field(snippet, "/client") == client.as_str());
    let snippet = snippet.ok_or_else(|| {
        Failure::Failed(anyhow::anyhow!("the API knows no snippet for `{}`", client.as_str()))
    })?;
    Ok(output.one(snippet, || field(snippet, "/text"))?)
}

/// The configuration of an instance with a token in it.
pub(crate) async fn fetch(rest: &Rest, instance: &str, token: Option<&str>) -> Result<Value, Failure> {
    rest.get(&["instances", instance, "config"], &query(token.map(str::to_owned), None)).await
}

fn query(token: Option<String>, transport: Option<Transport>) -> Vec<(&'static str, String)> {
    let transport = transport.map(|transport| ("transport", transport.as_str().to_owned()));
    token.map(|token| ("token", token)).into_iter().chain(transport).collect()
}

/// The document as it is pasted.
pub(crate) fn pasteable(config: &Value) -> String {
    serde_json::to_string_pretty(config).expect("a JSON value can always be written")
}
