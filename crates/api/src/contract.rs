//! What the OpenAPI document says of each operation beyond the types of its handler: its name, its answers and the
//! problems that it meets. One file per resource, one function per handler, in the order of `router.rs`.

pub(crate) mod access_logs;
pub(crate) mod commands;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod instances;
pub(crate) mod platform;
pub(crate) mod retention;
pub(crate) mod state;
pub(crate) mod statistics;
pub(crate) mod status;
pub(crate) mod templates;
pub(crate) mod tokens;
pub(crate) mod views;

use ::access_log::trace_filter::MAX_FILTER_BYTES;
use schemars::{Schema, json_schema};

use crate::state::KINDS;

/// The parts of a path that group operations: the last that a path has counts.
pub(crate) const TAGS: [&str; 11] = [
    "instances",
    "tokens",
    "access-logs",
    "events",
    "state",
    "commands",
    "views",
    "retention",
    "templates",
    "statistics",
    "documents",
];

/// What a parameter of a path is. The same name means the same everywhere.
///
/// # Panics
/// A path has a parameter that is not described here, which the test of the document finds.
pub(crate) fn path_parameter(name: &str) -> (&'static str, Schema) {
    let text = || json_schema!({ "type": "string", "minLength": 1 });
    match name {
        "command" => ("A command by its id.", json_schema!({ "type": "string", "format": "uuid" })),
        "instance" => ("An instance by id or by name.", text()),
        "token" => ("A token of the instance by id, or by a label that only one has.", text()),
        "template" => ("A template by id or by name.", text()),
        "aggregate" => ("A kind of aggregate.", json_schema!({ "type": "string", "enum": KINDS })),
        "id" => (
            "An id; of an instance or a template also the name that it had then. A plan has those of its instance.",
            text(),
        ),
        "trace" => (
            "A trace id, the client's own or the one that the gateway made.",
            json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX_FILTER_BYTES }),
        ),
        "view" => ("The name of a view.", text()),
        "sequence" => (
            "The place of an event in the log.",
            json_schema!({ "type": "string", "pattern": "^[1-9][0-9]{0,17}$" }),
        ),
        other => panic!("the path parameter `{other}` has no description in contract.rs"),
    }
}

/// A text that is JSON of this form.
pub(crate) fn json(schema: Schema) -> Schema {
    json_schema!({ "type": "string", "contentMediaType": "application/json", "contentSchema": schema })
}
