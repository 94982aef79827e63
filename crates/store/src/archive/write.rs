//! Writes an archive, record by record.

use serde::Serialize;

use super::{
    CHUNK_BYTES_MAX, CHUNK_EVENTS_MAX, Checkpoint, EventRecord, Footer, Format, Header, KeyRecord, Record,
};

/// Turns records into the bytes of a file, and remembers what the checksums need.
pub struct ArchiveWriter {
    format: Format,
    whole: blake3::Hasher,
    chunk: blake3::Hasher,
    chunk_events: usize,
    chunk_bytes: usize,
    through: u64,
    events: u64,
    keys: u64,
    /// What was written and not taken.
    bytes: Vec<u8>,
}

impl ArchiveWriter {
    /// Begins a file.
    pub fn new(format: Format, header: Header) -> Self {
        let mut writer = ArchiveWriter {
            format,
            whole: blake3::Hasher::new(),
            chunk: blake3::Hasher::new(),
            chunk_events: 0,
            chunk_bytes: 0,
            through: 0,
            events: 0,
            keys: 0,
            bytes: Vec::new(),
        };
        writer.write(&Record::Header(header));
        writer
    }

    /// Keys come before events: whoever sees an event may need its key at once.
    pub fn key(&mut self, key: KeyRecord) {
        self.keys += 1;
        self.chunk_events += 1;
        self.chunk_bytes += key.wrapped.len();
        self.write(&Record::Key(key));
        self.check_if_long();
    }

    /// Ends the keys, so that each run of events stands alone.
    pub fn end_keys(&mut self) {
        self.checkpoint();
    }

    /// Events come in the order of the log.
    pub fn event(&mut self, event: EventRecord) {
        self.events += 1;
        self.chunk_events += 1;
        self.chunk_bytes += event.bytes();
        self.through = event.sequence;
        self.write(&Record::Event(event));
        self.check_if_long();
    }

    /// Ends the file.
    pub fn finish(mut self) -> Vec<u8> {
        if self.chunk_events > 0 {
            self.checkpoint();
        }
        let blake3 = self.whole.finalize().to_hex().to_string();
        self.write(&Record::Footer(Footer { events: self.events, keys: self.keys, blake3 }));
        self.bytes
    }

    /// Takes what was written since it was last taken.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn check_if_long(&mut self) {
        if self.chunk_events >= CHUNK_EVENTS_MAX || self.chunk_bytes >= CHUNK_BYTES_MAX {
            self.checkpoint();
        }
    }

    fn checkpoint(&mut self) {
        let blake3 = self.chunk.finalize().to_hex().to_string();
        self.write(&Record::Checkpoint(Checkpoint { through: self.through, blake3 }));
        self.chunk = blake3::Hasher::new();
        (self.chunk_events, self.chunk_bytes) = (0, 0);
    }

    fn write(&mut self, record: &Record) {
        let begin = self.bytes.len();
        match self.format {
            Format::MessagePack => {
                let mut serializer = rmp_serde::Serializer::new(&mut self.bytes).with_struct_map();
                record.serialize(&mut serializer).expect("records serialise, and a vector takes every byte");
            }
            Format::JsonLines => {
                serde_json::to_writer(&mut self.bytes, record)
                    .expect("records serialise, and a vector takes every byte");
                self.bytes.push(b'\n');
            }
        }
        let written = self.bytes.get(begin..).unwrap_or_default();
        self.whole.update(written);
        self.chunk.update(written);
    }
}
