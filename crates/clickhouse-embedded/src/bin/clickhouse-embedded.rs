//! The engine as a process of its own, for the tests of this crate: `clickhouse-embedded LIBRARY DATA ADDRESS`, with the
//! password in `CLICKHOUSE_PASSWORD`. Users run `mcpcan clickhouse-embedded`.

use anyhow::Context;
use clickhouse_embedded::{Config, DEFAULT_MEMORY_BYTES_MAX};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |name| arguments.next().with_context(|| format!("the argument {name} is missing"));
    let config = Config {
        library: next("LIBRARY")?.into(),
        data: next("DATA")?.into(),
        listen: next("ADDRESS")?.to_str().context("ADDRESS is not text")?.parse().context("read ADDRESS")?,
        password: std::env::var("CLICKHOUSE_PASSWORD").unwrap_or_default(),
        memory_bytes_max: DEFAULT_MEMORY_BYTES_MAX,
        lifeline: true,
    };
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let cancel = shutdown.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        cancel.cancel();
    });
    clickhouse_embedded::run(config, shutdown).await
}
