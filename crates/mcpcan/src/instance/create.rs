//! `instance create`: from the words of the command line to the body of the request.

use clap::Args;

use super::{Goal, Patience, finish};
use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;
use crate::settings::NewSettings;
use crate::terms::{Haste, Terms};

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    settings: NewSettings,
    #[command(flatten)]
    haste: Haste,
    #[command(flatten)]
    patience: Patience,
}

pub(super) async fn run(mut arguments: CreateArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    arguments.settings.import(rest).await?;
    let accepted = rest
        .on(Terms::of_new(arguments.haste))
        .post(&["instances"], Some(&arguments.settings.body()?))
        .await?;
    finish(rest, output, accepted, Goal::Ready, arguments.patience).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        create: CreateArguments,
    }

    fn body_of(line: &str) -> Result<Value, String> {
        let line = CommandLine::try_parse_from(std::iter::once("create").chain(line.split_whitespace()))
            .map_err(|error| error.to_string())?;
        line.create.settings.body().map_err(|failure| failure.to_string())
    }

    #[test]
    fn how_a_server_is_reached_need_not_be_said() {
        let body = body_of("x -- npx -y pkg").expect("a body");
        assert_eq!((&body["access"], &body["transport"]), (&json!("hosted"), &json!("stdio")));
        let body = body_of("x --url https://example.org/mcp").expect("a body");
        assert_eq!((&body["access"], &body["transport"]), (&json!("proxy"), &json!("streamable-http")));
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
    fn an_image_needs_no_command() {
        let line =
            "x --access hosted --transport stdio --image ghcr.io/x/y --port 80 --memory 1Gi --label a=b";
        let expected = json!({
            "name": "x", "access": "hosted", "transport": "stdio", "image": "ghcr.io/x/y", "ports": [80],
            "command": { "env": {} }, "resources": { "memory_limit_bytes": 1 << 30 }, "labels": { "a": "b" },
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
            "x --access proxy --transport sse --url https://example.org/ --replicas 2",
            "x --access hosted --transport stdio --env A=1 --env A=2 -- a",
        ] {
            assert!(body_of(line).is_err(), "{line}");
        }
    }
}
