//! The running api against its own OpenAPI document: schemathesis makes up requests, right and wrong ones, alone and
//! in sequences, and holds every answer against what the document says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

use crate::platform::{ADMIN_KEY, Platform};

/// Another seed is other requests. `MCPCAN_FUZZ_SEED` runs a seed again that has failed.
const SEED: u32 = 20_261_121;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_document_knows() {
    let (directory, engine) = Engine::start();
    let log = access_log::Client::connect(&engine.url(), "default", "").unwrap();
    log.migrate().await.unwrap();
    let platform = Platform::start_beside(&engine.url()).await;
    let seed = std::env::var("MCPCAN_FUZZ_SEED").unwrap_or_else(|_| SEED.to_string());
    let url = format!("http://{}/openapi.json", platform.client.address());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis.toml");
    let mut schemathesis = tokio::process::Command::new(fetched("venv/bin/schemathesis", "make test-tools"));
    schemathesis
        .arg("--config-file")
        .arg(config)
        .args(["run", "--seed", &seed, "--no-color", &url])
        .env("MCPCAN_ADMIN_KEY", ADMIN_KEY)
        .env("PYTHONUNBUFFERED", "1")
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = schemathesis.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "MCPCAN_FUZZ_SEED={seed} fails again:\n{said}\n{complained}");
    println!("{said}");
    platform.stop().await;
}

/// The engine of the access log in a process of its own. It ends with the pipe that it is given, also when the test
/// dies.
struct Engine {
    child: Child,
    _lifeline: ChildStdin,
    address: String,
}

impl Engine {
    fn start() -> (TempDir, Self) {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(built("clickhouse-embedded"))
            .arg(fetched("lib/libchdb.so", "make tools"))
            .arg(directory.path().join("clickhouse"))
            .arg("127.0.0.1:0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: serde_json::Value = serde_json::from_str(&line).expect("the engine says where it is");
        let address = listening["address"].as_str().unwrap().to_owned();
        (directory, Engine { _lifeline: child.stdin.take().unwrap(), child, address })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this workspace, beside the test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join(name);
    assert!(program.is_file(), "{} is missing: run `cargo build --workspace` first", program.display());
    program
}

/// What a make target puts into `.tools`.
fn fetched(path: &str, target: &str) -> PathBuf {
    let part = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools").join(path);
    assert!(part.exists(), "{} is missing: run `{target}`", part.display());
    part
}
