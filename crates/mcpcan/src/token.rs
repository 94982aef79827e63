//! `token …`: the credentials of one instance.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::config;
use crate::failure::Failure;
use crate::output::{Output, field, table};
use crate::rest::Rest;
use crate::terms::Terms;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token and print it with the configuration that clients take.
    Issue {
        /// Name or id of the instance.
        instance: String,
        /// How clients present it.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// What you call it. Several tokens may be called the same, but then only the id names one of them.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List the tokens of an instance.
    List {
        /// Name or id of the instance.
        instance: String,
    },
    /// Show one token.
    Show {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
    },
    /// Call a token something else.
    Edit {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
        /// What you call it from now on.
        #[arg(long)]
        label: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Give a token another credential and print it: the next request with the old one is refused.
    Rotate {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// End a token: the next request with it is refused.
    Revoke {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
        #[command(flatten)]
        terms: Terms,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Kind {
    /// `Authorization: Bearer …`
    #[default]
    Bearer,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Bearer => "bearer",
        }
    }
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Issue { instance, kind, label } => issue(rest, output, &instance, kind, &label).await,
        Command::List { instance } => {
            let tokens = rest.items(&["instances", &instance, "tokens"], &[], usize::MAX).await?;
            Ok(output.list(&tokens, ["id", "label", "kind", "token", "state", "issued"], |token| {
                ["/id", "/label", "/kind", "/masked", "/state", "/issued_at"]
                    .map(|pointer| field(token, pointer))
            })?)
        }
        Command::Show { instance, token } => {
            let token = rest.get(&["instances", &instance, "tokens", &token], &[]).await?;
            let shown =
                ["id", "instance", "revision", "label", "kind", "masked", "state", "issued_at", "revoked_at"];
            let rows = shown.map(|name| [name.to_owned(), field(&token, &format!("/{name}"))]);
            Ok(output
                .one(&token, || table(["token", ""], rows.into_iter().filter(|row| !row[1].is_empty())))?)
        }
        Command::Edit { instance, token, label, terms } => {
            let path = ["instances", &instance, "tokens", &token];
            let edited = rest.on(terms).patch(&path, &json!({ "label": label })).await?;
            Ok(output.one(&edited, || match label.as_str() {
                "" => format!("{token} has no label any more"),
                label => format!("{token} is now called {label}"),
            })?)
        }
        Command::Rotate { instance, token, terms } => {
            let path = ["instances", &instance, "tokens", &token, "rotate"];
            let rotated = rest.on(terms).post(&path, None).await?;
            Ok(output.one(&rotated, || credential(&rotated))?)
        }
        Command::Revoke { instance, token, terms } => {
            let revoked = rest.on(terms).delete(&["instances", &instance, "tokens", &token]).await?;
            Ok(output.one(&revoked, || format!("{token} is revoked"))?)
        }
    }
}

async fn issue(rest: &Rest, output: Output, instance: &str, kind: Kind, label: &str) -> Result<(), Failure> {
    let body = json!({ "kind": kind.as_str(), "label": label });
    let issued = rest.post(&["instances", instance, "tokens"], Some(&body)).await?;
    Ok(output.one(&issued, || credential(&issued))?)
}

/// A credential in clear, and what clients take.
fn credential(answer: &Value) -> String {
    let config = config::pasteable(answer.get("config").unwrap_or(&Value::Null));
    format!("{}\n\n{config}", field(answer, "/token"))
}
