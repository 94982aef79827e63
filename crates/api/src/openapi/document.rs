//! Puts the document together (OpenAPI 3.1.1).

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::Described;
use super::field::{self, Field};
use super::operation::{Answer, Operation};
use crate::contract;
use crate::error::problem_type::{REVISION_CHANGED, UNAUTHORIZED};
use crate::problem::{self, Problem, ProblemType};

/// The name of the one security scheme.
const ADMIN_KEY: &str = "adminKey";

/// The document of these routes.
pub(super) fn render(routes: &[Described]) -> String {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(&route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        path[method] = operation(route, routes, &mut schemas);
    }
    let document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "mcpcan",
            "summary": "The command and query API.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "securitySchemes": { ADMIN_KEY: { "type": "http", "scheme": "bearer", "description": "The admin key." } },
        },
    });
    format!("{}\n", serde_json::to_string_pretty(&document).expect("JSON is text"))
}

/// Schemas of what is read and of what is written: the same type may leave out in one what it has in the other.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings =
            || SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
        Schemas {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    fn into_components(mut self) -> Map<String, Value> {
        let mut components = self.written.take_definitions(true);
        for (name, schema) in self.read.take_definitions(true) {
            let written = components.entry(&name).or_insert_with(|| schema.clone());
            assert_eq!(
                *written, schema,
                "`{name}` is read in another form than it is written: give it two names"
            );
        }
        components
    }
}

fn operation(route: &Described, routes: &[Described], schemas: &mut Schemas) -> Value {
    let Operation { id, summary, description, body, .. } = &route.operation;
    let mut document = json!({
        "operationId": id,
        "summary": summary,
        "tags": [route.path.split('/').rfind(|part| contract::TAGS.contains(part)).unwrap_or("platform")],
        "parameters": parameters(route, schemas),
        "responses": responses(route, routes, schemas),
        "security": if route.guarded { json!([{ ADMIN_KEY: [] }]) } else { json!([]) },
    });
    if let Some(description) = description {
        document["description"] = json!(description);
    }
    if let Some(body) = body {
        let schema = body(&mut schemas.read);
        let content: Map<String, Value> = route
            .operation
            .body_media_types
            .iter()
            .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })))
            .collect();
        document["requestBody"] =
            json!({ "required": !route.operation.body_is_optional, "content": content });
    }
    if route.operation.takes_bytes {
        document["requestBody"] = json!({ "required": true, "content": { "application/octet-stream": {} } });
    }
    document
}

fn parameters(route: &Described, schemas: &mut Schemas) -> Vec<Value> {
    let in_path = path_parameters(&route.path).map(|name| {
        let (description, schema) = contract::path_parameter(name);
        json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
    });
    let mut parameters: Vec<Value> = in_path.collect();
    if let Some(query) = route.operation.query {
        parameters.extend(query_parameters(query, schemas));
    }
    parameters.extend(route.operation.headers.iter().map(|field| {
        let schema = (field.schema)();
        json!({ "name": field.name, "in": "header", "description": field.description, "schema": schema })
    }));
    parameters
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Each property of the type is a parameter. A query cannot say null, so what may be null may be left out.
fn query_parameters(query: super::operation::SchemaOf, schemas: &mut Schemas) -> Vec<Value> {
    let mut alone = schemas.read.settings().clone().into_generator();
    let reference = query(&mut alone);
    let mut definitions = alone.take_definitions(true);
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let object = name.and_then(|name| definitions.remove(name)).unwrap_or_else(|| reference.to_value());
    schemas.read.definitions_mut().extend(definitions);
    let required = object["required"].as_array().cloned().unwrap_or_default();
    let properties = object["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let mut schema = without_null(schema.clone());
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({
                "name": name, "in": "query", "required": required.contains(&json!(name)),
                "description": description.unwrap_or_else(|| panic!("the parameter `{name}` has a doc comment")),
                "schema": schema,
            })
        })
        .collect()
}

fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    schema
}

fn responses(route: &Described, routes: &[Described], schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, answer) in &route.operation.answers {
        responses.insert(status.to_string(), success(answer, routes, schemas));
    }
    let mut problems: BTreeMap<u16, Vec<ProblemType>> = BTreeMap::new();
    let unauthorized = route.guarded.then_some(UNAUTHORIZED);
    for problem in route.operation.problems.iter().copied().chain(unauthorized) {
        problems.entry(problem.status.as_u16()).or_default().push(problem);
    }
    for (status, problems) in problems {
        responses.insert(status.to_string(), failure(&problems, schemas));
    }
    responses
}

fn success(answer: &Answer, routes: &[Described], schemas: &mut Schemas) -> Value {
    let schema = (answer.schema)(&mut schemas.written);
    let mut fields = headers(&answer.headers, true);
    fields.extend(headers(&answer.optional_headers, false));
    let content: Map<String, Value> = answer
        .media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })))
        .collect();
    let mut response = json!({ "description": answer.description, "headers": fields, "content": content });
    if !answer.identifies.is_empty() {
        response["links"] = json!(links(answer, routes));
    }
    response
}

/// Where the answer leads: to every operation whose path parameters it has all of.
fn links(answer: &Answer, routes: &[Described]) -> Map<String, Value> {
    let mut links = Map::new();
    for route in routes {
        let mut parameters = Map::new();
        for name in path_parameters(&route.path) {
            if let Some((_, pointer)) = answer.identifies.iter().find(|(parameter, _)| *parameter == name) {
                parameters.insert(name.to_owned(), json!(format!("$response.body#{pointer}")));
            }
        }
        if !parameters.is_empty() && parameters.len() == path_parameters(&route.path).count() {
            let id = route.operation.id;
            links.insert(id.to_owned(), json!({ "operationId": id, "parameters": parameters }));
        }
    }
    links
}

/// The problem documents of one status.
fn failure(problems: &[ProblemType], schemas: &mut Schemas) -> Value {
    let problem = schemas.written.subschema_for::<Problem>();
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    let titles: Vec<&str> = problems.iter().map(|problem| problem.title).collect();
    let status = problems.first().map(|problem| problem.status.as_u16());
    let schema = json!({
        "allOf": [problem],
        "properties": { "status": { "const": status }, "code": { "enum": codes } },
    });
    let mut fields = vec![];
    if problems.contains(&UNAUTHORIZED) {
        fields.push(field::WWW_AUTHENTICATE);
    }
    if problems.contains(&REVISION_CHANGED) {
        fields.push(field::ETAG);
    }
    let always = problems.iter().all(|problem| problem.worth_repeating);
    let mut headers = headers(&fields, true);
    if problems.iter().any(|problem| problem.worth_repeating) {
        headers.extend(self::headers(&[field::RETRY_AFTER], always));
    }
    json!({
        "description": titles.join(" · "),
        "headers": headers,
        "content": { problem::MEDIA_TYPE: { "schema": schema } },
    })
}

fn headers(fields: &[Field], required: bool) -> Map<String, Value> {
    fields
        .iter()
        .map(|field| {
            let Field { name, description, schema } = field;
            (
                (*name).to_owned(),
                json!({ "description": description, "required": required, "schema": schema() }),
            )
        })
        .collect()
}
