//! A peer that went without a word is noticed: the kernel watches the connections of both sides.

use crate::harness::{Harness, path, until};
use crate::upstream::Upstream;

/// An established connection's state, and the timer that watches a quiet one, in proc_net_tcp(5).
const ESTABLISHED: &str = "01";
const KEEP_ALIVE_TIMER: &str = "02:";

/// Whether there are established connections from or to a port, all under a keep-alive timer. `end` is the column.
fn are_watched(end: usize, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("read the table of connections");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let port = format!(":{port:04X}");
    let mut timers = lines.filter(|line| line[3] == ESTABLISHED && line[end].ends_with(&port)).peekable();
    timers.peek().is_some() && timers.all(|line| line[5].starts_with(KEEP_ALIVE_TIMER))
}

#[tokio::test]
async fn the_connections_of_a_quiet_stream_are_watched() {
    const LOCAL: usize = 1;
    const REMOTE: usize = 2;
    let (upstream, mut opened) = Upstream::streams().await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let _stream = harness.client().stream(&path(instance), &token.credential).await;
    let _quiet = opened.recv().await.expect("the upstream was called");
    let (accepted, connected) = (harness.gateway.address.port(), upstream.address.port());
    // What has just been sent has a timer of its own until it is acknowledged.
    until("the client's connection to be watched", || async { are_watched(LOCAL, accepted).then_some(()) })
        .await;
    until("the upstream's connection to be watched", || async {
        are_watched(REMOTE, connected).then_some(())
    })
    .await;
}
