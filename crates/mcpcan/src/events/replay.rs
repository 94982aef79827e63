//! `events replay`: events once more, to stdout, to a webhook, or through the api to a subject of NATS.

mod webhook;

use std::num::NonZeroU32;

use clap::Args;
use serde_json::{Value, json};
use service::pace::Pace;
use url::Url;

use super::selection::Selection;
use super::stream::{EventStream, Frame};
use crate::failure::Failure;
use crate::output::{Output, Progress, field};
use crate::rest::Rest;
use webhook::Webhook;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    target: Target,
    /// At most so many events a second.
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// How many events one request to a webhook carries: more than one come as {"events": […]}.
    #[arg(long, value_name = "COUNT", default_value_t = 1, requires = "webhook",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: u32,
}

/// Where the events go; to stdout, a line of JSON each, if nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Target {
    /// POST the events there. An answer of 2xx takes them; 5xx, 429 and silence are tried again.
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,
    /// Publish the events at the NATS subject replay.NAME.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Arguments { selection, target, rate, batch } = arguments;
    if selection.from.is_none() {
        return Err(Failure::Usage("--from is needed: a sequence, `beginning`, or a time".to_owned()));
    }
    // What is replayed lies in the past: without an end, it ends where the log does now.
    let query = selection.ending("now").query();
    match target {
        Target { subject: Some(subject), .. } => publish(rest, &query, &subject, rate, output).await,
        Target { webhook: Some(url), .. } => post(rest, &query, url, rate, batch, output).await,
        Target { webhook: None, subject: None } => print(rest, &query, rate, output).await,
    }
}

async fn print(
    rest: &Rest,
    query: &[(&str, String)],
    rate: Option<NonZeroU32>,
    output: Output,
) -> Result<(), Failure> {
    let (mut events, mut pace) = (EventStream::open(rest, query).await?, rate.map(Pace::new));
    while let Frame::Event(event) = events.next_frame().await? {
        wait(&mut pace).await;
        output.streamed(&event, || event.to_string())?;
    }
    Ok(())
}

async fn publish(
    rest: &Rest,
    query: &[(&str, String)],
    subject: &str,
    rate: Option<NonZeroU32>,
    output: Output,
) -> Result<(), Failure> {
    let body = json!({ "subject": subject, "rate": rate });
    let response = rest.open_post(&["events", "replay"], query, &body).await?;
    let end = EventStream::new(response).finish(told).await?;
    Ok(output.one(&end, || format!("{} at replay.{subject}.", told(&end)))?)
}

async fn wait(pace: &mut Option<Pace>) {
    if let Some(pace) = pace {
        pace.wait().await;
    }
}

fn told(step: &Value) -> String {
    format!("{} events published", field(step, "/published"))
}

async fn post(
    rest: &Rest,
    query: &[(&str, String)],
    url: Url,
    rate: Option<NonZeroU32>,
    batch: u32,
    output: Output,
) -> Result<(), Failure> {
    let webhook = Webhook::new(url)?;
    let (mut events, mut pace, mut progress) =
        (EventStream::open(rest, query).await?, rate.map(Pace::new), Progress::new());
    let (mut waiting, mut taken) = (vec![], 0_u64);
    let size = usize::try_from(batch).unwrap_or(1);
    loop {
        let frame = events.next_frame().await?;
        let is_end = matches!(frame, Frame::End(_));
        if let Frame::Event(event) = frame {
            wait(&mut pace).await;
            waiting.push(event);
        }
        if waiting.len() >= size || (is_end && !waiting.is_empty()) {
            let count = waiting.len() as u64;
            webhook.deliver(std::mem::take(&mut waiting), size > 1).await?;
            taken += count;
            progress.step(&format!("{taken} events taken"))?;
        }
        if is_end {
            progress.end()?;
            let document = json!({ "taken": taken });
            return Ok(output.one(&document, || format!("{taken} events were taken."))?);
        }
    }
}
