//! A container: the bridge that the manifest names, as a real process.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::super::resource::SECRETS;
use super::super::{Api, now};
use super::pod::Pod;
use super::text;

/// How often the readiness probe asks. Real ones ask every other second.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// How long what a container left behind may hold its pipes.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Where the manifest says that the bridge lies and listens.
const BRIDGE: &str = "/mcpcan/mcpcan-bridge";
const LISTEN: &str = "0.0.0.0:";

pub(super) struct Container {
    process: Child,
    port: u16,
}

impl Container {
    /// Starts what the manifest says, as the manifest says it.
    pub(super) fn start(pod: &Pod) -> Container {
        let container = &pod.spec["containers"][0];
        let words = ["command", "args"].map(|list| container[list].as_array().cloned().unwrap_or_default());
        let mut words = words.into_iter().flatten().map(|word| text(&word).replace("$$", "$"));
        assert_eq!(words.next().as_deref(), Some(BRIDGE), "the pod runs something else than the bridge");
        let mut port = 0;
        let words: Vec<String> = words
            .map(|word| match word.strip_prefix(LISTEN) {
                Some(listen) => {
                    port = listen.parse().unwrap();
                    format!("{}:{listen}", pod.address)
                }
                None => word,
            })
            .collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let process = Command::new(&pod.api.bridge)
            .args(words)
            .env_clear()
            .env("PATH", path)
            .envs(environment(pod, container))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        pod.api.logs.lock().unwrap().begin(&pod.uid);
        Container { process, port }
    }

    /// Gives the exit code.
    pub(super) async fn run_to_its_end(mut self, pod: &Pod) -> i32 {
        pod.running(false);
        let (stdout, stderr) = (self.process.stdout.take().unwrap(), self.process.stderr.take().unwrap());
        let mut pipes = JoinSet::new();
        pipes.spawn(keep(Arc::clone(&pod.api), pod.uid.clone(), stdout));
        pipes.spawn(keep(Arc::clone(&pod.api), pod.uid.clone(), stderr));
        let probe = async {
            while TcpStream::connect((pod.address, self.port)).await.is_err() {
                tokio::time::sleep(PROBE_PAUSE).await;
            }
            pod.running(true);
            std::future::pending::<()>().await;
        };
        let ended = async {
            let ended = self.process.wait().await;
            ended.ok().and_then(|status| status.code()).unwrap_or(137)
        };
        let code = tokio::select! {
            code = ended => code,
            () = probe => unreachable!("it never ends"),
        };
        let _ = tokio::time::timeout(DRAIN_MAX, pipes.join_all()).await;
        code
    }
}

/// Keeps what a pipe says.
async fn keep(api: Arc<Api>, pod: String, pipe: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        api.logs.lock().unwrap().push(&pod, line);
        api.changed.send_modify(|count| *count += 1);
    }
}

fn environment(pod: &Pod, container: &Value) -> Vec<(String, String)> {
    let state = pod.api.state();
    let variables = container["env"].as_array().into_iter().flatten();
    let value = |variable: &Value| {
        let from = &variable["valueFrom"]["secretKeyRef"];
        if from.is_null() {
            return text(&variable["value"]);
        }
        let secret = state.get(SECRETS, &pod.namespace, from["name"].as_str().unwrap_or_default());
        let encoded = secret.map(|secret| text(&secret["data"][from["key"].as_str().unwrap_or_default()]));
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.unwrap_or_default()).unwrap();
        String::from_utf8(decoded).unwrap()
    };
    variables.map(|variable| (text(&variable["name"]), value(variable))).collect()
}

/// The state of a container that has ended.
pub(super) fn ended(code: i32, reason: &str, message: &str) -> Value {
    let mut ended = json!({"exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now()});
    if !message.is_empty() {
        ended["message"] = message.into();
    }
    ended
}
