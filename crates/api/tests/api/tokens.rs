//! Tokens: in clear once, masked ever after, and dead when revoked.

use access_log::testing::{Engine, request_of};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Client, Platform};

async fn config(client: &Client, instance: &str, query: &str) -> Value {
    client.get(&format!("/instances/{instance}/config{query}")).await.expect(StatusCode::OK)
}

fn authorization(config: &Value, name: &str) -> String {
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
async fn clients_of_a_direct_instance_get_its_own_address() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let body = json!({
        "name": "elsewhere", "access": "direct", "transport": "sse", "url": "https://mcp.example/sse",
        "headers": {"X-Key": "hunter2-of-the-tests"},
    });
    client.post("/instances", &body).await.expect(StatusCode::CREATED);
    assert_eq!(
        config(client, "elsewhere", "").await,
        json!({"mcpServers": {"elsewhere": {
            "type": "sse", "url": "https://mcp.example/sse", "headers": {"X-Key": "hunter2-of-the-tests"},
            "timeout": 30_000, "sseReadTimeout": 60_000,
        }}})
    );
    let answer = client.post("/instances/elsewhere/tokens", &json!({"kind": "bearer"})).await;
    answer.problem(StatusCode::CONFLICT, "direct_has_no_tokens");
    let answer = client.get("/instances/elsewhere/logs").await;
    answer.problem(StatusCode::CONFLICT, "not_hosted");
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

async fn issue(client: &Client, body: &Value) -> crate::platform::Answer {
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
fn places(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_credential_of_ones_own_is_sealed_masked_and_unique_within_its_instance() {
    const VALUE: &str = "correct-horse-battery-staple~1/+==";
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    platform.create("else").await;
    let body = json!({"kind": "bearer", "label": "own", "value": VALUE});
    let path = "/instances/everything/tokens";
    let issued = client.post_as("own", path, &body).await.expect(StatusCode::CREATED);
    assert_eq!((&issued["token"], &issued["masked"]), (&json!(VALUE), &json!("…+==")));
    assert_eq!(authorization(&issued["config"], "everything"), format!("Bearer {VALUE}"));
    assert_eq!(client.post_as("own", path, &body).await.expect(StatusCode::CREATED), issued);
    let shown = client.get("/instances/everything/tokens/own").await.expect(StatusCode::OK);
    assert!(!shown.to_string().contains(VALUE));

    let taken = issue(client, &body).await;
    let problem = taken.problem(StatusCode::CONFLICT, "credential_taken");
    assert_eq!(problem["holder"], issued["id"]);
    assert!(!taken.json().to_string().contains("horse"));
    client.post("/instances/else/tokens", &body).await.expect(StatusCode::CREATED);
    client.delete("/instances/everything/tokens/own").await.expect(StatusCode::OK);
    issue(client, &body).await.expect(StatusCode::CREATED);

    for wrong in
        ["short", &"a".repeat(513), "blank in the middle of it", "=====================", "ünïcödé-ünïcödé"]
    {
        let body = json!({"kind": "bearer", "value": wrong});
        let answer = issue(client, &body).await;
        let problem = answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
        assert!(places(&problem).iter().all(|place| *place == "/value"), "{problem}");
        assert!(!problem.to_string().contains(wrong), "{problem}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_token_is_rotated_to_a_credential_of_ones_own() {
    const VALUE: &str = "correct-horse-battery-staple~2";
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let other = issue(client, &json!({"kind": "bearer", "value": "of-another-token-here"})).await;
    let first = platform.issue("everything", "dev").await;
    let path = "/instances/everything/tokens/dev/rotate";
    let body = json!({"value": VALUE});
    let rotated = client.post_as("own", path, &body).await.expect(StatusCode::OK);
    assert_eq!((&rotated["id"], &rotated["token"]), (&first["id"], &json!(VALUE)));
    assert_eq!(rotated["masked"], "…e~2");
    assert_eq!(client.post_as("own", path, &body).await.expect(StatusCode::OK), rotated);
    let again = client.post(path, &body).await.expect(StatusCode::OK);
    assert_eq!(again["revision"], rotated["revision"], "a wish that is true already");

    let taken = client.post(path, &json!({"value": "of-another-token-here"})).await;
    assert_eq!(taken.problem(StatusCode::CONFLICT, "credential_taken")["holder"], other.json()["id"]);
    let wrong = client.post(path, &json!({"value": "short"})).await;
    assert_eq!(places(&wrong.problem(StatusCode::BAD_REQUEST, "invalid_request")), ["/value"]);
    client.post(path, &json!({"label": "x"})).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    let plain = client.request(Method::POST, path);
    client.send(plain, "{}").await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json");
    let random = client.command(Method::POST, path, &[]).await.expect(StatusCode::OK);
    assert!(random["token"].as_str().unwrap().starts_with("mcpcan_"), "nothing is asked for");
    platform.stop().await;
}

#[tokio::test]
async fn each_kind_has_its_header_field_in_the_configuration() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    for (kind, name, scheme) in [
        ("bearer", "Authorization", "Bearer "),
        ("api-key", "Api-Key", ""),
        ("x-api-key", "X-API-Key", ""),
        ("basic", "Authorization", "Basic "),
    ] {
        let mut body = json!({"kind": kind});
        if kind == "basic" {
            body["username"] = json!("ann");
        }
        let issued = issue(client, &body).await.expect(StatusCode::CREATED);
        let token = issued["token"].as_str().unwrap();
        let headers = json!({name: format!("{scheme}{token}")});
        assert_eq!(
            (&issued["config"]["mcpServers"]["everything"]["headers"], &issued["kind"]),
            (&headers, &json!(kind))
        );
    }
    platform.stop().await;
}

#[tokio::test]
async fn the_configuration_is_given_for_each_transport_and_in_the_words_of_each_client() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let instance = platform.create("everything").await;
    let issued = issue(client, &json!({"kind": "x-api-key", "value": "correct-horse-battery"})).await;
    issued.expect(StatusCode::CREATED);
    let base = format!("http://gateway.example/base/mcp-gateway/{}", instance["id"].as_str().unwrap());
    let sse = config(client, "everything", "?transport=sse").await;
    let server = &sse["mcpServers"]["everything"];
    assert_eq!((&server["type"], &server["url"]), (&json!("sse"), &json!(format!("{base}/sse"))));
    let document = client.get("/instances/everything/config/snippets").await.expect(StatusCode::OK);
    assert_eq!(document["transports"], json!(["streamable-http", "sse"]));
    let text = |name: &str| {
        let snippets = document["snippets"].as_array().unwrap();
        let snippet = snippets.iter().find(|snippet| snippet["client"] == name).unwrap();
        snippet["text"].as_str().unwrap().to_owned()
    };
    let parsed = |name: &str| serde_json::from_str::<Value>(&text(name)).unwrap();
    assert_eq!(
        text("claude-code"),
        format!(
            "claude mcp add --transport http everything {base}/mcp --header 'X-API-Key: correct-horse-battery'"
        )
    );
    assert!(text("curl").contains("-H 'X-API-Key: correct-horse-battery'"), "{}", text("curl"));
    let headers = json!({"X-API-Key": "correct-horse-battery"});
    let url = json!(format!("{base}/mcp"));
    let entry = json!({"url": url, "headers": headers});
    assert_eq!(parsed("cursor"), json!({"mcpServers": {"everything": entry}}));
    let entry = json!({"type": "http", "url": url, "headers": headers});
    assert_eq!(parsed("vscode"), json!({"servers": {"everything": entry}}));
    assert_eq!(parsed("dify")["everything"]["transport"], "streamable_http");
    let desktop = &parsed("claude-desktop")["mcpServers"]["everything"];
    assert_eq!(desktop["env"], json!({"MCPCAN_HEADER": "correct-horse-battery"}));
    assert!(!desktop["args"].to_string().contains("horse"), "{desktop}");

    let body =
        json!({"name": "remote", "access": "proxy", "transport": "sse", "url": "https://mcp.example/sse"});
    client.post("/instances", &body).await.expect(StatusCode::CREATED);
    platform.issue("remote", "dev").await;
    let answer = client.get("/instances/remote/config?transport=streamable-http").await;
    answer.problem(StatusCode::CONFLICT, "transport_not_offered");
    platform.stop().await;
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
async fn a_basic_token_is_made_of_a_username_and_a_password_or_of_any_encoding() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let body = json!({"kind": "basic", "label": "ann", "username": "ann", "password": "tr0ub4dor"});
    let issued =
        client.post_as("ann", "/instances/everything/tokens", &body).await.expect(StatusCode::CREATED);
    assert_eq!((&issued["token"], &issued["masked"]), (&json!("YW5uOnRyMHViNGRvcg=="), &json!("ann:…")));
    let again = client.post_as("ann", "/instances/everything/tokens", &body).await;
    assert_eq!(again.expect(StatusCode::CREATED), issued);
    let other = json!({"kind": "basic", "label": "ann", "username": "ann", "password": "tr0ub4dour"});
    let answer = client.post_as("ann", "/instances/everything/tokens", &other).await;
    answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    issue(client, &body).await.problem(StatusCode::CONFLICT, "credential_taken");

    let path = "/instances/everything/tokens/ann/rotate";
    let rotated = client.post(path, &json!({"password": "correct horse"})).await.expect(StatusCode::OK);
    assert_eq!(rotated["token"], "YW5uOmNvcnJlY3QgaG9yc2U=", "the username stays");
    let random = client.post(path, &json!({})).await.expect(StatusCode::OK);
    assert!(random["token"].as_str().unwrap().starts_with("YW5uOm1jcGNhbl"), "ann:mcpcan_…: {random}");
    let verbatim = client.post(path, &json!({"encoded": "user=ann;pass=1234"})).await.expect(StatusCode::OK);
    assert_eq!(authorization(&verbatim["config"], "everything"), "Basic user=ann;pass=1234");
    let nameless = client.post(path, &json!({"password": "correct horse"})).await;
    let problem = nameless.problem(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable_request");
    assert_eq!(places(&problem), ["/username"]);

    for (body, place) in [
        (json!({"kind": "basic"}), "/username"),
        (json!({"kind": "basic", "value": "a-credential-of-ones-own", "username": "a"}), "/value"),
        (json!({"kind": "basic", "username": "a", "encoded": "a-credential-of-ones-own"}), "/encoded"),
        (json!({"kind": "bearer", "username": "a"}), "/username"),
        (json!({"kind": "api-key", "password": "tr0ub4dor"}), "/password"),
    ] {
        let problem = issue(client, &body).await;
        let problem = problem.problem(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable_request");
        assert_eq!(places(&problem), [place], "{body}");
    }
    for (body, place) in [
        (json!({"kind": "basic", "username": "a:b"}), "/username"),
        (json!({"kind": "basic", "username": ""}), "/username"),
        (json!({"kind": "basic", "username": "a", "password": "short"}), "/password"),
        (json!({"kind": "basic", "encoded": "with a blank in the middle"}), "/encoded"),
    ] {
        let problem = issue(client, &body).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
        assert_eq!(places(&problem), [place], "{body}");
    }
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
async fn of_many_that_want_one_credential_one_gets_it() {
    let mut platform = Platform::start().await;
    platform.start_decider().await;
    platform.create("everything").await;
    let body = json!({"kind": "bearer", "value": "wanted-by-all-of-them"});
    let wishes = (0..8).map(|_| issue(&platform.client, &body));
    let answers = futures_util::future::join_all(wishes).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::CREATED);
    let [winner] = won[..] else { panic!("{answers:?}") };
    for answer in lost {
        let problem = answer.problem(StatusCode::CONFLICT, "credential_taken");
        assert_eq!(problem["holder"], winner.json()["id"]);
    }
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
