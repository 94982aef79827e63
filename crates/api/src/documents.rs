//! OpenAPI documents that hosted instances serve: kept under the digest of their content, so that instances and their
//! replicas name exactly one.

use ::openapi::{Document, Options, Refused, limit};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::app::App;
use crate::error::Error;
use crate::events::Upload;
use crate::extract::{BODY_READ_TIMEOUT, Query};

/// The query of `POST /documents`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepDocument {
    /// The document's own address, which relative servers start from.
    location: Option<Url>,
    /// The address that takes the place of the document's servers in the report.
    server: Option<String>,
}

/// A document that is kept, and what becomes of it if all of it is served.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeptDocument {
    /// A digest: what `mcpcan-openapi --document` takes.
    document: String,
    title: String,
    version: String,
    /// Bytes of all tools as clients list them.
    list_bytes: usize,
    tools: usize,
    /// The operations that cannot be tools, with the reason; the first of them.
    left_out: Vec<EntryDocument>,
    /// What is not as the document has it; the first of it.
    notes: Vec<EntryDocument>,
    /// How many more entries there are.
    more: usize,
}

/// A place in the document and what is to be said of it.
#[derive(Debug, Serialize, JsonSchema)]
struct EntryDocument {
    /// A JSON pointer.
    at: String,
    reason: String,
}

/// Entries of each kind that an answer has.
const ENTRIES_MAX: usize = 200;

/// `POST /documents`: keeps an OpenAPI document, JSON or YAML.
pub(crate) async fn keep_document(
    State(app): State<App>,
    Query(query): Query<KeepDocument>,
    Upload(body): Upload,
) -> Result<Response, Error> {
    let body = Limited::new(body, limit::DOCUMENT_BYTES_MAX).collect();
    let bytes = match tokio::time::timeout(BODY_READ_TIMEOUT, body).await {
        Err(_) => return Err(Error::BodyTimeout),
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Error::DocumentRefused(Refused::TooLarge(limit::DOCUMENT_BYTES_MAX)));
        }
        Ok(Err(_)) => return Err(Error::BodyIncomplete),
    };
    let one_at_a_time = app.documents.clone().lock_owned().await;
    // Reading a large document takes a second, which other requests must not wait for.
    let read = tokio::task::spawn_blocking(move || {
        let read = convert(&bytes, &query);
        drop(one_at_a_time);
        read
    });
    let (bundle, report) = read.await.map_err(|_| Error::Panicked)?.map_err(Error::DocumentRefused)?;
    let document = app.store.keep_document(bundle).await?;
    Ok(axum::Json(KeptDocument::new(document, report)).into_response())
}

fn convert(bytes: &[u8], query: &KeepDocument) -> Result<(Vec<u8>, ::openapi::Report), Refused> {
    let refuse =
        &mut |_: &Url| Err("the api follows no reference to another document; bundle them".to_owned());
    let document = Document::read(bytes, query.location.as_ref(), refuse)?;
    let options = Options { server: query.server.clone(), ..Options::default() };
    // Which operations are served, and where they are, may be said later.
    let report = match ::openapi::convert(&document, &options) {
        Ok(api) => api.report,
        Err(Refused::NothingLeft(_) | Refused::TooManyTools(_)) => ::openapi::Report::default(),
        Err(refused) => return Err(refused),
    };
    Ok((document.to_bundle(), report))
}

impl KeptDocument {
    fn new(document: String, report: ::openapi::Report) -> Self {
        let shown = |entries: Vec<::openapi::Entry>| -> Vec<EntryDocument> {
            let entries = entries.into_iter().take(ENTRIES_MAX);
            entries.map(|::openapi::Entry { at, reason }| EntryDocument { at, reason }).collect()
        };
        let beyond = |entries: &[::openapi::Entry]| entries.len().saturating_sub(ENTRIES_MAX);
        KeptDocument {
            document,
            more: report.more + beyond(&report.left_out) + beyond(&report.notes),
            tools: report.converted.len(),
            title: report.title,
            version: report.version,
            list_bytes: report.list_bytes,
            left_out: shown(report.left_out),
            notes: shown(report.notes),
        }
    }
}
