//! Reads an archive, record by record, and believes nothing: each record has to be what may come next, each digest
//! that of the bytes before it.

use std::io::{self, BufRead, Read};

use super::damage::{ArchiveError, Damage};
use super::{EventRecord, FORM, Footer, Format, Header, KIND, KeyRecord, RECORD_BYTES_MAX, Record};
use crate::subject;

/// What a file holds, once all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub header: Header,
    pub format: Format,
    pub events: u64,
    pub keys: u64,
    pub blake3: String,
}

/// A file that is read to its end.
pub struct ArchiveReader<R> {
    source: R,
    format: Format,
    header: Header,
    whole: blake3::Hasher,
    chunk: blake3::Hasher,
    place: Place,
    next_sequence: u64,
    keys: u64,
    events: u64,
    footer: Option<Footer>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    record: u64,
    /// Where the record begins and ends.
    begin: u64,
    end: u64,
}

/// Something of a file that is not only about the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Key(KeyRecord),
    Event(EventRecord),
}

impl<R: BufRead> ArchiveReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not the file of exported events that it should be; so in all that follows.
    pub fn open(mut source: R) -> Result<Self, ArchiveError> {
        let mut place = Place::default();
        let error = |place: Place, damage| ArchiveError {
            record: place.record.max(1),
            byte: place.begin,
            sequence: None,
            damage,
        };
        let format = format_of(&mut source).map_err(|damage| error(place, damage))?;
        let read = read_record(&mut source, format, &mut place).map_err(|damage| match damage {
            // What is not even a record at its very beginning is another kind of file.
            Damage::Malformed(_) | Damage::TooLong => error(place, Damage::Foreign),
            damage => error(place, damage),
        })?;
        let (whole, chunk) = (blake3::Hasher::new(), blake3::Hasher::new());
        let Some((Record::Header(header), bytes)) = read else {
            return Err(error(place, Damage::Foreign));
        };
        if header.kind != KIND {
            return Err(error(place, Damage::Foreign));
        }
        if header.form > FORM {
            return Err(error(place, Damage::NewerForm(header.form)));
        }
        let next_sequence = header.first;
        let (keys, events, footer) = (0, 0, None);
        let mut reader = ArchiveReader {
            source,
            format,
            header,
            whole,
            chunk,
            place,
            next_sequence,
            keys,
            events,
            footer,
        };
        reader.absorb(&bytes);
        Ok(reader)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.place.end
    }

    /// The next key or event; none after the last, when everything was as it should be.
    ///
    /// # Errors
    /// See [`ArchiveReader::open`].
    pub fn next_item(&mut self) -> Result<Option<Item>, ArchiveError> {
        loop {
            let read = read_record(&mut self.source, self.format, &mut self.place);
            let read = read.map_err(|damage| self.error(damage))?;
            let Some((record, bytes)) = read else {
                return if self.footer.is_some() { Ok(None) } else { Err(self.error(Damage::Truncated)) };
            };
            let is_checkpoint = matches!(record, Record::Checkpoint(_));
            let item = self.take(record).map_err(|damage| self.error(damage))?;
            self.absorb(&bytes);
            if is_checkpoint {
                self.chunk = blake3::Hasher::new();
            }
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// What was read, once [`ArchiveReader::next_item`] has given none.
    pub fn summary(&self) -> Option<Summary> {
        let footer = self.footer.as_ref()?;
        Some(Summary {
            header: self.header.clone(),
            format: self.format,
            events: self.events,
            keys: self.keys,
            blake3: footer.blake3.clone(),
        })
    }

    fn take(&mut self, record: Record) -> Result<Option<Item>, Damage> {
        if self.footer.is_some() {
            return Err(Damage::OutOfPlace { found: "a record after the footer" });
        }
        match record {
            Record::Header(_) => Err(Damage::OutOfPlace { found: "a second header" }),
            Record::Key(_) if self.events > 0 => Err(Damage::OutOfPlace { found: "a key after the events" }),
            Record::Key(key) => {
                if key.owner_id().is_none() {
                    return Err(Damage::Owner(key.owner));
                }
                self.keys += 1;
                Ok(Some(Item::Key(key)))
            }
            Record::Event(event) => {
                self.check_event(&event)?;
                self.next_sequence = event.sequence + 1;
                self.events += 1;
                Ok(Some(Item::Event(event)))
            }
            Record::Checkpoint(checkpoint)
                if self.chunk.finalize().to_hex().as_str() == checkpoint.blake3 =>
            {
                Ok(None)
            }
            Record::Checkpoint(_) => Err(Damage::ChunkDigest),
            Record::Footer(footer) => {
                self.check_footer(&footer)?;
                self.footer = Some(footer);
                Ok(None)
            }
        }
    }

    fn check_event(&self, event: &EventRecord) -> Result<(), Damage> {
        if event.sequence != self.next_sequence || event.sequence > self.header.last {
            return Err(Damage::Sequence { expected: self.next_sequence, found: event.sequence });
        }
        let tokens = subject::parse_event(&event.subject);
        if !tokens.is_some_and(|(aggregate, id)| subject::is_token(aggregate) && subject::is_token(id)) {
            return Err(Damage::Subject(event.subject.clone()));
        }
        let legal = |(name, value): &(String, String)| {
            !name.starts_with("Nats-")
                && async_nats::HeaderName::try_from(name.as_str()).is_ok()
                && value.parse::<async_nats::HeaderValue>().is_ok()
        };
        if event.headers.iter().all(legal) { Ok(()) } else { Err(Damage::HeaderField) }
    }

    fn check_footer(&self, footer: &Footer) -> Result<(), Damage> {
        if self.whole.finalize().to_hex().as_str() != footer.blake3 {
            return Err(Damage::FileDigest);
        }
        for (what, counted, found) in
            [("events", footer.events, self.events), ("keys", footer.keys, self.keys)]
        {
            if counted != found {
                return Err(Damage::Count { what, counted, found });
            }
        }
        let (promised, found) = (self.header.last, self.next_sequence.saturating_sub(1));
        if promised == found { Ok(()) } else { Err(Damage::Range { promised, found }) }
    }

    fn absorb(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.chunk.update(bytes);
    }

    /// The error at the record that was read last.
    pub fn error(&self, damage: Damage) -> ArchiveError {
        let sequence = (self.events > 0).then(|| self.next_sequence - 1);
        ArchiveError { record: self.place.record, byte: self.place.begin, sequence, damage }
    }
}

/// JSON begins with a brace, MessagePack with a map of one member.
fn format_of(source: &mut impl BufRead) -> Result<Format, Damage> {
    match source.fill_buf()?.first() {
        Some(b'{') => Ok(Format::JsonLines),
        Some(0x81) => Ok(Format::MessagePack),
        Some(_) | None => Err(Damage::Foreign),
    }
}

/// The next record with its bytes; none at the end.
fn read_record(
    source: &mut impl BufRead,
    format: Format,
    place: &mut Place,
) -> Result<Option<(Record, Vec<u8>)>, Damage> {
    (place.record, place.begin) = (place.record + 1, place.end);
    if source.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut copying = Copying { source: source.take(RECORD_BYTES_MAX), bytes: Vec::new() };
    let record = match format {
        Format::MessagePack => {
            rmp_serde::from_read(&mut copying).map_err(|error| copying.damage(error.to_string()))
        }
        Format::JsonLines => {
            let mut line = Vec::new();
            copying.source.read_until(b'\n', &mut line)?;
            copying.bytes = line;
            match copying.bytes.last() {
                Some(b'\n') => serde_json::from_slice(&copying.bytes)
                    .map_err(|error| Damage::Malformed(error.to_string())),
                Some(_) | None => Err(copying.damage("the line has no end".to_owned())),
            }
        }
    }?;
    place.end += copying.bytes.len() as u64;
    Ok(Some((record, copying.bytes)))
}

/// Keeps what was read: the digests are over the bytes as they lie in the file.
struct Copying<R> {
    source: io::Take<R>,
    bytes: Vec<u8>,
}

impl<R: BufRead> Copying<R> {
    /// Why a record could not be read: it is too long, the file ends within it, or it is none.
    fn damage(&mut self, reason: String) -> Damage {
        if self.source.limit() == 0 {
            return Damage::TooLong;
        }
        match self.source.fill_buf() {
            Ok([]) => Damage::Truncated,
            Ok(_) => Damage::Malformed(reason),
            Err(error) => Damage::Io(error),
        }
    }
}

impl<R: Read> Read for Copying<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
