//! TCP keep-alive of both sides: a peer that went without a word (a machine that lost its power, a network that forgot
//! the connection) is noticed, and a quiet event stream stays known to the networks in between.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a connection is quiet before its peer is asked. Networks forget quiet connections after minutes.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// How long a peer has for each answer.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);
/// How many unanswered questions end a connection: with these values after two minutes.
pub(crate) const PROBES: u32 = 4;

/// Turns keep-alive on for an accepted connection.
pub(crate) fn turn_on(stream: &TcpStream) {
    let keep_alive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);
    // The connection works without it.
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&keep_alive) {
        tracing::debug!(%error, "turn on TCP keep-alive");
    }
}
