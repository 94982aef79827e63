//! Templates: made from nothing or from an instance, edited, instantiated, deleted; their secrets are their own.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::{Platform, hosted};

#[tokio::test]
async fn a_template_is_made_edited_renamed_and_deleted() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let answer = client.post("/templates", &hosted("base")).await;
    let created = answer.expect(StatusCode::CREATED);
    let id = created["id"].as_str().unwrap();
    assert_eq!(
        (answer.header("location"), answer.header("etag")),
        (&*format!("/api/v1/templates/{id}"), "\"1\"")
    );
    assert!(!created.to_string().contains("hunter2"));
    for reference in [id, "base"] {
        assert_eq!(client.get(&format!("/templates/{reference}")).await.expect(StatusCode::OK), created);
    }
    let list = client.get("/templates").await.expect(StatusCode::OK);
    assert_eq!(list, json!({"items": [created], "next_cursor": null}));
    client.post("/templates", &hosted("base")).await.problem(StatusCode::CONFLICT, "name_taken");

    let edit = json!({"labels": {"a": "b"}, "command": {"env": {"API_KEY": null, "OTHER": "x"}}});
    let edited = client.patch("/templates/base", &edit).await.expect(StatusCode::OK);
    assert_eq!((&edited["labels"], &edited["command"]["env"]), (&json!({"a": "b"}), &json!(["OTHER"])));
    client
        .patch("/templates/base", &json!({"url": "https://x.example/"}))
        .await
        .problem(StatusCode::CONFLICT, "not_of_mode");
    client.patch("/templates/base", &json!({"name": "other"})).await.expect(StatusCode::OK);
    client.get("/templates/base").await.problem(StatusCode::NOT_FOUND, "template_not_found");

    let delete =
        async || client.command(Method::DELETE, "/templates/other", &[("idempotency-key", "k")]).await;
    let deleted = delete().await.expect(StatusCode::OK);
    assert_eq!(deleted["deleted"], true);
    assert_eq!(delete().await.expect(StatusCode::OK), deleted, "the same request is the same deletion");
    client
        .patch(&format!("/templates/{id}"), &json!({"notes": "x"}))
        .await
        .problem(StatusCode::GONE, "template_deleted");
    client.post("/templates", &hosted("other")).await.expect(StatusCode::CREATED);
    platform.stop().await;
}

#[tokio::test]
async fn secrets_go_from_instance_to_template_to_instance_each_sealed_anew() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let origin = platform.create("origin").await;
    let body = json!({"name": "base", "from": origin["id"]});
    let make = async || client.post_as("make", "/templates", &body).await;
    let template = make().await.expect(StatusCode::CREATED);
    assert_eq!((&template["from"], &template["command"]), (&origin["id"], &origin["command"]));
    // What the origin's secrets were sealed with is gone; the template has its own.
    client.delete("/instances/origin").await.expect(StatusCode::OK);
    assert_eq!(make().await.expect(StatusCode::CREATED), template, "a repeated request");

    let body = json!({
        "name": "copy", "replicas": 2, "notes": "a copy", "command": {"args": ["-v"], "env": {"MORE": "x"}},
    });
    let path = format!("/templates/{}/instantiate", template["id"].as_str().unwrap());
    let instantiate = async || client.post_as("copy", &path, &body).await;
    let copy = instantiate().await.expect(StatusCode::CREATED);
    assert_eq!((&copy["template"], &copy["replicas_wanted"]), (&template["id"], &json!(2)));
    assert_eq!(copy["command"], json!({"program": "npx", "args": ["-v"], "env": ["API_KEY", "MORE"]}));
    let id: Uuid = copy["id"].as_str().unwrap().parse().unwrap();
    let taken = async || client.post_as("taken", &path, &json!({"name": "copy"})).await;
    taken().await.problem(StatusCode::CONFLICT, "name_taken");
    client.delete("/templates/base").await.expect(StatusCode::OK);
    assert_eq!(instantiate().await.expect(StatusCode::CREATED)["id"], copy["id"], "a repeated request");
    taken().await.problem(StatusCode::CONFLICT, "name_taken");
    client.post_as("late", &path, &body).await.problem(StatusCode::NOT_FOUND, "template_not_found");

    // The log holds the value under the key of the instance.
    let store = platform.server.store().await;
    let loaded = store
        .load::<domain::instance::InstanceDecider>(&domain::InstanceId(id), domain::CommandId(Uuid::nil()))
        .await
        .unwrap();
    let sealed = loaded.state.live().unwrap().access.secrets()["API_KEY"].clone();
    assert_eq!(store.vault().open(id, &sealed).await.unwrap().as_slice(), b"hunter2-of-the-tests");
    platform.stop().await;
}

#[tokio::test]
async fn what_was_never_made_leaves_no_key_behind() {
    let platform = Platform::start().await;
    let client = &platform.client;
    client.post("/templates", &hosted("base")).await.expect(StatusCode::CREATED);
    platform.create("taken").await;
    let before = platform.server.key_owners().await;
    client.post("/templates", &hosted("base")).await.problem(StatusCode::CONFLICT, "name_taken");
    for (body, status, code) in [
        (json!({"name": "taken"}), StatusCode::CONFLICT, "name_taken"),
        (json!({"name": "x", "url": "https://x.example/"}), StatusCode::CONFLICT, "not_of_mode"),
        (json!({}), StatusCode::BAD_REQUEST, "invalid_request"),
    ] {
        client.post("/templates/base/instantiate", &body).await.problem(status, code);
    }
    let missing = client.post("/templates/nobody/instantiate", &json!({"name": "x"})).await;
    missing.problem(StatusCode::NOT_FOUND, "template_not_found");
    for wrong in
        [json!({"name": "x", "from": "taken", "notes": "y"}), json!({"from": "taken"}), json!({"name": "x"})]
    {
        client.post("/templates", &wrong).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let missing: Value = json!({"name": "x", "from": "nobody"});
    client.post("/templates", &missing).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    assert_eq!(before, 2, "the template has one and the instance has one");
    assert_eq!(platform.server.key_owners().await, before);
    platform.stop().await;
}
