//! Some settings: what shall be otherwise. What is not named stays, whoever changed it last.

use clap::Args;
use serde_json::{Map, Value, json};
use url::Url;

use super::value::{env_pair, header_pair, label_pair, mount_pair};
use super::whole::Resources;
use super::{Capture, Process, Transport, health_check, logging, object, secrets, usage, wire_name, without};
use crate::failure::Failure;

/// Settings that shall be otherwise.
#[derive(Debug, Args)]
pub(crate) struct SomeSettings {
    /// Set a label; repeat for more.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label_pair)]
    label: Vec<(String, String)>,
    /// Remove a label; repeat for more.
    #[arg(long, value_name = "KEY")]
    remove_label: Vec<String>,
    /// What people should know; "" for nothing.
    #[arg(long)]
    notes: Option<String>,
    /// The address of a picture, or a small picture as a data: address; "" for none.
    #[arg(long, value_name = "URL")]
    icon: Option<String>,
    /// How much of the calls the access log gets.
    #[arg(long, value_enum)]
    capture: Option<Capture>,
    /// Whether an answer begins when the row of its request is safe, and ends when its own is.
    #[arg(long, value_name = "true|false")]
    strict: Option<bool>,
    /// How often the platform probes the server.
    #[arg(long, value_name = "SECONDS")]
    probe_every: Option<u32>,
    /// The tools that probes expect the server to offer, all of them; repeat for more.
    #[arg(long, value_name = "NAME")]
    expect_tool: Vec<String>,
    /// Expect no tools.
    #[arg(long, conflicts_with = "expect_tool")]
    remove_expected_tools: bool,
    /// Set an environment variable; repeat for more. Kept sealed. NAME alone takes the value from this shell.
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Remove an environment variable; repeat for more.
    #[arg(long, value_name = "NAME")]
    remove_env: Vec<String>,
    /// Run this container image.
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// Run the command without an image.
    #[arg(long, conflicts_with = "image")]
    remove_image: bool,
    /// Run the image's own entry point instead of a command.
    #[arg(long, conflicts_with = "command")]
    remove_command: bool,
    /// The ports that the server opens beside MCP, all of them; repeat for more.
    #[arg(long, value_name = "NUMBER")]
    port: Vec<u16>,
    /// No ports beside MCP.
    #[arg(long, conflicts_with = "port")]
    remove_ports: bool,
    /// Mount something: PATH=claim:NAME[:ro], PATH=config:NAME or PATH=empty; repeat for more.
    #[arg(long, value_name = "PATH=WHAT", value_parser = mount_pair)]
    mount: Vec<(String, Value)>,
    /// Mount nothing at this path any more; repeat for more.
    #[arg(long, value_name = "PATH")]
    remove_mount: Vec<String>,
    #[command(flatten)]
    resources: Resources,
    /// Whom a process of the server serves.
    #[arg(long, value_enum)]
    process: Option<Process>,
    /// What the server elsewhere speaks.
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// Where the server is.
    #[arg(long)]
    url: Option<Url>,
    /// Set a header field for the server elsewhere; repeat for more. Kept sealed.
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// Remove a header field; repeat for more.
    #[arg(long, value_name = "NAME")]
    remove_header: Vec<String>,
    /// The program to run from now on and its arguments, after `--`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl SomeSettings {
    /// Whether what runs has to be replaced for it.
    pub(crate) fn is_about_what_runs(&self) -> Result<bool, Failure> {
        let body = self.body()?;
        const OTHERS: [&str; 5] = ["labels", "notes", "icon", "logging", "health_check"];
        Ok(body.keys().any(|key| !OTHERS.contains(&key.as_str())))
    }

    /// A JSON merge patch.
    pub(crate) fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        let mut labels = object(&self.label, "--label")?;
        without(&mut labels, &self.remove_label, "--remove-label")?;
        set("labels", some(labels));
        set("notes", self.notes.as_ref().map(|notes| json!(notes)));
        set("icon", self.icon.as_ref().map(|icon| json!(icon)));
        set("logging", some(logging(self.capture, self.strict)));
        let tools = self.remove_expected_tools || !self.expect_tool.is_empty();
        set("health_check", some(health_check(self.probe_every, tools.then_some(&self.expect_tool[..]))));
        set("command", some(self.command()?));
        let removed = self.remove_image.then_some(Value::Null);
        set("image", self.image.as_ref().map(|image| json!(image)).or(removed));
        let removed = self.remove_ports.then_some(Value::Null);
        set("ports", if self.port.is_empty() { removed } else { Some(json!(self.port)) });
        let mut mounts = object(&self.mount, "--mount")?;
        without(&mut mounts, &self.remove_mount, "--remove-mount")?;
        set("mounts", some(mounts));
        set("resources", some(self.resources.object()));
        set("process", self.process.map(|process| json!(wire_name(process))));
        set("transport", self.transport.map(|transport| json!(wire_name(transport))));
        set("url", self.url.as_ref().map(|url| json!(url)));
        let mut headers = secrets(&self.header, "--header", header_pair)?;
        without(&mut headers, &self.remove_header, "--remove-header")?;
        set("headers", some(headers));
        Ok(body)
    }

    /// As [`Self::body`], for a command that is there to change something.
    pub(crate) fn change(&self) -> Result<Value, Failure> {
        let body = self.body()?;
        if body.is_empty() {
            return Err(usage("nothing is said that shall be otherwise; see --help"));
        }
        Ok(Value::Object(body))
    }

    fn command(&self) -> Result<Map<String, Value>, Failure> {
        let mut command = Map::new();
        if let Some((program, args)) = self.command.split_first() {
            command.insert("program".to_owned(), json!(program));
            command.insert("args".to_owned(), json!(args));
        }
        if self.remove_command {
            command.insert("program".to_owned(), json!(null));
            command.insert("args".to_owned(), json!(null));
        }
        let mut env = secrets(&self.env, "--env", env_pair)?;
        without(&mut env, &self.remove_env, "--remove-env")?;
        if let Some(env) = some(env) {
            command.insert("env".to_owned(), env);
        }
        Ok(command)
    }
}

fn some(object: Map<String, Value>) -> Option<Value> {
    (!object.is_empty()).then_some(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        settings: SomeSettings,
    }

    fn change_of(line: &str) -> Result<Value, String> {
        let line = CommandLine::try_parse_from(std::iter::once("edit").chain(line.split_whitespace()))
            .map_err(|error| error.to_string())?;
        line.settings.change().map_err(|failure| failure.to_string())
    }

    #[test]
    fn only_what_is_named_is_changed_and_null_takes_away() {
        let line = "--label a=b --remove-label c --env X=1 --remove-env Y --remove-image --cpu 0.5 --process shared \
                    --capture bodies --strict false --probe-every 60 --expect-tool echo -- serve -v";
        let expected = json!({
            "labels": { "a": "b", "c": null }, "image": null, "resources": { "cpu_limit_millis": 500 },
            "process": "shared", "logging": { "capture": "bodies", "strict": false },
            "health_check": { "interval_seconds": 60, "tools": ["echo"] },
            "command": { "program": "serve", "args": ["-v"], "env": { "X": "1", "Y": null } },
        });
        assert_eq!(change_of(line), Ok(expected));
    }

    #[test]
    fn a_contradiction_and_an_edit_of_nothing_are_refused() {
        for line in ["", "--env A=1 --remove-env A", "--image a --remove-image", "--label a=1 --label a=2"] {
            assert!(change_of(line).is_err(), "{line}");
        }
    }
}
