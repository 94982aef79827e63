//! `clickhouse-embedded`: the embedded ClickHouse engine as a process of its own. `up` starts it; a person may too.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clickhouse_embedded::{Config, DEFAULT_MEMORY_BYTES_MAX};
use service::tracing_setup::LogFormat;

use crate::backing::read_secret;
use crate::failure::Failure;
use crate::role::LOG_FILTER;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The engine's library, libchdb.so.
    #[arg(long, value_name = "FILE")]
    library: PathBuf,
    /// A loopback address, as IP:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A file that holds the password of the user `default`; without it none is asked for.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Memory for all statements together, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MEMORY_BYTES_MAX)]
    memory: u64,
    /// End when standard input does: whoever started this is gone then.
    #[arg(long)]
    lifeline: bool,
    /// How diagnostics are written to stderr.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

pub(crate) fn run(arguments: Arguments, data: Option<PathBuf>) -> Result<(), Failure> {
    service::tracing_setup::init(arguments.log_format, LOG_FILTER)?;
    let data = data.ok_or_else(|| {
        Failure::Usage("--data is missing: where does the engine keep its data?".to_owned())
    })?;
    let password = arguments.password_file.as_deref().map(read_secret).transpose()?.unwrap_or_default();
    let config = Config {
        library: arguments.library,
        data,
        listen: arguments.listen,
        password: password.to_string(),
        memory_bytes_max: arguments.memory,
        lifeline: arguments.lifeline,
    };
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    Ok(runtime.block_on(async {
        let shutdown = service::shutdown::on_signal().context("listen for signals")?;
        clickhouse_embedded::run(config, shutdown).await
    })?)
}
