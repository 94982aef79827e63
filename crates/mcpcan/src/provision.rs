//! `provision`: brings NATS and ClickHouse to the form that this version needs, and says what it changed.

use clap::Args;
use serde_json::{Value, json};
use store::Role;
use store::provision::Action;

use crate::backing::{ClickhouseArguments, NatsArguments};
use crate::failure::Failure;
use crate::output::{Output, field};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsArguments,
    /// On how many servers of the NATS cluster each stream is kept: 1 or 3.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    #[command(flatten)]
    clickhouse: ClickhouseArguments,
}

pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let store = arguments.nats.connect(Role::Operator).await?;
    let mut changes: Vec<Value> = store
        .provision(arguments.replicas)
        .await
        .map_err(anyhow::Error::from)?
        .iter()
        .map(|change| json!({ "change": change.to_string(), "changed": change.action != Action::Unchanged }))
        .collect();
    if arguments.clickhouse.clickhouse_url.is_some() {
        let migrated = arguments.clickhouse.client()?.migrate().await.map_err(anyhow::Error::from)?;
        let migration = |name: &String, what: &str, changed: bool| json!({ "change": format!("migration {name} {what}"), "changed": changed });
        changes.extend(migrated.applied.iter().map(|name| migration(name, "applied", true)));
        changes.extend(migrated.already_applied.iter().map(|name| migration(name, "unchanged", false)));
    }
    Ok(output.lines(&changes, |change| field(change, "/change"))?)
}
