//! The second mode: a server whose tools are the operations of an API. It speaks MCP of both eras on stdin and stdout, and
//! HTTP to the API.
//!
//! The bridge starts it as it starts any server, so that transports, sessions and restarts are the same for it. Which
//! request a call makes says the crate `openapi`; here is what that must not do: files, addresses, credentials, time.

mod backend;
mod calls;
mod credentials;
mod lines;
mod pages;
mod server;
mod tokens;

use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;

use crate::config;

/// Serves until stdin ends.
pub(crate) async fn run(config: config::Openapi) -> anyhow::Result<()> {
    let api = read(&config)?;
    let credentials = credentials::from_environment(&api.schemes)?;
    lines::log(&format!(
        "{} {}: {} tools, {} operations left out",
        api.report.title,
        api.report.version,
        api.tools.len(),
        api.report.left_out.len()
    ));
    let backend = backend::Backend::new(&config)?;
    let server = Rc::new(server::Server::new(api, credentials, backend, config.pass_headers));
    lines::serve(server).await
}

fn read(config: &config::Openapi) -> anyhow::Result<::openapi::Api> {
    let shown = |path: &Path| path.display().to_string();
    let bytes =
        std::fs::read(&config.document).with_context(|| format!("read {}", shown(&config.document)))?;
    let options = match &config.options {
        Some(text) => serde_json::from_str(text).context("read --options")?,
        None => ::openapi::Options::default(),
    };
    // Whoever imports a document bundles what it refers to; a server follows no reference by itself.
    let refuse = &mut |_: &url::Url| Err("a server follows no reference; bundle the documents".to_owned());
    let document = ::openapi::Document::read(&bytes, config.location.as_ref(), refuse);
    let document = document.with_context(|| format!("read {}", shown(&config.document)))?;
    ::openapi::convert(&document, &options).context("make tools of the document")
}
