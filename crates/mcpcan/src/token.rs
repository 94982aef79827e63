//! `token …`: the credentials of one instance.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::config;
use crate::failure::Failure;
use crate::output::{Output, field, table};
use crate::rest::Rest;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token and print it with the configuration that clients take.
    Issue {
        /// Name or id of the instance.
        instance: String,
        /// How clients present it.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// What you call it; must be free among the instance's active tokens.
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
    /// End a token: the next request with it is refused.
    Revoke {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
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
            let shown = ["id", "instance", "label", "kind", "masked", "state", "issued_at", "revoked_at"];
            let rows = shown.map(|name| [name.to_owned(), field(&token, &format!("/{name}"))]);
            Ok(output
                .one(&token, || table(["token", ""], rows.into_iter().filter(|row| !row[1].is_empty())))?)
        }
        Command::Revoke { instance, token } => {
            let revoked = rest.delete(&["instances", &instance, "tokens", &token]).await?;
            Ok(output.one(&revoked, || format!("{token} is revoked"))?)
        }
    }
}

async fn issue(rest: &Rest, output: Output, instance: &str, kind: Kind, label: &str) -> Result<(), Failure> {
    let body = json!({ "kind": kind.as_str(), "label": label });
    let issued = rest.post(&["instances", instance, "tokens"], Some(&body)).await?;
    Ok(output.one(&issued, || {
        let config = config::pasteable(issued.get("config").unwrap_or(&Value::Null));
        format!("{}\n\n{config}", field(&issued, "/token"))
    })?)
}
