//! The ClickHouse beside the roles: a `clickhouse` on PATH that is new enough, else the embedded engine.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use super::part::Part;
use super::port;
use crate::bound;
use crate::data_directory::{DataDirectory, kept_secret, write_private};

/// Names a `libchdb.so` to use before all others.
const LIBRARY_VARIABLE: &str = "MCPCAN_CHDB_LIB";
/// The first release series that our tables and queries are made for.
const VERSION_MIN: (u32, u32) = (24, 8);
/// The only user of this server.
const USER: &str = "default";
/// How long ClickHouse may take to open its tables and listen.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a server is asked meanwhile whether it answers.
const START_INTERVAL: Duration = Duration::from_millis(50);

/// A running ClickHouse and the way in.
pub(super) struct Clickhouse {
    pub(super) part: Part,
    pub(super) url: String,
    pub(super) client: access_log::Client,
}

/// What the embedded engine says on stdout once it accepts requests.
#[derive(Deserialize)]
struct Listening {
    address: String,
}

/// Starts one on loopback; port 0 is any free one. Returns when it answers.
pub(super) async fn start(data: &DataDirectory, port: u16) -> anyhow::Result<Clickhouse> {
    let password_file = data.directory("clickhouse")?.join("password");
    let password = kept_secret(&password_file)?;
    if let Some(program) = server_on_path().await {
        return start_server(&program, data, port, &password).await;
    }
    let mut command = Command::new(env::current_exe().context("find the mcpcan program")?);
    command.args(["clickhouse-embedded", "--lifeline", "--listen", &format!("127.0.0.1:{port}")]);
    command.arg("--library").arg(find_library()?).arg("--password-file").arg(&password_file);
    command.arg("--data").arg(data.directory("clickhouse/engine")?);
    let (mut part, stdout) = Part::start_announcing("clickhouse-embedded", command, log_file(data)?)?;
    let url = tokio::select! {
        url = listening(stdout) => url?,
        error = part.ended() => return Err(error),
    };
    Ok(Clickhouse { part, client: access_log::Client::connect(&url, USER, &password)?, url })
}

async fn listening(stdout: ChildStdout) -> anyhow::Result<String> {
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let read = timeout(START_TIMEOUT, stdout.read_line(&mut line)).await;
    let read =
        read.with_context(|| format!("ClickHouse does not answer after {} s", START_TIMEOUT.as_secs()))?;
    if read.context("read what the engine says")? == 0 {
        // It has ended: the caller, who waits for that too, has the better explanation.
        return std::future::pending().await;
    }
    let listening: Listening = serde_json::from_str(&line).context("read the engine's address")?;
    // Nothing more is expected; should the engine print something all the same, it must not block on a full pipe.
    tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
    Ok(format!("http://{}", listening.address))
}

/// Starts a ClickHouse server with a configuration of our own, bound to this process.
async fn start_server(
    program: &Path,
    data: &DataDirectory,
    port: u16,
    password: &str,
) -> anyhow::Result<Clickhouse> {
    let port = if port == 0 { port::any_free()? } else { port };
    let directory = data.directory("clickhouse/server")?;
    // JSON is YAML, which the server takes.
    let config = directory.join("config.yaml");
    let text = serde_json::json!({
        "logger": { "level": "warning", "console": true },
        "listen_host": "127.0.0.1",
        "http_port": port,
        "path": directory.join("data"),
        "tmp_path": directory.join("tmp"),
        "users": { USER: { "password": password, "profile": "default", "quota": "default" } },
        "profiles": { "default": {} },
        "quotas": { "default": {} },
    });
    write_private(&config, &text.to_string())?;
    let mut command = bound::command(program)?;
    command.arg("server").arg("--config-file").arg(&config).current_dir(&directory);
    let mut part = Part::start("clickhouse", command, log_file(data)?)?;
    let url = format!("http://127.0.0.1:{port}");
    let client = access_log::Client::connect(&url, USER, password)?;
    tokio::select! {
        answered = answers(&client) => answered?,
        error = part.ended() => return Err(error),
    }
    Ok(Clickhouse { part, url, client })
}

async fn answers(client: &access_log::Client) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match client.ping().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context("wait for ClickHouse to answer");
            }
            Err(_) => sleep(START_INTERVAL).await,
        }
    }
}

fn log_file(data: &DataDirectory) -> anyhow::Result<PathBuf> {
    Ok(data.directory("log")?.join("clickhouse.log"))
}

fn find_library() -> anyhow::Result<PathBuf> {
    let named = env::var_os(LIBRARY_VARIABLE).map(PathBuf::from);
    match named.or_else(|| super::tool("lib/libchdb.so")) {
        Some(library) if library.is_file() => Ok(library),
        Some(library) => bail!("{LIBRARY_VARIABLE} names {}, which is no file", library.display()),
        None => bail!(
            "there is no ClickHouse: run `make tools` for the embedded engine, name its libchdb.so with \
             {LIBRARY_VARIABLE}, or use a running server with --clickhouse-url"
        ),
    }
}

/// A `clickhouse` on PATH, if it is a server of a release that we know.
async fn server_on_path() -> Option<PathBuf> {
    let program = super::on_path("clickhouse")?;
    let output = Command::new(&program).args(["server", "--version"]).output().await.ok()?;
    let version = parse_version(&String::from_utf8_lossy(&output.stdout));
    if version.is_none_or(|version| version < VERSION_MIN) {
        tracing::warn!(program = %program.display(), "is no ClickHouse server that is new enough, and is not used");
        return None;
    }
    Some(program)
}

/// From `ClickHouse server version 26.7.3.1 (official build).` to its first two numbers.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_once("version ")?.1.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_server_prints_them() {
        assert_eq!(parse_version("ClickHouse server version 26.7.3.1 (official build).\n"), Some((26, 7)));
        assert_eq!(parse_version("ClickHouse client 18.16"), None);
    }
}
