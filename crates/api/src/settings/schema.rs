//! The form of requests about settings, as far as a JSON Schema can say it. `rules` checks it, and what goes beyond:
//! lengths in bytes, totals, and names that differ only in case.

mod value;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::{CreateInstance, CreateTemplate, EditInstance, EditTemplate, Instantiate, ReplaceAccess};
use value::{
    args, command, env, headers, health_check, icon, image, image_command, labels, logging, mounts, name,
    notes, nullable, ports, process, program, resources, url,
};
pub(crate) use value::{header_name, header_value, replicas};

macro_rules! schema {
    ($type:ident, $make:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $make
            }
        }
    };
}

schema!(CreateInstance, {
    json_schema!({
        "description": "A new instance. What does not belong to its access mode is absent or null.",
        "oneOf": accesses(&object([("name", name())]), true),
    })
});
schema!(ReplaceAccess, {
    json_schema!({
        "description": "A whole access mode. What does not belong to it is absent or null.",
        "oneOf": accesses(&Map::new(), false),
    })
});
schema!(CreateTemplate, {
    let mut forms = accesses(&object([("name", name())]), true);
    forms.push(json!({
        "title": "OfInstance",
        "description": "The settings of an instance, its secrets included.",
        "type": "object",
        "required": ["name", "from"],
        "additionalProperties": false,
        "properties": {
            "name": name(),
            "from": { "description": "An instance by id or by name.", "type": "string", "minLength": 1 },
        },
    }));
    json_schema!({ "description": "A new template: from nothing, or from an instance.", "oneOf": forms })
});
schema!(EditInstance, patch("A change of some settings, or a rename."));
schema!(EditTemplate, patch("A change of some settings, or a rename."));
schema!(Instantiate, {
    let mut properties = some_settings();
    properties.insert("name".to_owned(), name().into());
    properties.insert("replicas".to_owned(), nullable(replicas()));
    json_schema!({
        "description": "A name, and what shall be other than in the template: a JSON merge patch.",
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": properties,
    })
});

fn object<const N: usize>(entries: [(&str, Schema); N]) -> Map<String, Value> {
    entries.into_iter().map(|(name, schema)| (name.to_owned(), schema.into())).collect()
}

/// The access modes, each with `more` that is needed, and perhaps with what people note down.
fn accesses(more: &Map<String, Value>, with_profile: bool) -> Vec<Value> {
    let mut common = more.clone();
    if with_profile {
        common.extend(profile());
    }
    let required = |own: &[&str]| -> Vec<Value> {
        more.keys().map(|key| json!(key)).chain(own.iter().map(|key| json!(key))).collect()
    };
    let null = || json_schema!({ "type": "null" });
    let hosted = |title: &str, own: [(&str, Schema); 2], needed: &str| {
        let mut properties = common.clone();
        properties.extend(object([
            ("access", json_schema!({ "const": "hosted" })),
            ("transport", json_schema!({ "const": "stdio" })),
            ("url", null()),
            ("headers", null()),
        ]));
        properties.extend(object(own));
        properties.extend(hosted_settings());
        json!({
            "title": title,
            "description": "The platform runs the server and the gateway is its public address.",
            "type": "object",
            "required": required(&["access", "transport", needed]),
            "additionalProperties": false,
            "properties": properties,
        })
    };
    let mut remote = common.clone();
    remote.extend(object([
        ("access", json_schema!({ "enum": ["proxy", "direct"] })),
        ("transport", json_schema!({ "enum": ["sse", "streamable-http"] })),
        ("url", url()),
        ("headers", headers(false)),
        ("command", null()),
        ("image", null()),
        ("ports", null()),
        ("mounts", null()),
        ("resources", null()),
        ("process", null()),
        ("replicas", null()),
    ]));
    vec![
        hosted("Hosted", [("command", command()), ("image", null())], "command"),
        hosted("HostedImage", [("command", image_command()), ("image", image())], "image"),
        json!({
            "title": "Remote",
            "description":
                "The server runs elsewhere: the gateway stands in front of it, or clients go there themselves.",
            "type": "object",
            "required": required(&["access", "transport", "url"]),
            "additionalProperties": false,
            "properties": remote,
        }),
    ]
}

fn patch(description: &str) -> Schema {
    json_schema!({
        "description": format!("{description} A JSON merge patch: what is absent stays, what is null goes."),
        "oneOf": [
            {
                "title": "Rename",
                "type": "object",
                "required": ["name"],
                "additionalProperties": false,
                "properties": { "name": name() },
            },
            {
                "title": "Edit",
                "type": "object",
                "additionalProperties": false,
                "properties": some_settings(),
            },
        ],
    })
}

fn some_settings() -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert("labels".to_owned(), labels(true).into());
    properties.insert("notes".to_owned(), nullable(notes()));
    properties.insert("icon".to_owned(), nullable(icon()));
    properties.insert("logging".to_owned(), nullable(logging()));
    properties.insert("health_check".to_owned(), nullable(health_check()));
    properties.insert("image".to_owned(), nullable(image()));
    properties.insert("ports".to_owned(), nullable(ports()));
    properties.insert("mounts".to_owned(), mounts(true).into());
    properties.insert("resources".to_owned(), resources().into());
    properties.insert("process".to_owned(), nullable(process()));
    properties.insert("transport".to_owned(), json!({ "enum": ["sse", "streamable-http"] }));
    properties.insert("url".to_owned(), url().into());
    properties.insert("headers".to_owned(), headers(true).into());
    let command = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { "program": nullable(program()), "args": nullable(args()), "env": env(true) },
    });
    properties.insert("command".to_owned(), command);
    properties
}

fn profile() -> Map<String, Value> {
    let settings = [
        ("labels", labels(false)),
        ("notes", notes()),
        ("icon", icon()),
        ("logging", logging()),
        ("health_check", health_check()),
    ];
    settings.into_iter().map(|(name, schema)| (name.to_owned(), nullable(schema))).collect()
}

fn hosted_settings() -> Map<String, Value> {
    let settings = [
        ("ports", ports()),
        ("mounts", mounts(false)),
        ("resources", resources()),
        ("process", process()),
        ("replicas", replicas()),
    ];
    settings.into_iter().map(|(name, schema)| (name.to_owned(), nullable(schema))).collect()
}
