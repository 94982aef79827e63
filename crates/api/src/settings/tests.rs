//! What settings may look like, and what is said of those that may not.

use serde_json::{Value, json};

use domain::sealed::SECRET_BYTES_MAX;

use super::rules::{
    ARGS_BYTES_MAX, ARGS_MAX, ENV_MAX, ENV_NAME_BYTES_MAX, HEADERS_MAX, PROGRAM_BYTES_MAX, SECRETS_BYTES_MAX,
    URL_BYTES_MAX,
};
use super::*;
use crate::error::Error;
use crate::violation::{Place, Violation};

fn check(body: &Value) -> Result<NewInstance, Error> {
    serde_json::from_value::<CreateInstance>(body.clone()).expect("the form is right").check()
}

/// The places that are found to be wrong, in the order in which they are.
#[track_caller]
fn wrong_places(body: &Value) -> Vec<String> {
    places(check(body))
}

#[track_caller]
fn places<T: std::fmt::Debug>(checked: Result<T, Error>) -> Vec<String> {
    let (Err(Error::Invalid(violations)) | Err(Error::Unprocessable(violations))) = checked else {
        panic!("{checked:?}")
    };
    let pointer = |violation: Violation| match violation.place {
        Place::Pointer(pointer) => pointer,
        other => panic!("{other:?}"),
    };
    violations.into_iter().map(pointer).collect()
}

fn hosted(command: &Value) -> Value {
    json!({"name": "a", "access": "hosted", "transport": "stdio", "command": command})
}

fn proxy(url: &str, headers: &Value) -> Value {
    json!({"name": "a", "access": "proxy", "transport": "sse", "url": url, "headers": headers})
}

#[test]
fn a_command_an_address_and_their_secrets_are_accepted() {
    let command = json!({
        "program": "npx", "args": ["-y", "", "ünï"], "env": {"_A1": "", "TOKEN": "line\nline"},
    });
    assert_eq!(check(&hosted(&command)).unwrap().name.as_str(), "a");
    let headers = json!({"Authorization": "Bearer a b", "X-Empty": ""});
    for url in
        ["https://example.com/mcp", "http://127.0.0.1:1/", "http://[::1]:8080", "https://bücher.example"]
    {
        check(&proxy(url, &headers)).unwrap();
    }
    check(&json!({"name": "a", "access": "direct", "transport": "streamable-http", "url": "http://h"}))
        .unwrap();
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let body = json!({
        "name": "Not A Name", "access": "hosted", "transport": "sse", "url": "http://h", "headers": {},
        "command": {
            "program": " \u{0}", "args": ["ok", "\u{0}"],
            "env": {"1A": "", "": "", "A-B": "", "MCPCAN_X": "", "OK": "\u{0}"},
        },
    });
    assert_eq!(
        wrong_places(&body),
        [
            "/name",
            "/transport",
            "/url",
            "/headers",
            "/command/program",
            "/command/args/1",
            "/command/env/",
            "/command/env/1A",
            "/command/env/A-B",
            "/command/env/MCPCAN_X",
            "/command/env/OK",
        ]
    );
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    assert_eq!(wrong_places(&json!({})), ["/name", "/transport", "/access"]);
    assert_eq!(wrong_places(&json!({"access": "hosted"})), ["/name", "/transport", "/command"]);
    assert_eq!(wrong_places(&json!({"access": "direct"})), ["/name", "/transport", "/url"]);
    assert_eq!(wrong_places(&hosted(&json!({}))), ["/command/program"]);
}

#[test]
fn an_access_mode_has_what_it_needs_and_nothing_of_another() {
    let bare = |access: &str| json!({"name": "a", "access": access, "transport": "stdio"});
    assert_eq!(wrong_places(&bare("hosted")), ["/command"]);
    assert_eq!(wrong_places(&bare("proxy")), ["/transport", "/url"]);
    let mut body = proxy("http://h", &json!({}));
    body["command"] = json!({"program": "npx"});
    assert_eq!(wrong_places(&body), ["/command"]);
}

#[test]
fn an_address_is_absolute_and_holds_no_secret() {
    for url in [
        "",
        "/mcp",
        "example.com/mcp",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http://h/#top",
        "http://h/?",
        "http://h/mcp?api_key=hunter2",
        "http://user@h/",
        "http://user:password@h/",
        "http://:password@h/",
        "ht\ntp://h/",
        "http://h/ x",
        " http://h",
        "javascript:alert(1)",
        "http://h:99999/",
        &format!("http://h/{}", "a".repeat(URL_BYTES_MAX)),
    ] {
        assert_eq!(wrong_places(&proxy(url, &json!({}))), ["/url"], "{url}");
    }
}

#[test]
fn header_fields_are_legal_and_none_of_the_connection() {
    for name in [
        "",
        "a b",
        "ä",
        "a:",
        "Host",
        "CONNECTION",
        "te",
        "Content-Length",
        "Mcp-Session-Id",
        &"a".repeat(257),
    ] {
        assert_eq!(wrong_places(&proxy("http://h", &json!({name: "x"}))).len(), 1, "{name}");
    }
    for value in ["a\nb", "a\rb", "\u{0}", "ä", " a", "a ", "\u{7f}"] {
        assert_eq!(wrong_places(&proxy("http://h", &json!({"X-A": value}))), ["/headers/X-A"], "{value:?}");
    }
    assert_eq!(wrong_places(&proxy("http://h", &json!({"X-A": "1", "x-a": "2"}))), ["/headers/x-a"]);
}

#[test]
fn what_no_schema_can_tell_is_impossible_and_not_malformed() {
    let twice = json!({"X-A": "1", "x-a": "2"});
    assert!(matches!(check(&proxy("http://h", &twice)), Err(Error::Unprocessable(_))));
    let long = json!({"program": "ü".repeat(PROGRAM_BYTES_MAX)});
    assert!(matches!(check(&hosted(&long)), Err(Error::Unprocessable(_))));
    // Something that a schema can tell is wrong beside it.
    assert!(matches!(check(&proxy("h", &twice)), Err(Error::Invalid(violations)) if violations.len() == 2));
}

#[test]
fn everything_is_bounded() {
    let many = |count: usize| -> Value {
        (0..count).map(|i| (format!("A{i}"), json!(""))).collect::<serde_json::Map<_, _>>().into()
    };
    let long = |bytes: usize| json!("x".repeat(bytes));
    for (command, place) in [
        (json!({"program": long(PROGRAM_BYTES_MAX + 1)}), "/command/program"),
        (json!({"program": "a", "args": vec![""; ARGS_MAX + 1]}), "/command/args"),
        (json!({"program": "a", "args": [long(ARGS_BYTES_MAX + 1)]}), "/command/args"),
        (json!({"program": "a", "env": many(ENV_MAX + 1)}), "/command/env"),
        (json!({"program": "a", "env": {"A": long(SECRET_BYTES_MAX + 1)}}), "/command/env/A"),
        (json!({"program": "a", "env": {"x".repeat(ENV_NAME_BYTES_MAX + 1): ""}}), "/command/env/"),
    ] {
        let places = wrong_places(&hosted(&command));
        assert!(places.len() == 1 && places[0].starts_with(place), "{place}: {places:?}");
    }
    assert_eq!(wrong_places(&proxy("http://h", &many(HEADERS_MAX + 1))), ["/headers"]);
    let secrets: Value = (0..=SECRETS_BYTES_MAX / SECRET_BYTES_MAX)
        .map(|i| (format!("A{i}"), long(SECRET_BYTES_MAX)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(wrong_places(&hosted(&json!({"program": "a", "env": secrets}))), ["/command/env"]);
}

#[test]
fn an_image_runs_its_own_entry_point_or_a_command() {
    let image = |more: Value| {
        let mut body =
            json!({"name": "a", "access": "hosted", "transport": "stdio", "image": "ghcr.io/x/y:1"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for command in
        [json!({}), json!({"command": {"env": {"A": ""}}}), json!({"command": {"program": "serve"}})]
    {
        check(&image(command)).unwrap();
    }
    assert_eq!(wrong_places(&image(json!({"command": {"args": ["-v"]}}))), ["/command/program"]);
    assert_eq!(wrong_places(&image(json!({"image": "Not An Image"}))), ["/image"]);
}

#[test]
fn how_a_server_is_run_is_bounded_and_makes_sense() {
    let with = |more: Value| {
        let mut body = hosted(&json!({"program": "npx"}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    check(&with(json!({
        "ports": [80, 8080], "replicas": 3, "labels": {"team/a": "ünï"}, "notes": "a\nb", "icon": "https://h/i.png",
        "mounts": {"/data": {"kind": "claim", "name": "disk"}, "/tmp/x": {"kind": "empty"}},
        "resources": {"cpu_request_millis": 100, "cpu_limit_millis": 100, "memory_limit_bytes": 1_073_741_824},
    })))
    .unwrap();
    for (more, place) in [
        (json!({"ports": [0]}), "/ports/0"),
        (json!({"ports": [1, 70_000]}), "/ports/1"),
        (json!({"ports": [1, 1]}), "/ports/1"),
        (json!({"replicas": 0}), "/replicas"),
        (json!({"replicas": 65}), "/replicas"),
        (json!({"mounts": {"data": {"kind": "empty"}}}), "/mounts/data"),
        (json!({"mounts": {"/d": {"kind": "config", "name": "A"}}}), "/mounts/~1d/name"),
        (json!({"resources": {"cpu_limit_millis": 0}}), "/resources/cpu_limit_millis"),
        (json!({"resources": {"memory_limit_bytes": 1}}), "/resources/memory_limit_bytes"),
        (json!({"labels": {"-a": ""}}), "/labels/-a"),
        (json!({"labels": {"a": "\n"}}), "/labels/a"),
        (json!({"notes": "\u{0}"}), "/notes"),
        (json!({"icon": "javascript:alert(1)"}), "/icon"),
        (json!({"icon": "data:text/html,x"}), "/icon"),
        (json!({"from": "x"}), "/from"),
    ] {
        assert_eq!(wrong_places(&with(more)), [place]);
    }
}

/// The places that are found to be wrong in a patch.
#[track_caller]
fn wrong_in_patch(body: &Value) -> Vec<String> {
    places(serde_json::from_value::<EditInstance>(body.clone()).expect("the form is right").check())
}

#[test]
fn a_patch_keeps_the_rules_of_a_creation() {
    for (body, places) in [
        (json!({"name": "b", "notes": "x"}), vec!["/name"]),
        (json!({"name": null}), vec!["/name"]),
        (json!({"replicas": 2}), vec!["/replicas"]),
        (json!({"labels": null}), vec!["/labels"]),
        (json!({"command": {"env": {"A-B": "x"}}}), vec!["/command/env/A-B"]),
        (json!({"command": {"env": null}}), vec!["/command/env"]),
        (json!({"command": null, "url": null, "transport": "stdio"}), vec!["/command", "/transport", "/url"]),
        (
            json!({"headers": {"Host": "x"}, "ports": [0], "icon": "x"}),
            vec!["/icon", "/ports/0", "/headers/Host"],
        ),
    ] {
        assert_eq!(wrong_in_patch(&body), places, "{body}");
    }
}

#[test]
fn no_secret_shows_in_debug_output() {
    let instance = check(&hosted(&json!({"program": "npx", "env": {"A": "hunter2"}}))).unwrap();
    assert!(!format!("{instance:?}").contains("hunter2"));
}
