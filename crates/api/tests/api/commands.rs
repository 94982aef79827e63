//! Commands take effect once, whatever happens to the request.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Client, Platform, WAIT, hosted};

#[tokio::test]
async fn the_same_request_again_is_the_same_command() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let first = client.post_as("key-1", "/instances", &hosted("everything")).await;
    assert_eq!(first.header("idempotency-key"), "key-1");
    let created = first.expect(StatusCode::CREATED);
    let again = client.post_as("key-1", "/instances", &hosted("everything")).await;
    assert_eq!(again.expect(StatusCode::CREATED), created);
    assert_eq!(again.header("location"), first.header("location"));

    let refused = client.post_as("key-2", "/instances", &hosted("everything")).await;
    let problem = refused.problem(StatusCode::CONFLICT, "name_taken");
    client.delete("/instances/everything").await.expect(StatusCode::OK);
    let again = client.post_as("key-2", "/instances", &hosted("everything")).await;
    assert_eq!(again.problem(StatusCode::CONFLICT, "name_taken"), problem, "a refusal stays one");
    let gone = client.post_as("key-1", "/instances", &hosted("everything")).await;
    gone.problem(StatusCode::GONE, "instance_deleted");
    platform.stop().await;
}

#[tokio::test]
async fn a_request_that_is_sent_many_times_at_once_creates_one_instance() {
    let platform = Platform::start().await;
    let body = hosted("everything");
    let answers = join_all((0..8).map(|_| platform.client.post_as("key", "/instances", &body))).await;
    let ids: BTreeSet<String> =
        answers.iter().map(|answer| answer.expect(StatusCode::CREATED)["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    let list = platform.client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn a_key_is_for_one_request_only() {
    let platform = Platform::start().await;
    let client = &platform.client;
    client.post_as("key", "/instances", &hosted("everything")).await.expect(StatusCode::CREATED);
    let mut other_secret = hosted("everything");
    other_secret["command"]["env"]["API_KEY"] = json!("hunter3");
    for (path, body) in [
        ("/instances", &hosted("other")),
        ("/instances", &other_secret),
        ("/instances/everything/tokens", &json!({"kind": "bearer"})),
        ("/instances/everything/stop", &json!({})),
    ] {
        let answer = client.post_as("key", path, body).await;
        answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
        assert_eq!(answer.header("idempotency-key"), "key");
    }
    let shown = client.get("/instances/everything").await.expect(StatusCode::OK);
    assert_eq!(shown["wanted"], true);
    // The order of members does not make another request of it, nor does a member that says what is so anyway.
    let same = r#"{"command":{"env":{"API_KEY":"hunter2-of-the-tests"},"args":["-y","server"],"program":"npx"},
        "transport":"stdio","url":null,"access":"hosted","name":"everything"}"#;
    let request = client.request(Method::POST, "/instances").header("idempotency-key", "key");
    let answer = client.send(request.header("content-type", "application/json"), same).await;
    answer.expect(StatusCode::CREATED);
    platform.stop().await;
}

#[tokio::test]
async fn a_key_is_made_for_who_brings_none() {
    let platform = Platform::start().await;
    let first = platform.client.post("/instances", &hosted("everything")).await;
    let created = first.expect(StatusCode::CREATED);
    let key = first.header("idempotency-key");
    let again = platform.client.post_as(key, "/instances", &hosted("everything")).await;
    assert_eq!(again.expect(StatusCode::CREATED), created);
    platform.stop().await;
}

#[tokio::test]
async fn a_command_that_nobody_decides_in_time_is_accepted_and_not_lost() {
    let mut platform = Platform::start_without_decider(Duration::from_millis(200)).await;
    let client = platform.client.clone();
    let answer = client.post("/instances", &hosted("everything")).await;
    let accepted = answer.expect(StatusCode::ACCEPTED);
    assert_eq!(accepted["state"], "pending");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(!answer.headers.contains_key("preference-applied"), "nobody asked for it");
    let (location, key) = (answer.header("location"), answer.header("idempotency-key"));
    assert_eq!(location, format!("/api/v1/commands/{}", accepted["id"].as_str().unwrap()));
    let pending = client.get(location.strip_prefix("/api/v1").unwrap()).await.expect(StatusCode::OK);
    assert_eq!(pending["state"], "pending");
    let resource = pending["resource"].as_str().unwrap();
    let again = client.post_as(key, "/instances", &hosted("everything")).await;
    assert_eq!(again.expect(StatusCode::ACCEPTED), accepted, "it is the same command");

    platform.start_decider().await;
    let done = client.decided(location).await;
    assert_eq!((&done["state"], &done["resource"]), (&json!("done"), &pending["resource"]));
    assert!(done["sequence"].as_u64().unwrap() > 0);
    let created = client.post_as(key, "/instances", &hosted("everything")).await;
    assert_eq!(created.expect(StatusCode::CREATED)["name"], "everything");
    assert_eq!(created.header("location"), resource);
    let list = client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn who_does_not_want_to_wait_is_told_where_to_look() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let create = async |name: &str| {
        let request = client.request(Method::POST, "/instances").header("content-type", "application/json");
        let answer = client.send(request.header("prefer", "respond-async"), hosted(name).to_string()).await;
        answer.expect(StatusCode::ACCEPTED);
        assert_eq!(answer.header("preference-applied"), "respond-async");
        client.decided(answer.header("location")).await
    };
    let done = create("everything").await;
    assert_eq!(done["state"], "done");
    let instance = client.get("/instances/everything").await.expect(StatusCode::OK);
    let place = format!("/api/v1/instances/{}", instance["id"].as_str().unwrap());
    assert_eq!(done["resource"], place);
    let refused = create("everything").await;
    assert_eq!((&refused["state"], &refused["sequence"]), (&json!("refused"), &json!(null)));
    assert_eq!(
        (&refused["problem"]["code"], &refused["problem"]["status"]),
        (&json!("name_taken"), &json!(409))
    );

    let token = platform.issue("everything", "dev").await;
    let path = format!("/instances/everything/tokens/{}", token["id"].as_str().unwrap());
    let revoked = client.command(Method::DELETE, &path, &[("prefer", "respond-async, wait=30")]).await;
    assert_eq!(revoked.expect(StatusCode::OK)["state"], "revoked", "it was decided within the time to wait");
    for unknown in ["x", "00000000-0000-0000-0000-000000000000"] {
        client.get(&format!("/commands/{unknown}")).await.problem(StatusCode::NOT_FOUND, "command_not_found");
    }
    platform.stop().await;
}

#[tokio::test]
async fn what_is_refused_later_leaves_no_key_either() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    client.post("/templates", &hosted("base")).await.expect(StatusCode::CREATED);
    let credential = json!({"kind": "bearer", "value": "wanted-by-two-of-them"});
    client.post("/instances/everything/tokens", &credential).await.expect(StatusCode::CREATED);
    let before = platform.server.key_owners().await;
    assert_eq!(before, 3, "the instance, the template and the token have one each");
    for (path, body, code) in [
        ("/instances", hosted("everything"), "name_taken"),
        ("/templates", hosted("base"), "name_taken"),
        ("/templates/base/instantiate", json!({"name": "everything"}), "name_taken"),
        ("/instances/everything/tokens", credential, "credential_taken"),
    ] {
        let send = async |headers: &[(&str, &str)]| client.put(Method::POST, path, headers, &body).await;
        let key = ("idempotency-key", path);
        let accepted = send(&[key, ("prefer", "respond-async")]).await;
        accepted.expect(StatusCode::ACCEPTED);
        let refused = client.decided(accepted.header("location")).await;
        assert_eq!(refused["problem"]["code"], code, "{refused}");
        assert_eq!(platform.server.key_owners().await, before, "{path}");
        // The same request again is answered, and seals nothing anew.
        send(&[key]).await.problem(StatusCode::CONFLICT, code);
        assert_eq!(platform.server.key_owners().await, before, "{path}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn what_has_ended_gets_no_key_again() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let template = client.post("/templates", &hosted("base")).await.expect(StatusCode::CREATED);
    let instance = client.post_as("key", "/instances", &hosted("other")).await.expect(StatusCode::CREATED);
    let token = json!({"kind": "bearer", "label": "dev"});
    let tokens = "/instances/everything/tokens";
    client.post_as("token", tokens, &token).await.expect(StatusCode::CREATED);
    client.delete(&format!("{tokens}/dev")).await.expect(StatusCode::OK);
    client.delete("/instances/other").await.expect(StatusCode::OK);
    client.delete("/templates/base").await.expect(StatusCode::OK);
    let deadline = tokio::time::Instant::now() + WAIT;
    while platform.server.key_owners().await > 1 {
        assert!(tokio::time::Instant::now() < deadline, "the keys are shredded in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let env = json!({"command": {"env": {"A": "x"}}});
    let of = |place: &str, document: &Value| format!("{place}/{}", document["id"].as_str().unwrap());
    let gone = StatusCode::GONE;
    client.patch(&of("/instances", &instance), &env).await.problem(gone, "instance_deleted");
    client.patch(&of("/templates", &template), &env).await.problem(gone, "template_deleted");
    client.post_as("key", "/instances", &hosted("other")).await.problem(gone, "instance_deleted");
    client.post_as("token", tokens, &token).await.problem(gone, "token_revoked");
    let headers = json!({"headers": {"X-A": "x"}});
    client.patch(&format!("{tokens}/dev"), &headers).await.problem(gone, "token_revoked");
    client.post(&format!("{tokens}/dev/rotate"), &json!({})).await.problem(gone, "token_revoked");
    assert_eq!(platform.server.key_owners().await, 1);
    platform.stop().await;
}

#[tokio::test]
async fn a_command_leads_to_what_it_was_for() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let instance = platform.create("everything").await;
    let later = [("prefer", "respond-async")];
    let resource = async |method: Method, path: &str, body: &Value| {
        let accepted = client.put(method, path, &later, body).await;
        accepted.expect(StatusCode::ACCEPTED);
        let command = client.decided(accepted.header("location")).await;
        assert_eq!(command["state"], "done", "{command}");
        command["resource"].as_str().unwrap().to_owned()
    };
    let created = resource(Method::POST, "/templates", &hosted("base")).await;
    let template = client.get("/templates/base").await.expect(StatusCode::OK);
    assert_eq!(created, format!("/api/v1/templates/{}", template["id"].as_str().unwrap()));
    assert_eq!(resource(Method::PATCH, "/templates/base", &json!({"notes": "x"})).await, created);
    let days = json!({"access_log_days": 90, "container_log_days": 30});
    let plan = resource(Method::PUT, "/instances/everything/retention", &days).await;
    assert_eq!(plan, format!("/api/v1/instances/{}/retention", instance["id"].as_str().unwrap()));
    platform.stop().await;
}

#[tokio::test]
async fn commands_of_other_roles_can_be_looked_at_too() {
    let platform = Platform::start().await;
    let id = platform.create("everything").await["id"].as_str().unwrap().to_owned();
    let (store, given) = (platform.server.store().await, store::testing::given());
    let given = store::Given { actor: domain::Actor::Role("worker".to_owned()), ..given };
    let stop =
        domain::Command::Instance { id: id.parse().unwrap(), command: domain::instance::Command::Stop };
    store.send(&stop, &given, WAIT).await.unwrap();
    let command = platform.client.decided(&format!("/api/v1/commands/{}", given.command_id)).await;
    assert_eq!(
        (&command["state"], &command["resource"]),
        (&json!("done"), &json!(format!("/api/v1/instances/{id}")))
    );
    platform.stop().await;
}

#[tokio::test]
async fn a_repeated_request_means_what_it_meant_the_first_time() {
    let mut platform = Platform::start().await;
    let (client, other) = (platform.client.clone(), platform.start_api().await);
    let first = platform.create("everything").await;
    platform.issue("everything", "dev").await;
    let delete = async |client: &Client, key: &str, path: &str| {
        client.command(Method::DELETE, path, &[("idempotency-key", key)]).await
    };
    let revoked = delete(&client, "revoke", "/instances/everything/tokens/dev").await.expect(StatusCode::OK);
    let deleted = delete(&client, "delete", "/instances/everything").await.expect(StatusCode::OK);
    assert_eq!(deleted["id"], first["id"]);
    // The name means nothing any more, and then another instance.
    for _ in 0..2 {
        let again = delete(&other, "delete", "/instances/everything").await.expect(StatusCode::OK);
        assert_eq!(again, deleted);
        let again = delete(&other, "revoke", "/instances/everything/tokens/dev").await;
        assert_eq!(again.expect(StatusCode::OK)["id"], revoked["id"]);
        other.post_as("again", "/instances", &hosted("everything")).await.expect(StatusCode::CREATED);
    }
    let new = client.get("/instances/everything").await.expect(StatusCode::OK);
    assert_ne!(new["id"], first["id"], "the new one is untouched");
    let path = format!("/instances/{}", new["id"].as_str().unwrap());
    let answer = delete(&other, "delete", &path).await;
    answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    delete(&other, "new", "/instances/nothing").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.stop().await;
}

#[tokio::test]
async fn two_replicas_that_get_one_request_before_anybody_decides_make_one_command() {
    let mut platform = Platform::start_without_decider(api::COMMAND_WAIT).await;
    let (client, other) = (platform.client.clone(), platform.start_api().await);
    let body = hosted("everything");
    let request = client.request(Method::POST, "/instances").header("content-type", "application/json");
    let request = request.header("idempotency-key", "key").header("prefer", "respond-async");
    client.send(request, body.to_string()).await.expect(StatusCode::ACCEPTED);
    let both = async {
        let (one, two) = tokio::join!(
            client.post_as("key", "/instances", &body),
            other.post_as("key", "/instances", &body),
        );
        assert_eq!(one.expect(StatusCode::CREATED), two.expect(StatusCode::CREATED));
    };
    let other_body = async {
        let reused = other.post_as("key", "/instances", &hosted("other")).await;
        reused.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
        platform.start_decider().await;
    };
    tokio::join!(both, other_body);
    let list = client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let platform = Platform::start().await;
    let too_long = "k".repeat(256);
    for key in ["", "two words", "t\u{e4}st", too_long.as_str()] {
        let request = platform.client.request(Method::POST, "/instances/x/start");
        let key = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let answer = platform.client.send(request.header("idempotency-key", key), "").await;
        answer.problem(StatusCode::BAD_REQUEST, "invalid_idempotency_key");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_change_is_for_the_revision_that_was_seen() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let seen = client.get("/instances/everything").await.header("etag").to_owned();
    let change = async |verb: &str, headers: &[(&'static str, &str)]| {
        client.command(Method::POST, &format!("/instances/everything/{verb}"), headers).await
    };
    let first = [("if-match", seen.as_str()), ("idempotency-key", "first")];
    let stopped = change("stop", &first).await;
    assert_eq!(stopped.expect(StatusCode::OK)["wanted"], false);
    let current = stopped.header("etag").to_owned();
    assert_ne!(current, seen);

    // Somebody else has seen what was before.
    let late = change("start", &[("if-match", &seen)]).await;
    let problem = late.problem(StatusCode::PRECONDITION_FAILED, "revision_changed");
    assert_eq!(
        (late.header("etag"), format!("\"{}\"", problem["revision"])),
        (current.as_str(), current.clone())
    );
    let weak = format!("W/{current}");
    for none in [weak.as_str(), "\"x\"", "\"18446744073709551615\""] {
        let answer = change("start", &[("if-match", none)]).await;
        answer.problem(StatusCode::PRECONDITION_FAILED, "revision_changed");
    }
    for malformed in ["", "3", "\"3", "*, \"3\""] {
        change("start", &[("if-match", malformed)])
            .await
            .problem(StatusCode::BAD_REQUEST, "invalid_if_match");
    }
    // The first comes again: it is answered as it was, though the revision has moved on.
    assert_eq!(change("stop", &first).await.expect(StatusCode::OK)["wanted"], false);
    let without = change("stop", &first[1..]).await;
    without.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");

    let either = format!("{seen}, {current}");
    assert_eq!(change("start", &[("if-match", &either)]).await.expect(StatusCode::OK)["wanted"], true);
    assert_eq!(change("stop", &[("if-match", "*")]).await.expect(StatusCode::OK)["wanted"], false);
    let nothing = client.command(Method::POST, "/instances/nothing/stop", &[("if-match", "\"1\"")]).await;
    nothing.problem(StatusCode::NOT_FOUND, "instance_not_found");

    for (method, path, body) in [
        (Method::PATCH, "/templates/base", json!({"notes": "x"})),
        (
            Method::PUT,
            "/instances/everything/retention",
            json!({"access_log_days": 90, "container_log_days": 30}),
        ),
    ] {
        if path.starts_with("/templates") {
            client.post("/templates", &hosted("base")).await.expect(StatusCode::CREATED);
        }
        let seen = client.get(path).await.header("etag").to_owned();
        for none in ["\"7\"", "\"7\", W/\"1\"", "\"x\""] {
            let late = client.put(method.clone(), path, &[("if-match", none)], &body).await;
            late.problem(StatusCode::PRECONDITION_FAILED, "revision_changed");
            assert_eq!(late.header("etag"), seen, "{path}");
        }
        let either = format!("\"7\", {seen}");
        let changed = client.put(method.clone(), path, &[("if-match", &either)], &body).await;
        changed.expect(StatusCode::OK);
        let both = format!("{seen}, {}", changed.header("etag"));
        let again = client.put(method, path, &[("if-match", &both)], &body).await;
        assert_eq!(again.header("etag"), changed.header("etag"), "a wish that is true already");
    }

    platform.issue("everything", "dev").await;
    let path = "/instances/everything/tokens/dev";
    let old = client.command(Method::DELETE, path, &[("if-match", "\"7\"")]).await;
    old.problem(StatusCode::PRECONDITION_FAILED, "revision_changed");
    let revision = old.header("etag").to_owned();
    client.command(Method::DELETE, path, &[("if-match", &revision)]).await.expect(StatusCode::OK);
    platform.stop().await;
}
