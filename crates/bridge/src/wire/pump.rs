//! The tasks between a child's pipes and its owner, and the one that sees the child to its end.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use mcp::scan::Scanner;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::{Ending, Wire};
use crate::broken;
use crate::child::{Child, LineReader, Process};
use crate::report::{Report, Source, TEXT_BYTES_MAX};
use crate::serve::Bridge;

/// Time to read what a child has written before it exited. It ends earlier unless something that left the child's group
/// holds the pipe open.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// Time between a child's closing a pipe and its exit, after which it is taken not to mean to exit.
const EXIT_GRACE: Duration = Duration::from_millis(250);
/// Messages that are written to a child in one go.
const BATCH_MESSAGES_MAX: usize = 64;
/// Messages below this size are gathered into one write.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// Time after which a full owner is looked at again: that a client has left frees nothing by itself, but what was kept
/// for it can be dropped then.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn start(
    bridge: &Rc<Bridge>,
    wire: &Rc<Wire>,
    child: Child,
    messages: mpsc::UnboundedReceiver<Bytes>,
) {
    let Child { stdin, stdout, stderr, process } = child;
    let writer = spawn_local(write_messages(messages, stdin));
    let stdout = LineReader::new(stdout, bridge.config.line_bytes_max);
    let reader = spawn_local(read_messages(wire.clone(), stdout, bridge.report.clone()));
    let log = spawn_local(read_log(LineReader::new(stderr, TEXT_BYTES_MAX), bridge.report.clone()));
    let tasks = Tasks { writer, reader, log };
    bridge.children.spawn_local(supervise(bridge.clone(), wire.clone(), process, tasks));
}

struct Tasks {
    writer: JoinHandle<()>,
    reader: JoinHandle<()>,
    log: JoinHandle<()>,
}

impl Tasks {
    /// Waits until the child has closed its stdin or its stdout.
    async fn pipe_closed(&mut self) {
        tokio::select! {
            _ = &mut self.writer => {}
            _ = &mut self.reader => {}
        }
    }
}

/// Waits for the end of the session or of the child, whichever comes first, and sees to the other.
async fn supervise(bridge: Rc<Bridge>, wire: Rc<Wire>, mut process: Process, mut tasks: Tasks) {
    tokio::select! {
        () = process.exited() => {}
        () = tasks.pipe_closed() => {
            if timeout(EXIT_GRACE, process.exited()).await.is_err() {
                end(&bridge, &wire, Ending::PipeClosed);
                process.end().await;
            }
        }
        () = wire.over_signal.notified() => process.end().await,
    }
    // What the child had started must not hold its pipes open any longer.
    process.end_group();
    // The last answers of a child that exited may still be in the pipe.
    if wire.over().is_none() && !tasks.reader.is_finished() {
        drop(timeout(DRAIN_GRACE, &mut tasks.reader).await);
    }
    let exit = process.reap();
    end(&bridge, &wire, exit.as_ref().map_or(Ending::PipeClosed, |exit| Ending::Exited(*exit)));
    drop(timeout(DRAIN_GRACE, &mut tasks.log).await);
    tasks.writer.abort();
    tasks.reader.abort();
    tasks.log.abort();
    process.group_gone().await;
    match exit {
        Ok(exit) => bridge.report.child_exited(exit.code, exit.signal).await,
        Err(error) => tracing::error!(%error, "cannot wait for a child"),
    }
}

/// Tells the owner once that the child is over, and for what reason first.
fn end(bridge: &Bridge, wire: &Wire, ending: Ending) {
    wire.end(ending);
    if let (Some(owner), Some(ending)) = (wire.owner.take(), wire.over()) {
        owner.ended(bridge, ending);
    }
}

/// Writes messages to the child, one a line, until the wire ends or the child reads no more.
async fn write_messages(mut messages: mpsc::UnboundedReceiver<Bytes>, mut stdin: pipe::Sender) {
    let mut batch = Vec::new();
    let mut lines = BytesMut::new();
    while messages.recv_many(&mut batch, BATCH_MESSAGES_MAX).await > 0 {
        if let Err(error) = write_batch(&mut stdin, &mut lines, &mut batch).await {
            tracing::debug!(%error, "the child's stdin is closed");
            return;
        }
    }
}

async fn write_batch(
    stdin: &mut pipe::Sender,
    lines: &mut BytesMut,
    batch: &mut Vec<Bytes>,
) -> io::Result<()> {
    for message in batch.drain(..) {
        if message.len() >= GATHERED_BYTES_MAX {
            stdin.write_all_buf(lines).await?;
            stdin.write_all(&message).await?;
        } else {
            lines.put_slice(&message);
        }
        lines.put_u8(b'\n');
    }
    stdin.write_all_buf(lines).await
}

/// Reads messages of the child until its stdout ends.
async fn read_messages(wire: Rc<Wire>, mut stdout: LineReader<pipe::Receiver>, report: Report) {
    let mut too_long: Option<(Scanner, u64)> = None;
    loop {
        let part = match stdout.next().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "cannot read a child's stdout");
                break;
            }
        };
        if too_long.is_none() && part.ends {
            if !part.bytes.trim_ascii().is_empty() {
                match wire.owner() {
                    Some(owner) => owner.deliver(&part.bytes, &report),
                    None => broken::unowned(&part.bytes, &report),
                }
                // While it waits, the line is not held beside the messages in it.
                drop(part);
                may_say_more(&wire).await;
            }
            continue;
        }
        let (scanner, bytes) = too_long.get_or_insert_default();
        scanner.feed(&part.bytes);
        *bytes += part.bytes.len() as u64;
        if part.ends
            && let Some((scanner, bytes)) = too_long.take()
        {
            wire.owner().inspect(|owner| owner.deliver_too_long(scanner, bytes, &report));
        }
    }
}

/// Waits until the child may say more. What it has not read does not count: it may have to be read before it reads.
async fn may_say_more(wire: &Wire) {
    while wire.over().is_none()
        && let Some(owner) = wire.owner()
        && owner.is_full()
    {
        // Both outcomes mean to look again.
        drop(timeout(LOOK_INTERVAL, owner.outgoing().freed()).await);
    }
}

async fn read_log(mut stderr: LineReader<pipe::Receiver>, report: Report) {
    while let Ok(Some(part)) = stderr.next().await {
        report.line(Source::Stderr, &part.bytes);
    }
}
