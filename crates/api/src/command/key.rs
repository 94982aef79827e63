//! The name of a command, chosen by the client or made for it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::error::Error;

/// The header field with the client's name for a command, in requests and in answers.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key.
pub(crate) const KEY_BYTES_MAX: usize = 255;

/// The namespace of command ids (RFC 9562 section 5.5). Never changed: keys of yesterday have to find their commands.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_7d2c_94f5_4f0e_8a35_51c0_8ac7_30b2);

/// The name of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandKey {
    value: HeaderValue,
    /// Whether the client brought it: only then can the request have come before.
    pub(super) is_clients_own: bool,
}

impl CommandKey {
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, Error> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self::make()),
            (Some(key), None) if is_key(key.as_bytes()) => {
                Ok(CommandKey { value: key.clone(), is_clients_own: true })
            }
            (Some(_), _) => Err(Error::InvalidKey),
        }
    }

    fn make() -> Self {
        let key = Uuid::now_v7().to_string();
        let value = HeaderValue::from_str(&key).expect("a UUID is visible ASCII");
        CommandKey { value, is_clients_own: false }
    }

    pub(super) fn as_str(&self) -> &str {
        self.value.to_str().expect("a key is visible ASCII")
    }

    /// What is claimed for a day, and what ids of created things are made from.
    pub(super) fn id(&self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, self.value.as_bytes())
    }
}

fn is_key(key: &[u8]) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
}

/// Names the command of a request that may change something, and repeats the name in the answer, whatever it is.
pub(crate) async fn name_command(mut request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let key = match CommandKey::of_request(request.headers()) {
        Ok(key) => key,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(key.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(IDEMPOTENCY_KEY, key.value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(keys: &[&str]) -> HeaderMap {
        keys.iter().map(|key| (IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap())).collect()
    }

    #[test]
    fn a_key_names_a_command() {
        let id = |key: &str| CommandKey::of_request(&headers(&[key])).unwrap().id();
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        let made = CommandKey::of_request(&HeaderMap::new()).unwrap();
        assert_ne!(made, CommandKey::make());
        assert_eq!(made.id(), id(made.as_str()), "a made key can be sent back");
    }

    #[test]
    fn keys_are_bounded_visible_and_single() {
        assert!(CommandKey::of_request(&headers(&[&"k".repeat(KEY_BYTES_MAX)])).is_ok());
        for keys in [&[""][..], &["a b"], &["ä"], &[&"k".repeat(KEY_BYTES_MAX + 1)], &["a", "a"]] {
            assert!(matches!(CommandKey::of_request(&headers(keys)), Err(Error::InvalidKey)), "{keys:?}");
        }
    }
}
