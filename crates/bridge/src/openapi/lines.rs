//! Lines in and out: each message of the bridge is worked on beside the others, and each answer is one line.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::rc::Rc;

use anyhow::Context as _;
use mcp::message::{self, Body, Id, Message};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};

use super::server::Server;

/// Answers that wait to be written.
const ANSWERS_MAX: usize = 64;

type Running = Rc<RefCell<HashMap<String, AbortHandle>>>;

/// Says something for the log of the instance.
pub(super) fn log(text: &str) {
    // Nobody reads what cannot be written.
    drop(writeln!(std::io::stderr(), "{text}"));
}

pub(super) async fn serve(server: Rc<Server>) -> anyhow::Result<()> {
    let (answers, mut written) = mpsc::channel::<String>(ANSWERS_MAX);
    let writer = spawn_local(async move {
        let mut stdout = tokio::io::stdout();
        while let Some(mut line) = written.recv().await {
            line.push('\n');
            if stdout.write_all(line.as_bytes()).await.is_err() || stdout.flush().await.is_err() {
                return;
            }
        }
    });
    let mut stdin = BufReader::new(tokio::io::stdin());
    let running = Running::default();
    loop {
        let mut line = vec![];
        // The bridge bounds what it takes from clients, and nobody else writes here.
        if stdin.read_until(b'\n', &mut line).await.context("read stdin")? == 0 {
            break;
        }
        take(&server, &running, &answers, line);
    }
    // Whoever closed stdin waits for no answer any more.
    running.borrow_mut().drain().for_each(|(_, call)| call.abort());
    drop(answers);
    drop(writer.await);
    Ok(())
}

/// Begins with a message, or ends a call that is given up.
fn take(server: &Rc<Server>, running: &Running, answers: &mpsc::Sender<String>, line: Vec<u8>) {
    let id = match message::parse(&line) {
        Ok(Body::One(Message::Request(request))) => request.id.get().to_owned(),
        Ok(Body::One(Message::Notification(notification))) => {
            if let Some(id) = cancelled(&notification)
                && let Some(call) = running.borrow_mut().remove(&id)
            {
                call.abort();
            }
            return;
        }
        Ok(Body::One(Message::Response(_)) | Body::Batch(_)) | Err(_) => return,
    };
    let (server, calls, answers, key) = (server.clone(), running.clone(), answers.clone(), id.clone());
    let call = spawn_local(async move {
        if let Ok(Body::One(Message::Request(request))) = message::parse(&line) {
            let answer = server.answer(&request).await;
            // The bridge has ended if nobody takes it.
            drop(answers.send(answer).await);
        }
        calls.borrow_mut().remove(&key);
    });
    // It has not begun yet: that happens when this thread waits for something.
    running.borrow_mut().insert(id, call.abort_handle());
}

/// The id of the call that a notification gives up.
fn cancelled(notification: &message::Notification<'_>) -> Option<String> {
    let params = notification.params.filter(|_| notification.method == "notifications/cancelled")?;
    let id = &params.get()[mcp::splice::find(params.get(), &["requestId"])?];
    Id::read_text(id).map(|_| id.to_owned())
}
