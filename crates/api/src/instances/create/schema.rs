//! The form of the request that creates an instance, as far as a JSON Schema can say it. `rules` checks it, and what
//! goes beyond: lengths in bytes, totals, and names that differ only in case.

use std::borrow::Cow;

use domain::name::NAME_BYTES_MAX;
use domain::sealed::SECRET_BYTES_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::CreateInstance;
use super::rules::{
    ARGS_MAX, ENV_MAX, ENV_NAME_BYTES_MAX, HEADER_NAME_BYTES_MAX, HEADERS_MAX, HEADERS_REFUSED,
    PROGRAM_BYTES_MAX, URL_BYTES_MAX,
};

impl JsonSchema for CreateInstance {
    fn schema_name() -> Cow<'static, str> {
        "CreateInstance".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A new instance. What does not belong to its access mode is absent or null.",
            "oneOf": [hosted(), remote()],
        })
    }
}

fn hosted() -> Schema {
    json_schema!({
        "title": "Hosted",
        "description": "The platform runs the server and the gateway is its public address.",
        "type": "object",
        "required": ["name", "access", "transport", "command"],
        "additionalProperties": false,
        "properties": {
            "name": name(),
            "access": { "const": "hosted" },
            "transport": { "const": "stdio" },
            "command": command(),
            "url": { "type": "null" },
            "headers": { "type": "null" },
        },
    })
}

fn remote() -> Schema {
    json_schema!({
        "title": "Remote",
        "description": "The server runs elsewhere: the gateway stands in front of it, or clients go there themselves.",
        "type": "object",
        "required": ["name", "access", "transport", "url"],
        "additionalProperties": false,
        "properties": {
            "name": name(),
            "access": { "enum": ["proxy", "direct"] },
            "transport": { "enum": ["sse", "streamable-http"] },
            "url": url(),
            "headers": headers(),
            "command": { "type": "null" },
        },
    })
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
        "properties": {
            "program": {
                "type": "string",
                "minLength": 1,
                "maxLength": PROGRAM_BYTES_MAX,
                "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
            },
            "args": { "type": "array", "maxItems": ARGS_MAX, "items": { "type": "string", "pattern": NO_NUL } },
            "env": {
                "description": "Environment variables of the server. The values are kept sealed.",
                "type": "object",
                "maxProperties": ENV_MAX,
                "propertyNames": {
                    "maxLength": ENV_NAME_BYTES_MAX,
                    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                    "not": { "pattern": "^MCPCAN_" },
                },
                "additionalProperties": { "type": "string", "maxLength": SECRET_BYTES_MAX, "pattern": NO_NUL },
            },
        },
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

pub(crate) fn headers() -> Schema {
    json_schema!({
        "description": "Header fields for the server. The case of a name does not count. The values are kept sealed.",
        "type": ["object", "null"],
        "maxProperties": HEADERS_MAX,
        "propertyNames": header_name(),
        "additionalProperties": header_value(),
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
