//! Where a client may present a token: each kind in its own header field, once, and nowhere else. Pure; `admission`
//! asks.

use std::fmt;

use domain::token::Kind;
use http::{HeaderMap, HeaderName, header};

use crate::refusal::Refusal;

/// Query parameters that people put credentials into. RFC 6750 section 2.3 warns of the first, and MCP forbids all
/// (2025-11-25, Authorization, Token Requirements): addresses end up in logs and histories.
const QUERY_CREDENTIALS: [&str; 10] = [
    "access_token",
    "access-token",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "key",
    "authorization",
    "bearer",
];
/// How many parameters of a query are looked at: nobody has authenticated yet, and each may cost a digest.
const QUERY_PARAMETERS_MAX: usize = 32;
/// A value shorter than this is no token, whatever its name.
const TOKEN_BYTES_MIN: usize = 16;

const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header fields in which tokens are presented. One request may have several: what the token has no use for may be
/// meant for the server behind the gateway.
const FIELDS: [HeaderName; 3] = [header::AUTHORIZATION, API_KEY, X_API_KEY];

/// A credential as a request presents it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Presented<'a> {
    pub(crate) kind: Kind,
    /// What follows the scheme, or the whole field where there is none.
    pub(crate) text: &'a str,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The credentials of a request, `Authorization` first.
///
/// # Errors
/// There is none: no field at all, or none that can be one.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Vec<Presented<'_>>, Refusal> {
    let mut found = vec![];
    let mut is_malformed = false;
    for field in &FIELDS {
        match of_field(headers, field) {
            Some(Some(presented)) => found.push(presented),
            Some(None) => is_malformed = true,
            None => {}
        }
    }
    match (found.is_empty(), is_malformed) {
        (false, _) => Ok(found),
        (true, true) => Err(Refusal::CredentialMalformed),
        (true, false) => Err(Refusal::CredentialMissing),
    }
}

/// The text of the credential of this kind.
pub(crate) fn of_kind(headers: &HeaderMap, kind: Kind) -> Option<&str> {
    let field = match kind {
        Kind::Bearer | Kind::Basic => &header::AUTHORIZATION,
        Kind::ApiKey => &API_KEY,
        Kind::XApiKey => &X_API_KEY,
    };
    of_field(headers, field)?.filter(|presented| presented.kind == kind).map(|presented| presented.text)
}

/// What a field presents: nothing where it is not there, and none where it is there and is no credential.
fn of_field<'a>(headers: &'a HeaderMap, field: &HeaderName) -> Option<Option<Presented<'a>>> {
    let mut values = headers.get_all(field).iter();
    let value = values.next()?;
    // Whoever sends two leaves open which of them counts, here or further in.
    let only = values.next().is_none();
    let text = value.to_str().ok().map(str::trim).filter(|text| only && !text.is_empty());
    Some(text.and_then(|text| match field {
        field if field == X_API_KEY => Some(Presented { kind: Kind::XApiKey, text }),
        field if field == API_KEY => Some(Presented { kind: Kind::ApiKey, text }),
        _ => authorization(text),
    }))
}

/// `Bearer` (RFC 6750 section 2.1) and `Basic` (RFC 7617 section 2).
fn authorization(value: &str) -> Option<Presented<'_>> {
    let (scheme, text) = value.split_once(' ')?;
    let text = text.trim();
    let kind = match scheme {
        scheme if scheme.eq_ignore_ascii_case("bearer") => Kind::Bearer,
        scheme if scheme.eq_ignore_ascii_case("basic") => Kind::Basic,
        _ => return None,
    };
    (!text.is_empty()).then_some(Presented { kind, text })
}

/// Refuses a query string with a credential in it: by the parameter's name, or because `is_token` knows the value.
/// Looks at the first [`QUERY_PARAMETERS_MAX`] parameters. The rest is neither passed on nor logged, as nothing of a
/// query is; only the client is not told.
pub(crate) fn refuse_in_query(
    query: Option<&str>,
    mut is_token: impl FnMut(&str) -> bool,
) -> Result<(), Refusal> {
    let parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (name, value) in parameters.take(QUERY_PARAMETERS_MAX) {
        let named = QUERY_CREDENTIALS.iter().any(|known| name.eq_ignore_ascii_case(known));
        if named || (value.len() >= TOKEN_BYTES_MIN && is_token(&value)) {
            return Err(Refusal::CredentialInQuery);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
