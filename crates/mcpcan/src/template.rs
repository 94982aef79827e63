//! `template …`: settings of instances that are yet to be created.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::instance::{self, Goal, Patience};
use crate::output::{Output, details, field};
use crate::rest::Rest;
use crate::settings::{self, NewSettings, SomeSettings};
use crate::terms::{Haste, Terms};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a template from nothing.
    Create(Box<CreateArguments>),
    /// Create a template with the settings of an instance, its secrets included.
    Of {
        /// Name or id of the instance.
        instance: String,
        /// What the template is called.
        name: String,
        #[command(flatten)]
        haste: Haste,
    },
    /// List the templates.
    List,
    /// Show one template.
    Show {
        /// Name or id.
        template: String,
    },
    /// Change some settings; instances that were created from it stay as they are.
    Edit(Box<EditArguments>),
    /// Call a template something else.
    Rename {
        /// Name or id.
        template: String,
        /// What it is called from now on.
        name: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Remove a template and its secrets for good.
    Delete {
        /// Name or id.
        template: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Create an instance from a template; options say what shall be otherwise.
    Instantiate(Box<InstantiateArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    settings: NewSettings,
    #[command(flatten)]
    haste: Haste,
}

#[derive(Debug, Args)]
pub(crate) struct EditArguments {
    /// Name or id.
    template: String,
    #[command(flatten)]
    settings: SomeSettings,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
pub(crate) struct InstantiateArguments {
    /// Name or id of the template.
    template: String,
    /// What the instance is called.
    name: String,
    /// How many replicas run, if not as many as the template says.
    #[arg(long, value_name = "NUMBER")]
    replicas: Option<u16>,
    #[command(flatten)]
    settings: SomeSettings,
    #[command(flatten)]
    haste: Haste,
    #[command(flatten)]
    patience: Patience,
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Create(mut arguments) => {
            arguments.settings.import(rest).await?;
            create(rest, output, arguments.haste, &arguments.settings.body()?).await
        }
        Command::Of { instance, name, haste } => {
            create(rest, output, haste, &json!({ "name": name, "from": instance })).await
        }
        Command::List => {
            let templates = rest.items(&["templates"], &[], usize::MAX).await?;
            Ok(output.list(&templates, ["name", "access", "transport", "program", "id"], |template| {
                ["/name", "/access", "/transport", "/command/program", "/id"]
                    .map(|pointer| field(template, pointer))
            })?)
        }
        Command::Show { template } => {
            let template = rest.get(&["templates", &template], &[]).await?;
            Ok(output.one(&template, || describe(&template))?)
        }
        Command::Edit(arguments) => {
            let EditArguments { template, settings, terms } = *arguments;
            let edited = rest.on(terms).patch(&["templates", &template], &settings.change()?).await?;
            Ok(output.one(&edited, || format!("{} is edited", field(&edited, "/name")))?)
        }
        Command::Rename { template, name, terms } => {
            let renamed = rest.on(terms).patch(&["templates", &template], &json!({ "name": name })).await?;
            Ok(output.one(&renamed, || format!("{template} is now called {name}"))?)
        }
        Command::Delete { template, terms } => {
            let deleted = rest.on(terms).delete(&["templates", &template]).await?;
            Ok(output.one(&deleted, || format!("{template} is deleted"))?)
        }
        Command::Instantiate(arguments) => instantiate(*arguments, rest, output).await,
    }
}

async fn create(rest: &Rest, output: Output, haste: Haste, body: &Value) -> Result<(), Failure> {
    let created = rest.on(Terms::of_new(haste)).post(&["templates"], Some(body)).await?;
    Ok(output.one(&created, || format!("{} is created", field(&created, "/name")))?)
}

async fn instantiate(arguments: InstantiateArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let InstantiateArguments { template, name, replicas, settings, haste, patience } = arguments;
    let mut body = settings.body()?;
    body.insert("name".to_owned(), json!(name));
    if let Some(replicas) = replicas {
        body.insert("replicas".to_owned(), json!(replicas));
    }
    let path = ["templates", &template, "instantiate"];
    let accepted = rest.on(Terms::of_new(haste)).post(&path, Some(&Value::Object(body))).await?;
    instance::finish(rest, output, accepted, Goal::Ready, patience).await
}

/// Everything worth knowing about a template, a line each.
fn describe(template: &Value) -> String {
    const OWN: [(&str, &str); 4] =
        [("name", "/name"), ("id", "/id"), ("revision", "/revision"), ("from", "/from")];
    details("template", template, &[&OWN[..], &settings::SHOWN].concat())
}
