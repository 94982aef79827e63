//! Extractors whose refusals are problem documents: body, query and path of a request.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_path_to_error::{Path as ErrorPath, Segment};

use crate::error::Error;
use crate::violation::{Place, Violation, pointer};

/// The longest body.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a body may take to arrive.
pub(crate) const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(Error::NotJson);
        }
        parse::<Object<T>>(&read(request).await?).map(|Object(body)| Json(body))
    }
}

/// A JSON object. What derives `Deserialize` would take its values without their names, too, as an array.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(OfMap(PhantomData)).map(Object)
    }
}

/// A JSON merge patch (RFC 7396), under its own media type or as plain JSON.
pub(crate) struct MergePatch<T>(pub(crate) T);

/// The media type of a JSON merge patch.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MergePatch<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        if !is_json(request.headers()) && !is_of_type(request.headers(), MERGE_PATCH) {
            return Err(Error::NotJson);
        }
        parse::<Object<T>>(&read(request).await?).map(|Object(body)| MergePatch(body))
    }
}

fn is_json(headers: &http::HeaderMap) -> bool {
    is_of_type(headers, "application/json")
}

fn is_of_type(headers: &http::HeaderMap, media_type: &str) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}

async fn read(request: Request) -> Result<Bytes, Error> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_READ_TIMEOUT, body).await {
        Err(_) => Err(Error::BodyTimeout),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge),
        Ok(Err(error)) => {
            tracing::debug!(%error, "read request body");
            Err(Error::BodyIncomplete)
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() {
            let place = Place::Pointer(json_pointer(error.path()));
            Error::Invalid(vec![Violation { place, detail: without_value(&inner.to_string()) }])
        } else {
            Error::MalformedJson { line: inner.line(), column: inner.column() }
        }
    })?;
    deserializer
        .end()
        .map_err(|error| Error::MalformedJson { line: error.line(), column: error.column() })?;
    Ok(value)
}

fn json_pointer(path: &ErrorPath) -> String {
    let keys: Vec<String> = path
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => "?".to_owned(),
        })
        .collect();
    pointer(&keys.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The message of a JSON data error without the value that it quotes, which may be a secret in the wrong place, and
/// without the position, which the pointer tells.
fn without_value(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let quotes_a_value = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if quotes_a_value => format!("{expected} was expected"),
        Some(_) | None => message.to_owned(),
    }
}

/// The query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(rejection) => Err(Error::InvalidQuery(innermost(&rejection))),
        }
    }
}

/// What serde said, below the wording that axum wraps around it.
fn innermost(rejection: &QueryRejection) -> String {
    let mut error: &dyn std::error::Error = rejection;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Path(path)),
            Err(rejection) => Err(unreadable_path(&rejection)),
        }
    }
}

fn unreadable_path(rejection: &PathRejection) -> Error {
    tracing::debug!(error = %rejection, "read path");
    Error::InvalidPath
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form counts")]
    struct Form {
        name: String,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form counts")]
    struct Inner {
        list: Vec<u8>,
    }

    #[track_caller]
    fn violation(body: &str) -> (String, String) {
        match parse::<Form>(body.as_bytes()) {
            Err(Error::Invalid(violations)) => match violations.as_slice() {
                [Violation { place: Place::Pointer(pointer), detail }] => (pointer.clone(), detail.clone()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_form_is_named_with_its_place_and_without_its_value() {
        let (pointer, detail) = violation(r#"{"name": "a", "inner": {"x/y": {"list": [1, "hunter2"]}}}"#);
        assert_eq!((pointer.as_str(), detail.as_str()), ("/inner/x~1y/list/1", "u8 was expected"));
        let (pointer, detail) = violation(r#"{"name": {"hunter2": ", expected nothing"}}"#);
        assert_eq!((pointer.as_str(), detail.as_str()), ("/name", "a string was expected"));
        let (pointer, detail) = violation(r#"{"inner": {}}"#);
        assert_eq!((pointer.as_str(), detail.as_str()), ("", "missing field `name`"));
    }

    #[test]
    fn an_unknown_field_is_named() {
        let (pointer, detail) = violation(r#"{"name": "a", "colour": "red"}"#);
        assert_eq!(pointer, "/colour");
        assert_eq!(detail, "unknown field `colour`, expected `name` or `inner`");
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = "[".repeat(100_000);
        for body in ["", "{", "nul", "{\"name\": \"a\"} x", "{\"name\": \"\u{0}\"}", &deep] {
            let error = parse::<Form>(body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, Error::MalformedJson { .. } | Error::Invalid(_)),
                "{body:.20?}: {error:?}"
            );
        }
        assert!(matches!(parse::<Form>(b"{\"name\": \"\xff\"}"), Err(Error::MalformedJson { .. })));
    }
}
