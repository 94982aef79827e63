//! `instance edit`, `rename`, `scale`, `access`: changes of what there is.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Goal, Patience, finish};
use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::Rest;
use crate::settings::{AccessSettings, SomeSettings};
use crate::terms::Terms;

#[derive(Debug, Args)]
pub(crate) struct EditArguments {
    /// Name or id.
    instance: String,
    #[command(flatten)]
    settings: SomeSettings,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArguments {
    /// Name or id.
    instance: String,
    /// What it is called from now on.
    name: String,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
pub(crate) struct ScaleArguments {
    /// Name or id.
    instance: String,
    /// How many replicas run.
    #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
    replicas: u16,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct AccessArguments {
    /// Name or id.
    instance: String,
    #[command(flatten)]
    access: AccessSettings,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    patience: Patience,
}

pub(super) async fn edit(arguments: EditArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let EditArguments { instance, settings, terms, patience } = arguments;
    let edited = rest.on(terms).patch(&["instances", &instance], &settings.change()?).await?;
    // What people note down changes nothing about what runs, so there is nothing to wait for.
    if !settings.is_about_what_runs()? {
        return Ok(output.one(&edited, || format!("{} is edited", field(&edited, "/name")))?);
    }
    finish(rest, output, edited, Goal::Ready, patience).await
}

pub(super) async fn rename(arguments: RenameArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let RenameArguments { instance, name, terms } = arguments;
    let renamed = rest.on(terms).patch(&["instances", &instance], &json!({ "name": name })).await?;
    Ok(output.one(&renamed, || format!("{instance} is now called {name}"))?)
}

pub(super) async fn scale(arguments: ScaleArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let ScaleArguments { instance, replicas, terms, patience } = arguments;
    let body = json!({ "replicas": replicas });
    let scaled = rest.on(terms).post(&["instances", &instance, "scale"], Some(&body)).await?;
    finish(rest, output, scaled, Goal::Replicas(usize::from(replicas)), patience).await
}

pub(super) async fn access(arguments: AccessArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let AccessArguments { instance, mut access, terms, patience } = arguments;
    access.import(rest).await?;
    let mut body = Map::new();
    access.fill(&mut body)?;
    let changed = rest.on(terms).put(&["instances", &instance, "access"], &Value::Object(body)).await?;
    finish(rest, output, changed, Goal::Ready, patience).await
}
