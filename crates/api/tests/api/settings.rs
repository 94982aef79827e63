//! What an instance is made of: created with it, edited, renamed, scaled, reached in another way.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Platform, hosted};

#[tokio::test]
async fn an_instance_is_created_with_all_its_settings() {
    let platform = Platform::start().await;
    let mut body = hosted("everything");
    let settings = json!({
        "labels": {"team": "a"}, "notes": "ask first", "icon": "https://pictures.example/x.png",
        "logging": {"capture": "bodies", "strict": true}, "image": "ghcr.io/team/server:1", "ports": [9000, 80],
        "mounts": {"/data": {"kind": "claim", "name": "disk", "read_only": true}, "/tmp/x": {"kind": "empty"}},
        "resources": {"cpu_limit_millis": 500, "memory_request_bytes": 1_048_576},
    });
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    body["replicas"] = json!(3);
    let created = platform.client.post("/instances", &body).await.expect(StatusCode::CREATED);
    for (name, expected) in [
        ("labels", &settings["labels"]),
        ("notes", &settings["notes"]),
        ("icon", &settings["icon"]),
        ("logging", &settings["logging"]),
        ("image", &settings["image"]),
        ("ports", &json!([80, 9000])),
        ("mounts", &settings["mounts"]),
        ("replicas_wanted", &json!(3)),
    ] {
        assert_eq!(&created[name], expected, "{name}");
    }
    assert_eq!(created["resources"]["cpu_limit_millis"], 500);
    assert_eq!(created["command"]["env"], json!(["API_KEY"]), "of a secret there is only its name");
    platform.stop().await;
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let body = json!({
        "labels": {"team": "a", "tier": "1"}, "notes": "ours",
        "command": {"args": ["-v"], "env": {"NEW": "hunter3"}}, "ports": [80],
        "resources": {"cpu_limit_millis": 500},
    });
    let answer = client.patch("/instances/everything", &body).await;
    let edited = answer.expect(StatusCode::OK);
    assert_eq!(answer.header("etag"), "\"2\"");
    assert_eq!(edited["generation"], 2, "what runs is replaced");
    let command = json!({"program": "npx", "args": ["-v"], "env": ["API_KEY", "NEW"]});
    assert_eq!(
        (&edited["command"], &edited["notes"], &edited["ports"]),
        (&command, &json!("ours"), &json!([80]))
    );

    let remove = json!({
        "labels": {"team": null}, "notes": null, "ports": null, "resources": {"cpu_request_millis": 100},
        "command": {"env": {"API_KEY": null}},
    });
    let request = client.request(Method::PATCH, "/instances/everything");
    let request = request.header("content-type", "application/merge-patch+json");
    let edited = client.send(request, remove.to_string()).await.expect(StatusCode::OK);
    assert_eq!((&edited["labels"], &edited["notes"]), (&json!({"tier": "1"}), &json!("")));
    assert_eq!((&edited["command"]["env"], &edited["ports"]), (&json!(["NEW"]), &json!([])));
    let limits = [&edited["resources"]["cpu_request_millis"], &edited["resources"]["cpu_limit_millis"]];
    assert_eq!(limits, [&json!(100), &json!(500)]);

    let notes = client.patch("/instances/everything", &json!({"notes": "x"})).await.expect(StatusCode::OK);
    assert_eq!(notes["generation"], edited["generation"], "notes replace nothing that runs");
    let logging = json!({"logging": {"capture": "off"}});
    let logging = client.patch("/instances/everything", &logging).await.expect(StatusCode::OK);
    assert_eq!(logging["logging"], json!({"capture": "off", "strict": false}));
    assert_eq!(logging["generation"], edited["generation"], "logging replaces nothing that runs");
    let back = json!({"logging": {"capture": null}});
    let request = client.request(Method::PATCH, "/instances/everything");
    let request = request.header("content-type", "application/merge-patch+json");
    let notes = client.send(request, back.to_string()).await.expect(StatusCode::OK);
    assert_eq!(notes["logging"], json!({"capture": "metadata", "strict": false}));
    let again = client.patch("/instances/everything", &json!({"notes": "x"})).await.expect(StatusCode::OK);
    assert_eq!(again["revision"], notes["revision"], "a wish that is true already");
    let nothing = client.patch("/instances/everything", &json!({})).await.expect(StatusCode::OK);
    assert_eq!(nothing["revision"], notes["revision"]);
    platform.stop().await;
}

#[tokio::test]
async fn an_edit_that_cannot_be_is_refused_with_the_reason() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let proxy = json!({
        "name": "elsewhere", "access": "proxy", "transport": "sse", "url": "https://mcp.example/",
        "headers": {"Authorization": "hunter2"},
    });
    client.post("/instances", &proxy).await.expect(StatusCode::CREATED);
    let edit = async |name: &str, body: Value| client.patch(&format!("/instances/{name}"), &body).await;
    let (conflict, impossible) = (StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY);
    edit("everything", json!({"url": "https://x.example/"})).await.problem(conflict, "not_of_mode");
    edit("elsewhere", json!({"command": {"env": {"A": "1"}}})).await.problem(conflict, "not_of_mode");
    edit("everything", json!({"command": {"program": null}})).await.problem(conflict, "no_command");
    let above = json!({"resources": {"cpu_request_millis": 2, "cpu_limit_millis": 1}});
    edit("everything", above.clone()).await.problem(impossible, "request_above_limit");
    let mut new = hosted("new");
    new.as_object_mut().unwrap().extend(above.as_object().unwrap().clone());
    for path in ["/instances", "/templates"] {
        client.post(path, &new).await.problem(impossible, "request_above_limit");
    }
    let twice = edit("elsewhere", json!({"headers": {"X-A": "1", "x-a": "2"}})).await;
    let twice = twice.problem(impossible, "unprocessable_request");
    assert_eq!(twice["errors"][0]["pointer"], "/headers/x-a");
    for wrong in [
        json!({"name": "b", "notes": "x"}),
        json!({"colour": "red"}),
        json!([]),
        json!({"command": []}),
        json!({"replicas": 2}),
    ] {
        edit("everything", wrong).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    edit("nobody", json!({})).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    let plain = client.request(Method::PATCH, "/instances/everything").header("content-type", "text/plain");
    client.send(plain, "{}").await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json");
    let stale = [("if-match", "\"7\"")];
    let answer = client.put(Method::PATCH, "/instances/everything", &stale, &json!({"notes": "x"})).await;
    answer.problem(StatusCode::PRECONDITION_FAILED, "revision_changed");

    // The case of a header field's name does not count.
    let edited = edit("elsewhere", json!({"headers": {"authorization": "hunter3"}})).await;
    assert_eq!(edited.expect(StatusCode::OK)["headers"], json!(["authorization"]));
    platform.stop().await;
}

#[tokio::test]
async fn concurrent_edits_of_different_settings_are_all_kept() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    join_all((0..16).map(|number| async move {
        let body =
            json!({"labels": {format!("l{number}"): "x"}, "command": {"env": {format!("V{number}"): "x"}}});
        client.patch("/instances/everything", &body).await.expect(StatusCode::OK)
    }))
    .await;
    let shown = client.get("/instances/everything").await.expect(StatusCode::OK);
    assert_eq!(shown["labels"].as_object().unwrap().len(), 16);
    assert_eq!(shown["command"]["env"].as_array().unwrap().len(), 17);
    assert_eq!(shown["revision"], 17);
    platform.stop().await;
}

#[tokio::test]
async fn of_those_who_rename_to_one_name_one_gets_it() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let names: Vec<String> = (0..8).map(|number| format!("old-{number}")).collect();
    join_all(names.iter().map(|name| platform.create(name))).await;
    let answers = join_all(names.iter().map(|name| async move {
        client.patch(&format!("/instances/{name}"), &json!({"name": "new"})).await
    }))
    .await;
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::OK).collect();
    assert_eq!(winners.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        answer.problem(StatusCode::CONFLICT, "name_taken");
    }
    let winner = winners[0].expect(StatusCode::OK);
    let shown = client.get("/instances/new").await.expect(StatusCode::OK);
    assert_eq!(shown["id"], winner["id"]);
    let list = client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 8);

    // The old name is free, and a repeated rename by it answers what it did.
    let rename = async |from: &str| {
        client
            .put(
                Method::PATCH,
                &format!("/instances/{from}"),
                &[("idempotency-key", "k")],
                &json!({"name": "newer"}),
            )
            .await
    };
    let renamed = rename("new").await.expect(StatusCode::OK);
    client.get("/instances/new").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.create("new").await;
    assert_eq!(rename("new").await.expect(StatusCode::OK), renamed);
    platform.stop().await;
}

#[tokio::test]
async fn an_instance_is_scaled_and_reached_in_another_way() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let scale = async |replicas: Value| {
        client.post("/instances/everything/scale", &json!({"replicas": replicas})).await
    };
    let scaled = scale(json!(3)).await.expect(StatusCode::OK);
    assert_eq!((&scaled["replicas_wanted"], &scaled["generation"]), (&json!(3), &json!(1)));
    // JSON has one kind of number.
    assert_eq!(scale(json!(2.0)).await.expect(StatusCode::OK)["replicas_wanted"], 2);
    for wrong in [json!(0), json!(65), json!(2.5), json!("3"), json!(null)] {
        scale(wrong).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }

    let access = json!({
        "access": "proxy", "transport": "streamable-http", "url": "https://mcp.example/", "headers": {"X-Key": "k"},
    });
    let path = "/instances/everything/access";
    let put = async |body: &Value| client.put(Method::PUT, path, &[], body).await;
    let changed = put(&access).await.expect(StatusCode::OK);
    assert_eq!((&changed["access"], &changed["phase"]), (&json!("proxy"), &json!("configured")));
    assert_eq!((&changed["headers"], &changed["command"]), (&json!(["X-Key"]), &Value::Null));
    scale(json!(2)).await.problem(StatusCode::CONFLICT, "not_hosted");
    let mut named = access.clone();
    named["name"] = json!("x");
    put(&named).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    put(&json!({"access": "hosted"})).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    let mut back = hosted("everything");
    back.as_object_mut().unwrap().remove("name");
    let back = put(&back).await.expect(StatusCode::OK);
    assert_eq!((&back["access"], &back["replicas_wanted"]), (&json!("hosted"), &json!(1)));
    platform.stop().await;
}

#[tokio::test]
async fn no_proxied_instance_is_given_an_address_where_clouds_answer_with_credentials() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let body = |name: &str, access: &str, url: &str| json!({"name": name, "access": access, "transport": "streamable-http", "url": url});
    for url in
        ["http://169.254.169.254/", "http://0xA9FEA9FE/mcp", "http://[::ffff:a9fe:a9fe]/", "https://0/mcp"]
    {
        let answer = client.post("/instances", &body("metadata", "proxy", url)).await;
        answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "upstream_address_refused");
    }
    let created = client.post("/instances", &body("here", "proxy", "http://127.0.0.1:9/mcp")).await;
    created.expect(StatusCode::CREATED);
    let edit = client.request(Method::PATCH, "/instances/here").header("content-type", "application/json");
    let edited = client.send(edit, json!({"url": "http://169.254.169.254/"}).to_string()).await;
    edited.problem(StatusCode::UNPROCESSABLE_ENTITY, "upstream_address_refused");
    let direct = client.post("/instances", &body("direct", "direct", "http://169.254.7.7/mcp")).await;
    direct.expect(StatusCode::CREATED);
    platform.stop().await;
}

#[tokio::test]
async fn an_issuer_is_named_shown_and_taken_away() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let path = "/instances/everything/authorization";
    let put = async |body: &Value| {
        let request = client.request(Method::PUT, path).header("content-type", "application/json");
        client.send(request, body.to_string()).await
    };
    let body = json!({"issuer": "https://issuer.example/tenant", "audience": "https://gateway.example/mcp"});
    let changed = put(&body).await.expect(StatusCode::OK);
    let authorization = json!({
        "issuer": "https://issuer.example/tenant", "audience": "https://gateway.example/mcp",
        "scopes": [], "jwks_url": null,
    });
    assert_eq!(changed["authorization"], authorization);
    let again = put(&body).await.expect(StatusCode::OK);
    assert_eq!(again["revision"], changed["revision"], "a wish that is true already");
    for (member, value) in [
        ("issuer", json!("ftp://issuer.example")),
        ("issuer", json!("https://user:password@issuer.example")),
        ("audience", json!("")),
        ("scopes", json!(["a b"])),
        ("jwks_url", json!("keys")),
    ] {
        let mut wrong = body.clone();
        wrong[member] = value;
        put(&wrong).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let removed = client.delete(path).await.expect(StatusCode::OK);
    assert_eq!(removed["authorization"], Value::Null);
    platform.stop().await;
}
