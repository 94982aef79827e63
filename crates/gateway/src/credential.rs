//! Where a client may present its token: `Authorization: Bearer`, once, and nowhere else. Pure; `proxy` asks.

use http::{HeaderMap, header};

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

/// The credential of a request (RFC 6750 section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::CredentialMissing)?;
    if values.next().is_some() {
        return Err(Refusal::CredentialMalformed);
    }
    let (scheme, credential) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Refusal::CredentialMalformed)?;
    let credential = credential.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || credential.is_empty() {
        return Err(Refusal::CredentialMalformed);
    }
    Ok(credential)
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
mod tests {
    use http::HeaderValue;

    use super::*;

    fn given(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_scheme_is_compared_without_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer(&given(&[value])), Ok("abc"));
        }
    }

    #[test]
    fn anything_but_one_bearer_credential_is_refused() {
        assert_eq!(bearer(&given(&[])), Err(Refusal::CredentialMissing));
        for values in
            [&["Bearer"][..], &["Bearer "], &["Basic YTpi"], &["abc"], &["Bearer abc", "Bearer def"]]
        {
            assert_eq!(bearer(&given(values)), Err(Refusal::CredentialMalformed), "{values:?}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_refused_by_name_and_by_value() {
        let known = |value: &str| value == "a secret of twenty one";
        for query in ["access_token=x", "a=b&Token=x", "api%5Fkey=x", "harmless=a+secret+of+twenty+one"] {
            assert_eq!(refuse_in_query(Some(query), known), Err(Refusal::CredentialInQuery), "{query}");
        }
        for query in [None, Some(""), Some("profile=a&sessionId=7")] {
            assert_eq!(refuse_in_query(query, known), Ok(()));
        }
    }

    #[test]
    fn a_long_query_costs_no_more_than_a_short_one() {
        let query = "parameter=longer+than+the+shortest+token&".repeat(10_000);
        let mut digests = 0;
        let count = |_: &str| {
            digests += 1;
            false
        };
        assert_eq!(refuse_in_query(Some(&query), count), Ok(()));
        assert_eq!(digests, QUERY_PARAMETERS_MAX);
    }
}
