//! Log rows into a file: written under a temporary name, and named when it is whole.
//!
//! What broke off stays under the temporary name, and `--resume` goes on after the last row that is whole in there.

mod resume;

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::events::{Steps, in_mebibytes};
use crate::failure::Failure;
use crate::output::{Output, Progress};
use crate::rest::Rest;

pub(crate) use resume::Records;

/// What stands for stdout.
const DASH: &str = "-";

/// What the name of a file ends in that is not whole.
const PART: &str = ".part";

/// Where a file goes.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The file to write, or - for stdout.
    // Where a file is a choice, so is its name; where it is not, clap misses it all the same.
    #[arg(short, long, value_name = "FILE", required = false)]
    output: PathBuf,
    /// Go on with an export into the same file that broke off: with the same filters, as jsonl or csv.
    #[arg(long)]
    resume: bool,
}

/// Asks for rows as a file and writes it.
pub(crate) async fn export(
    rest: &Rest,
    path: &[&str],
    mut query: Vec<(&'static str, String)>,
    format: &str,
    target: Target,
    output: Output,
) -> Result<(), Failure> {
    query.push(("format", format.to_owned()));
    let records = Records::of(format);
    if target.output == Path::new(DASH) {
        let response = rest.open(path, &query).await?;
        copy(response, &mut io::stdout().lock(), records).await?;
        return Ok(());
    }
    let part = part_of(&target.output);
    let mut file = if target.resume {
        let (file, after) = resume::open(&part, format)?;
        query.extend(after.map(|after| ("after", after)));
        file
    } else {
        create(&part)?
    };
    let response = rest.open(path, &query).await?;
    let copied = copy(response, &mut file, records).await;
    file.sync_all().context("write the file to disk")?;
    let (rows, bytes) = copied.map_err(|failure| broken_off(failure, &part, records))?;
    std::fs::rename(&part, &target.output)
        .with_context(|| format!("name the file {}", target.output.display()))?;
    let document = json!({ "file": target.output, "rows": rows, "bytes": bytes });
    Ok(output.one(&document, || format!("Exported {} to {}.", told(rows, bytes), target.output.display()))?)
}

fn part_of(file: &Path) -> PathBuf {
    let mut part = file.as_os_str().to_owned();
    part.push(PART);
    part.into()
}

/// For its owner alone: it says who called what.
fn create(part: &Path) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part);
    Ok(file.with_context(|| format!("make {}", part.display()))?)
}

/// Copies what comes; gives how many rows, where they can be told, and bytes.
async fn copy(
    mut response: reqwest::Response,
    out: &mut impl Write,
    mut records: Option<Records>,
) -> Result<(Option<u64>, u64), Failure> {
    let expected =
        response.headers().get("x-row-count").and_then(|rows| rows.to_str().ok()).map(str::to_owned);
    let (mut progress, mut bytes, mut steps) = (Progress::new(), 0_u64, Steps::default());
    loop {
        let broken =
            |error: reqwest::Error| Failure::unreachable("the rest of the export", error.without_url());
        let Some(chunk) = response.chunk().await.map_err(broken)? else { break };
        out.write_all(&chunk)?;
        bytes += chunk.len() as u64;
        if let Some(records) = &mut records {
            records.feed(&chunk);
        }
        if steps.is_due(bytes) {
            let of = expected.as_ref().map(|rows| format!(" of {rows} rows in all")).unwrap_or_default();
            progress.step(&format!("{}{of}", told(records.as_ref().map(Records::rows), bytes)))?;
        }
    }
    out.flush()?;
    Ok((records.map(|records| records.rows()), bytes))
}

fn told(rows: Option<u64>, bytes: u64) -> String {
    match rows {
        Some(rows) => format!("{rows} rows, {}", in_mebibytes(bytes)),
        None => in_mebibytes(bytes),
    }
}

fn broken_off(failure: Failure, part: &Path, records: Option<Records>) -> Failure {
    let Failure::Unreachable { what, source } = failure else { return failure };
    let part = part.display();
    let advice = match records {
        Some(records) if records.can_resume() => format!("what has come is in {part}, and --resume goes on"),
        Some(_) | None => format!("what has come is in {part} and is not complete"),
    };
    Failure::Unreachable { what: format!("{what} ({advice})"), source }
}

/// Opens a file to be written on behind what is whole in there.
fn go_on(part: &Path, end: u64) -> Result<File, Failure> {
    let mut file = OpenOptions::new().write(true).open(part).context("open the file")?;
    file.set_len(end).context("cut the file behind its last row")?;
    file.seek(SeekFrom::End(0)).context("go to the file's end")?;
    Ok(file)
}
