//! `token …`: the credentials of one instance.

mod fields;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use crate::config;
use crate::failure::Failure;
use crate::output::{Output, field, table};
use crate::rest::Rest;
use crate::terms::Terms;
use fields::{ChangedFields, NewCredential, NewFields};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token and print it with the configuration that clients take.
    Issue {
        /// Name or id of the instance.
        instance: String,
        /// How clients present it.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        #[command(flatten)]
        fields: NewFields,
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
    /// Change what a token is called, when it expires, or what reaches the server with it. What is not named stays.
    Edit {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
        #[command(flatten)]
        fields: ChangedFields,
        #[command(flatten)]
        terms: Terms,
    },
    /// Give a token another credential and print it: the next request with the old one is refused, or with --overlap
    /// the first one after that time.
    Rotate {
        /// Name or id of the instance.
        instance: String,
        /// Id or label.
        token: String,
        #[command(flatten)]
        credential: NewCredential,
        /// How long the old credential is accepted beside the new one: `10m`, `12h`, at most `30d`.
        #[arg(long, value_name = "DURATION")]
        overlap: Option<String>,
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
    /// `Api-Key: …`
    ApiKey,
    /// `X-API-Key: …`
    XApiKey,
    /// `Authorization: Basic …`, with --username
    Basic,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Bearer => "bearer",
            Kind::ApiKey => "api-key",
            Kind::XApiKey => "x-api-key",
            Kind::Basic => "basic",
        }
    }
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Issue { instance, kind, fields } => {
            let body = fields.body(kind.as_str())?;
            let issued = rest.post(&["instances", &instance, "tokens"], Some(&body)).await?;
            Ok(output.one(&issued, || credential(&issued))?)
        }
        Command::List { instance } => {
            let tokens = rest.items(&["instances", &instance, "tokens"], &[], usize::MAX).await?;
            let columns =
                ["id", "label", "kind", "token", "state", "issued", "expires", "requests", "last used"];
            Ok(output.list(&tokens, columns, |token| {
                [
                    "/id",
                    "/label",
                    "/kind",
                    "/masked",
                    "/state",
                    "/issued_at",
                    "/expires_at",
                    "/usage/requests",
                    "/usage/last_used_at",
                ]
                .map(|pointer| field(token, pointer))
            })?)
        }
        Command::Show { instance, token } => {
            let token = rest.get(&["instances", &instance, "tokens", &token], &[]).await?;
            let shown = [
                "id",
                "instance",
                "revision",
                "label",
                "kind",
                "masked",
                "state",
                "issued_at",
                "expires_at",
                "revoked_at",
                "previous_until",
            ];
            let rows = shown.map(|name| [name.to_owned(), field(&token, &format!("/{name}"))]);
            let lists = ["headers", "passthrough"].map(|name| [name.to_owned(), listed(&token, name)]);
            let usage = ["requests", "last_used_at"]
                .map(|name| [name.to_owned(), field(&token, &format!("/usage/{name}"))]);
            let rows: Vec<_> = rows.into_iter().chain(lists).chain(usage).collect();
            Ok(output
                .one(&token, || table(["token", ""], rows.into_iter().filter(|row| !row[1].is_empty())))?)
        }
        Command::Edit { instance, token, fields, terms } => {
            let path = ["instances", &instance, "tokens", &token];
            let edited = rest.on(terms).patch(&path, &fields.body()?).await?;
            Ok(output.one(&edited, || format!("{token} is changed"))?)
        }
        Command::Rotate { instance, token, credential: new, overlap, terms } => {
            let path = ["instances", &instance, "tokens", &token, "rotate"];
            let mut body = new.body()?;
            body.extend(overlap.map(|overlap| ("overlap".to_owned(), overlap.into())));
            let rotated = rest.on(terms).post(&path, Some(&body.into())).await?;
            Ok(output.one(&rotated, || credential(&rotated))?)
        }
        Command::Revoke { instance, token, terms } => {
            let revoked = rest.on(terms).delete(&["instances", &instance, "tokens", &token]).await?;
            Ok(output.one(&revoked, || format!("{token} is revoked"))?)
        }
    }
}

/// The names in a list of a token, in one line.
fn listed(token: &Value, name: &str) -> String {
    let names = token.get(name).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// A credential in clear, and what clients take.
fn credential(answer: &Value) -> String {
    let config = config::pasteable(answer.get("config").unwrap_or(&Value::Null));
    format!("{}\n\n{config}", field(answer, "/token"))
}
