//! The running api against its own OpenAPI document: schemathesis makes up requests, right and wrong ones, alone and
//! in sequences, and holds every answer against what the document says.

use std::path::Path;
use std::process::Stdio;

use access_log::testing::Engine;
use store::Role;
use tokio::process::Command;

use crate::follow;
use crate::platform::{ADMIN_KEY, Platform};

/// Another seed is other requests. `MCPCAN_FUZZ_SEED` runs a seed again that has failed.
const SEED: u32 = 20_261_121;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_document_knows() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(&directory.path().join("clickhouse"), "127.0.0.1:0");
    engine.client().migrate().await.unwrap();
    let platform = Platform::start_beside(&engine.url()).await;
    follow::publish(&platform.server.store_as(Role::Gateway).await, 1..=5).await;
    let seed = std::env::var("MCPCAN_FUZZ_SEED").unwrap_or_else(|_| SEED.to_string());
    let url = format!("http://{}/openapi.json", platform.client.address());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis.toml");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/venv/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run `make test-tools`", program.display());
    let mut schemathesis = Command::new(program);
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
