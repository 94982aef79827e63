//! The forms of single settings, as far as a JSON Schema can say them.

use domain::instance::access::{MOUNTS_MAX, REPLICAS_MAX};
use domain::instance::health::{INTERVAL_SECONDS_MAX, INTERVAL_SECONDS_MIN, TOOL_BYTES_MAX, TOOLS_MAX};
use domain::instance::profile::{ICON_BYTES_MAX, LABELS_MAX, NOTES_CHARS_MAX};
use domain::name::NAME_BYTES_MAX;
use domain::sealed::SECRET_BYTES_MAX;
use schemars::{Schema, json_schema};
use serde_json::{Value, json};

use crate::settings::rules::hosted::{
    CPU_MILLIS_MAX, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MOUNT_NAME_BYTES_MAX, MOUNT_PATH_BYTES_MAX, PORTS_MAX,
};
use crate::settings::rules::image::IMAGE_BYTES_MAX;
use crate::settings::rules::profile::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_CHARS_MAX};
use crate::settings::rules::{
    ARGS_MAX, ENV_MAX, ENV_NAME_BYTES_MAX, HEADER_NAME_BYTES_MAX, HEADERS_MAX, HEADERS_REFUSED,
    PROGRAM_BYTES_MAX, URL_BYTES_MAX,
};

pub(super) fn nullable(schema: Schema) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// A value of a map: of a patch, null takes the entry away.
pub(super) fn entry(schema: Value, patch: bool) -> Value {
    if patch { json!({ "anyOf": [schema, { "type": "null" }] }) } else { schema }
}

pub(super) fn labels(patch: bool) -> Schema {
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

pub(super) fn notes() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": NOTES_CHARS_MAX,
        "pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$",
    })
}

pub(super) fn icon() -> Schema {
    json_schema!({
        "description": "The http or https address of a picture, or the picture itself as a `data:` address.",
        "type": "string",
        "maxLength": ICON_BYTES_MAX,
        "pattern": "^(https?://[a-z]([a-z0-9.-]*[a-z])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]*)?([?][A-Za-z0-9._~/=&-]*)?|data:image/[a-z+;=0-9]+,[A-Za-z0-9+/=]+)?$",
    })
}

pub(super) fn image() -> Schema {
    json_schema!({
        "description": "`[host[:port]/]path[:tag][@sha256:digest]`",
        "type": "string",
        "maxLength": IMAGE_BYTES_MAX,
        "pattern": "^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$",
    })
}

pub(super) fn ports() -> Schema {
    json_schema!({
        "description": "The ports that the server opens beside MCP.",
        "type": "array",
        "maxItems": PORTS_MAX,
        "uniqueItems": true,
        "items": { "type": "integer", "minimum": 1, "maximum": u16::MAX },
    })
}

pub(super) fn mounts(patch: bool) -> Schema {
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

pub(super) fn resources() -> Schema {
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

pub(super) fn process() -> Schema {
    json_schema!({
        "description": "Whom a process of the server serves. `auto`, which it is when nothing is said: a client with a \
                        session has one for itself, clients of the protocol without sessions (2026-07-28) share one. \
                        `per-client`: each client has its own. `shared`: all clients share one; what an older server asks \
                        of its client, logs or says of changes then reaches nobody.",
        "enum": ["auto", "per-client", "shared"],
    })
}

pub(super) fn logging() -> Schema {
    json_schema!({
        "description": "What the access log gets of the calls; what is absent or null is as it is by default. A direct \
                        instance has none of it: its clients never meet the gateway.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "capture": {
                "description": "`metadata`, which it is by default: who called what and what came of it, with header \
                                fields and the names of cookies and form fields. `off`: without these. `bodies`: with \
                                the beginnings of requests and answers too. Secrets are masked.",
                "enum": ["off", "metadata", "bodies", null],
            },
            "strict": {
                "description": "Whether calls wait for their rows: the head of an answer until the row of its request is \
                                safe, the end of its body until the last row is. What streams goes out before that. \
                                False by default.",
                "type": ["boolean", "null"],
            },
        },
    })
}

pub(super) fn health_check() -> Schema {
    json_schema!({
        "description": "How the platform probes the server; what is absent or null is as it is by default. A direct \
                        instance has none of it: nothing of the platform's connects to it.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "interval_seconds": {
                "description": "The time from one probe to the next. 30 by default.",
                "type": ["integer", "null"],
                "minimum": INTERVAL_SECONDS_MIN,
                "maximum": INTERVAL_SECONDS_MAX,
            },
            "tools": {
                "description": "The tools that the server must offer. To see them, each probe opens a session.",
                "type": ["array", "null"],
                "maxItems": TOOLS_MAX,
                "items": { "type": "string", "minLength": 1, "maxLength": TOOL_BYTES_MAX,
                           "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$" },
            },
        },
    })
}

pub(crate) fn replicas() -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": REPLICAS_MAX })
}

pub(super) fn name() -> Schema {
    json_schema!({
        "description": "A lower-case DNS label that does not have the form of an id.",
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_BYTES_MAX,
        "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        "not": { "pattern": "^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$" },
    })
}

pub(super) fn command() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["program"],
        "additionalProperties": false,
        "properties": { "program": program(), "args": args(), "env": env(false) },
    })
}

/// What is run in an image; its own entry point, unless a program is named.
pub(super) fn image_command() -> Schema {
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

pub(super) fn program() -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": PROGRAM_BYTES_MAX,
        "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
    })
}

pub(super) fn args() -> Schema {
    json_schema!({ "type": "array", "maxItems": ARGS_MAX, "items": { "type": "string", "pattern": NO_NUL } })
}

pub(super) fn env(patch: bool) -> Schema {
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

pub(super) fn url() -> Schema {
    json_schema!({
        "description": "An absolute http or https address without credentials, query and fragment.",
        "type": "string",
        "maxLength": URL_BYTES_MAX,
        "pattern": "^https?://[a-z]([a-z0-9.-]*[a-z])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]*)?$",
    })
}

pub(super) fn headers(patch: bool) -> Schema {
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
