//! On which terms a change is asked for: only at a revision that was seen, and whether to wait for the decision.

use clap::Args;
use reqwest::RequestBuilder;
use reqwest::header::IF_MATCH;

/// The options of every command that changes something that exists.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Terms {
    /// Only if nobody has changed it since this revision, which `show` tells.
    #[arg(long, value_name = "REVISION")]
    if_match: Option<u64>,
    #[command(flatten)]
    pub(crate) haste: Haste,
}

/// Whether somebody waits for the decision: of every command that changes something.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Haste {
    /// Return before it is decided; `mcpcan command show` tells what becomes of it.
    #[arg(long = "async")]
    pub(crate) respond_async: bool,
}

impl Terms {
    /// The terms of what does not exist yet.
    pub(crate) fn of_new(haste: Haste) -> Self {
        Terms { if_match: None, haste }
    }

    /// Writes the terms into a request.
    pub(crate) fn state(self, request: RequestBuilder) -> RequestBuilder {
        let request = match self.if_match {
            Some(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
            None => request,
        };
        if self.haste.respond_async { request.header("Prefer", "respond-async") } else { request }
    }
}
