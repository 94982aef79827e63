//! Clients of every era before servers of every era, through gateway and bridge.

use harness::{Platform, Sdk};
use serde_json::{Value, json};

use crate::EVERYTHING;
use crate::session::Session;

const OLDER: &str = "2025-11-25";
const NEWER: &str = "2026-07-28";
/// How a client agrees on a revision, and on which with every server here.
const NEGOTIATIONS: [(&str, &str); 3] = [("legacy", OLDER), ("auto", NEWER), (NEWER, NEWER)];

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_both_eras_call_servers_of_both() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let mut session = Session::new(&platform);

    // It speaks the older era only: newer clients are translated for, questions to the client included.
    session.creates_an_instance("everything", &EVERYTHING).await;
    let token = session.issues_a_token("everything", "dev").await;
    let spoken = platform.json(&["instance", "show", "everything"]).await["server"]["revisions"].clone();
    assert_eq!(spoken, json!([OLDER]));
    for (negotiation, revision) in NEGOTIATIONS {
        let sdk = Sdk::Negotiating(negotiation);
        let call = async |tool: &str, arguments: Value| {
            let seen = sdk.call(&token.config, tool, &arguments).await;
            seen.unwrap_or_else(|error| panic!("{sdk:?} cannot call {tool}: {error}"))
        };
        let echoed = call("echo", json!({ "message": negotiation })).await;
        assert_eq!((echoed.text, &*echoed.revision), (format!("Echo: {negotiation}"), revision));
        let told = call("trigger-long-running-operation", json!({ "duration": 1, "steps": 4 })).await;
        assert_eq!(told.progress, Some(4), "{told:?}");
        let sampled = call("trigger-sampling-request", json!({ "prompt": "anything" })).await;
        assert!(sampled.text.contains("a sample of the client"), "{sampled:?}");
    }

    // It speaks both, so each client is met in its own.
    session.creates_an_instance("time", &["uvx", "mcp-server-time@2026.10.19"]).await;
    let token = session.issues_a_token("time", "dev").await;
    let spoken = platform.json(&["instance", "show", "time"]).await["server"]["revisions"].clone();
    assert_eq!(spoken, json!([OLDER, NEWER]));
    let arguments = json!({ "timezone": "Asia/Tokyo" });
    for (negotiation, revision) in NEGOTIATIONS {
        let seen = Sdk::Negotiating(negotiation).call(&token.config, "get_current_time", &arguments).await;
        let seen = seen.unwrap_or_else(|error| panic!("{negotiation}: {error}"));
        assert!(seen.text.contains("Asia/Tokyo"), "{seen:?}");
        assert_eq!(seen.revision, revision);
    }

    // With one process for all, nothing but what that promises is otherwise.
    let share = ["instance", "edit", "everything", "--process", "shared"];
    platform.run(&share).await.success(&share);
    assert_eq!(platform.json(&["instance", "show", "everything"]).await["process"], "shared");
    let token = session.issues_a_token("everything", "shared").await;
    for sdk in [Sdk::TypeScript, Sdk::Python, Sdk::Negotiating("legacy"), Sdk::Negotiating(NEWER)] {
        let seen = sdk.call(&token.config, "echo", &json!({ "message": "shared" })).await;
        assert_eq!(seen.unwrap_or_else(|error| panic!("{sdk:?}: {error}")).text, "Echo: shared");
    }
    platform.stop().await;
}
