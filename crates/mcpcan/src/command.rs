//! `command …`: what has become of a command that nobody waited for.

use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Problem};
use crate::output::{Output, details, field};
use crate::rest::Rest;

/// How often a command that is waited for is looked at.
const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a command: pending, done, refused or failed. It is known for 24 hours.
    Show {
        /// The id that was told when the command was accepted.
        command: String,
        /// Wait until it is decided; then the exit code tells what became of it.
        #[arg(long)]
        wait: bool,
        /// Give up waiting after so many seconds; the command stays accepted.
        #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait")]
        timeout: u64,
    },
}

/// What decides on the exit code.
#[derive(Deserialize)]
struct Outcome {
    id: String,
    state: String,
    problem: Option<Problem>,
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Command::Show { command, wait, timeout } = command;
    let path = ["commands", &command];
    let deadline = Instant::now() + Duration::from_secs(timeout);
    loop {
        let document = rest.get(&path, &[]).await?;
        let outcome = Outcome::deserialize(&document).context("read the api's answer")?;
        if !wait || outcome.state != "pending" {
            output.one(&document, || describe(&document))?;
            return if wait { outcome.into_result() } else { Ok(()) };
        }
        if Instant::now() > deadline {
            return Err(Failure::Undecided(outcome.id));
        }
        sleep(INTERVAL).await;
    }
}

impl Outcome {
    fn into_result(self) -> Result<(), Failure> {
        self.problem.map_or(Ok(()), |problem| Err(Failure::Problem(problem)))
    }
}

fn describe(command: &Value) -> String {
    const SHOWN: [(&str, &str); 6] = [
        ("id", "/id"),
        ("state", "/state"),
        ("sequence", "/sequence"),
        ("resource", "/resource"),
        ("problem", "/problem/title"),
        ("detail", "/problem/detail"),
    ];
    details("command", command, &SHOWN)
}

/// Tells of a command that is accepted and that nobody wants to wait for. Anything else stays what it is.
pub(crate) fn told(result: Result<(), Failure>, output: Output) -> Result<(), Failure> {
    match result {
        Err(Failure::Accepted(document)) => Ok(output.one(&document, || {
            let id = field(&document, "/id");
            format!("command {id} is accepted; `mcpcan command show {id} --wait` tells what becomes of it")
        })?),
        other => other,
    }
}
