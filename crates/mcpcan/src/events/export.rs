//! `events export`: the log as a file.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;
use store::archive::{ArchiveReader, Summary};
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::output::{Output, Progress};
use crate::rest::Rest;
use crate::settings::wire_name;

/// What stands for stdin and stdout.
pub(super) const DASH: &str = "-";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file to write, or - for stdout.
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Msgpack)]
    format: Format,
    /// The first event: a sequence, a time (RFC 3339) or how long ago.
    #[arg(long, value_name = "SEQUENCE|TIME|AGO")]
    from: Option<String>,
    /// The last event: a sequence, or a time (RFC 3339) or how long ago before which it was stored.
    #[arg(long, value_name = "SEQUENCE|TIME|AGO")]
    until: Option<String>,
    /// Leave out the keys of secrets: what is sealed stays closed for ever where the file is imported.
    #[arg(long)]
    without_keys: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// MessagePack: half the size.
    Msgpack,
    /// A line of JSON for each record.
    Jsonl,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let mut query = vec![("without_keys", arguments.without_keys.to_string())];
    query.push(("format", wire_name(arguments.format)));
    query.extend(arguments.from.map(|from| ("from", from)));
    query.extend(arguments.until.map(|until| ("until", until)));
    let response = rest.open(&["events", "export"], &query).await?;
    if arguments.file == Path::new(DASH) {
        return copy(response, &mut io::stdout().lock()).await;
    }
    // A file of that name is always whole, and for its owner alone: it says everything that the log does.
    let folder = arguments.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let draft = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let mut draft = draft.with_context(|| format!("make {}", arguments.file.display()))?;
    copy(response, &mut draft).await?;
    draft.as_file().sync_all().context("write the file to disk")?;
    let summary = check(draft.path())?;
    draft.persist(&arguments.file).with_context(|| format!("name the file {}", arguments.file.display()))?;
    let document = json!({
        "file": arguments.file, "first": summary.header.first, "last": summary.header.last,
        "events": summary.events, "keys": summary.keys, "blake3": summary.blake3,
    });
    Ok(output.one(&document, || told(&arguments.file, &summary))?)
}

fn told(file: &Path, summary: &Summary) -> String {
    let Summary { events, keys, blake3, .. } = summary;
    format!("Exported {events} events and {keys} keys to {}.\nblake3 {blake3}", file.display())
}

/// Reads the file once more: what was cut off on its way is no export.
fn check(file: &Path) -> Result<Summary, Failure> {
    let source = BufReader::new(File::open(file).context("open the file")?);
    let mut reader = ArchiveReader::open(source).context("check the file")?;
    while reader.next_item().context("check the file")?.is_some() {}
    reader.summary().context("check the file").map_err(Failure::from)
}

async fn copy(mut response: reqwest::Response, out: &mut impl Write) -> Result<(), Failure> {
    let (mut progress, mut bytes) = (Progress::new(), 0_u64);
    let mut steps = Steps::default();
    loop {
        let chunk = response.chunk().await;
        let broken =
            |error: reqwest::Error| Failure::unreachable("the rest of the export", error.without_url());
        let Some(chunk) = chunk.map_err(broken)? else { break };
        out.write_all(&chunk)?;
        bytes += chunk.len() as u64;
        if steps.is_due(bytes) {
            progress.step(&format!("{} exported", in_mebibytes(bytes)))?;
        }
    }
    Ok(out.flush()?)
}

/// How far apart steps of progress are.
const STEP_BYTES: u64 = 1024 * 1024;

/// Tells when there is something new to say.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    next: u64,
}

impl Steps {
    pub(crate) fn is_due(&mut self, bytes: u64) -> bool {
        let due = bytes >= self.next;
        if due {
            self.next = bytes + STEP_BYTES;
        }
        due
    }
}

pub(crate) fn in_mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / STEP_BYTES;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
