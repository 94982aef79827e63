//! The tasks between a child's pipes and its session, and the one that sees the child to its end.

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

use super::{Ending, STDIN_MESSAGES_MAX, Session};
use crate::child::{Child, LineReader, Process};
use crate::report::{Report, Source, TEXT_BYTES_MAX};
use crate::serve::Bridge;

/// Time to read what a child has written before it exited. It ends earlier unless something that left the child's group
/// holds the pipe open.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// Time between a child's closing a pipe and its exit, after which it is taken not to mean to exit.
const EXIT_GRACE: Duration = Duration::from_millis(250);
/// Messages below this size are gathered into one write.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

pub(super) fn start(
    bridge: &Rc<Bridge>,
    session: &Rc<Session>,
    child: Child,
    messages: mpsc::Receiver<Bytes>,
) {
    let Child { stdin, stdout, stderr, process } = child;
    let writer = spawn_local(write_messages(session.clone(), messages, stdin));
    let stdout = LineReader::new(stdout, bridge.config.line_bytes_max);
    let reader = spawn_local(read_messages(session.clone(), stdout, bridge.report.clone()));
    let log = spawn_local(read_log(LineReader::new(stderr, TEXT_BYTES_MAX), bridge.report.clone()));
    let tasks = Tasks { writer, reader, log };
    bridge.children.spawn_local(supervise(bridge.clone(), session.clone(), process, tasks));
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
async fn supervise(bridge: Rc<Bridge>, session: Rc<Session>, mut process: Process, mut tasks: Tasks) {
    tokio::select! {
        () = process.exited() => {}
        () = tasks.pipe_closed() => {
            if timeout(EXIT_GRACE, process.exited()).await.is_err() {
                session.end(Ending::PipeClosed);
                process.end().await;
            }
        }
        () = session.over_signal.notified() => process.end().await,
    }
    // What the child had started must not hold its pipes open any longer.
    process.end_group();
    // The last answers of a child that exited may still be in the pipe.
    if session.over().is_none() && !tasks.reader.is_finished() {
        drop(timeout(DRAIN_GRACE, &mut tasks.reader).await);
    }
    let exit = process.reap();
    session.end(exit.as_ref().map_or(Ending::PipeClosed, |exit| Ending::Exited(*exit)));
    bridge.forget(&session);
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

/// Writes messages to the child, one a line, until the session is over or the child reads no more.
async fn write_messages(session: Rc<Session>, mut messages: mpsc::Receiver<Bytes>, mut stdin: pipe::Sender) {
    let mut batch = Vec::new();
    let mut lines = BytesMut::new();
    while messages.recv_many(&mut batch, STDIN_MESSAGES_MAX).await > 0 {
        if let Err(error) = write_batch(&mut stdin, &mut lines, &mut batch).await {
            tracing::debug!(%error, session = session.id(), "the child's stdin is closed");
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
async fn read_messages(session: Rc<Session>, mut stdout: LineReader<pipe::Receiver>, report: Report) {
    let mut too_long: Option<(Scanner, u64)> = None;
    loop {
        let part = match stdout.next().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, session = session.id(), "cannot read a child's stdout");
                break;
            }
        };
        if too_long.is_none() && part.ends {
            if !part.bytes.trim_ascii().is_empty() {
                session.deliver(&part.bytes, &report);
                // While it waits, the line is not held beside the messages in it.
                drop(part);
                session.may_say_more().await;
            }
            continue;
        }
        let (scanner, bytes) = too_long.get_or_insert_default();
        scanner.feed(&part.bytes);
        *bytes += part.bytes.len() as u64;
        if part.ends
            && let Some((scanner, bytes)) = too_long.take()
        {
            session.deliver_too_long(scanner, bytes, &report);
        }
    }
}

async fn read_log(mut stderr: LineReader<pipe::Receiver>, report: Report) {
    while let Ok(Some(part)) = stderr.next().await {
        report.line(Source::Stderr, &part.bytes);
    }
}
