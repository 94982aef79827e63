//! `config`: the mcpServers JSON that clients take.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id.
    instance: String,
    /// Id or label of the token to put in; the newest active one otherwise.
    #[arg(long, value_name = "ID|LABEL")]
    token: Option<String>,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let config = fetch(rest, &arguments.instance, arguments.token.as_deref()).await?;
    // It is JSON for people too: they paste it.
    Ok(output.one(&config, || pasteable(&config))?)
}

/// The configuration of an instance with a token in it.
pub(crate) async fn fetch(rest: &Rest, instance: &str, token: Option<&str>) -> Result<Value, Failure> {
    let query: Vec<_> = token.map(|token| ("token", token.to_owned())).into_iter().collect();
    rest.get(&["instances", instance, "config"], &query).await
}

/// The document as it is pasted.
pub(crate) fn pasteable(config: &Value) -> String {
    serde_json::to_string_pretty(config).expect("a JSON value can always be written")
}
