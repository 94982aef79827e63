//! Follows what a pod writes, without a gap and without a double: across lost connections, restarts of its container,
//! and from one worker to the next.
//!
//! The cluster stamps every line with a time. The lines go to the log stream with that time, under a subject of the
//! replica's own; so the last message there says from where on the next one has to read.

use std::time::Duration;

use access_log::{ContainerLine, Stream};
use domain::{InstanceId, ReplicaId};
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::api::LogParams;
use service::CancellationToken;
use store::{DataStream, Store};
use tokio::time::sleep;

use super::cluster::Cluster;
use super::manifest::SERVER;
use crate::local::Message;
use crate::logs::{LineSender, Log, replica_source};

/// The pause before a log is asked for again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a log that was told to end is read to its end.
const LAST_LINES_MAX: Duration = Duration::from_secs(10);
/// Marks what the bridge itself has to say.
const OWN_LINES: &str = "[mcpcan-bridge] ";

/// A pod whose log is followed.
pub(crate) struct Source {
    pub(crate) instance: InstanceId,
    pub(crate) replica: ReplicaId,
    pub(crate) pod: String,
}

/// How far the log is known: the time of the last line, and how many lines have that same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    last: Option<Timestamp>,
    count: usize,
}

/// Follows until `gone` is cancelled, which says that the pod writes no more, and all that it wrote is read.
pub(crate) async fn follow(store: Store, cluster: Cluster, source: Source, gone: CancellationToken) {
    let mut position = known(&store, &source).await;
    let log = Log::follow(&store, source.instance, source.replica);
    let lines = log.sender();
    loop {
        let is_last = gone.is_cancelled();
        let read = read_on(&cluster, &source, &mut position, &lines);
        tokio::select! {
            () = read => {}
            () = async { gone.cancelled().await; sleep(LAST_LINES_MAX).await } => break,
        }
        if is_last {
            break;
        }
        tokio::select! { () = sleep(PAUSE) => {} () = gone.cancelled() => {} }
    }
    log.close().await;
}

/// What its container wrote before it was started anew is the older part. Most have none, and say so as an error.
async fn read_on(cluster: &Cluster, source: &Source, position: &mut Position, lines: &LineSender) {
    for previous in [true, false] {
        if let Err(error) = read(cluster, source, previous, position, lines).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, pod = source.pod, previous, "read the log of a pod");
        }
    }
}

/// What the stream has of this replica.
async fn known(store: &Store, source: &Source) -> Position {
    let subject = replica_source(source.instance, source.replica);
    let rows = loop {
        match store.last_rows(DataStream::Logs, &subject).await {
            Ok(rows) => break rows,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "ask what is known of a log; trying again"
                );
                sleep(PAUSE).await;
            }
        }
    };
    // Rows that cannot be read are not ours; the worst that can come of it is that lines come twice.
    let lines = rows.and_then(|rows| store::decode::<Vec<ContainerLine>>(&rows).ok()).unwrap_or_default();
    let mut position = Position::default();
    for line in lines {
        position.pass(line.time);
    }
    position
}

impl Position {
    fn pass(&mut self, time: Timestamp) {
        let count = if self.last == Some(time) { self.count + 1 } else { 1 };
        *self = Position { last: Some(time), count };
    }
}

/// Reads on from a position until the log ends. A container that was started anew has a log before its own.
async fn read(
    cluster: &Cluster,
    source: &Source,
    previous: bool,
    position: &mut Position,
    lines: &LineSender,
) -> Result<(), kube::Error> {
    let parameters = LogParams {
        container: Some(SERVER.to_owned()),
        follow: !previous,
        previous,
        since_time: position.last.map(whole_second),
        timestamps: true,
        ..LogParams::default()
    };
    let stream = cluster.pods().log_stream(&source.pod, &parameters).await?;
    let mut read = Box::pin(stream).lines();
    let begun = *position;
    let mut same = 0;
    loop {
        lines.has_room().await;
        let Some(line) = read.try_next().await.map_err(kube::Error::ReadEvents)? else { return Ok(()) };
        // Without a time it is no line of the server's: the cluster says that it has none.
        let (time, text) = line.split_once(' ').unwrap_or((&line, ""));
        let Ok(time) = time.parse::<Timestamp>() else { continue };
        // The cluster goes back to the beginning of the second.
        if begun.last.is_some_and(|last| time < last) {
            continue;
        }
        if begun.last == Some(time) {
            same += 1;
            if same <= begun.count {
                continue;
            }
        }
        position.pass(time);
        push(lines, time, text);
    }
}

/// The second that a time lies in. The client would round it to the nearest one, and half a second of lines be missing.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The bridge writes what the server wrote as messages, and what it has to say itself as text.
fn push(lines: &LineSender, time: Timestamp, text: &str) {
    match serde_json::from_str::<Message>(text) {
        Ok(Message::Line { stream, text, .. }) => lines.push(time, stream, text),
        Ok(Message::Listening { .. } | Message::ChildExited(_) | Message::Probed(_) | Message::Unknown) => {}
        Err(_) => lines.push(time, Stream::Stderr, format!("{OWN_LINES}{text}")),
    }
}
