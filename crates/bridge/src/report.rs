//! What the worker is told: one JSON object a line on stdout.
//!
//! The children's lines pass through here. When the worker reads more slowly than they write, lines are left out and
//! counted: a child must never stall because its log does.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use jiff::Timestamp;
use mcp::protocol::Revision;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Records that wait for stdout.
const QUEUE_RECORDS_MAX: usize = 1024;
/// Bytes of text in a record; a longer line is cut at a character.
pub(crate) const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Where a line was written.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record<'a> {
    Listening {
        address: SocketAddr,
    },
    Line {
        time: Timestamp,
        stream: Source,
        text: &'a str,
    },
    ChildExited {
        code: Option<i32>,
        signal: Option<i32>,
    },
    /// Which eras the server speaks: whether it has sessions, and its newest revision without them.
    Probed {
        sessions: bool,
        stateless: Option<&'a str>,
    },
}

/// The sending side, shared by everything that has something to tell.
#[derive(Clone)]
pub(crate) struct Report {
    queue: mpsc::Sender<Vec<u8>>,
    left_out: Rc<Cell<u64>>,
}

impl Report {
    /// Starts the writer, which ends when every clone of the report is gone.
    pub(crate) fn start() -> (Self, JoinHandle<()>) {
        let (queue, records) = mpsc::channel(QUEUE_RECORDS_MAX);
        let writer = tokio::task::spawn_local(async move {
            if let Err(error) = write(records).await {
                tracing::warn!(%error, "nobody reads stdout any more");
            }
        });
        (Self { queue, left_out: Rc::default() }, writer)
    }

    pub(crate) async fn listening(&self, address: SocketAddr) {
        self.send(&Record::Listening { address }).await;
    }

    /// A line that a child wrote, without its line end. A long one becomes several.
    pub(crate) fn line(&self, stream: Source, text: &[u8]) {
        let time = Timestamp::now();
        let text = String::from_utf8_lossy(text);
        let mut rest = &*text;
        loop {
            let (text, more) = rest.split_at(rest.floor_char_boundary(TEXT_BYTES_MAX));
            self.offer(&Record::Line { time, stream, text });
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    /// Something about a child that the user of the instance should read in its log.
    pub(crate) fn note(&self, text: &str) {
        self.line(Source::Stderr, format!("mcpcan-bridge: {text}").as_bytes());
    }

    pub(crate) async fn probed(&self, sessions: bool, stateless: Option<Revision>) {
        self.send(&Record::Probed { sessions, stateless: stateless.map(Revision::as_str) }).await;
    }

    pub(crate) async fn child_exited(&self, code: Option<i32>, signal: Option<i32>) {
        self.send(&Record::ChildExited { code, signal }).await;
    }

    fn offer(&self, record: &Record<'_>) {
        let left_out = self.left_out.get();
        if left_out > 0 {
            let text = format!("mcpcan-bridge: {left_out} lines left out, the log was not read in time");
            let note = Record::Line { time: Timestamp::now(), stream: Source::Stderr, text: &text };
            if self.queue.try_send(encoded(&note)).is_ok() {
                self.left_out.set(0);
            }
        }
        if self.queue.try_send(encoded(record)).is_err() {
            self.left_out.set(self.left_out.get() + 1);
        }
    }

    async fn send(&self, record: &Record<'_>) {
        // Without a reader there is nobody to tell.
        drop(self.queue.send(encoded(record)).await);
    }
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).expect("texts and numbers always serialise");
    line.push(b'\n');
    line
}

async fn write(mut records: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut stdout = tokio::io::stdout();
    let mut batch = Vec::new();
    while records.recv_many(&mut batch, QUEUE_RECORDS_MAX).await > 0 {
        stdout.write_all(&batch.concat()).await?;
        stdout.flush().await?;
        batch.clear();
    }
    Ok(())
}
