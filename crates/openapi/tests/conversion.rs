//! Documents in, tools and reports out.

use openapi::{Api, Document, Edit, Options, Refused, convert};
use serde_json::{Value, json};
use url::Url;

fn read(document: &Value) -> Result<Document, Refused> {
    Document::read(document.to_string().as_bytes(), None, &mut |_| Err("nothing is fetched here".to_owned()))
}

fn api(document: &Value) -> Api {
    let document = read(document).expect("the document can be read");
    convert(&document, &Options::default()).expect("the document has operations")
}

/// A document with these paths, and these schemas.
fn document(version: &str, paths: Value, schemas: Value) -> Value {
    json!({
        "openapi": version,
        "info": { "title": "Test", "version": "1" },
        "servers": [{ "url": "https://api.test/v1/" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// An operation that takes JSON of such a schema and answers the same.
fn operation(schema: Value) -> Value {
    let content = json!({ "application/json": { "schema": schema } });
    json!({
        "requestBody": { "required": true, "content": content },
        "responses": { "200": { "description": "", "content": content } },
    })
}

#[test]
fn what_is_nullable_or_exclusive_in_3_0_is_so_in_json_schema() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": "string", "nullable": true, "enum": ["x"] },
        "b": { "type": "number", "minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false },
        "c": { "nullable": true, "allOf": [{ "$ref": "#/components/schemas/Other" }] },
        "d": { "$ref": "#/components/schemas/Other", "description": "is ignored in 3.0" },
        "e": { "type": "string", "readOnly": true },
    } });
    let api = api(&document(
        "3.0.3",
        json!({ "/a": { "post": operation(schema) } }),
        json!({ "Other": { "type": "integer" } }),
    ));
    let input = &api.tools[0].listed.with_sessions["inputSchema"];
    assert_eq!(
        input["properties"]["body"]["properties"],
        json!({
            "a": { "type": ["string", "null"], "enum": ["x", null] },
            "b": { "type": "number", "exclusiveMinimum": 1, "maximum": 9 },
            "c": { "anyOf": [{ "allOf": [{ "$ref": "#/$defs/Other" }] }, { "type": "null" }] },
            "d": { "$ref": "#/$defs/Other" },
        })
    );
    assert_eq!(input["$defs"], json!({ "Other": { "type": "integer" } }));
    assert_eq!(input["required"], json!(["body"]));
}

#[test]
fn circles_of_references_end_in_shared_definitions() {
    let node = json!({ "type": "object", "properties": {
        "next": { "$ref": "#/components/schemas/Node" },
        "items": { "type": "array", "items": { "$ref": "#/paths/~1a/post/requestBody/content/application~1json/schema" } },
    } });
    let reference = json!({ "$ref": "#/components/schemas/Node" });
    let api =
        api(&document("3.1.0", json!({ "/a": { "post": operation(reference) } }), json!({ "Node": node })));
    let input = &api.tools[0].listed.with_sessions["inputSchema"];
    assert_eq!(input["properties"]["body"], json!({ "$ref": "#/$defs/Node" }));
    assert_eq!(input["$defs"]["Node"]["properties"]["next"], json!({ "$ref": "#/$defs/Node" }));
    assert_eq!(input["$defs"]["schema"], json!({ "$ref": "#/$defs/Node" }));
}

#[test]
fn what_a_tool_answers_is_said_and_never_demanded() {
    let schema = json!({ "type": "array", "items": { "type": "string", "enum": ["x"] } });
    let api = api(&document("3.1.0", json!({ "/a": { "get": operation(schema) } }), json!({})));
    let listed = &api.tools[0].listed;
    let any_of = json!([{ "type": "array", "items": { "type": "string" } }, {}]);
    assert_eq!(listed.stateless["outputSchema"], json!({ "anyOf": any_of }));
    let wrapped = json!({ "type": "object", "properties": { "result": { "anyOf": any_of } } });
    assert_eq!(listed.with_sessions["outputSchema"], wrapped);
    assert_eq!(listed.stateless["annotations"]["readOnlyHint"], json!(true));
}

#[test]
fn names_are_unique_short_and_stable() {
    let long = "a".repeat(90);
    let get = |id: Option<&str>| match id {
        Some(id) => json!({ "operationId": id }),
        None => json!({}),
    };
    let paths = json!({
        "/a": { "get": get(Some("pets/list")), "post": get(Some("pets_list")) },
        "/b/{id}": { "parameters": [{ "name": "id", "in": "path", "schema": {} }], "get": get(None) },
        "/c": { "get": get(Some(&long)), "put": get(Some(&format!("{long}b"))) },
    });
    let document = document("3.1.0", paths, json!({}));
    let names = |options: &Options| -> Vec<String> {
        let api = convert(&read(&document).unwrap(), options).unwrap();
        api.tools.into_iter().map(|tool| tool.name).collect()
    };
    let all = names(&Options::default());
    assert_eq!(all[1], "pets_list", "{all:?}");
    assert!(all[0].starts_with("pets_list_"), "{all:?}");
    assert_eq!(all[2], "get_b_id");
    assert!(all.iter().all(|name| name.len() <= 64) && all[3] != all[4], "{all:?}");
    let chosen = Options {
        include: openapi::Selection {
            paths: vec!["/a".to_owned()],
            methods: vec!["GET".to_owned()],
            ..Default::default()
        },
        ..Options::default()
    };
    assert_eq!(names(&chosen), [all[0].clone()], "a choice changes no name");
}

#[test]
fn tools_are_chosen_and_edited() {
    let paths = json!({ "/a": { "get": { "operationId": "one", "tags": ["x"] }, "put": { "operationId": "two", "tags": ["y"] } } });
    let document = read(&document("3.1.0", paths, json!({}))).unwrap();
    let mut options = Options::default();
    options.exclude.tags.push("y".to_owned());
    let edit = Edit { name: Some("first".to_owned()), description: Some("Is first.".to_owned()) };
    options.edits.insert("one".to_owned(), edit);
    let api = convert(&document, &options).unwrap();
    assert_eq!(api.report.converted.len(), 1);
    assert_eq!(api.tools[0].listed.stateless["name"], "first");
    assert_eq!(api.tools[0].listed.stateless["description"], "Is first.");
    options.edits.insert("two".to_owned(), Edit::default());
    assert_eq!(convert(&document, &options).err(), Some(Refused::NoSuchTool("two".to_owned())));
}

#[test]
fn what_cannot_be_converted_is_reported_with_its_place() {
    let paths = json!({
        "/a/{id}": { "get": {} },
        "/b": { "get": { "parameters": [{ "$ref": "#/components/parameters/None" }] } },
        "/c": { "get": {} },
        "/d": { "get": { "servers": [{ "url": "ftp://x/" }] } },
    });
    let report = api(&document("3.1.0", paths, json!({}))).report;
    let left_out: Vec<_> = report.left_out.iter().map(|entry| entry.at.as_str()).collect();
    assert_eq!(left_out, ["/paths/~1a~1{id}/get", "/paths/~1b/get", "/paths/~1d/get"]);
    assert!(report.left_out[0].reason.contains("id"), "{:?}", report.left_out);
    assert!(report.left_out[1].reason.contains("leads nowhere"), "{:?}", report.left_out);
    assert_eq!(report.converted.len(), 1);
}

#[test]
fn documents_of_other_versions_and_other_things_get_a_clear_answer() {
    let refused = |text: &str| {
        Document::read(text.as_bytes(), None, &mut |_| Err(String::new())).unwrap_err().to_string()
    };
    assert!(refused(r#"{"swagger":"2.0"}"#).contains("Swagger 2.0"));
    assert!(refused("swagger: '2.0'\n").contains("convert it to OpenAPI 3.0"));
    assert!(refused(r#"{"openapi":"4.0.0"}"#).contains("OpenAPI 4.0.0 is not known"));
    assert!(refused("just text").contains("no OpenAPI document"));
    assert!(refused("{\"openapi\": ").contains("line 1 column"));
    assert!(refused(r#"{"openapi":"3.1.0","paths":{}}"#).contains("no `paths`"));
}

#[test]
fn yaml_is_read_like_json() {
    let yaml = "openapi: 3.0.3\ninfo: {title: Pets, version: 1.0}\nservers: [{url: 'https://a.test'}]\npaths:\n  /pets:\n    get:\n      operationId: list\n      responses:\n        200:\n          description: All of them\n          content: {application/json: {schema: {type: object, properties: {on: {type: boolean}}}}}\n";
    let document = Document::read(yaml.as_bytes(), None, &mut |_| Err(String::new())).unwrap();
    let api = convert(&document, &Options::default()).unwrap();
    assert_eq!((api.report.title.as_str(), api.tools[0].name.as_str()), ("Pets", "list"));
    assert!(api.tools[0].has_output_schema);
}

#[test]
fn references_to_other_documents_are_resolved_by_whoever_reads_and_bundled() {
    let root = Url::parse("https://a.test/docs/openapi.json").unwrap();
    let main = document("3.1.0", json!({ "/a": { "$ref": "paths.json#/a" } }), json!({}));
    let paths = json!({ "a": { "post": operation(json!({ "$ref": "schemas/pet.yaml" })) } });
    let mut asked = vec![];
    let document = Document::read(main.to_string().as_bytes(), Some(&root), &mut |url| {
        asked.push(url.to_string());
        match url.path() {
            "/docs/paths.json" => Ok(paths.to_string().into_bytes()),
            "/docs/schemas/pet.yaml" => {
                Ok(b"type: object\nproperties: {self: {$ref: '#'}, gone: {$ref: gone.json}}".to_vec())
            }
            _ => Err("is not there".to_owned()),
        }
    });
    let document = document.unwrap();
    assert_eq!(asked.len(), 3, "{asked:?}");
    let again =
        Document::read(&document.to_bundle(), None, &mut |_| panic!("a bundle has everything")).unwrap();
    let api = convert(&again, &Options::default()).unwrap();
    let input = &api.tools[0].listed.stateless["inputSchema"];
    assert_eq!(input["$defs"]["schema"]["properties"]["self"], json!({ "$ref": "#/$defs/schema" }));
    assert!(api.report.notes.iter().any(|note| note.reason.contains("gone.json")), "{:?}", api.report.notes);
}

#[test]
fn servers_are_those_nearest_to_the_operation_with_their_variables() {
    let servers =
        |url: &str| json!([{ "url": url, "variables": { "v": { "default": "1", "enum": ["1", "2"] } } }]);
    let paths = json!({
        "/a": { "get": { "servers": servers("https://op.test/{v}") }, "put": {}, "servers": servers("/relative/{v}/") },
        "/b": { "get": {} },
    });
    let main = document("3.0.0", paths, json!({}));
    let location = Url::parse("http://docs.test/x/openapi.json").unwrap();
    let document =
        Document::read(main.to_string().as_bytes(), Some(&location), &mut |_| Err(String::new())).unwrap();
    let servers = |options: &Options| -> Vec<String> {
        convert(&document, options)
            .unwrap()
            .tools
            .iter()
            .map(|tool| tool.operation.server().to_owned())
            .collect()
    };
    let plain = servers(&Options::default());
    // Of a path, GET is before PUT.
    assert_eq!(plain, ["https://op.test/1", "http://docs.test/relative/1", "https://api.test/v1"]);
    let mut options = Options { server: Some("http://other.test".to_owned()), ..Options::default() };
    options.server_variables.insert("v".to_owned(), "2".to_owned());
    assert_eq!(servers(&options), ["https://op.test/2", "http://docs.test/relative/2", "http://other.test"]);
    options.server_variables.insert("v".to_owned(), "3".to_owned());
    let report = convert(&document, &options).unwrap().report;
    assert_eq!(report.left_out.len(), 2, "a value that is not allowed: {:?}", report.left_out);
}

#[test]
fn hostile_documents_are_refused_or_bounded() {
    // Aliases that grow tenfold with each line.
    let mut bomb = "openapi: 3.1.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let refused =
        |text: &str| Document::read(text.as_bytes(), None, &mut |_| Err(String::new())).unwrap_err();
    assert!(matches!(refused(&bomb), Refused::Unreadable(_)), "{:?}", refused(&bomb));
    let deep = format!("{{\"openapi\":\"3.1.0\",\"paths\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(refused(&deep), Refused::Unreadable(_)));
    let deep = format!("openapi: 3.1.0\npaths: {}", "[".repeat(100_000));
    assert!(matches!(refused(&deep), Refused::Unreadable(_)));
    let large = vec![b' '; openapi::limit::DOCUMENT_BYTES_MAX + 1];
    let large = Document::read(&large, None, &mut |_| Err(String::new()));
    assert!(matches!(large, Err(Refused::TooLarge(_))));

    // References that double with each definition, and a parameter that leads to itself.
    let mut schemas = serde_json::Map::new();
    for level in 0..200 {
        let next = json!({ "$ref": format!("#/components/schemas/S{}", level + 1) });
        let properties: serde_json::Map<_, _> = (0..20).map(|at| (format!("p{at}"), next.clone())).collect();
        schemas.insert(format!("S{level}"), json!({ "type": "object", "properties": properties }));
    }
    let first = json!({ "$ref": "#/components/schemas/S0" });
    let mut bomb = document(
        "3.1.0",
        json!({ "/a": { "post": operation(first) }, "/b": { "get": { "parameters": [{ "$ref": "#/components/parameters/p" }] } } }),
        Value::Object(schemas),
    );
    bomb["components"]["parameters"] =
        json!({ "p": { "$ref": "#/components/parameters/q" }, "q": { "$ref": "#/components/parameters/p" } });
    let api = api(&bomb);
    assert_eq!(api.tools.len(), 1);
    assert!(api.report.list_bytes < 64 * 1024, "{}", api.report.list_bytes);
    assert!(api.report.left_out[0].reason.contains("lead on and on"), "{:?}", api.report.left_out);
    assert!(api.report.notes.iter().any(|note| note.reason.contains("shortened")), "{:?}", api.report.notes);
}
