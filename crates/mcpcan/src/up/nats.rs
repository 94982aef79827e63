//! The nats-server beside the roles: found, started with the configuration of `nats/`, waited for.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::part::Part;
use super::port;
use crate::bound;
use crate::data_directory::{DataDirectory, write_private};
use crate::nats_users::Passwords;

/// Names a nats-server to use before all others.
const PROGRAM_VARIABLE: &str = "MCPCAN_NATS_SERVER";
/// Atomic batches and asynchronous persistence came with it.
const VERSION_MIN: (u32, u32) = (2, 12);
/// How long the server may take to read its streams and listen.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often its sign of life is looked for meanwhile.
const START_INTERVAL: Duration = Duration::from_millis(20);

/// A running nats-server and the way in.
pub(super) struct Nats {
    pub(super) part: Part,
    pub(super) url: String,
    pub(super) passwords: Passwords,
}

/// What nats-server writes into its ports file once it accepts connections.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// Starts a server on loopback; port 0 is any free one. Returns when it accepts connections.
pub(super) async fn start(data: &DataDirectory, port: u16) -> anyhow::Result<Nats> {
    let program = find_program().await?;
    port::check_free(port, "NATS", "--nats-port")?;
    let directory = data.directory("nats")?;
    let ports = data.directory("nats/ports")?;
    forget_ports(&ports)?;
    let passwords = Passwords::keep(&directory.join("users"))?;
    let config = directory.join("server.conf");
    let text = format!(
        "{}\nlisten: {}\nports_file_dir: {}\n\n{}",
        store::provision::SERVER_CONFIG,
        quoted(&format!("127.0.0.1:{}", if port == 0 { "-1".to_owned() } else { port.to_string() })),
        quoted(&ports.to_string_lossy()),
        passwords.config(),
    );
    write_private(&config, &text)?;

    let mut command = bound::command(&program)?;
    command.arg("--config").arg(&config).arg("--store_dir").arg(directory.join("store"));
    let mut part = Part::start("nats-server", command, data.directory("log")?.join("nats-server.log"))?;
    let url = tokio::select! {
        url = listening(&ports, part.pid()) => url?,
        error = part.ended() => return Err(error),
    };
    Ok(Nats { part, url, passwords })
}

/// Waits for the ports file, which nats-server writes when it accepts connections.
async fn listening(ports: &Path, pid: Option<u32>) -> anyhow::Result<String> {
    let file = ports.join(format!("nats-server_{}.ports", pid.unwrap_or_default()));
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        // Read until it is whole: the server does not write it in one go.
        let written = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Ports>(&text).ok());
        if let Some(url) = written.and_then(|ports| ports.nats.into_iter().next()) {
            return Ok(url);
        }
        sleep(START_INTERVAL).await;
    }
    bail!("nats-server does not accept connections after {} s", START_TIMEOUT.as_secs())
}

/// Removes what a server that was killed left behind.
fn forget_ports(ports: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(ports).with_context(|| format!("read {}", ports.display()))?.flatten() {
        std::fs::remove_file(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
    }
    Ok(())
}

/// A text in double quotes, as the server's configuration takes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The server that is named, one on PATH that is new enough, or the one that `make tools` fetched.
async fn find_program() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os(PROGRAM_VARIABLE).map(PathBuf::from) {
        let version = version_of(&named).await.with_context(|| format!("use {PROGRAM_VARIABLE}"))?;
        check_version(&named, version)?;
        return Ok(named);
    }
    let mut unusable = None;
    for program in super::on_path("nats-server").into_iter().chain(super::tool("bin/nats-server")) {
        match version_of(&program).await.and_then(|version| check_version(&program, version)) {
            Ok(()) => return Ok(program),
            Err(error) => unusable = Some(error),
        }
    }
    let help = format!(
        "run `make tools`, name one with {PROGRAM_VARIABLE}, or use a running server with --nats-url"
    );
    match unusable {
        Some(error) => Err(error.context(format!("no nats-server can be used: {help}"))),
        None => bail!("there is no nats-server: {help}"),
    }
}

async fn version_of(program: &Path) -> anyhow::Result<(u32, u32)> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .await
        .with_context(|| format!("run {} --version", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text).with_context(|| format!("{} does not tell its version", program.display()))
}

/// From `nats-server: v2.15.1` to its first two numbers.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().rsplit_once('v')?.1.split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn check_version(program: &Path, version: (u32, u32)) -> anyhow::Result<()> {
    if version < VERSION_MIN {
        let ((major, minor), (major_min, minor_min)) = (version, VERSION_MIN);
        bail!("{} is version {major}.{minor}, at least {major_min}.{minor_min} is needed", program.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_server_prints_them() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.12.0-RC.3\n"), Some((2, 12)));
        assert_eq!(parse_version("something else\n"), None);
    }

    #[test]
    fn texts_keep_their_quotes_in_the_configuration() {
        assert_eq!(quoted(r#"/a "b"\c"#), r#""/a \"b\"\\c""#);
    }
}
