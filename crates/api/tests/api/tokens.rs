//! Tokens: in clear once, masked ever after, and dead when revoked.

use access_log::testing::{Engine, request_of};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Client, Platform};

pub(crate) async fn config(client: &Client, instance: &str, query: &str) -> Value {
    client.get(&format!("/instances/{instance}/config{query}")).await.expect(StatusCode::OK)
}

pub(crate) fn authorization(config: &Value, name: &str) -> String {
    config["mcpServers"][name]["headers"]["Authorization"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_issued_with_the_configuration_that_clients_take() {
    let platform = Platform::start().await;
    let instance = platform.create("everything").await;
    let body = json!({"kind": "bearer", "label": "dev"});
    let answer = platform.client.post("/instances/everything/tokens", &body).await;
    let issued = answer.expect(StatusCode::CREATED);
    let (id, token) = (issued["id"].as_str().unwrap(), issued["token"].as_str().unwrap());
    let instance_id = instance["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/instances/{instance_id}/tokens/{id}"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(token.starts_with("mcpcan_") && token.len() == 57, "{token}");
    assert_eq!(
        issued["config"],
        json!({"mcpServers": {"everything": {
            "type": "streamable-http",
            "url": format!("http://gateway.example/base/mcp-gateway/{instance_id}/mcp"),
            "headers": {"Authorization": format!("Bearer {token}")},
            "timeout": 30_000,
            "sseReadTimeout": 60_000,
        }}})
    );

    for reference in [id, "dev"] {
        let answer = platform.client.get(&format!("/instances/everything/tokens/{reference}")).await;
        let shown = answer.expect(StatusCode::OK);
        assert_eq!(answer.header("etag"), "\"1\"");
        let expected = json!({
            "id": id, "instance": instance_id, "kind": "bearer", "label": "dev", "masked": issued["masked"],
            "state": "active", "issued_at": issued["issued_at"], "expires_at": null, "revoked_at": null,
            "previous_until": null,
            "headers": [], "passthrough": [], "usage": null,
            "revision": 1, "sequence": issued["sequence"],
        });
        assert_eq!(shown, expected);
    }
    assert_eq!(config(&platform.client, "everything", "").await, issued["config"]);
    platform.stop().await;
}

#[tokio::test]
async fn a_repeated_request_answers_with_the_same_token() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let body = json!({"kind": "bearer", "label": "dev"});
    let issue = async || platform.client.post_as("key", "/instances/everything/tokens", &body).await;
    let (first, again) = (issue().await, issue().await);
    assert_eq!(first.expect(StatusCode::CREATED), again.expect(StatusCode::CREATED));
    let other = json!({"kind": "bearer", "label": "other"});
    let answer = platform.client.post_as("key", "/instances/everything/tokens", &other).await;
    answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");

    platform.client.delete("/instances/everything/tokens/dev").await.expect(StatusCode::OK);
    issue().await.problem(StatusCode::GONE, "token_revoked");
    platform.stop().await;
}

#[tokio::test]
async fn a_revoked_token_stays_listed_and_is_given_out_no_more() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let (old, new) = (platform.issue("everything", "old").await, platform.issue("everything", "new").await);
    let newest = config(client, "everything", "").await;
    assert_eq!(authorization(&newest, "everything"), format!("Bearer {}", new["token"].as_str().unwrap()));

    let revoked = client.delete("/instances/everything/tokens/new").await.expect(StatusCode::OK);
    assert_eq!((&revoked["state"], &revoked["id"]), (&json!("revoked"), &new["id"]));
    assert!(revoked["revoked_at"].is_string());
    let again = client.delete("/instances/everything/tokens/new").await.expect(StatusCode::OK);
    assert_eq!(again, revoked, "a wish that is true already");
    let list = client.get("/instances/everything/tokens").await.expect(StatusCode::OK);
    let states: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| &item["state"]).collect();
    assert_eq!(states, ["active", "revoked"]);

    let left = config(client, "everything", "").await;
    assert_eq!(authorization(&left, "everything"), format!("Bearer {}", old["token"].as_str().unwrap()));
    let answer = client.get("/instances/everything/config?token=new").await;
    answer.problem(StatusCode::GONE, "token_revoked");
    client.delete("/instances/everything/tokens/old").await.expect(StatusCode::OK);
    let problem = client.get("/instances/everything/config").await;
    let problem = problem.problem(StatusCode::CONFLICT, "no_active_token");
    let detail = problem["detail"].as_str().unwrap();
    for way in ["`POST /api/v1/instances/everything/tokens`", "`mcpcan token issue everything`"] {
        assert!(detail.contains(way), "{detail}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_label_is_changed_and_means_the_same_token() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let issued = platform.issue("everything", "dev").await;
    let edit = async |token: &str, body: Value| edit(client, token, body).await;
    let answer = edit("dev", json!({"label": "laptop"})).await;
    let edited = answer.expect(StatusCode::OK);
    assert_eq!((&edited["id"], &edited["label"]), (&issued["id"], &json!("laptop")));
    assert_eq!((answer.header("etag"), &edited["revision"]), ("\"2\"", &json!(2)));
    assert_eq!(edited["masked"], issued["masked"], "the credential stays");
    let again = edit("laptop", json!({"label": "laptop"})).await.expect(StatusCode::OK);
    assert_eq!(again, edited, "a wish that is true already");
    edit("dev", json!({"label": "x"})).await.problem(StatusCode::NOT_FOUND, "token_not_found");

    let same = edit("laptop", json!({})).await.expect(StatusCode::OK);
    assert_eq!(same, edited, "a patch that changes nothing");
    let patch = edit_as(client, "laptop", "application/merge-patch+json", json!({})).await;
    assert_eq!(patch.expect(StatusCode::OK), edited, "under the media type of its own");
    for other in ["text/plain", "application/json-patch+json", ""] {
        let refused = edit_as(client, "laptop", other, json!({})).await;
        refused.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json");
    }
    for wrong in [json!({"label": " x"}), json!({"label": 1}), json!({"label": "x", "kind": "bearer"})] {
        edit("laptop", wrong).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    client.delete("/instances/everything/tokens/laptop").await.expect(StatusCode::OK);
    edit("laptop", json!({"label": "x"})).await.problem(StatusCode::GONE, "token_revoked");
    platform.stop().await;
}

#[tokio::test]
async fn a_rotated_token_has_another_credential_and_is_the_same_token() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let issued = platform.issue("everything", "dev").await;
    let rotate =
        async |key: &str| client.post_as(key, "/instances/everything/tokens/dev/rotate", &json!({})).await;
    let first = rotate("key").await;
    let rotated = first.expect(StatusCode::OK);
    assert_eq!((&rotated["id"], &rotated["label"]), (&issued["id"], &issued["label"]));
    let token = rotated["token"].as_str().unwrap();
    assert!(token.starts_with("mcpcan_") && rotated["token"] != issued["token"], "{token}");
    assert_ne!(rotated["masked"], issued["masked"]);
    assert_eq!(authorization(&rotated["config"], "everything"), format!("Bearer {token}"));
    assert_eq!(config(client, "everything", "").await, rotated["config"]);
    assert_eq!(rotate("key").await.expect(StatusCode::OK), rotated, "the same request is the same rotation");

    let later = rotate("later").await.expect(StatusCode::OK);
    assert_ne!(later["token"], rotated["token"]);
    client.delete("/instances/everything/tokens/dev").await.expect(StatusCode::OK);
    rotate("later").await.problem(StatusCode::GONE, "token_revoked");
    rotate("too-late").await.problem(StatusCode::GONE, "token_revoked");
    let path = "/instances/everything/tokens/none/rotate";
    client.post(path, &json!({})).await.problem(StatusCode::NOT_FOUND, "token_not_found");
    platform.stop().await;
}

#[tokio::test]
async fn a_label_means_one_token_or_none() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let (one, other) = (platform.issue("everything", "dev").await, platform.issue("everything", "dev").await);
    for method in [Method::GET, Method::DELETE] {
        let request = client.request(method, "/instances/everything/tokens/dev");
        let problem = client.send(request, "").await.problem(StatusCode::CONFLICT, "ambiguous_label");
        assert_eq!(problem["ids"], json!([one["id"], other["id"]]));
    }
    let path = format!("/instances/everything/tokens/{}", one["id"].as_str().unwrap());
    client.delete(&path).await.expect(StatusCode::OK);
    let left = client.get("/instances/everything/tokens/dev").await.expect(StatusCode::OK);
    assert_eq!(left["id"], other["id"], "the active one is meant");

    platform.create("else").await;
    for token in ["dev", one["id"].as_str().unwrap(), "none", "%20"] {
        let answer = client.get(&format!("/instances/else/tokens/{token}")).await;
        answer.problem(StatusCode::NOT_FOUND, "token_not_found");
    }
    let spaced = platform.issue("else", "my laptop/ü").await;
    let found = client.get("/instances/else/tokens/my%20laptop%2F%C3%BC").await.expect(StatusCode::OK);
    assert_eq!(found["id"], spaced["id"]);
    platform.stop().await;
}

#[tokio::test]
async fn tokens_come_in_pages() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let mut issued = vec![];
    for label in ["a", "b", "c"] {
        issued.push(platform.issue("everything", label).await["id"].clone());
    }
    let first = platform.client.get("/instances/everything/tokens?limit=2").await.expect(StatusCode::OK);
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("/instances/everything/tokens?limit=2&cursor={cursor}");
    let second = platform.client.get(&path).await.expect(StatusCode::OK);
    let pages = [&first, &second].map(|page| page["items"].as_array().unwrap());
    let seen: Vec<_> = pages.into_iter().flatten().map(|item| item["id"].clone()).collect();
    assert_eq!((seen, &second["next_cursor"]), (issued, &Value::Null));
    platform.stop().await;
}

#[tokio::test]
async fn an_instance_that_does_not_exist_has_no_tokens() {
    let platform = Platform::start().await;
    let body = json!({"kind": "bearer"});
    for instance in ["nobody", "0199f000-0000-7000-8000-000000000000", "Not%20A%20Name"] {
        let path = format!("/instances/{instance}/tokens");
        let answer = platform.client.post(&path, &body).await;
        answer.problem(StatusCode::NOT_FOUND, "instance_not_found");
        platform.client.get(&path).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    }
    platform.stop().await;
}

pub(crate) async fn issue(client: &Client, body: &Value) -> crate::platform::Answer {
    client.post("/instances/everything/tokens", body).await
}

async fn edit(client: &Client, token: &str, body: Value) -> crate::platform::Answer {
    edit_as(client, token, "application/json", body).await
}

async fn edit_as(client: &Client, token: &str, media_type: &str, body: Value) -> crate::platform::Answer {
    let request = client.request(Method::PATCH, &format!("/instances/everything/tokens/{token}"));
    client.send(request.header("content-type", media_type), body.to_string()).await
}

/// The places that a problem document names.
pub(crate) fn places(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_is_shown_with_its_use() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(&directory.path().join("clickhouse"), "127.0.0.1:0");
    engine.client().migrate().await.unwrap();
    let platform = Platform::start_beside(&engine.url()).await;
    platform.create("everything").await;
    let used: uuid::Uuid =
        platform.issue("everything", "used").await["id"].as_str().unwrap().parse().unwrap();
    platform.issue("everything", "unused").await;
    let time: jiff::Timestamp = "2026-11-21T17:00:00Z".parse().unwrap();
    engine.client().insert_traces("TRACES 1", &[request_of(used, time)], |_| 7).await.unwrap();

    let usage = json!({"requests": 1, "last_used_at": "2026-11-21T17:00:00Z"});
    let shown = platform.client.get("/instances/everything/tokens/used").await.expect(StatusCode::OK);
    assert_eq!(shown["usage"], usage);
    let list = platform.client.get("/instances/everything/tokens").await.expect(StatusCode::OK);
    let listed: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["usage"].clone()).collect();
    assert_eq!(listed, [usage, json!({"requests": 0, "last_used_at": null})]);
    platform.stop().await;
}

#[tokio::test]
async fn a_rotation_can_have_an_overlap() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    platform.issue("everything", "dev").await;
    let path = "/instances/everything/tokens/dev/rotate";
    let rotated = client.post(path, &json!({"overlap": "10m"})).await.expect(StatusCode::OK);
    let until: jiff::Timestamp = rotated["previous_until"].as_str().unwrap().parse().unwrap();
    let ahead = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((590..=600).contains(&ahead), "{until}");
    let at_once = client.post(path, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(at_once["previous_until"], Value::Null);
    let long = client.post(path, &json!({"overlap": "31d"})).await;
    let problem = long.problem(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable_request");
    assert_eq!(places(&problem), ["/overlap"]);
    client.post(path, &json!({"overlap": "soon"})).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    platform.stop().await;
}

#[tokio::test]
async fn a_token_ends_when_it_was_told_to() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let body = json!({"kind": "bearer", "label": "dev", "expires_at": "2100-01-31T14:05:00+01:00"});
    let issued = issue(client, &body).await.expect(StatusCode::CREATED);
    assert_eq!(issued["expires_at"], "2100-01-31T13:05:00Z");
    let of_both = json!({"kind": "bearer", "expires_at": "2100-01-31T13:05:00Z", "expires_in": "30d"});
    let issued = issue(client, &of_both).await.expect(StatusCode::CREATED);
    let time = |document: &Value, field: &str| -> jiff::Timestamp {
        document[field].as_str().unwrap().parse().unwrap()
    };
    let days = time(&issued, "expires_at").duration_since(time(&issued, "issued_at")).as_hours() / 24;
    assert!((29..=30).contains(&days), "the earlier counts: {issued}");

    let never = edit(client, "dev", json!({"expires_at": null})).await.expect(StatusCode::OK);
    assert_eq!((&never["expires_at"], &never["revision"]), (&Value::Null, &json!(2)));
    for (body, status, code) in [
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), StatusCode::UNPROCESSABLE_ENTITY, "expiry_passed"),
        (json!({"expires_in": "0s"}), StatusCode::UNPROCESSABLE_ENTITY, "expiry_passed"),
        (json!({"expires_at": "tomorrow"}), StatusCode::BAD_REQUEST, "invalid_request"),
        (json!({"expires_in": "-1d"}), StatusCode::BAD_REQUEST, "invalid_request"),
    ] {
        edit(client, "dev", body.clone()).await.problem(status, code);
        let mut body = body;
        body["kind"] = json!("bearer");
        issue(client, &body).await.problem(status, code);
    }

    edit(client, "dev", json!({"expires_in": "1s"})).await.expect(StatusCode::OK);
    let expired = async {
        loop {
            let shown = client.get("/instances/everything/tokens/dev").await.expect(StatusCode::OK);
            if shown["state"] == "expired" {
                return shown;
            }
        }
    };
    let shown = tokio::time::timeout(crate::platform::WAIT, expired).await.expect("it expires");
    assert!(shown["expires_at"].is_string() && shown["revoked_at"].is_null(), "{shown}");
    edit(client, "dev", json!({"label": "x"})).await.problem(StatusCode::GONE, "token_expired");
    let rotated = client.post("/instances/everything/tokens/dev/rotate", &json!({})).await;
    rotated.problem(StatusCode::GONE, "token_expired");
    let config = client.get("/instances/everything/config?token=dev").await;
    config.problem(StatusCode::GONE, "token_expired");
    platform.stop().await;
}

#[tokio::test]
async fn header_fields_are_sealed_and_edited_one_by_one() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let body = json!({
        "kind": "bearer", "label": "dev",
        "headers": {"X-Team": "hunter2", "x-user": "hunter3"}, "passthrough": ["Cookie", "cookie", "X-Api-Key"],
    });
    let issued = issue(client, &body).await.expect(StatusCode::CREATED);
    assert_eq!(issued["headers"], json!(["x-team", "x-user"]));
    assert_eq!(issued["passthrough"], json!(["cookie", "x-api-key"]));

    let patch = json!({"headers": {"X-USER": null, "x-new": "hunter4", "x-none": null}});
    let edited = edit(client, "dev", patch).await.expect(StatusCode::OK);
    assert_eq!(edited["headers"], json!(["x-new", "x-team"]));
    assert_eq!(edited["passthrough"], json!(["cookie", "x-api-key"]), "what is not named stays");
    let edited = edit(client, "dev", json!({"passthrough": null, "label": null})).await;
    let edited = edited.expect(StatusCode::OK);
    assert_eq!((&edited["passthrough"], &edited["label"]), (&json!([]), &json!("")));
    assert_eq!(edited["revision"], 3);
    assert!(!edited.to_string().contains("hunter"));

    for (wrong, place) in [
        (json!({"headers": {"Host": "x"}}), "/headers/Host"),
        (json!({"headers": {"transfer-encoding": null}}), "/headers/transfer-encoding"),
        (json!({"headers": {"a b": "x"}}), "/headers/a b"),
        (json!({"headers": {"x": "line\nbreak"}}), "/headers/x"),
        (json!({"passthrough": ["Connection"]}), "/passthrough/0"),
        (json!({"passthrough": ["x", "ü"]}), "/passthrough/1"),
        (json!({"passthrough": vec!["x"; 65]}), "/passthrough"),
    ] {
        let id = edited["id"].as_str().unwrap();
        let answer = edit(client, id, wrong).await;
        assert_eq!(places(&answer.problem(StatusCode::BAD_REQUEST, "invalid_request")), [place]);
    }
    let many: std::collections::BTreeMap<_, _> = (0..63).map(|n| (format!("x-{n}"), "v")).collect();
    let answer = edit(client, edited["id"].as_str().unwrap(), json!({"headers": many})).await;
    answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "beyond_a_bound");
    platform.stop().await;
}
