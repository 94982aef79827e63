//! Lines of bounded length out of a stream that nobody can trust to send any.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// A line without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
    /// How many more bytes the line had than were kept.
    pub(crate) cut: usize,
}

/// The next line, or none at the end of the stream. Keeps at most `bytes_max` bytes and reads the rest away.
///
/// # Errors
/// Reading failed.
pub(crate) async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    bytes_max: usize,
) -> std::io::Result<Option<Line>> {
    let mut line = Line { bytes: vec![], cut: 0 };
    let mut begun = false;
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(begun.then_some(line).map(without_carriage_return));
        }
        begun = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        let kept = part.len().min(bytes_max - line.bytes.len());
        line.bytes.extend_from_slice(&part[..kept]);
        line.cut += part.len() - kept;
        let consumed = part.len() + usize::from(end.is_some());
        reader.consume(consumed);
        if end.is_some() {
            return Ok(Some(without_carriage_return(line)));
        }
    }
}

fn without_carriage_return(mut line: Line) -> Line {
    if line.cut == 0 && line.bytes.ends_with(b"\r") {
        line.bytes.pop();
    }
    line
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    async fn lines(text: &str, bytes_max: usize) -> Vec<(String, usize)> {
        // A buffer smaller than the lines, so that they come in parts.
        let mut reader = BufReader::with_capacity(4, text.as_bytes());
        let mut lines = vec![];
        while let Some(line) = next_line(&mut reader, bytes_max).await.unwrap() {
            lines.push((String::from_utf8(line.bytes).unwrap(), line.cut));
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_cut_at_the_bound_and_the_next_one_is_whole() {
        let expected = [("first line".to_owned(), 4), ("second".to_owned(), 0)];
        assert_eq!(lines("first line end\nsecond\n", 10).await, expected);
    }

    #[tokio::test]
    async fn the_last_line_needs_no_end_and_an_empty_one_counts() {
        let expected = [(String::new(), 0), ("a".to_owned(), 0), ("b".to_owned(), 0)];
        assert_eq!(lines("\na\r\nb", 10).await, expected);
        assert_eq!(lines("", 10).await, []);
    }
}
