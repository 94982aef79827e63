//! How rows lie in files. Column names are the names of fields in answers.

use ::access_log::{ContainerLine, Exported, TraceRecord};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A line of JSON for each row, as answers have it.
    Jsonl,
    /// RFC 4180, with a heading; header fields and the like are JSON.
    Csv,
    Parquet,
    /// The lines of a server's output, each behind its time and stream.
    Text,
}

impl Format {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Format::Jsonl => "application/jsonl",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Text => "text/plain; charset=utf-8",
        }
    }

    pub(crate) fn ending(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
            Format::Text => "log",
        }
    }
}

/// A row that can be written into a file.
pub(crate) trait Writable: Exported + Serialize {
    /// The row as a line of text.
    fn text(&self) -> String;

    /// What a file begins with.
    fn heading(format: Format) -> Bytes {
        match format {
            Format::Csv => csv(std::iter::once(Self::COLUMNS.iter().map(|name| (*name).to_owned()))),
            Format::Jsonl | Format::Parquet | Format::Text => Bytes::new(),
        }
    }

    fn write(rows: &[Self], format: Format) -> Bytes {
        match format {
            Format::Csv => csv(rows.iter().map(cells)),
            Format::Text => rows.iter().map(|row| row.text() + "\n").collect::<String>().into(),
            Format::Jsonl | Format::Parquet => {
                let mut lines = Vec::new();
                for row in rows {
                    serde_json::to_writer(&mut lines, row).expect("a row is plain data");
                    lines.push(b'\n');
                }
                lines.into()
            }
        }
    }
}

impl Writable for TraceRecord {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("a row is plain data")
    }
}

impl Writable for ContainerLine {
    fn text(&self) -> String {
        format!("{} {:<6} {}", self.time, self.stream, self.text)
    }
}

fn cells<R: Writable>(row: &R) -> impl Iterator<Item = String> {
    let row = serde_json::to_value(row).expect("a row is plain data");
    R::COLUMNS.iter().map(move |name| match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}

fn csv(records: impl Iterator<Item = impl Iterator<Item = String>>) -> Bytes {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record).expect("memory takes everything, and rows have one number of columns");
    }
    writer.into_inner().expect("memory takes everything").into()
}
