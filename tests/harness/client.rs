//! The official SDKs as clients, each in a process of its own as on a user's machine.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Tools;

/// An official SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    TypeScript,
    Python,
    /// The second generation of the TypeScript SDK, which agrees on a revision as it is told: `legacy`, `auto`, or the
    /// one that it insists on.
    Negotiating(&'static str),
}

/// What a client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The server's name for itself.
    pub server: String,
    pub tools: Vec<String>,
    /// The text that the called tool answered.
    pub text: String,
    /// The revision that was agreed on; empty if the client does not say.
    pub revision: String,
    /// How often it was told of the call's progress; none if the client does not say.
    pub progress: Option<u64>,
}

impl Sdk {
    /// Gives the client a pasted configuration and has it call a tool. The error is what the client wrote on stderr.
    pub async fn call(self, config: &Value, tool: &str, arguments: &Value) -> Result<Seen, String> {
        let tools = Tools::find();
        let mut command = match self {
            Sdk::TypeScript => {
                let mut command = Command::new("node");
                command.arg(tools.clients.join("node/call.mjs")).current_dir(&tools.node);
                command
            }
            Sdk::Negotiating(revision) => {
                let mut command = Command::new("node");
                command.arg(tools.clients.join("node/negotiate.mjs")).arg(revision).current_dir(&tools.node);
                command
            }
            Sdk::Python => {
                let mut command = Command::new(&tools.python);
                command.arg(tools.clients.join("python/call.py"));
                command
            }
        };
        command.arg(tool).arg(arguments.to_string()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().expect("the client starts");
        let mut stdin = client.stdin.take().expect("its stdin is a pipe");
        stdin.write_all(config.to_string().as_bytes()).await.expect("it reads its configuration");
        drop(stdin);
        let output = client.wait_with_output().await.expect("it ends");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let seen: Value = serde_json::from_slice(&output.stdout).expect("it prints what it saw");
        let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
        let listed = seen["tools"].as_array().cloned().unwrap_or_default();
        let tools = listed.iter().filter_map(|tool| Some(tool.as_str()?.to_owned())).collect();
        let (server, text, revision) = (text("server"), text("text"), text("revision"));
        Ok(Seen { server, tools, text, revision, progress: seen["progress"].as_u64() })
    }
}
