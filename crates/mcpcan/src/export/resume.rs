//! Where records end in a file, and after which row it goes on.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::go_on;
use crate::failure::Failure;
use crate::output::field;

/// How much of a file is looked at at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Counts the records of a file as its bytes come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    is_csv: bool,
    can_resume: bool,
    /// In CSV, a line break between quotes ends nothing.
    quoted: bool,
    bytes: u64,
    records: u64,
    /// Where the last two records begin and end.
    ends: [u64; 2],
}

impl Records {
    /// None of a format whose records cannot be told.
    pub(crate) fn of(format: &str) -> Option<Self> {
        let can_resume = matches!(format, "jsonl" | "csv");
        let (is_csv, quoted) = (format == "csv", false);
        (format != "parquet").then_some(Records {
            is_csv,
            can_resume,
            quoted,
            bytes: 0,
            records: 0,
            ends: [0, 0],
        })
    }

    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        for byte in chunk {
            self.bytes += 1;
            match byte {
                b'"' if self.is_csv => self.quoted = !self.quoted,
                b'\n' if !self.quoted => {
                    self.records += 1;
                    self.ends = [self.ends[1], self.bytes];
                }
                _ => {}
            }
        }
    }

    /// The heading is no row.
    pub(crate) fn rows(&self) -> u64 {
        self.records.saturating_sub(u64::from(self.is_csv))
    }

    pub(super) fn can_resume(&self) -> bool {
        self.can_resume
    }
}

/// Opens what broke off, cut behind its last whole row; gives that row's time and place.
pub(super) fn open(part: &Path, format: &str) -> Result<(File, Option<String>), Failure> {
    let Some(mut records) = Records::of(format).filter(Records::can_resume) else {
        return Err(Failure::Usage(format!("an export as {format} cannot be resumed: only as jsonl or csv")));
    };
    let file = File::open(part)
        .with_context(|| format!("open {}, where an export that broke off lies", part.display()))?;
    let mut reader = BufReader::new(file);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = reader.read(&mut chunk).context("read the file")?;
        if read == 0 {
            break;
        }
        records.feed(&chunk[..read]);
    }
    if records.rows() == 0 {
        // Not even the heading is kept: it comes again.
        return Ok((go_on(part, 0)?, None));
    }
    let [start, end] = records.ends;
    let mut last = String::new();
    reader.seek(SeekFrom::Start(start)).context("read the file")?;
    reader.take(end - start).read_to_string(&mut last).context("read the file's last row")?;
    let position = if records.is_csv { of_csv(part, &last)? } else { of_json(&last) };
    let position =
        position.context("the file's last row has no time and place: was it exported by mcpcan?")?;
    Ok((go_on(part, end)?, Some(position)))
}

fn of_json(line: &str) -> Option<String> {
    let row: Value = serde_json::from_str(line).ok()?;
    position(&field(&row, "/time"), &field(&row, "/place"))
}

fn of_csv(part: &Path, last: &str) -> Result<Option<String>, Failure> {
    let mut whole = csv::Reader::from_path(part).context("read the file's heading")?;
    let heading = whole.headers().context("read the file's heading")?.clone();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(last.as_bytes());
    let Some(row) = reader.records().next().transpose().context("read the file's last row")? else {
        return Ok(None);
    };
    let cell = |name: &str| heading.iter().position(|column| column == name).and_then(|at| row.get(at));
    Ok(cell("time").zip(cell("place")).and_then(|(time, place)| position(time, place)))
}

fn position(time: &str, place: &str) -> Option<String> {
    (!time.is_empty() && !place.is_empty()).then(|| format!("{time}/{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resumed(text: &str, format: &str) -> (String, Option<String>) {
        let directory = tempfile::tempdir().unwrap();
        let part = directory.path().join("file.part");
        std::fs::write(&part, text).unwrap();
        let (_, after) = open(&part, format).unwrap();
        (std::fs::read_to_string(&part).unwrap(), after)
    }

    #[test]
    fn a_file_goes_on_after_its_last_whole_row() {
        let whole = "{\"time\":\"T1\",\"place\":\"1-0\"}\n{\"time\":\"T2\",\"place\":\"1-1\"}\n";
        assert_eq!(
            resumed(&format!("{whole}{{\"time\":\"T3"), "jsonl"),
            (whole.to_owned(), Some("T2/1-1".into()))
        );
        let whole = "place,time,text\n1-0,T1,\"a\n\"\"b\"\"\"\n1-1,T2,\"c\nd\"\n";
        assert_eq!(
            resumed(&format!("{whole}1-2,T3,\"e\n"), "csv"),
            (whole.to_owned(), Some("T2/1-1".into()))
        );
        assert_eq!(resumed("place,time,te", "csv"), (String::new(), None));
        assert_eq!(resumed("place,time,text\n1-0", "csv"), (String::new(), None));
    }

    #[test]
    fn rows_are_counted_whatever_they_hold() {
        let mut records = Records::of("csv").unwrap();
        for chunk in ["place,te", "xt\n1,\"a\n", "b\"\n2,c\n3"] {
            records.feed(chunk.as_bytes());
        }
        assert_eq!(records.rows(), 2);
        assert!(Records::of("parquet").is_none());
    }
}
