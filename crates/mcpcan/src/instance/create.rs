//! `instance create`: from the words of the command line to the body of the request.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Goal, Patience, finish};
use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;
use crate::terms::{Haste, Terms};

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// A lower-case DNS label: letters, digits and hyphens.
    name: String,
    /// Who runs the server, and whether the gateway stands in front of it.
    #[arg(long, value_enum)]
    access: Access,
    /// What the server speaks.
    #[arg(long, value_enum)]
    transport: Transport,
    /// An environment variable of the server; repeat for more. Kept sealed. NAME alone takes the value from this shell.
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Where the server is (proxy and direct).
    #[arg(long)]
    url: Option<Url>,
    /// A header field for the server (proxy and direct); repeat for more. Kept sealed.
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    #[command(flatten)]
    haste: Haste,
    #[command(flatten)]
    patience: Patience,
    /// The program to run and its arguments (hosted), after `--`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Access {
    /// The platform runs the server.
    Hosted,
    /// The server runs elsewhere, the gateway stands in front of it.
    Proxy,
    /// The server runs elsewhere, clients go there themselves.
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Stdio,
    Sse,
    StreamableHttp,
}

pub(super) async fn run(arguments: CreateArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let accepted =
        rest.on(Terms::of_new(arguments.haste)).post(&["instances"], Some(&body(&arguments)?)).await?;
    finish(rest, output, accepted, Goal::Ready, arguments.patience).await
}

/// The request's body. Only what would otherwise be lost on the way is checked here; the api checks the rest.
fn body(arguments: &CreateArguments) -> Result<Value, Failure> {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(arguments.name));
    body.insert("access".to_owned(), json!(wire_name(arguments.access)));
    body.insert("transport".to_owned(), json!(wire_name(arguments.transport)));
    if arguments.access == Access::Hosted {
        if arguments.url.is_some() || !arguments.header.is_empty() {
            return Err(usage("--url and --header belong to --access proxy and direct, not to hosted"));
        }
        let Some((program, args)) = arguments.command.split_first() else {
            return Err(usage("--access hosted needs the server's command: add `-- PROGRAM ARGUMENT …`"));
        };
        let env = object(&arguments.env, "--env", env_pair)?;
        body.insert("command".to_owned(), json!({ "program": program, "args": args, "env": env }));
    } else {
        if !arguments.command.is_empty() || !arguments.env.is_empty() {
            return Err(usage("a command and --env belong to --access hosted: the server runs elsewhere"));
        }
        let Some(url) = &arguments.url else {
            return Err(usage("--access proxy and direct need --url: where the server is"));
        };
        body.insert("url".to_owned(), json!(url));
        body.insert("headers".to_owned(), object(&arguments.header, "--header", header_pair)?);
    }
    Ok(Value::Object(body))
}

fn usage(text: &str) -> Failure {
    Failure::Usage(text.to_owned())
}

fn wire_name(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("no value of these is hidden from the command line");
    value.get_name().to_owned()
}

/// The pairs that an option gave. They are taken apart here, since clap repeats a value that it does not understand,
/// and these are secrets.
pub(crate) fn object(
    given: &[String],
    option: &str,
    pair: fn(&str) -> Result<(String, String), String>,
) -> Result<Value, Failure> {
    let mut object = Map::new();
    for text in given {
        let (name, value) = pair(text).map_err(|reason| usage(&format!("{option}: {reason}")))?;
        if object.insert(name.clone(), json!(value)).is_some() {
            return Err(usage(&format!("{option} {name} is given twice")));
        }
    }
    Ok(Value::Object(object))
}

fn env_pair(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return pair(text, '=').ok_or_else(|| "the name is missing".to_owned());
    }
    let value = std::env::var(text).map_err(|_| format!("no value is given, and {text} is not set here"))?;
    Ok((text.to_owned(), value))
}

pub(crate) fn header_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = pair(text, ':').ok_or("NAME:VALUE was expected")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn pair(text: &str, separator: char) -> Option<(String, String)> {
    let (name, value) = text.split_once(separator)?;
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        create: CreateArguments,
    }

    fn body_of(line: &str) -> Result<Value, String> {
        let line = CommandLine::try_parse_from(std::iter::once("create").chain(line.split_whitespace()))
            .map_err(|error| error.to_string())?;
        body(&line.create).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_hosted_command_keeps_its_arguments_and_environment() {
        let body =
            body_of("x --access hosted --transport stdio --env A=b=c -- npx -y pkg --env X").expect("a body");
        let command = json!({ "program": "npx", "args": ["-y", "pkg", "--env", "X"], "env": { "A": "b=c" } });
        assert_eq!(
            body,
            json!({ "name": "x", "access": "hosted", "transport": "stdio", "command": command })
        );
    }

    #[test]
    fn a_remote_server_has_an_address_and_header_fields() {
        let line =
            "x --access proxy --transport streamable-http --url https://example.org/mcp --header X-Key:a:b";
        let expected = json!({
            "name": "x", "access": "proxy", "transport": "streamable-http",
            "url": "https://example.org/mcp", "headers": { "X-Key": "a:b" },
        });
        assert_eq!(body_of(line), Ok(expected));
    }

    #[test]
    fn what_belongs_to_the_other_access_mode_is_refused() {
        for line in [
            "x --access hosted --transport stdio",
            "x --access hosted --transport stdio --url https://example.org/ -- a",
            "x --access proxy --transport sse",
            "x --access proxy --transport sse --url https://example.org/ -- a",
            "x --access hosted --transport stdio --env A=1 --env A=2 -- a",
        ] {
            assert!(body_of(line).is_err(), "{line}");
        }
    }
}
