//! Export and import: the same log, the same answers, in another system.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Method, StatusCode};
use mcp::sse::Decoder;
use serde_json::{Value, json};

use crate::platform::{Answer, Platform};

async fn export(platform: &Platform, query: &str) -> Bytes {
    let answer = platform.client.get(&format!("/events/export?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

async fn import(platform: &Platform, query: &str, file: impl Into<Bytes>) -> Answer {
    let request = platform.client.request(Method::POST, &format!("/events/import?{query}"));
    platform.client.send(request, file.into()).await
}

/// The last frame of an answer: its name and its document.
fn end(answer: &Answer) -> (String, Value) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let (mut decoder, mut frames) = (Decoder::default(), vec![]);
    decoder.feed(&answer.body, &mut frames).unwrap();
    let last = frames.pop().unwrap();
    (last.event.unwrap(), serde_json::from_slice(&last.data).unwrap())
}

#[track_caller]
fn imported(answer: &Answer) -> Value {
    let (name, document) = end(answer);
    assert_eq!(name, "end", "{document}");
    document
}

/// The lines of an export that are events.
async fn events(platform: &Platform) -> Vec<Value> {
    let lines = export(platform, "format=jsonl").await;
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let records = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
    records.filter_map(|record| record.get("event").cloned()).collect()
}

async fn everything_shown(platform: &Platform) -> Vec<Value> {
    let mut shown = vec![];
    for path in ["/instances", "/instances/a", "/instances/a/tokens", "/instances/a/config"] {
        shown.push(platform.client.get(path).await.expect(StatusCode::OK));
    }
    shown
}

/// A system with a past: instances, of which one is deleted, and tokens, of which some are revoked.
async fn with_a_past() -> Platform {
    let platform = Platform::start().await;
    for name in ["a", "b", "c"] {
        platform.create(name).await;
        platform.issue(name, "dev").await;
    }
    platform.issue("a", "old").await;
    platform.client.delete("/instances/a/tokens/old").await.expect(StatusCode::OK);
    platform.client.post("/instances/c/stop", &json!({})).await.expect(StatusCode::OK);
    let deleted = platform.client.delete("/instances/b").await.expect(StatusCode::OK);
    // What follows from it is the last event.
    let after = deleted["sequence"].as_u64().unwrap() + 1;
    let tail = format!("/events?from={after}&limit=1");
    assert_eq!(platform.client.get(&tail).await.status, StatusCode::OK);
    platform
}

#[tokio::test]
async fn what_was_exported_is_the_same_in_another_system() {
    let source = with_a_past().await;
    for format in ["msgpack", "jsonl"] {
        let target = source.start_another().await;
        let file = export(&source, &format!("format={format}")).await;
        let expected = events(&source).await;

        let dry = imported(&import(&target, "dry_run=true", file.clone()).await);
        assert_eq!((&dry["dry_run"], &dry["present"]), (&json!(true), &json!(0)));
        assert_eq!(events(&target).await, [] as [Value; 0], "nothing has changed");

        let done = imported(&import(&target, "", file.clone()).await);
        assert_eq!((&done["appended"], &done["present"]), (&json!(expected.len()), &json!(0)), "{done}");
        // Two instances and two tokens; what follows from the end of the others may not have shredded theirs yet.
        assert!(done["keys"].as_u64().unwrap() >= 4 && done["keys"] == done["keys_added"], "{done}");
        assert_eq!(events(&target).await, expected, "sequences, header fields, payloads and times");
        assert_eq!(everything_shown(&target).await, everything_shown(&source).await);

        let again = imported(&import(&target, "", file).await);
        assert_eq!((&again["appended"], &again["keys_added"]), (&json!(0), &json!(0)), "{again}");
        assert_eq!(events(&target).await, expected);

        // Moments are those of the log that the events come from.
        let moment = expected[1]["stored_at"].as_str().unwrap();
        let path = format!("/state/instance/a?at={moment}");
        let then = target.client.get(&path).await.expect(StatusCode::OK);
        assert_eq!(then, source.client.get(&path).await.expect(StatusCode::OK));

        // Commands were held back, and go on.
        target.create("new").await;
        target.stop().await;
    }
    source.stop().await;
}

#[tokio::test]
async fn an_import_goes_on_where_the_log_ends_and_only_there() {
    let source = with_a_past().await;
    let target = source.start_another().await;
    let part = export(&source, "until=4").await;
    imported(&import(&target, "", part).await);
    // As if the first import had broken off.
    let whole = export(&source, "").await;
    let done = imported(&import(&target, "", whole.clone()).await);
    assert_eq!(done["present"], 4);
    assert_eq!(events(&target).await, events(&source).await);

    let empty = source.start_another().await;
    let later = export(&source, "from=5&format=jsonl").await;
    let gap = import(&empty, "", later.clone()).await.problem(StatusCode::CONFLICT, "log_gap");
    assert_eq!(gap["expected"], 1);

    // Both go on, each in its own way.
    let next = events(&source).await.len() + 1;
    source.create("theirs").await;
    target.create("ours").await;
    let ours = events(&target).await;
    let differs = import(&target, "", export(&source, "").await).await;
    let differs = differs.problem(StatusCode::CONFLICT, "log_differs");
    assert_eq!(differs["sequence"], next);
    assert_eq!(events(&target).await, ours);
    for platform in [source, target, empty] {
        platform.stop().await;
    }
}

#[tokio::test]
async fn a_damaged_file_changes_nothing_and_is_refused_with_the_place() {
    let source = with_a_past().await;
    let target = source.start_another().await;
    let whole = export(&source, "format=jsonl").await;
    let mut changed = whole.to_vec();
    let place = whole.len() - 400;
    changed[place] ^= 0x01;
    for damaged in [Bytes::from(changed), whole.slice(..whole.len() - 10), Bytes::from_static(b"PK\x03\x04")]
    {
        let refused = import(&target, "", damaged).await;
        let refused = refused.problem(StatusCode::UNPROCESSABLE_ENTITY, "archive_damaged");
        assert!(refused["record"].as_u64().is_some() && refused["byte"].as_u64().is_some(), "{refused}");
    }
    let unknown = String::from_utf8(whole.to_vec()).unwrap().replace("instance.created", "instance.born");
    let refused = import(&target, "", unknown).await;
    refused.problem(StatusCode::UNPROCESSABLE_ENTITY, "archive_damaged");
    assert_eq!(events(&target).await, [] as [Value; 0]);

    let stranger = Platform::start().await;
    let refused = import(&stranger, "", whole).await;
    refused.problem(StatusCode::CONFLICT, "other_master_key");
    let without = export(&source, "without_keys=true").await;
    let done = imported(&import(&stranger, "", without).await);
    assert_eq!((&done["keys"], &done["appended"]), (&json!(0), &json!(events(&source).await.len())));
    for platform in [source, target, stranger] {
        platform.stop().await;
    }
}

#[tokio::test]
async fn events_are_replayed_to_a_subject_at_a_rate() {
    let platform = with_a_past().await;
    let expected = events(&platform).await;
    let mut heard = platform.server.listen_to_replay("audit").await;
    let body = json!({"subject": "audit", "rate": 1000});
    let done = platform.client.post("/events/replay?from=beginning&until=now", &body).await;
    let done = imported(&done);
    let all = expected.len() as u64;
    assert_eq!(done, json!({"published": all, "next_sequence": all + 1}));
    for event in &expected {
        let (sequence, payload) = heard.next().await;
        let document: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((json!(sequence), &document["sequence"]), (event["sequence"].clone(), &event["sequence"]));
        assert!(!document.to_string().contains("s1."), "masked: {document}");
    }
    let body = json!({"subject": "audit"});
    let raw = "/events/replay?from=2&until=2&raw=true";
    assert_eq!(imported(&platform.client.post(raw, &body).await)["published"], 1);
    let (sequence, payload) = heard.next().await;
    let stored = BASE64.decode(expected[1]["payload"].as_str().unwrap()).unwrap();
    assert_eq!((sequence, payload.to_vec()), (2, stored), "as it is stored");

    for (body, pointer) in
        [(json!({"subject": "a.b"}), "/subject"), (json!({"subject": "a", "rate": 0}), "/rate")]
    {
        let refused = platform.client.post("/events/replay", &body).await;
        let refused = refused.problem(StatusCode::BAD_REQUEST, "invalid_request");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    platform.stop().await;
}
