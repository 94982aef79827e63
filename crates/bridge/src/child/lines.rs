//! Cuts a pipe into lines without copying them, in pieces of a bounded size where a line is longer than allowed.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Most bytes taken in one read.
const READ_BYTES: usize = 64 * 1024;
/// Lines up to this size share the buffer they were read into with others. A longer one gets it for itself, so that a
/// few bytes never keep a large buffer.
pub(crate) const SHARED_BYTES_MAX: usize = READ_BYTES;

/// A line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Without the line end.
    pub(crate) bytes: Bytes,
    /// Whether the line ends here.
    pub(crate) ends: bool,
}

pub(crate) struct LineReader<R> {
    pipe: R,
    buffer: BytesMut,
    /// Bytes at the front of the buffer that hold no line end.
    searched: usize,
    line_bytes_max: usize,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(pipe: R, line_bytes_max: usize) -> Self {
        Self { pipe, buffer: BytesMut::new(), searched: 0, line_bytes_max }
    }

    /// The next part; `None` at the end of the pipe. A last line without a line end is a line.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Part>> {
        loop {
            if let Some(part) = self.buffered() {
                return Ok(Some(part));
            }
            self.buffer.reserve(READ_BYTES);
            if self.pipe.read_buf(&mut (&mut self.buffer).limit(READ_BYTES)).await? == 0 {
                self.searched = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(Part { bytes: rest, ends: true }));
            }
        }
    }

    fn buffered(&mut self) -> Option<Part> {
        if let Some(at) = memchr(b'\n', &self.buffer[self.searched..]) {
            let end = self.searched + at;
            let mut bytes = if end > SHARED_BYTES_MAX {
                // What follows a line is less than one read.
                let rest = BytesMut::from(&self.buffer[end + 1..]);
                std::mem::replace(&mut self.buffer, rest)
            } else {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                line
            };
            bytes.truncate(end);
            self.searched = 0;
            if bytes.ends_with(b"\r") {
                bytes.truncate(bytes.len() - 1);
            }
            return Some(Part { bytes: bytes.freeze(), ends: true });
        }
        self.searched = self.buffer.len();
        (self.searched > self.line_bytes_max).then(|| {
            self.searched = 0;
            Part { bytes: self.buffer.split().freeze(), ends: false }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parts(input: &[u8], line_bytes_max: usize) -> Vec<(String, bool)> {
        let mut lines = LineReader::new(input, line_bytes_max);
        let mut parts = Vec::new();
        while let Some(part) = lines.next().await.unwrap() {
            parts.push((String::from_utf8(part.bytes.to_vec()).unwrap(), part.ends));
        }
        parts
    }

    #[tokio::test]
    async fn lines_end_at_line_feeds_and_at_the_end() {
        let expected = [("a", true), ("", true), ("b\rc", true), ("d", true)];
        let expected = expected.map(|(text, ends)| (text.to_owned(), ends));
        assert_eq!(parts(b"a\r\n\nb\rc\nd", 100).await, expected);
        assert_eq!(parts(b"", 100).await, []);
    }

    #[tokio::test]
    async fn a_long_line_leaves_those_after_it_whole() {
        let long = "x".repeat(3 * SHARED_BYTES_MAX);
        let input = format!("before\n{long}\r\n\nafter\n{long}\n{long}");
        let parts = parts(input.as_bytes(), input.len()).await;
        let lines: Vec<_> = parts.iter().map(|(text, _)| text.as_str()).collect();
        assert!(lines == ["before", &long, "", "after", &long, &long]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_comes_in_pieces() {
        let long = vec![b'x'; 3 * READ_BYTES];
        let input = [&long[..], b"\nshort\n"].concat();
        let parts = parts(&input, 1000).await;
        assert!(parts.iter().rev().skip(2).all(|(_, ends)| !ends));
        assert_eq!(parts.last(), Some(&("short".to_owned(), true)));
        let pieces: String = parts[..parts.len() - 1].iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(pieces.len(), long.len());
    }
}
