//! `--openapi`: a document is read here, with what it refers to, converted to tell what becomes of it, and kept by the
//! platform; the instance's command names it.

mod read;
mod report;

use clap::Args;
use domain::instance::access::{OPENAPI_DOCUMENT, OPENAPI_PROGRAM};
use openapi::{Options, Selection};
use serde_json::Value;

use super::usage;
use crate::failure::Failure;
use crate::output::field;
use crate::rest::Rest;

/// Begins the names of the variables in which `mcpcan-bridge` takes credentials.
const CREDENTIAL_PREFIX: &str = "OPENAPI_CREDENTIAL_";

/// The operations of an API as tools.
#[derive(Debug, Args)]
#[command(next_help_heading = "OpenAPI")]
pub(super) struct OpenapiSettings {
    /// Serve the operations of an OpenAPI document, JSON or YAML, as tools (hosted).
    #[arg(long, value_name = "FILE|URL")]
    openapi: Option<String>,
    /// Only operations with this tag; repeat for more.
    #[arg(long, value_name = "TAG", requires = "openapi")]
    include_tag: Vec<String>,
    /// Only operations at this path, in which * stands for any text; repeat for more.
    #[arg(long, value_name = "PATTERN", requires = "openapi")]
    include_path: Vec<String>,
    /// Only operations of this method; repeat for more.
    #[arg(long, value_name = "METHOD", requires = "openapi")]
    include_method: Vec<String>,
    /// Only this operation, by its id or its tool's name; repeat for more.
    #[arg(long, value_name = "NAME", requires = "openapi")]
    include_operation: Vec<String>,
    /// No operations with this tag; repeat for more.
    #[arg(long, value_name = "TAG", requires = "openapi")]
    exclude_tag: Vec<String>,
    /// No operations at this path; repeat for more.
    #[arg(long, value_name = "PATTERN", requires = "openapi")]
    exclude_path: Vec<String>,
    /// No operations of this method; repeat for more.
    #[arg(long, value_name = "METHOD", requires = "openapi")]
    exclude_method: Vec<String>,
    /// Not this operation; repeat for more.
    #[arg(long, value_name = "NAME", requires = "openapi")]
    exclude_operation: Vec<String>,
    /// Another name for a tool; repeat for more.
    #[arg(long, value_name = "TOOL=NAME", requires = "openapi")]
    rename_tool: Vec<String>,
    /// Another description for a tool; repeat for more.
    #[arg(long, value_name = "TOOL=TEXT", requires = "openapi")]
    describe_tool: Vec<String>,
    /// The API's address, instead of the document's servers.
    #[arg(long, value_name = "URL", requires = "openapi")]
    server: Option<String>,
    /// A value for a variable of the document's servers; repeat for more.
    #[arg(long, value_name = "NAME=VALUE", requires = "openapi")]
    server_variable: Vec<String>,
    /// Do not say what tools answer.
    #[arg(long, requires = "openapi")]
    no_output_schemas: bool,
    /// The credential of a security scheme: an API key, a token, user:password, or id:secret for client credentials;
    /// repeat for more. Kept sealed. SCHEME alone takes it from OPENAPI_CREDENTIAL_SCHEME of this shell.
    #[arg(long, value_name = "SCHEME[=VALUE]", requires = "openapi")]
    credential: Vec<String>,
}

/// What serves a document.
pub(super) struct Imported {
    pub(super) command: Vec<String>,
    pub(super) env: Vec<String>,
}

impl OpenapiSettings {
    pub(super) fn is_given(&self) -> bool {
        self.openapi.is_some()
    }

    /// Reads the document, says what becomes of it, and has the platform keep it.
    pub(super) async fn import(&self, rest: &Rest) -> Result<Option<Imported>, Failure> {
        let Some(place) = &self.openapi else { return Ok(None) };
        let env = self.credentials()?;
        let options = self.options()?;
        let document = read::document(place).await?;
        let refused = |refused| usage(&format!("--openapi {place}: {refused}"));
        let report = openapi::convert(&document, &options).map_err(refused)?.report;
        report::show(&report)?;
        let kept = rest.upload(&["documents"], &[], document.to_bundle().into()).await?;
        let kept: Value = kept.json().await.map_err(|error| {
            Failure::unreachable("the api's answer broke off".to_owned(), error.without_url())
        })?;
        let mut command =
            vec![OPENAPI_PROGRAM.to_owned(), OPENAPI_DOCUMENT.to_owned(), field(&kept, "/document")];
        if options != Options::default() {
            command.push("--options".to_owned());
            command.push(serde_json::to_string(&options).map_err(|error| Failure::Failed(error.into()))?);
        }
        Ok(Some(Imported { command, env }))
    }

    fn options(&self) -> Result<Options, Failure> {
        let mut options = Options {
            include: Selection {
                tags: self.include_tag.clone(),
                paths: self.include_path.clone(),
                methods: self.include_method.clone(),
                operations: self.include_operation.clone(),
            },
            exclude: Selection {
                tags: self.exclude_tag.clone(),
                paths: self.exclude_path.clone(),
                methods: self.exclude_method.clone(),
                operations: self.exclude_operation.clone(),
            },
            server: self.server.clone(),
            output_schemas: !self.no_output_schemas,
            ..Options::default()
        };
        for (tool, name) in pairs(&self.rename_tool, "--rename-tool")? {
            options.edits.entry(tool).or_default().name = Some(name);
        }
        for (tool, text) in pairs(&self.describe_tool, "--describe-tool")? {
            options.edits.entry(tool).or_default().description = Some(text);
        }
        options.server_variables = pairs(&self.server_variable, "--server-variable")?.into_iter().collect();
        Ok(options)
    }

    /// As variables of the environment: values of these are kept sealed.
    fn credentials(&self) -> Result<Vec<String>, Failure> {
        let variable = |scheme: &str| {
            let upper =
                |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
            format!("{CREDENTIAL_PREFIX}{}", scheme.chars().map(upper).collect::<String>())
        };
        let entry = |given: &String| match given.split_once('=') {
            Some(("", _)) => Err(usage("--credential: SCHEME=VALUE was expected")),
            Some((scheme, value)) => Ok(format!("{}={value}", variable(scheme))),
            None => Ok(variable(given)),
        };
        self.credential.iter().map(entry).collect()
    }
}

fn pairs(given: &[String], option: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
        Some((name.to_owned(), value.to_owned()))
    };
    let pairs: Option<Vec<_>> = given.iter().map(pair).collect();
    pairs.ok_or_else(|| usage(&format!("{option}: a name, `=` and a text were expected")))
}
