//! The access log as a file.

use ::access_log::TraceRecord;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{SelectTraces, Span};
use crate::app::App;
use crate::error::Error;
use crate::export::{self, Format, SelectFile};
use crate::extract::Query;
use crate::violation::{Place, Violations};

/// The query of `GET /access-logs/export`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportAccessLog {
    #[serde(flatten)]
    select: SelectTraces,
    #[serde(flatten)]
    span: Span,
    #[serde(flatten)]
    file: SelectFile,
    /// How the file is written; JSON lines if nothing is said.
    #[schemars(extend("enum" = ["jsonl", "csv", "parquet"]))]
    format: Option<String>,
}

/// `GET /access-logs/export`
pub(crate) async fn export_access_log(
    State(app): State<App>,
    Query(query): Query<ExportAccessLog>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let format = match query.format.as_deref() {
        None | Some("jsonl") => Format::Jsonl,
        Some("csv") => Format::Csv,
        Some("parquet") => Format::Parquet,
        Some(_) => {
            let place = Place::Parameter("format".to_owned());
            violations.add(place, "`jsonl`, `csv` or `parquet` was expected");
            Format::Jsonl
        }
    };
    let after = query.file.check(format, &mut violations);
    let filter = query.select.check(&mut violations);
    let filter = query.span.bound(filter, Timestamp::now(), &mut violations);
    violations.into_result()?;
    let filter = query.select.at(&app.directory, filter)?;
    export::answer::<TraceRecord>(&app, "access-log", filter, format, after).await
}
