//! OpenAPI documents before a backend on loopback: what is really sent for a call, and what a client gets of the answer.

mod answers;
mod backend;
mod credentials;
mod requests;

use serde_json::{Value, json};

use crate::harness::Bridge;
use backend::Backend;

/// The bridge, in the mode that serves this document.
fn serve(document: &Value, options: &[&str]) -> (Bridge, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let program =
        [env!("CARGO_BIN_EXE_mcpcan-bridge"), "openapi", "--stdio", "--document", file.to_str().unwrap()];
    let program = [&program[..], options].concat();
    (Bridge::start_before(&["--process", "shared", "--pass-headers"], &program), directory)
}

/// A document of these paths at a backend.
fn document(backend: &Backend, paths: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Test", "version": "1" },
        "servers": [{ "url": format!("{}/base/", backend.url) }],
        "paths": paths,
    })
}
