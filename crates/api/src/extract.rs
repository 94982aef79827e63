//! Extractors whose refusals are problem documents: body, query and path of a request.

mod member;
mod parse;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use bytes::Bytes;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;
pub(crate) use member::Member;
use parse::parse;

/// The last that a client has seen of a stream that broke off.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

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

/// A JSON body, or none at all.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Error> {
        if request.headers().contains_key(CONTENT_TYPE) {
            return <Self as FromRequest<S>>::from_request(request, state).await.map(Some);
        }
        if read(request).await?.is_empty() { Ok(None) } else { Err(Error::NotJson) }
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
