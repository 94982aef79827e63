//! The command line. Whatever is secret comes in the environment, which the children inherit but for the bridge's own
//! [`credential`](crate::credential), never as an argument.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// The environment variable with the filter of the bridge's own diagnostics.
const FILTER_VARIABLE: &str = "MCPCAN_LOG";
/// The filter without it: the diagnostics may stand among what the servers log, so only what is wrong is told.
const DEFAULT_FILTER: &str = "warn";

/// Speaks MCP over HTTP for a server that does not.
#[derive(Debug, Parser)]
#[command(name = "mcpcan-bridge", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Stand before a server that speaks MCP on stdin and stdout.
    Stdio(Stdio),
    /// Serve the operations of an OpenAPI document as tools. A security scheme's credential is the value of
    /// OPENAPI_CREDENTIAL_<SCHEME>: an API key, a token, user:password, or for client credentials id:secret.
    Openapi(Openapi),
    /// Copy this program into a directory, from where the image of a server can run it.
    Install {
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// How `mcpcan-bridge openapi` serves.
#[derive(Clone, Debug, Args)]
pub(crate) struct Openapi {
    /// The document, JSON or YAML, or a bundle of several.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: PathBuf,

    /// What of the document is served, and how: JSON with include, exclude, edits, server, server_variables,
    /// output_schemas.
    #[arg(long, value_name = "JSON")]
    pub(crate) options: Option<String>,

    /// The document's own address, which relative servers start from.
    #[arg(long, value_name = "URL")]
    pub(crate) location: Option<url::Url>,

    /// Whether the API may have a private address.
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = Private::Allow)]
    pub(crate) private_backends: Private,

    /// Whether files that a call names by their address may be at a private one.
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = Private::Refuse)]
    pub(crate) private_files: Private,

    /// Seconds that the API may take for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) answer_wait: u64,

    /// Largest answer of the API, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub(crate) answer_bytes_max: usize,

    /// Socket address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Put the header fields of clients that begin with Mcpcan-Pass- into requests, without that beginning.
    #[arg(long)]
    pub(crate) pass_headers: bool,

    /// End when stdin ends: whoever holds the other side of that pipe has gone.
    #[arg(long)]
    lifeline: bool,

    /// Speak MCP on stdin and stdout instead of listening.
    #[arg(long, conflicts_with_all = ["listen", "lifeline"])]
    pub(crate) stdio: bool,
}

/// Whether private addresses may be connected to. Link-local ones and those of clouds' metadata never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Private {
    Allow,
    Refuse,
}

impl Openapi {
    /// The bridge before a child that is this program again, which does the work: what breaks there is started anew.
    pub(crate) fn as_stdio(&self) -> anyhow::Result<Stdio> {
        let own = std::env::current_exe().context("find this program")?;
        // Between the name of the mode and the rest, which are the same.
        let arguments = std::env::args_os().skip(2);
        let listening = ["--listen", "--lifeline"];
        let mut program: Vec<OsString> = vec![own.into(), "openapi".into(), "--stdio".into()];
        let mut is_value = false;
        for argument in arguments {
            let text = argument.to_string_lossy();
            let is_listening =
                listening.iter().any(|name| text == *name || text.starts_with(&format!("{name}=")));
            if !is_value && !is_listening {
                program.push(argument.clone());
            }
            is_value = text == "--listen";
        }
        let options = ["mcpcan-bridge", "stdio", "--process", "shared", "--", "program"];
        let Arguments { command: Command::Stdio(stdio) } = Arguments::try_parse_from(options)? else {
            anyhow::bail!("the mode stdio is not there");
        };
        Ok(Stdio {
            listen: self.listen,
            lifeline: self.lifeline,
            pass_headers: self.pass_headers,
            program,
            ..stdio
        })
    }
}

/// Whom a child of the server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Process {
    /// A client that has a session gets a child for itself; what has no session goes to one that all share.
    Auto,
    /// One client each. Of clients without sessions, each gets a child for itself as well.
    PerClient,
    /// All of them. What an older server asks of a client, logs or says of changes then reaches nobody, whichever era
    /// the client is of; so it is not promised, and resources cannot be subscribed to.
    Shared,
}

/// How `mcpcan-bridge stdio` serves.
#[derive(Clone, Debug, Args)]
pub(crate) struct Stdio {
    /// Socket address to listen on; port 0 takes a free one. On a loopback address, foreign Host and Origin are refused.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// Working directory of the children.
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,

    /// Open files a child may have; by default as many as the bridge had at its start.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(16..))]
    pub(crate) open_files: Option<u64>,

    /// Children started ahead of the sessions that will use them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=64))]
    pub(crate) warm: u16,

    /// Whom a child of the server serves.
    #[arg(long, value_name = "WHOM", value_enum, default_value_t = Process::Auto)]
    pub(crate) process: Process,

    /// Children at a time that serve one client each.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sessions_max: u16,

    /// Sessions at a time that have no child of their own.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) shared_sessions_max: u16,

    /// Seconds after which a session, or a child that serves one client, ends when nobody uses it.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    session_idle: u64,

    /// Largest request body, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    pub(crate) body_bytes_max: usize,

    /// Bytes that a session or a shared child holds: of messages both ways, of those kept for clients to resume, and of
    /// what is remembered of calls. Beyond it, what is kept to resume is dropped, and new calls are refused until some
    /// are taken.
    #[arg(long, value_name = "BYTES", default_value_t = 32 * 1024 * 1024)]
    pub(crate) session_bytes_max: usize,

    /// Longest line a child may write on stdout, in bytes: the largest message it can send.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    pub(crate) line_bytes_max: usize,

    /// Give header fields of clients that begin with Mcpcan-Pass- to the server, in `_meta` of calls.
    #[arg(long)]
    pub(crate) pass_headers: bool,

    /// End when stdin ends: whoever holds the other side of that pipe has gone.
    #[arg(long)]
    pub(crate) lifeline: bool,

    /// End at once, with exit code 127, when there is no such program.
    #[arg(long)]
    pub(crate) require_program: bool,

    /// The server's program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

impl Stdio {
    pub(crate) fn session_idle(&self) -> Duration {
        Duration::from_secs(self.session_idle)
    }

    /// Whether the program can be run, as far as that can be told without running it.
    pub(crate) fn has_program(&self) -> bool {
        let directory = self.workdir.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
        let program = self.program.first().expect("the command line requires a program");
        which::which_in(program, std::env::var_os("PATH"), directory).is_ok()
    }

    /// Finds at the start what would otherwise fail every spawn with a misleading error.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(directory) = &self.workdir
            && !directory.is_dir()
        {
            anyhow::bail!("--workdir {} is no directory", directory.display());
        }
        Ok(())
    }
}

pub(crate) fn log_filter() -> anyhow::Result<EnvFilter> {
    match std::env::var(FILTER_VARIABLE) {
        Ok(filter) => EnvFilter::try_new(&filter)
            .with_context(|| format!("read the log filter {FILTER_VARIABLE}={filter}")),
        Err(_) => Ok(EnvFilter::new(DEFAULT_FILTER)),
    }
}
