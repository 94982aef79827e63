//! The header fields of one message, packed: what the log may need of them, copied once on the thread that serves the
//! request. Masking comes later, elsewhere; until then this is as secret as the request.

use domain::instance::Capture;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use mcp::session::{PROTOCOL_VERSION, SESSION_ID};

/// How many fields of a message are recorded.
pub(super) const FIELDS_MAX: usize = 64;
/// How much of each value is recorded, in bytes.
pub(super) const FIELD_BYTES_MAX: usize = 512;
/// How much of all names and values is recorded, in bytes.
pub(super) const FIELDS_BYTES_MAX: usize = 8 * 1024;
/// The longest credential that is known when it stands elsewhere in the call too, in bytes.
const CREDENTIAL_BYTES_MAX: usize = 8 * 1024;

/// What is kept of every request: credentials, to find them where they do not belong, and what has columns of its own.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    SESSION_ID,
];
const COLUMNS: [HeaderName; 3] = [header::USER_AGENT, header::CONTENT_TYPE, PROTOCOL_VERSION];

/// Names and values, one after the other.
#[derive(Default)]
pub(crate) struct Head {
    bytes: Vec<u8>,
}

impl Head {
    /// Of a message whose rows hold as much.
    pub(crate) fn of(headers: &HeaderMap, capture: Capture) -> Self {
        let mut head = Self { bytes: Vec::with_capacity(1024) };
        for name in &CREDENTIALS {
            head.push_all(headers, name, CREDENTIAL_BYTES_MAX);
        }
        for name in &COLUMNS {
            head.push_all(headers, name, FIELD_BYTES_MAX);
        }
        if capture == Capture::Off {
            return head;
        }
        let bytes_max = head.bytes.len() + FIELDS_BYTES_MAX;
        let others =
            headers.iter().filter(|(name, _)| !CREDENTIALS.contains(name) && !COLUMNS.contains(name));
        for (name, value) in others.take(FIELDS_MAX) {
            if head.bytes.len() < bytes_max {
                head.push(name, value, FIELD_BYTES_MAX);
            }
        }
        head
    }

    fn push_all(&mut self, headers: &HeaderMap, name: &HeaderName, bytes_max: usize) {
        for value in headers.get_all(name) {
            self.push(name, value, bytes_max);
        }
    }

    fn push(&mut self, name: &HeaderName, value: &HeaderValue, bytes_max: usize) {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        for part in [name, &value[..value.len().min(bytes_max)]] {
            // The listener takes no head that a 16-bit length could not measure.
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            self.bytes.extend_from_slice(&length.to_le_bytes());
            self.bytes.extend_from_slice(&part[..length.into()]);
        }
    }

    /// The fields, in order; names are in lower case.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || {
            let name = part(&mut rest)?;
            let name = std::str::from_utf8(name).expect("names of header fields are ASCII");
            Some((name, part(&mut rest)?))
        })
    }

    /// The first value of a field, as text.
    pub(super) fn text(&self, name: &HeaderName) -> String {
        let mut fields = self.fields();
        let value = fields.find(|(known, _)| *known == name.as_str()).map(|(_, value)| value);
        value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (part, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
    *rest = after;
    Some(part)
}
