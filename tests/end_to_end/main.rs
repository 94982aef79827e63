//! The main job from the outside, on real parts only: host a server, call it as clients do, find the calls in the log,
//! take the access away, and come back after a crash with everything still there.

mod changes;
mod commands;
mod eras;
mod history;
mod nats;
mod openapi;
mod records;
mod session;
mod start;
mod take_over;
mod upstream;
mod whereabouts;

use harness::{Platform, Sdk};
use serde_json::json;
use session::Session;

/// The server of the README, as a user types it.
const EVERYTHING: [&str; 4] = ["npx", "-y", "@modelcontextprotocol/server-everything@2026.8.31", "stdio"];

/// What the server is given; the harness looks for it where it may not be.
const SECRET: &str = "UPSTREAM_KEY=the-upstream-key-of-the-tests-8c1f";

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_server_is_called_found_in_the_log_revoked_and_survives_a_crash() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let mut session = Session::new(&platform);

    session.creates_an_instance_with("everything", &["--env", SECRET], &EVERYTHING).await;
    let dev = session.issues_a_token("everything", "dev").await;
    session.official_clients_call(&dev).await;
    session.command_line_calls().await;
    session.finds_the_calls_in_the_access_log().await;
    session.follows_counts_and_exports().await;
    session.keeps_the_trace_id_of_a_client(&dev).await;
    session.a_revoked_token_is_refused_at_once(&dev).await;
    session.a_rotated_token_takes_effect_at_once().await;
    session.reads_logs_and_events().await;
    session.rebuilds_views_and_verifies_the_log().await;
    session.stops_starts_and_restarts().await;

    let kept = session.issues_a_token("everything", "kept").await;
    let rows = session.calls_and_notes_rows(&kept).await;
    platform.kill().await;

    let platform = Platform::up(&scratch.path().join("data")).await;
    let mut session = Session::new(&platform);
    session.everything_is_still_there(&kept, &rows).await;
    session.deletes_the_instance(&kept).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_from_pypi_and_npm_work_the_same_way() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let mut session = Session::new(&platform);

    session.creates_an_instance("time", &["uvx", "mcp-server-time@2026.10.19"]).await;
    let token = session.issues_a_token("time", "").await;
    let arguments = json!({ "timezone": "Asia/Tokyo" });
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let seen = sdk.call(&token.config, "get_current_time", &arguments).await.expect("the time is told");
        assert!(seen.text.contains("Asia/Tokyo"), "{sdk:?}: {seen:?}");
    }

    let memory = ["npx", "-y", "@modelcontextprotocol/server-memory@2026.8.31"];
    session.creates_an_instance_with("memory", &["--env", "MEMORY_FILE_PATH=memory.json"], &memory).await;
    let token = session.issues_a_token("memory", "notes").await;
    let entity =
        json!({ "entities": [{ "name": "mcpcan", "entityType": "platform", "observations": ["hosts"] }] });
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let seen = sdk.call(&token.config, "create_entities", &entity).await.expect("it is remembered");
        assert!(seen.tools.contains(&"read_graph".to_owned()), "{sdk:?}: {seen:?}");
    }
    let graph = platform.json(&["call", "memory", "read_graph"]).await;
    assert!(graph.to_string().contains("mcpcan"), "{graph}");
    platform.stop().await;
}
