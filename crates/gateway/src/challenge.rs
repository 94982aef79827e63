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

/// What of a request the challenge depends on.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// How a credential was presented, if there was one.
    pub(crate) presented: Option<Kind>,
    /// Where an issuer is named whose access tokens are accepted, if there is one.
    pub(crate) issuer: Option<Issuer>,
}

/// What clients are told of an issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) metadata_url: String,
    /// With blanks between them.
    pub(crate) scopes: String,
}

/// The challenges that go with a refusal: the way once more that was tried, or the ways that have a registered scheme,
/// `Bearer` first because MCP clients look for that. Where an issuer is named, `Bearer` always says where.
pub(crate) fn of(refusal: Refusal, asked: &Asked) -> Vec<HeaderValue> {
    let other = match asked.presented {
        Some(Kind::Bearer) => None,
        Some(Kind::Basic) | None => Some(BASIC),
        Some(Kind::ApiKey) => Some(API_KEY),
        Some(Kind::XApiKey) => Some(X_API_KEY),
    };
    let names_bearer = matches!(asked.presented, None | Some(Kind::Bearer)) || asked.issuer.is_some();
    let bearer = names_bearer.then(|| bearer(refusal, asked));
    bearer.into_iter().chain(other.map(HeaderValue::from_static)).collect()
}

/// RFC 6750 section 3: without an error code where no credential was sent. RFC 9728 section 5.1: with the metadata.
fn bearer(refusal: Refusal, asked: &Asked) -> HeaderValue {
    let error = match refusal {
        Refusal::CredentialMalformed | Refusal::CredentialInQuery => r#", error="invalid_request""#,
        Refusal::TokenExpired => r#", error="invalid_token", error_description="the token has expired""#,
        Refusal::TokenInvalid | Refusal::TokenOfOtherKind => r#", error="invalid_token""#,
        Refusal::ScopeInsufficient => r#", error="insufficient_scope""#,
        _ => "",
    };
    let mut challenge = format!(r#"Bearer realm="mcpcan"{error}"#);
    if let Some(Issuer { metadata_url, scopes }) = &asked.issuer {
        challenge.push_str(&format!(r#", resource_metadata="{metadata_url}""#));
        if !scopes.is_empty() {
            challenge.push_str(&format!(r#", scope="{scopes}""#));
        }
    }
    // What a client has called the gateway is a host name, or there is no challenge with it.
    let plain = HeaderValue::from_static(r#"Bearer realm="mcpcan""#);
    HeaderValue::from_str(&challenge).unwrap_or(plain)
}
