//! Ports that have to be free: a taken one is one clear error before anything is started.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::anyhow;

/// Takes an address for a role that listens in this process.
pub(super) fn listen(address: SocketAddr, what: &str, option: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| explain(error, address, what, option))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Checks a loopback port for a process that will listen on it; 0 is any free one.
pub(super) fn check_free(port: u16, what: &str, option: &str) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map(drop).map_err(|error| explain(error, address, what, option))
}

/// A loopback port that is free at this moment, for a program that cannot choose one itself.
pub(super) fn any_free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn explain(error: io::Error, address: SocketAddr, what: &str, option: &str) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address}, the address for {what}, is taken: end the program that listens there, or choose another with {option}"
        ),
        _ => anyhow::Error::from(error).context(format!("listen on {address} for {what} ({option})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_option() {
        let taken =
            listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "the api", "--api").expect("any port is free");
        let address = taken.local_addr().expect("it listens");
        let error = check_free(address.port(), "NATS", "--nats-port").expect_err("it is taken").to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--nats-port"), "{error}");
    }
}
