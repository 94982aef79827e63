//! `events import`: the events of a file into the log.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use futures_util::stream;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::export::{DASH, Steps, in_mebibytes};
use super::stream::EventStream;
use crate::failure::Failure;
use crate::output::{Output, Progress, field};
use crate::rest::Rest;

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A file that `events export` has written, or - for stdin.
    file: PathBuf,
    /// Check the file and compare it with the log, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let body = if arguments.file == Path::new(DASH) {
        body(tokio::io::stdin(), None)
    } else {
        let file = tokio::fs::File::open(&arguments.file);
        let file = file.await.with_context(|| format!("open {}", arguments.file.display()))?;
        let bytes = file.metadata().await.context("look at the file")?.len();
        body(file, Some(bytes))
    };
    let query = [("dry_run", arguments.dry_run.to_string())];
    let imported =
        EventStream::new(rest.upload(&["events", "import"], &query, body).await?).finish(told).await?;
    Ok(output.one(&imported, || summary(&imported))?)
}

/// The file as a body that is read as it is sent, telling how far it is.
fn body(source: impl AsyncRead + Send + Unpin + 'static, whole: Option<u64>) -> reqwest::Body {
    let state = (source, 0, Steps::default(), Progress::new());
    let chunks =
        stream::try_unfold(state, move |(mut source, mut bytes, mut steps, mut progress)| async move {
            let mut chunk = vec![0; READ_BYTES];
            let count = source.read(&mut chunk).await?;
            if count == 0 {
                progress.end()?;
                return Ok::<_, std::io::Error>(None);
            }
            chunk.truncate(count);
            bytes += count as u64;
            if steps.is_due(bytes) {
                let whole = whole.map(|whole| format!(" of {}", in_mebibytes(whole))).unwrap_or_default();
                progress.step(&format!("{}{whole} sent", in_mebibytes(bytes)))?;
            }
            Ok(Some((chunk, (source, bytes, steps, progress))))
        });
    reqwest::Body::wrap_stream(chunks)
}

fn told(step: &Value) -> String {
    let [phase, sequence, last] = ["/phase", "/sequence", "/last"].map(|pointer| field(step, pointer));
    match phase.as_str() {
        "views" => format!("the views have reached event {sequence} of {last}"),
        _ => format!("event {sequence} of {last}"),
    }
}

fn summary(imported: &Value) -> String {
    let [first, last, present, appended, keys, blake3] =
        ["/first", "/last", "/present", "/appended", "/keys_added", "/blake3"]
            .map(|pointer| field(imported, pointer));
    let there = format!("{present} of the events {first} to {last} were there already");
    let done = if imported["dry_run"] == true {
        format!("The file is whole and fits. {there}, {appended} would be appended.")
    } else {
        format!("{there}, {appended} were appended; {keys} keys were added.")
    };
    format!("{done}\nblake3 {blake3}")
}
