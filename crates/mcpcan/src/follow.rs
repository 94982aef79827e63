//! Rows of a log as they come, until Ctrl-C: when the api goes away, they go on after the last one as soon as it is back.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::events::{EventStream, Frame};
use crate::failure::Failure;
use crate::output::{Output, field, note};
use crate::rest::Rest;

/// How long to wait before the api is asked again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Shows every row once. Only the first connection has to succeed.
pub(crate) async fn follow(
    rest: &Rest,
    path: &[&str],
    query: &[(&str, String)],
    output: Output,
    line: impl Fn(&Value) -> String,
) -> Result<(), Failure> {
    let mut stream = EventStream::new(rest.open(path, query).await?);
    loop {
        let Err(failure) = show(&mut stream, output, &line).await;
        if !passes(&failure) {
            return Err(failure);
        }
        let last = stream.last_id();
        note(&format!("{failure}; going on as soon as it is back"))?;
        stream = loop {
            sleep(RETRY_DELAY).await;
            match rest.open_after(path, query, last.as_deref()).await {
                Ok(response) => break EventStream::new(response),
                Err(failure) if passes(&failure) => {}
                Err(failure) => return Err(failure),
            }
        };
    }
}

async fn show(
    stream: &mut EventStream,
    output: Output,
    line: &impl Fn(&Value) -> String,
) -> Result<std::convert::Infallible, Failure> {
    loop {
        match stream.next_frame().await? {
            Frame::Event(row) => output.streamed(&row, || line(&row))?,
            Frame::Gap(gap) => {
                let [from, before] = ["/from", "/before"].map(|pointer| field(&gap, pointer));
                note(&format!("rows from {from} to before {before} may be missing"))?;
            }
            Frame::Progress(_) | Frame::End(_) => {}
        }
    }
}

/// Whether it may be otherwise a moment later.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Problem(problem) => matches!(problem.status, 408 | 502..=504),
        _ => false,
    }
}
