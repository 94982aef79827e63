//! A server elsewhere, for a proxied instance: takes every request, and tells what it was sent.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// More than the head of any request of these tests.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// It ends when it is dropped.
pub(crate) struct Upstream {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let url = format!("http://{}/mcp", listener.local_addr().expect("it has an address"));
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = heads.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    // Whoever hangs up has asked for nothing.
                    let Some(head) = read_request(&mut connection).await else { return };
                    kept.lock().expect("nobody panics while holding it").push(head);
                    let _ = connection.write_all(ACCEPTED).await;
                });
            }
        });
        Upstream { url, heads, task }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Start line and header fields of the last request, and forgets it.
    ///
    /// # Panics
    /// There was none.
    pub(crate) fn last_request(&self) -> String {
        let last = self.heads.lock().expect("nobody panics while holding it").pop();
        last.expect("the server elsewhere was asked")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads to the end of the body, so that whoever sends meets no closed connection; gives the head.
async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut read = vec![];
    loop {
        let mut chunk = [0; 4096];
        let count = connection.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&chunk[..count]);
        assert!(read.len() <= HEAD_BYTES_MAX, "a request of these tests is short");
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if is_whole(head, body) {
            return Some(head.to_owned());
        }
    }
}

/// Whether the body is there, in the form in which the gateway passes it on.
fn is_whole(head: &str, body: &str) -> bool {
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    match length {
        Some(length) => body.len() >= length,
        None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
    }
}
