//! The forms of single values, as far as a JSON Schema can say them.

use std::borrow::Cow;

use domain::token::{LABEL_CHARS_MAX, PASSTHROUGH_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::credential::{
    CUSTOM_BYTES_MAX, CUSTOM_BYTES_MIN, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, USERNAME_BYTES_MAX,
};
use crate::moment::TIME_PATTERN;
use crate::settings::schema::{header_name, header_value};

macro_rules! form {
    ($(#[$doc:meta])* $name:ident, $title:literal, $schema:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

form!(
    /// The form of a label: neither control characters, nor blanks around it.
    Label,
    "Label",
    {
        let inside = r"[^\u0000-\u001f\u007f-\u009f]";
        let edge = r"[^\s\u0000-\u001f\u007f-\u009f]";
        json_schema!({
            "type": "string",
            "maxLength": LABEL_CHARS_MAX,
            "pattern": format!("^({edge}({inside}*{edge})?)?$"),
        })
    }
);

form!(
    /// The form of a custom credential (RFC 6750 section 2.1, `b64token`).
    Value,
    "CredentialValue",
    json_schema!({
        "type": "string",
        "minLength": CUSTOM_BYTES_MIN,
        "maxLength": CUSTOM_BYTES_MAX,
        "pattern": "^[A-Za-z0-9._~+/-]+=*$",
        "writeOnly": true,
    })
);

form!(
    /// The form of a username (RFC 7617 section 2).
    Username,
    "Username",
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": USERNAME_BYTES_MAX,
        "pattern": r"^[^:\u0000-\u001f\u007f-\u009f]+$",
    })
);

form!(
    /// The form of a password.
    Password,
    "Password",
    json_schema!({
        "type": "string",
        "minLength": PASSWORD_CHARS_MIN,
        "maxLength": PASSWORD_BYTES_MAX,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
        "writeOnly": true,
    })
);

form!(
    /// The form of what follows `Basic ` in an encoding of one's own.
    Encoded,
    "EncodedCredential",
    json_schema!({
        "type": "string",
        "minLength": CUSTOM_BYTES_MIN,
        "maxLength": CUSTOM_BYTES_MAX,
        "pattern": "^[!-~]+$",
        "writeOnly": true,
    })
);

form!(
    /// The form of a time that always works: any RFC 3339 time that lies ahead does.
    Time,
    "ExpiryTime",
    json_schema!({
        "type": "string",
        "pattern": format!("^{TIME_PATTERN}$"),
        "examples": ["2100-01-31T14:05:00Z"],
    })
);

form!(
    /// The form of a duration that always works. Others that mean the same do too: `1h 30m`, `PT5M`.
    Duration,
    "ExpiryDuration",
    json_schema!({ "type": "string", "pattern": "^[1-9][0-9]{0,3}[smhd]$", "examples": ["30d", "12h"] })
);

form!(
    /// The form of header fields.
    Headers,
    "TokenHeaders",
    json_schema!({
        "type": "object",
        "maxProperties": domain::token::HEADERS_MAX,
        "propertyNames": header_name(),
        "additionalProperties": header_value(),
    })
);

form!(
    /// The form of a change of header fields.
    HeadersPatch,
    "TokenHeadersPatch",
    json_schema!({
        "type": "object",
        "maxProperties": domain::token::HEADERS_MAX,
        "propertyNames": header_name(),
        "additionalProperties": { "anyOf": [header_value(), { "type": "null" }] },
    })
);

form!(
    /// The form of a passthrough list.
    Passthrough,
    "Passthrough",
    json_schema!({ "type": "array", "maxItems": PASSTHROUGH_MAX, "items": header_name() })
);
