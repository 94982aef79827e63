//! Changes of an instance that clients use: what its server is given, and what it is called.

use harness::{Platform, Sdk};
use serde_json::{Value, json};

use crate::EVERYTHING;
use crate::session::{Session, Token};

/// The environment that the hosted server tells of itself, as both official clients see it.
async fn environment(token: &Token) -> Value {
    let mut told = vec![];
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let seen = sdk.call(&token.config, "get-env", &json!({})).await;
        let text = seen.unwrap_or_else(|error| panic!("{sdk:?} cannot call: {error}")).text;
        told.push(serde_json::from_str::<Value>(&text).expect("the environment is JSON"));
    }
    let first = told.remove(0);
    for name in ["LEVEL", "KEPT", "GONE"] {
        assert_eq!(told[0][name], first[name], "both clients see the same server");
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_changed_and_renamed_under_its_clients() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let mut session = Session::new(&platform);
    let [old, new] = ["the-level-before-the-change-31c7", "the-level-after-the-change-e90d"];
    let level = |value: &str| format!("LEVEL={value}");
    let options =
        ["--env", &level(old), "--env", "KEPT=kept-all-the-time-4be2", "--env", "GONE=soon-gone-0ac8"];
    session.creates_an_instance_with("everything", &options, &EVERYTHING).await;
    let token = session.issues_a_token("everything", "dev").await;
    let told = environment(&token).await;
    assert_eq!((&told["LEVEL"], &told["GONE"]), (&json!(old), &json!("soon-gone-0ac8")));

    let edit = ["instance", "edit", "everything", "--env", &level(new), "--remove-env", "GONE"];
    let edited = platform.run(&edit).await.success(&edit);
    assert_eq!(edited.stdout.trim(), "everything is ready", "{}", edited.stderr);
    let told = environment(&token).await;
    assert_eq!((&told["LEVEL"], &told["KEPT"]), (&json!(new), &json!("kept-all-the-time-4be2")));
    assert_eq!(told.get("GONE"), None);
    let shown = platform.json(&["instance", "show", "everything"]).await;
    assert_eq!((&shown["command"]["env"], &shown["generation"]), (&json!(["KEPT", "LEVEL"]), &json!(2)));

    is_renamed_under_its_clients(&platform, &token, new).await;
    platform.stop().await;
}

/// The new name is known, the old one is free, and what clients were given leads to the same server as before.
async fn is_renamed_under_its_clients(platform: &Platform, token: &Token, level: &str) {
    let before = platform.json(&["instance", "show", "everything"]).await;
    let rename = ["instance", "rename", "everything", "all"];
    platform.run(&rename).await.success(&rename);
    let after = platform.json(&["instance", "show", "all"]).await;
    assert_eq!((&after["id"], &after["replicas"]), (&before["id"], &before["replicas"]), "nothing restarts");
    let show = ["instance", "show", "everything"];
    platform.run(&show).await.code(3, &show);
    assert_eq!(environment(token).await["LEVEL"], level, "a pasted configuration stays right");
    let call = ["call", "all", "echo", r#"{"message":"hi"}"#];
    assert_eq!(platform.run(&call).await.success(&call).stdout, "Echo: hi\n");

    // Nobody listens there, and nobody has to: it only takes the name.
    let remote = ["--access", "proxy", "--transport", "streamable-http", "--url", "http://127.0.0.1:9/mcp"];
    let create = [&["instance", "create", "everything"][..], &remote].concat();
    platform.run(&create).await.success(&create);
    platform.run(&["instance", "rename", "all", "everything"]).await.code(3, &["instance", "rename"]);
    assert_eq!(platform.json(&["token", "list", "everything"]).await, json!([]));
    assert_eq!(environment(token).await["LEVEL"], level, "the name's new holder has nothing to do with it");
}
