//! nginx as a plain reverse proxy: the peer of the gateway.

use std::fs;

use harness::free_address;
use tempfile::TempDir;
use tokio::process::Command;

use crate::mcp_client::Target;
use crate::servers::{Server, target};

/// A running nginx with its files.
pub(crate) struct Nginx {
    pub(crate) server: Server,
    _directory: TempDir,
}

impl Nginx {
    /// Starts one in front of `upstream`.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    pub(crate) async fn start(upstream: &Target) -> Self {
        let directory = tempfile::tempdir().expect("make a directory");
        let (address, path) = (free_address(), directory.path());
        let config = include_str!("nginx.conf")
            .replace("DIRECTORY", &path.display().to_string())
            .replace("UPSTREAM", &upstream.address.to_string())
            .replace("LISTEN", &address.to_string());
        let file = path.join("nginx.conf");
        fs::write(&file, config).expect("write the configuration");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(path).arg("-e").arg(path.join("error.log")).arg("-c").arg(file);
        Nginx { server: Server::start(command, target(address, &upstream.path)).await, _directory: directory }
    }
}
