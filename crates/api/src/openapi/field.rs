//! The header fields that requests and answers have.

use schemars::{Schema, json_schema};

use crate::command::KEY_BYTES_MAX;

/// A header field.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: fn() -> Schema,
}

pub(crate) const IDEMPOTENCY_KEY: Field = Field {
    name: "Idempotency-Key",
    description: "The client's name for the command. For 24 hours the same key with the same request answers what \
        became of it the first time. The platform makes one for who brings none.",
    schema: || json_schema!({ "type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": KEY_BYTES_MAX }),
};

pub(crate) const IF_MATCH: Field = Field {
    name: "If-Match",
    description: "The revision that the command is meant for, as `ETag` had it; several in a list, any as `*`.",
    schema: || {
        let tags = "^(W/)?\"[!#-~]*\"( *, *(W/)?\"[!#-~]*\")*$";
        json_schema!({
            "type": "string",
            "anyOf": [{ "const": "*" }, { "pattern": tags }],
            "examples": ["\"3\""],
        })
    },
};

pub(crate) const PREFER: Field = Field {
    name: "Prefer",
    description: "`respond-async` for an answer before the command is decided, `wait=SECONDS` for how long to wait at \
        most (RFC 7240). What is not known is ignored.",
    schema: || json_schema!({ "type": "string", "examples": ["respond-async", "wait=5"] }),
};

pub(crate) const ETAG: Field = Field {
    name: "ETag",
    description: "The revision of what is shown, in quotes. It counts what people change, and not what becomes of \
        replicas: it says whether a change is still wanted, not whether the answer is the same as before.",
    schema: || json_schema!({ "type": "string", "pattern": "^\"[0-9]+\"$" }),
};

pub(crate) const LOCATION: Field = Field {
    name: "Location",
    description: "Where it is shown.",
    schema: || json_schema!({ "type": "string", "format": "uri-reference" }),
};

pub(crate) const RETRY_AFTER: Field = Field {
    name: "Retry-After",
    description: "After how many seconds it is worth trying again.",
    schema: || json_schema!({ "type": "integer", "minimum": 1 }),
};

pub(crate) const PREFERENCE_APPLIED: Field = Field {
    name: "Preference-Applied",
    description: "`respond-async` where that was preferred; none where the decision was waited for in vain.",
    schema: || json_schema!({ "const": "respond-async" }),
};

pub(crate) const WWW_AUTHENTICATE: Field = Field {
    name: "WWW-Authenticate",
    description: "How to present the admin key.",
    schema: || json_schema!({ "type": "string" }),
};

pub(crate) const LAST_EVENT_ID: Field = Field {
    name: "Last-Event-ID",
    description: "The sequence of the last event that was seen: the stream goes on after it.",
    schema: || json_schema!({ "type": "string", "pattern": "^[0-9]{1,18}$" }),
};

pub(crate) const LAST_PLACE: Field = Field {
    name: "Last-Event-ID",
    description: "The id of the last frame that was seen, which is the place of its row: the stream goes on after it.",
    schema: || json_schema!({ "type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,9}$" }),
};

pub(crate) const ROW_COUNT: Field = Field {
    name: "X-Row-Count",
    description: "How many rows there were when the export began; some may come or expire meanwhile.",
    schema: || json_schema!({ "type": "string", "pattern": "^[0-9]+$" }),
};
