//! The access configuration as single clients take it: ready to be pasted, with the credential in clear.

use std::collections::BTreeMap;

use domain::instance::RemoteTransport;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{ClientConfig, SSE_READ_TIMEOUT, Server, TIMEOUT};

/// What a client without credentials of its own in its arguments reads the header's value from.
const VARIABLE: &str = "MCPCAN_HEADER";

/// The configuration for each client that is known here.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SnippetsDocument {
    /// What the snippets use.
    transport: RemoteTransport,
    /// What the instance offers, the preferred one first.
    transports: Vec<RemoteTransport>,
    snippets: Vec<Snippet>,
}

/// The configuration for one client.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Snippet {
    /// Names the client, stable.
    client: Client,
    /// Where it belongs.
    place: &'static str,
    #[schemars(with = "String")]
    text: Zeroizing<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    #[serde(rename = "vscode")]
    VsCode,
    Dify,
    Curl,
}

impl SnippetsDocument {
    pub(super) fn new(transports: Vec<RemoteTransport>, config: &ClientConfig) -> Self {
        let (name, server) = config.servers.first_key_value().expect("a configuration has one server");
        let snippet = |client: Client| {
            let (place, text) = client.snippet(name.as_str(), server);
            Snippet { client, place, text: Zeroizing::new(text) }
        };
        let clients = [
            Client::ClaudeCode,
            Client::ClaudeDesktop,
            Client::Cursor,
            Client::VsCode,
            Client::Dify,
            Client::Curl,
        ];
        Self { transport: server.transport, transports, snippets: clients.map(snippet).into() }
    }
}

impl Client {
    fn snippet(self, name: &str, server: &Server) -> (&'static str, String) {
        match self {
            Client::ClaudeCode => ("a terminal", claude_code(name, server)),
            Client::ClaudeDesktop => ("claude_desktop_config.json", claude_desktop(name, server)),
            Client::Cursor => ("~/.cursor/mcp.json or .cursor/mcp.json", cursor(name, server)),
            Client::VsCode => (".vscode/mcp.json", vs_code(name, server)),
            Client::Dify => ("the configuration of Dify's MCP plugin", dify(name, server)),
            Client::Curl => ("a terminal", curl(server)),
        }
    }
}

/// `--header` takes whatever follows, so it comes last.
fn claude_code(name: &str, server: &Server) -> String {
    let transport = match server.transport {
        RemoteTransport::StreamableHttp => "http",
        RemoteTransport::Sse => "sse",
    };
    let url = quoted(server.url.as_str());
    let headers = headers_of(server, " --header ");
    format!("claude mcp add --transport {transport} {} {url}{headers}", quoted(name))
}

/// Claude Desktop starts processes only; mcp-remote is one that speaks HTTP. Values are in variables because some systems
/// split arguments at blanks.
fn claude_desktop(name: &str, server: &Server) -> String {
    let transport = match server.transport {
        RemoteTransport::StreamableHttp => "http-only",
        RemoteTransport::Sse => "sse-only",
    };
    let mut args = vec!["-y", "mcp-remote", server.url.as_str(), "--transport", transport];
    if server.url.scheme() == "http" {
        args.push("--allow-http");
    }
    let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let mut variables = Map::new();
    for (number, (field, value)) in server.headers.iter().enumerate() {
        let variable = match number {
            0 => VARIABLE.to_owned(),
            number => format!("{VARIABLE}_{}", number + 1),
        };
        args.extend(["--header".to_owned(), format!("{field}:${{{variable}}}")]);
        variables.insert(variable, json!(**value));
    }
    pretty(&json!({"mcpServers": {name: {"command": "npx", "args": args, "env": variables}}}))
}

fn cursor(name: &str, server: &Server) -> String {
    pretty(&json!({"mcpServers": {name: {"url": server.url, "headers": fields(server)}}}))
}

fn vs_code(name: &str, server: &Server) -> String {
    let transport = match server.transport {
        RemoteTransport::StreamableHttp => "http",
        RemoteTransport::Sse => "sse",
    };
    let entry = json!({"type": transport, "url": server.url, "headers": fields(server)});
    pretty(&json!({"servers": {name: entry}}))
}

/// It counts in seconds.
fn dify(name: &str, server: &Server) -> String {
    let transport = match server.transport {
        RemoteTransport::StreamableHttp => "streamable_http",
        RemoteTransport::Sse => "sse",
    };
    pretty(&json!({name: {
        "transport": transport,
        "url": server.url,
        "headers": fields(server),
        "timeout": TIMEOUT.as_secs(),
        "sse_read_timeout": SSE_READ_TIMEOUT.as_secs(),
    }}))
}

/// What a client says first.
fn curl(server: &Server) -> String {
    let (url, headers) = (quoted(server.url.as_str()), headers_of(server, " \\\n  -H "));
    match server.transport {
        RemoteTransport::Sse => format!("curl -sSN {url}{headers} \\\n  -H 'Accept: text/event-stream'"),
        RemoteTransport::StreamableHttp => {
            let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "curl", "version": "1"},
            }});
            format!(
                "curl -sSi {url}{headers} \\\n  -H 'Content-Type: application/json' \\\n  \
                 -H 'Accept: application/json, text/event-stream' \\\n  -d '{initialize}'"
            )
        }
    }
}

/// The header fields as arguments of a command, each after `option`.
fn headers_of(server: &Server, option: &str) -> String {
    let field = |(name, value): (&String, &Zeroizing<String>)| {
        format!("{option}{}", quoted(&format!("{name}: {}", **value)))
    };
    server.headers.iter().map(field).collect()
}

fn fields(server: &Server) -> BTreeMap<&str, &str> {
    server.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// One word for a POSIX shell, whatever it holds.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a JSON value can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_quotes() {
        assert_eq!(quoted("http://127.0.0.1:7090/mcp"), "http://127.0.0.1:7090/mcp");
        assert_eq!(quoted("X-Key: it's $HOME"), r"'X-Key: it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
