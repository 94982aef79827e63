//! The admin key guards everything under `/api`. There is nothing here that tells what a right key could do.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::app::App;
use crate::error::Error;

/// Lets a request through if it presents the admin key as a bearer token (RFC 6750 section 2.1).
pub(crate) async fn require_admin_key(State(app): State<App>, request: Request, next: Next) -> Response {
    match bearer(request.headers()) {
        Some(key) if app.config.admin_key.admits(key) => next.run(request).await,
        Some(_) | None => Error::Unauthorized.into_response(),
    }
}

/// The one bearer token that is presented. The scheme's case does not count (RFC 9110 section 11.1); two
/// `Authorization` fields are none, because it is open which of them somebody before us has checked.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_bearer_token_is_found_and_nothing_else() {
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(with(&["Bearer abc"]), Some(b"abc".to_vec()));
        assert_eq!(with(&["bEARER   abc "]), Some(b"abc".to_vec()));
        for values in [&[][..], &["Basic abc"], &["Bearer"], &["abc"], &["Bearer a", "Bearer a"]] {
            assert_eq!(with(values), None, "{values:?}");
        }
    }
}
