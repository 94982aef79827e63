//! All settings: what something new is made of.

use clap::Args;
use serde_json::{Map, Value, json};
use url::Url;

use super::openapi::{Imported, OpenapiSettings};
use super::value::{cpu, env_pair, header_pair, label_pair, memory, mount_pair};
use super::{Access, Capture, Process, Transport, health_check, logging, object, secrets, usage, wire_name};
use crate::failure::Failure;
use crate::rest::Rest;

/// What an instance or a template is made of.
#[derive(Debug, Args)]
pub(crate) struct NewSettings {
    /// A lower-case DNS label: letters, digits and hyphens.
    name: String,
    #[command(flatten)]
    access: AccessSettings,
    #[command(flatten)]
    profile: ProfileSettings,
}

/// What people note down.
#[derive(Debug, Args)]
struct ProfileSettings {
    /// A label; repeat for more.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label_pair)]
    label: Vec<(String, String)>,
    /// What people should know.
    #[arg(long)]
    notes: Option<String>,
    /// The address of a picture, or a small picture as a data: address.
    #[arg(long, value_name = "URL")]
    icon: Option<String>,
    /// How much of the calls the access log gets (metadata if nothing is said).
    #[arg(long, value_enum)]
    capture: Option<Capture>,
    /// Let each answer begin when the row of its request is safe, and end when its own is.
    #[arg(long)]
    strict: bool,
    /// How often the platform probes the server (hosted and proxy; 30 if nothing is said).
    #[arg(long, value_name = "SECONDS")]
    probe_every: Option<u32>,
    /// A tool that probes expect the server to offer; repeat for more (hosted and proxy).
    #[arg(long, value_name = "NAME")]
    expect_tool: Vec<String>,
}

/// How it is reached, and what is run.
#[derive(Debug, Args)]
pub(crate) struct AccessSettings {
    /// Who runs the server, and whether the gateway stands in front of it (hosted, or proxy with --url, if nothing is
    /// said).
    #[arg(long, value_enum)]
    access: Option<Access>,
    /// What the server speaks (stdio if it is hosted and nothing is said, else streamable-http).
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// An environment variable of the server; repeat for more. Kept sealed. NAME alone takes the value from this shell.
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// A container image to run, with its own entry point or with COMMAND (hosted).
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// A port that the server opens beside MCP; repeat for more (hosted).
    #[arg(long, value_name = "NUMBER")]
    port: Vec<u16>,
    /// What is mounted: PATH=claim:NAME[:ro], PATH=config:NAME or PATH=empty; repeat for more (hosted).
    #[arg(long, value_name = "PATH=WHAT", value_parser = mount_pair)]
    mount: Vec<(String, Value)>,
    #[command(flatten)]
    resources: Resources,
    /// Whom a process of the server serves (hosted; auto if nothing is said).
    #[arg(long, value_enum)]
    process: Option<Process>,
    /// How many replicas run (hosted; 1 if nothing is said).
    #[arg(long, value_name = "NUMBER")]
    replicas: Option<u16>,
    /// Where the server is (proxy and direct).
    #[arg(long)]
    url: Option<Url>,
    /// A header field for the server (proxy and direct); repeat for more. Kept sealed.
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    #[command(flatten)]
    openapi: OpenapiSettings,
    /// The program to run and its arguments (hosted), after `--`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What a replica asks for and may use at most.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Resources {
    /// How many cores a replica may use: 2, 0.5, 500m (hosted).
    #[arg(long, value_name = "CORES", value_parser = cpu)]
    cpu: Option<u64>,
    /// How many cores a replica asks for (hosted).
    #[arg(long, value_name = "CORES", value_parser = cpu)]
    cpu_request: Option<u64>,
    /// How much memory a replica may use: 512Mi, 2Gi (hosted).
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    memory: Option<u64>,
    /// How much memory a replica asks for (hosted).
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    memory_request: Option<u64>,
}

impl Resources {
    /// Those that are given.
    pub(super) fn object(self) -> Map<String, Value> {
        let given = [
            ("cpu_limit_millis", self.cpu),
            ("cpu_request_millis", self.cpu_request),
            ("memory_limit_bytes", self.memory),
            ("memory_request_bytes", self.memory_request),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect()
    }
}

impl NewSettings {
    /// Has the platform keep the OpenAPI document, if there is one to be served.
    pub(crate) async fn import(&mut self, rest: &Rest) -> Result<(), Failure> {
        self.access.import(rest).await
    }

    pub(crate) fn body(&self) -> Result<Value, Failure> {
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(self.name));
        self.access.fill(&mut body)?;
        self.profile.fill(&mut body)?;
        Ok(Value::Object(body))
    }
}

impl ProfileSettings {
    fn fill(&self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        if !self.label.is_empty() {
            body.insert("labels".to_owned(), object(&self.label, "--label")?.into());
        }
        for (name, text) in [("notes", &self.notes), ("icon", &self.icon)] {
            if let Some(text) = text {
                body.insert(name.to_owned(), json!(text));
            }
        }
        let logging = logging(self.capture, self.strict.then_some(true));
        if !logging.is_empty() {
            body.insert("logging".to_owned(), logging.into());
        }
        let tools = (!self.expect_tool.is_empty()).then_some(&self.expect_tool[..]);
        let health_check = health_check(self.probe_every, tools);
        if !health_check.is_empty() {
            body.insert("health_check".to_owned(), health_check.into());
        }
        Ok(())
    }
}

impl AccessSettings {
    /// Has the platform keep the OpenAPI document, if there is one to be served: then that is the command.
    pub(crate) async fn import(&mut self, rest: &Rest) -> Result<(), Failure> {
        if self.openapi.is_given() {
            let is_other = !self.command.is_empty() || self.image.is_some() || self.url.is_some();
            if is_other || !matches!(self.access, None | Some(Access::Hosted)) {
                return Err(usage("--openapi is hosted, and takes no command, --image or --url beside it"));
            }
        }
        if let Some(Imported { command, env }) = self.openapi.import(rest).await? {
            self.command = command;
            self.env.extend(env);
        }
        Ok(())
    }

    pub(crate) fn fill(&self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        let runs_elsewhere = self.url.is_some() && self.command.is_empty() && self.image.is_none();
        let access = self.access.unwrap_or(if runs_elsewhere { Access::Proxy } else { Access::Hosted });
        let is_hosted = access == Access::Hosted;
        let transport =
            self.transport.unwrap_or(if is_hosted { Transport::Stdio } else { Transport::StreamableHttp });
        body.insert("access".to_owned(), json!(wire_name(access)));
        body.insert("transport".to_owned(), json!(wire_name(transport)));
        if is_hosted { self.fill_hosted(body) } else { self.fill_remote(body) }
    }

    fn fill_hosted(&self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        if self.url.is_some() || !self.header.is_empty() {
            return Err(usage("--url and --header belong to --access proxy and direct, not to hosted"));
        }
        let env = secrets(&self.env, "--env", env_pair)?;
        let command = match (self.command.split_first(), &self.image) {
            (Some((program, args)), _) => json!({ "program": program, "args": args, "env": env }),
            (None, Some(_)) => json!({ "env": env }),
            (None, None) => {
                return Err(usage(
                    "a hosted server needs its command: add `-- PROGRAM ARGUMENT …`, or --openapi; one that runs elsewhere its --url",
                ));
            }
        };
        body.insert("command".to_owned(), command);
        if let Some(image) = &self.image {
            body.insert("image".to_owned(), json!(image));
        }
        if !self.port.is_empty() {
            body.insert("ports".to_owned(), json!(self.port));
        }
        if !self.mount.is_empty() {
            body.insert("mounts".to_owned(), object(&self.mount, "--mount")?.into());
        }
        let resources = self.resources.object();
        if !resources.is_empty() {
            body.insert("resources".to_owned(), resources.into());
        }
        if let Some(process) = self.process {
            body.insert("process".to_owned(), json!(wire_name(process)));
        }
        if let Some(replicas) = self.replicas {
            body.insert("replicas".to_owned(), json!(replicas));
        }
        Ok(())
    }

    fn fill_remote(&self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        if !self.command.is_empty() || !self.env.is_empty() {
            return Err(usage("a command and --env belong to --access hosted: the server runs elsewhere"));
        }
        let runs = self.image.is_some() || !self.port.is_empty() || !self.mount.is_empty();
        if runs || self.process.is_some() || self.replicas.is_some() || !self.resources.object().is_empty() {
            return Err(usage(
                "--image, --port, --mount, --cpu, --memory, --process and --replicas belong to --access hosted",
            ));
        }
        let Some(url) = &self.url else {
            return Err(usage("--access proxy and direct need --url: where the server is"));
        };
        body.insert("url".to_owned(), json!(url));
        body.insert("headers".to_owned(), secrets(&self.header, "--header", header_pair)?.into());
        Ok(())
    }
}
