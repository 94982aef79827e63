//! The credentials of tokens: people's own, sealed and unique, in the form of each kind.

use http::{Method, StatusCode};
use serde_json::json;

use crate::platform::Platform;
use crate::tokens::{authorization, issue, places};

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
