//! `retention …`: for how many days the log rows of an instance are kept.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::Rest;
use crate::terms::Terms;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show for how long rows are kept.
    Show {
        /// Name or id of the instance; by id also one that was deleted.
        instance: String,
    },
    /// Say for how long rows are kept that come from now on.
    Set {
        /// Name or id of the instance.
        instance: String,
        /// Days for the access log.
        #[arg(long, value_name = "DAYS")]
        access_log: u16,
        /// Days for what the server writes.
        #[arg(long, value_name = "DAYS")]
        container_log: u16,
        #[command(flatten)]
        terms: Terms,
    },
    /// Keep rows for as long as those of any other instance.
    Reset {
        /// Name or id of the instance.
        instance: String,
        #[command(flatten)]
        terms: Terms,
    },
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    let plan = match &command {
        Command::Show { instance } => rest.get(&["instances", instance, "retention"], &[]).await?,
        Command::Set { instance, access_log, container_log, terms } => {
            let body = json!({ "access_log_days": access_log, "container_log_days": container_log });
            rest.on(*terms).put(&["instances", instance, "retention"], &body).await?
        }
        Command::Reset { instance, terms } => {
            rest.on(*terms).delete(&["instances", instance, "retention"]).await?
        }
    };
    Ok(output.one(&plan, || describe(&plan))?)
}

fn describe(plan: &Value) -> String {
    let (access_log, container_log) = (field(plan, "/access_log_days"), field(plan, "/container_log_days"));
    let default = if plan.get("is_default") == Some(&json!(true)) { ", as for every instance" } else { "" };
    format!("access log: {access_log} days, container log: {container_log} days{default}")
}
