//! Which formats can be streamed, and how the engine's chunks become one output.
//!
//! The engine writes each chunk of a streamed `SELECT` as an output of its own. For formats without beginning and end
//! that is the same as one output. `RowBinaryWithNamesAndTypes`, which client libraries read, repeats its header, and
//! the repetition is cut off here. Any other format (JSON, Parquet …) is not streamed.

use bytes::Bytes;

use crate::exception::Exception;

/// Formats whose output is the same in one piece or in several.
const SEAMLESS: [&str; 9] = [
    "CSV",
    "JSONCompactEachRow",
    "JSONEachRow",
    "Native",
    "RowBinary",
    "TSV",
    "TSVRaw",
    "TabSeparated",
    "TabSeparatedRaw",
];

const WITH_HEADER: &str = "RowBinaryWithNamesAndTypes";

/// Joins the chunks of one answer.
pub(crate) enum Joiner {
    Seamless,
    /// The header of the first chunk, once it is there.
    WithHeader(Option<Bytes>),
}

impl Joiner {
    /// `None` for a format that cannot be streamed.
    pub(crate) fn of(format: &str) -> Option<Self> {
        if SEAMLESS.contains(&format) {
            return Some(Self::Seamless);
        }
        (format == WITH_HEADER).then_some(Self::WithHeader(None))
    }

    /// What of `chunk` belongs into the answer.
    pub(crate) fn join(&mut self, chunk: Bytes) -> Result<Bytes, Exception> {
        let Self::WithHeader(header) = self else { return Ok(chunk) };
        match header {
            None => {
                let length = header_length(&chunk).ok_or_else(Exception::no_answer)?;
                *header = Some(chunk.slice(..length));
                Ok(chunk)
            }
            Some(header) if chunk.starts_with(header) => Ok(chunk.slice(header.len()..)),
            Some(_) => Err(Exception::no_answer()),
        }
    }
}

/// The length of the number of columns, their names and their types: a varint, then that many texts, twice.
fn header_length(chunk: &[u8]) -> Option<usize> {
    let mut position = 0;
    let columns = varint(chunk, &mut position)?;
    for _text in 0..columns.checked_mul(2)? {
        position = varint(chunk, &mut position)?.checked_add(position)?;
        if position > chunk.len() {
            return None;
        }
    }
    Some(position)
}

/// An unsigned LEB128 number at `position`, which is moved behind it.
fn varint(bytes: &[u8], position: &mut usize) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = *bytes.get(*position)?;
        *position += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\x02\x01a\x02bc\x05UInt8\x06String";

    #[test]
    fn a_repeated_header_is_cut_off() {
        let mut joiner = Joiner::of("RowBinaryWithNamesAndTypes").unwrap();
        let first = Bytes::from([HEADER, b"\x01\x00"].concat());
        assert_eq!(joiner.join(first.clone()).unwrap(), first);
        assert_eq!(joiner.join(Bytes::from([HEADER, b"\x02\x00"].concat())).unwrap(), b"\x02\x00".as_slice());
        assert!(joiner.join(Bytes::from_static(b"\x02\x00")).is_err());
    }

    #[test]
    fn a_cut_header_is_noticed() {
        for length in 0..HEADER.len() {
            assert_eq!(header_length(&HEADER[..length]), None);
        }
        assert_eq!(header_length(HEADER), Some(HEADER.len()));
        assert_eq!(header_length(&[0xff; 20]), None);
    }

    #[test]
    fn a_format_with_an_end_is_not_streamed() {
        for format in ["JSON", "Parquet", "CSVWithNames", "Pretty", ""] {
            assert!(Joiner::of(format).is_none(), "{format}");
        }
    }
}
