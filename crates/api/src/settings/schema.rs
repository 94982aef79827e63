//! The form of requests about settings, as far as a JSON Schema can say it. `rules` checks it, and what goes beyond:
//! lengths in bytes, totals, and names that differ only in case.

use std::borrow::Cow;

use domain::instance::access::{MOUNTS_MAX, REPLICAS_MAX};
use domain::instance::profile::{ICON_BYTES_MAX, LABELS_MAX, NOTES_CHARS_MAX};
use domain::name::NAME_BYTES_MAX;
use domain::sealed::SECRET_BYTES_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::rules::hosted::{
    CPU_MILLIS_MAX, IMAGE_BYTES_MAX, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MOUNT_NAME_BYTES_MAX,
    MOUNT_PATH_BYTES_MAX, PORTS_MAX,
};
use super::rules::profile::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_CHARS_MAX};
use super::rules::{
    ARGS_MAX, ENV_MAX, ENV_NAME_BYTES_MAX, HEADER_NAME_BYTES_MAX, HEADERS_MAX, HEADERS_REFUSED,
    PROGRAM_BYTES_MAX, URL_BYTES_MAX,
};
use super::{CreateInstance, CreateTemplate, EditInstance, EditTemplate, Instantiate, ReplaceAccess};

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
    properties.insert("image".to_owned(), nullable(image()));
    properties.insert("ports".to_owned(), nullable(ports()));
    properties.insert("mounts".to_owned(), mounts(true).into());
    properties.insert("resources".to_owned(), resources().into());
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
    [("labels", labels(false)), ("notes", notes()), ("icon", icon())]
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), nullable(schema)))
        .collect()
}

fn hosted_settings() -> Map<String, Value> {
    let settings =
        [("ports", ports()), ("mounts", mounts(false)), ("resources", resources()), ("replicas", replicas())];
    settings.into_iter().map(|(name, schema)| (name.to_owned(), nullable(schema))).collect()
}

fn nullable(schema: Schema) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// A value of a map: of a patch, null takes the entry away.
fn entry(schema: Value, patch: bool) -> Value {
    if patch { json!({ "anyOf": [schema, { "type": "null" }] }) } else { schema }
}

fn labels(patch: bool) -> Schema {
    let value = json!({
        "type": "string",
        "maxLength": LABEL_VALUE_CHARS_MAX,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
    });
    json_schema!({
        "type": "object",
        "maxProperties": LABELS_MAX,
        "propertyNames": {
            "maxLength": LABEL_KEY_BYTES_MAX,
            "pattern": "^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$",
        },
        "additionalProperties": entry(value, patch),
    })
}

fn notes() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": NOTES_CHARS_MAX,
        "pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$",
    })
}

fn icon() -> Schema {
    json_schema!({
        "description": "The http or https address of a picture, or the picture itself as a `data:` address.",
        "type": "string",
        "maxLength": ICON_BYTES_MAX,
        "pattern": "^(https?://[a-z]([a-z0-9.-]*[a-z])?(/[A-Za-z0-9._~/-]*)?|data:image/[a-z+;=0-9]+,[A-Za-z0-9+/=]+)?$",
    })
}

fn image() -> Schema {
    json_schema!({
        "description": "`[host[:port]/]path[:tag][@sha256:digest]`",
        "type": "string",
        "maxLength": IMAGE_BYTES_MAX,
        "pattern": "^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$",
    })
}

fn ports() -> Schema {
    json_schema!({
        "description": "The ports that the server opens beside MCP.",
        "type": "array",
        "maxItems": PORTS_MAX,
        "uniqueItems": true,
        "items": { "type": "integer", "minimum": 1, "maximum": u16::MAX },
    })
}

fn mounts(patch: bool) -> Schema {
    let name = json!({
        "type": "string",
        "maxLength": MOUNT_NAME_BYTES_MAX,
        "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    });
    let kind = |kind: &str, mut properties: Value, required: &[&str]| {
        properties["kind"] = json!({ "const": kind });
        json!({
            "type": "object",
            "required": required,
            "additionalProperties": false,
            "properties": properties,
        })
    };
    let mount = json!({ "oneOf": [
        kind("claim", json!({ "name": name, "read_only": { "type": "boolean" } }), &["kind", "name"]),
        kind("config", json!({ "name": name }), &["kind", "name"]),
        kind("empty", json!({}), &["kind"]),
    ] });
    json_schema!({
        "description": "What is mounted, by its path.",
        "type": "object",
        "maxProperties": MOUNTS_MAX,
        "propertyNames": {
            "maxLength": MOUNT_PATH_BYTES_MAX,
            "pattern": r"^(/[^/:\u0000-\u001f\u007f-\u009f]+)+$",
            "not": { "pattern": r"/\.{1,2}(/|$)" },
        },
        "additionalProperties": entry(mount, patch),
    })
}

fn resources() -> Schema {
    let cpu = || json!({ "type": ["integer", "null"], "minimum": 1, "maximum": CPU_MILLIS_MAX });
    let memory =
        || json!({ "type": ["integer", "null"], "minimum": MEMORY_BYTES_MIN, "maximum": MEMORY_BYTES_MAX });
    json_schema!({
        "description": "What a replica asks for and may use at most: thousandths of a core, and bytes.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "cpu_request_millis": cpu(),
            "cpu_limit_millis": cpu(),
            "memory_request_bytes": memory(),
            "memory_limit_bytes": memory(),
        },
    })
}

pub(crate) fn replicas() -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": REPLICAS_MAX })
}

fn name() -> Schema {
    json_schema!({
        "description": "A lower-case DNS label that does not have the form of an id.",
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_BYTES_MAX,
        "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        "not": { "pattern": "^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$" },
    })
}

fn command() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["program"],
        "additionalProperties": false,
        "properties": { "program": program(), "args": args(), "env": env(false) },
    })
}

/// What is run in an image; its own entry point, unless a program is named.
fn image_command() -> Schema {
    json_schema!({ "anyOf": [
        command(),
        {
            "type": "object",
            "additionalProperties": false,
            "properties": { "program": { "type": "null" }, "args": { "const": [] }, "env": env(false) },
        },
        { "type": "null" },
    ] })
}

fn program() -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": PROGRAM_BYTES_MAX,
        "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
    })
}

fn args() -> Schema {
    json_schema!({ "type": "array", "maxItems": ARGS_MAX, "items": { "type": "string", "pattern": NO_NUL } })
}

fn env(patch: bool) -> Schema {
    let value = json!({ "type": "string", "maxLength": SECRET_BYTES_MAX, "pattern": NO_NUL });
    json_schema!({
        "description": "Environment variables of the server. The values are kept sealed.",
        "type": "object",
        "maxProperties": ENV_MAX,
        "propertyNames": {
            "maxLength": ENV_NAME_BYTES_MAX,
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
            "not": { "pattern": "^MCPCAN_" },
        },
        "additionalProperties": entry(value, patch),
    })
}

const NO_NUL: &str = r"^[^\u0000]*$";

fn url() -> Schema {
    json_schema!({
        "description": "An absolute http or https address without credentials, query and fragment.",
        "type": "string",
        "maxLength": URL_BYTES_MAX,
        "pattern": "^https?://[a-z]([a-z0-9.-]*[a-z])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]*)?$",
    })
}

fn headers(patch: bool) -> Schema {
    let types = if patch { json!(["object"]) } else { json!(["object", "null"]) };
    json_schema!({
        "description": "Header fields for the server. The case of a name does not count. The values are kept sealed.",
        "type": types,
        "maxProperties": HEADERS_MAX,
        "propertyNames": header_name(),
        "additionalProperties": entry(header_value().into(), patch),
    })
}

pub(crate) fn header_name() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": HEADER_NAME_BYTES_MAX,
        "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        "not": { "enum": HEADERS_REFUSED },
    })
}

pub(crate) fn header_value() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": SECRET_BYTES_MAX,
        "pattern": r"^([!-~]([\t -~]*[!-~])?)?$",
    })
}
