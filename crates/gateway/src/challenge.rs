//! The challenges of a 401 (RFC 9110 section 11.6.1): how a token may be presented, and what was wrong with the one
//! that was. Pure; `refusal` asks.

use domain::token::Kind;
use http::HeaderValue;

use crate::refusal::Refusal;

/// RFC 7617 section 2.1: usernames and passwords are encoded in UTF-8.
const BASIC: &str = r#"Basic realm="mcpcan", charset="UTF-8""#;
/// No registered scheme has a header field of its own; what follows is what is in use.
const API_KEY: &str = r#"ApiKey realm="mcpcan", header="Api-Key""#;
const X_API_KEY: &str = r#"ApiKey realm="mcpcan", header="X-API-Key""#;

/// The challenges that go with a refusal, for who has presented a credential of this kind: the same way once more, or
/// the ways that have a registered scheme, `Bearer` first because MCP clients look for that.
pub(crate) fn of(refusal: Refusal, presented: Option<Kind>) -> Vec<HeaderValue> {
    match presented {
        Some(Kind::Bearer) => vec![bearer(refusal)],
        Some(Kind::Basic) => vec![HeaderValue::from_static(BASIC)],
        Some(Kind::ApiKey) => vec![HeaderValue::from_static(API_KEY)],
        Some(Kind::XApiKey) => vec![HeaderValue::from_static(X_API_KEY)],
        None => vec![bearer(refusal), HeaderValue::from_static(BASIC)],
    }
}

/// RFC 6750 section 3: without an error code where no credential was sent.
fn bearer(refusal: Refusal) -> HeaderValue {
    HeaderValue::from_static(match refusal {
        Refusal::CredentialMalformed | Refusal::CredentialInQuery => {
            r#"Bearer realm="mcpcan", error="invalid_request""#
        }
        Refusal::TokenExpired => {
            r#"Bearer realm="mcpcan", error="invalid_token", error_description="the token has expired""#
        }
        Refusal::TokenInvalid | Refusal::TokenOfOtherKind => {
            r#"Bearer realm="mcpcan", error="invalid_token""#
        }
        _ => r#"Bearer realm="mcpcan""#,
    })
}
