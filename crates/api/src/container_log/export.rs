//! What a server wrote, as a file.

use ::access_log::ContainerLine;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{SelectLines, hosted};
use crate::app::App;
use crate::error::Error;
use crate::export::{self, Format, SelectFile};
use crate::extract::{Path, Query};
use crate::moment::{Moment, moment};
use crate::violation::{Place, Violations};

/// The query of `GET /instances/{instance}/logs/export`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportLines {
    #[serde(flatten)]
    select: SelectLines,
    /// From this moment on.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
    /// Before this moment.
    #[schemars(with = "Option<Moment>")]
    until: Option<String>,
    #[serde(flatten)]
    file: SelectFile,
    /// How the file is written; as text if nothing is said.
    #[schemars(extend("enum" = ["text", "jsonl", "csv", "parquet"]))]
    format: Option<String>,
}

/// `GET /instances/{instance}/logs/export`
pub(crate) async fn export_lines(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ExportLines>,
) -> Result<Response, Error> {
    let (mut violations, now) = (Violations::default(), Timestamp::now());
    let format = match query.format.as_deref() {
        None | Some("text") => Format::Text,
        Some("jsonl") => Format::Jsonl,
        Some("csv") => Format::Csv,
        Some("parquet") => Format::Parquet,
        Some(_) => {
            let place = Place::Parameter("format".to_owned());
            violations.add(place, "`text`, `jsonl`, `csv` or `parquet` was expected");
            Format::Text
        }
    };
    let after = query.file.check(format, &mut violations);
    let mut filter = query.select.check(&mut violations);
    filter.since = moment("since", query.since.as_deref(), now, &mut violations);
    filter.until = moment("until", query.until.as_deref(), now, &mut violations);
    violations.into_result()?;
    let instance = hosted(&app.directory, &reference)?;
    filter.instance_id = instance.0;
    export::answer::<ContainerLine>(&app, &format!("logs-{instance}"), filter, format, after).await
}
