//! The table: every style with and without explode in every place, and every kind of body, against the request that came
//! over the wire. What is expected is what OpenAPI 3.1.1 (Style Examples) and RFC 6570 prescribe.

use serde_json::{Value, json};

use super::backend::{Backend, Seen};
use super::{document, serve};
use crate::harness::answer_of;

/// How a cell of the table is looked at.
enum Sent<'a> {
    /// The target, after `/base/N`.
    Target(&'a str),
    Header(&'a str, Option<&'a str>),
    /// The media type, and the body.
    Body(&'a str, &'a str),
}

/// A parameter with a style, or without for the default, and a value.
fn parameter(place: &str, style: &str, explode: Option<bool>, value: Value) -> (Value, Value) {
    let required = place == "path";
    let mut parameter = json!({ "name": "color", "in": place, "required": required, "schema": {} });
    if !style.is_empty() {
        parameter["style"] = json!(style);
    }
    if let Some(explode) = explode {
        parameter["explode"] = json!(explode);
    }
    (json!({ "parameters": [parameter] }), json!({ "color": value }))
}

fn body(media_type: &str, media: Value, value: Value) -> (Value, Value) {
    let content = json!({ media_type: media });
    (json!({ "requestBody": { "required": true, "content": content } }), json!({ "body": value }))
}

fn array() -> Value {
    json!(["blue", "black", "brown"])
}

fn object() -> Value {
    // Members are sorted here; their order on the wire is that of the call.
    json!({ "B": 150, "G": 200, "R": 100 })
}

type Cell<'a> = ((Value, Value), Sent<'a>);

fn in_paths() -> Vec<Cell<'static>> {
    let cell = |style, explode, value, sent| (parameter("path", style, explode, value), Sent::Target(sent));
    vec![
        cell("", None, json!("blue"), "/blue"),
        cell("simple", Some(false), array(), "/blue,black,brown"),
        cell("simple", Some(true), array(), "/blue,black,brown"),
        cell("simple", Some(false), object(), "/B,150,G,200,R,100"),
        cell("simple", Some(true), object(), "/B=150,G=200,R=100"),
        cell("label", Some(false), json!("blue"), "/.blue"),
        cell("label", Some(false), array(), "/.blue,black,brown"),
        cell("label", Some(true), array(), "/.blue.black.brown"),
        cell("label", Some(false), object(), "/.B,150,G,200,R,100"),
        cell("label", Some(true), object(), "/.B=150.G=200.R=100"),
        cell("matrix", Some(false), json!("blue"), "/;color=blue"),
        cell("matrix", Some(false), json!(""), "/;color"),
        cell("matrix", Some(false), array(), "/;color=blue,black,brown"),
        cell("matrix", Some(true), array(), "/;color=blue;color=black;color=brown"),
        cell("matrix", Some(false), object(), "/;color=B,150,G,200,R,100"),
        cell("matrix", Some(true), object(), "/;B=150;G=200;R=100"),
        cell("", None, json!("a/b?c#d %é"), "/a%2Fb%3Fc%23d%20%25%C3%A9"),
        cell("", None, json!(9_007_199_254_740_993_u64), "/9007199254740993"),
        cell("", None, json!(true), "/true"),
    ]
}

fn in_queries() -> Vec<Cell<'static>> {
    let cell = |style, explode, value, sent| (parameter("query", style, explode, value), Sent::Target(sent));
    let mut cells = vec![
        cell("", None, json!("blue"), "?color=blue"),
        cell("", None, json!(""), "?color="),
        cell("", None, json!(null), ""),
        cell("", None, json!([]), ""),
        cell("", None, array(), "?color=blue&color=black&color=brown"),
        cell("", None, object(), "?B=150&G=200&R=100"),
        cell("form", Some(false), array(), "?color=blue,black,brown"),
        cell("form", Some(false), object(), "?color=B,150,G,200,R,100"),
        cell("spaceDelimited", Some(false), array(), "?color=blue%20black%20brown"),
        cell("spaceDelimited", Some(false), object(), "?color=B%20150%20G%20200%20R%20100"),
        cell("spaceDelimited", Some(true), array(), "?color=blue&color=black&color=brown"),
        cell("pipeDelimited", Some(false), array(), "?color=blue%7Cblack%7Cbrown"),
        cell("pipeDelimited", Some(false), object(), "?color=B%7C150%7CG%7C200%7CR%7C100"),
        cell("pipeDelimited", Some(true), array(), "?color=blue&color=black&color=brown"),
        cell("deepObject", Some(true), object(), "?color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"),
        cell("deepObject", Some(true), json!({ "a": { "b": 1 } }), "?color%5Ba%5D%5Bb%5D=1"),
        cell("", None, json!("a&b=c d+é"), "?color=a%26b%3Dc%20d%2B%C3%A9"),
        cell("", None, json!(["a,b", "c"]), "?color=a%2Cb&color=c"),
        cell("form", Some(false), json!(["a,b", "c"]), "?color=a%2Cb,c"),
        cell("", None, json!(u64::MAX), "?color=18446744073709551615"),
    ];
    let mut reserved = parameter("query", "", None, json!("a/b:c?d%20e f"));
    reserved.0["parameters"][0]["allowReserved"] = json!(true);
    cells.push((reserved, Sent::Target("?color=a/b:c?d%20e%20f")));
    let mut content = parameter("query", "", None, json!({ "a": [1, null] }));
    content.0["parameters"][0].as_object_mut().unwrap().remove("schema");
    content.0["parameters"][0]["content"] = json!({ "application/json": { "schema": {} } });
    cells.push((content, Sent::Target("?color=%7B%22a%22%3A%5B1%2Cnull%5D%7D")));
    cells
}

fn in_headers() -> Vec<Cell<'static>> {
    let header =
        |explode, value, sent| (parameter("header", "", explode, value), Sent::Header("color", sent));
    let cookie =
        |explode, value, sent| (parameter("cookie", "", explode, value), Sent::Header("cookie", sent));
    vec![
        header(None, json!("blue sky"), Some("blue sky")),
        header(None, json!(null), None),
        header(Some(false), array(), Some("blue,black,brown")),
        header(Some(true), array(), Some("blue,black,brown")),
        header(Some(false), object(), Some("B,150,G,200,R,100")),
        header(Some(true), object(), Some("B=150,G=200,R=100")),
        cookie(None, json!("blue"), Some("color=blue")),
        cookie(None, json!("a;b c"), Some("color=a%3Bb%20c")),
        cookie(Some(false), array(), Some("color=blue,black,brown")),
        cookie(Some(true), array(), Some("color=blue&color=black&color=brown")),
        cookie(Some(false), object(), Some("color=B,150,G,200,R,100")),
        cookie(Some(true), object(), Some("B=150&G=200&R=100")),
    ]
}

fn bodies() -> Vec<Cell<'static>> {
    let cell =
        |media_type, media, value, sent| (body(media_type, media, value), Sent::Body(media_type, sent));
    let big = r#"{"id":12345678901234567890,"none":null}"#;
    let big: Value = serde_json::from_str(big).unwrap();
    let form = "application/x-www-form-urlencoded";
    let properties = json!({ "type": "object", "properties": { "a": {}, "b": {}, "o": {} } });
    let styled = json!({ "schema": properties, "encoding": {
        "a": { "style": "spaceDelimited", "explode": false }, "o": { "style": "deepObject", "explode": true },
    } });
    vec![
        cell("application/json", json!({}), big, r#"{"id":12345678901234567890,"none":null}"#),
        cell("application/json", json!({}), json!(null), "null"),
        cell("application/json", json!({}), json!([1, "x"]), r#"[1,"x"]"#),
        cell("application/vnd.test+json", json!({}), json!({ "a": 1 }), r#"{"a":1}"#),
        cell("text/plain", json!({}), json!("two\nlines"), "two\nlines"),
        cell("application/xml", json!({}), json!("<a/>"), "<a/>"),
        cell("application/octet-stream", json!({}), json!("aGVsbG8="), "hello"),
        cell("image/png", json!({}), json!({ "data": "aGVsbG8" }), "hello"),
        cell(
            form,
            json!({ "schema": properties }),
            json!({ "a": "x y&z", "b": [1, 2], "o": { "k": true } }),
            "a=x+y%26z&b=1&b=2&o=%7B%22k%22%3Atrue%7D",
        ),
        cell(form, styled, json!({ "a": ["x", "y"], "b": null, "o": { "k": 1 } }), "a=x%20y&o%5Bk%5D=1"),
    ]
}

#[tokio::test]
async fn every_cell_of_the_table_is_sent_as_openapi_prescribes() {
    let cells: Vec<_> = [in_paths(), in_queries(), in_headers(), bodies()].into_iter().flatten().collect();
    let backend = Backend::start().await;
    let mut paths = serde_json::Map::new();
    for (number, ((operation, _), _)) in cells.iter().enumerate() {
        let mut operation = operation.clone();
        operation["operationId"] = json!(format!("cell{number}"));
        let in_path = operation["parameters"][0]["in"] == "path";
        let path = if in_path { format!("/{number}/{{color}}") } else { format!("/{number}") };
        let method = if operation.get("requestBody").is_some() { "post" } else { "get" };
        paths.insert(path, json!({ method: operation }));
    }
    let (bridge, _directory) = serve(&document(&backend, Value::Object(paths)), &[]);
    let session = bridge.session("2025-11-25").await;
    let mut wrong = vec![];
    for (number, ((_, arguments), sent)) in cells.iter().enumerate() {
        let id = i64::try_from(number).unwrap();
        let answer =
            answer_of(bridge.call(&session, id, &format!("cell{number}"), arguments.clone()).await).await;
        let seen = backend.seen();
        match &seen[..] {
            [seen] if is_as(seen, number, sent) => {}
            seen => wrong.push(format!("cell {number}, {arguments}: {seen:?}, {answer}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
    println!("{} of {} requests are as OpenAPI prescribes", cells.len(), cells.len());
}

fn is_as(seen: &Seen, number: usize, sent: &Sent<'_>) -> bool {
    match sent {
        Sent::Target(target) => seen.target == format!("/base/{number}{target}"),
        Sent::Header(name, value) => seen.header(name) == *value,
        Sent::Body(media_type, body) => {
            seen.method == "POST" && seen.header("content-type") == Some(media_type) && seen.text() == *body
        }
    }
}

#[tokio::test]
async fn arguments_of_one_name_in_several_places_are_told_apart() {
    let backend = Backend::start().await;
    let parameter = |place: &str| json!({ "name": "id", "in": place, "required": true, "schema": {} });
    let content =
        json!({ "application/json": { "schema": { "type": "object", "properties": { "id": {} } } } });
    let parameters = ["path", "query", "header", "cookie"].map(parameter);
    let operation =
        json!({ "operationId": "all", "parameters": parameters, "requestBody": { "content": content } });
    let (bridge, _directory) = serve(&document(&backend, json!({ "/x/{id}": { "put": operation } })), &[]);
    let arguments =
        json!({ "id_path": 1, "id_query": 2, "id_header": 3, "id_cookie": 4, "body": { "id": 5 } });
    bridge.stateless_call(1, "all", arguments).await;
    let seen = backend.seen().pop().unwrap();
    assert_eq!(seen.target, "/base/x/1?id=2");
    assert_eq!(
        (seen.header("id"), seen.header("cookie"), seen.text()),
        (Some("3"), Some("id=4"), r#"{"id":5}"#)
    );
}

#[tokio::test]
async fn forms_with_files_have_a_part_for_each() {
    let backend = Backend::start().await;
    backend.answer("/file.txt", "200 OK\r\ncontent-type: text/plain", "from elsewhere");
    let binary = json!({ "type": "string", "format": "binary" });
    let schema = json!({ "type": "object", "properties": {
        "note": { "type": "string" }, "meta": { "type": "object" }, "one": binary, "more": { "type": "array", "items": binary },
    } });
    let media =
        json!({ "schema": schema, "encoding": { "one": { "contentType": "image/png, image/jpeg" } } });
    let operation =
        json!({ "operationId": "upload", "requestBody": { "content": { "multipart/form-data": media } } });
    let (bridge, _directory) =
        serve(&document(&backend, json!({ "/x": { "post": operation } })), &["--private-files", "allow"]);
    let url = format!("{}/file.txt", backend.url);
    let arguments = json!({ "body": { "note": "a \"b\"", "meta": { "k": [1] }, "one": { "data": "aGVsbG8=", "filename": "a\"b.png" },
        "more": ["d29ybGQ=", { "url": url }] } });
    let answer = answer_of(bridge.stateless_call(1, "upload", arguments).await).await;
    assert_eq!(answer["result"]["isError"], json!(null), "{answer}");
    let seen = backend.seen();
    assert_eq!(seen.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/file.txt", "/base/x"]);
    let content_type = seen[1].header("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, body: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let file = "Content-Type: application/octet-stream";
    // Members of an argument are sorted on their way here.
    let expected = [
        part("name=\"meta\"\r\nContent-Type: application/json", r#"{"k":[1]}"#),
        part(&format!("name=\"more\"; filename=\"more\"\r\n{file}"), "world"),
        part(&format!("name=\"more\"; filename=\"file.txt\"\r\n{file}"), "from elsewhere"),
        part("name=\"note\"", "a \"b\""),
        part("name=\"one\"; filename=\"a%22b.png\"\r\nContent-Type: image/png", "hello"),
        format!("--{boundary}--\r\n"),
    ];
    assert_eq!(seen[1].text(), expected.concat());
}

#[tokio::test]
async fn what_makes_no_request_is_said_and_nothing_is_sent() {
    let backend = Backend::start().await;
    let parameters = json!([{ "name": "id", "in": "path", "required": true, "schema": {} }, { "name": "h", "in": "header", "schema": {} }]);
    let upload = json!({ "operationId": "upload", "requestBody": { "content": { "image/png": {} } } });
    let paths = json!({ "/a/{id}/b": { "get": { "operationId": "get", "parameters": parameters } }, "/u": { "post": upload } });
    let (bridge, _directory) = serve(&document(&backend, paths), &[]);
    let cases = [
        ("get", json!({}), "id is missing"),
        ("get", json!({ "id": ".." }), "leads elsewhere"),
        ("get", json!({ "id": "." }), "leads elsewhere"),
        ("get", json!({ "id": "" }), "id is empty"),
        ("get", json!({ "id": null }), "id is empty"),
        ("get", json!({ "id": "x", "h": "a\r\nb: c" }), "control character"),
        ("get", json!({ "id": "x", "typo": 1 }), "no argument typo; known are: id, h"),
        ("upload", json!({ "body": "!" }), "no base64"),
        ("upload", json!({ "body": { "url": "file:///etc/passwd" } }), "http or https"),
        ("upload", json!({ "body": { "url": backend.url } }), "is private"),
        ("upload", json!({ "body": { "url": "http://169.254.169.254/latest" } }), "link-local"),
        ("upload", json!({ "body": { "url": "http://localhost:1/" } }), "is private"),
    ];
    for (tool, arguments, reason) in cases {
        let answer = answer_of(bridge.stateless_call(1, tool, arguments.clone()).await).await;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(answer["result"]["isError"] == true && text.contains(reason), "{arguments}: {answer}");
    }
    assert!(backend.seen().is_empty());
}
