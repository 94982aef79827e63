//! Trace events that travel as one message. The id makes sending it again harmless for half an hour: JetStream drops
//! a message whose id it has seen within the stream's window of duplicates (`nats/streams/TRACES.json`). A batch that
//! was stored without an answer, and is sent again after a longer outage, comes twice.

use std::collections::BTreeMap;

use access_log::TraceRecord;
use bytes::Bytes;
use uuid::Uuid;

use super::receipt::Acknowledge;
use super::{Entry, Recorder};

/// How many trace events a batch has at most.
pub(super) const RECORDS_MAX: u16 = 256;
/// A batch is full once it has more than this, in bytes. With the largest record behind that, it stays far below the
/// largest message.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The marker of a MessagePack array whose length takes 16 bits.
const ARRAY_16: u8 = 0xdc;

/// Encoded trace events.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: Uuid,
    /// A MessagePack array of records.
    pub(super) records: Bytes,
    /// How many of them belong to which instance, for when they have to be dropped.
    pub(super) by_instance: BTreeMap<Uuid, u64>,
    /// Those who wait for it.
    pub(super) awaited: Vec<Acknowledge>,
}

/// The batches of these events: one, unless they are many or long.
pub(super) fn batches(recorder: &Recorder, entries: Vec<Entry>) -> Vec<Batch> {
    let (mut batches, mut gathering) = (vec![], Gathering::default());
    for entry in entries {
        let (record, awaited) = recorder.record(entry);
        gathering.add(&record, awaited);
        if gathering.is_full() {
            batches.push(std::mem::take(&mut gathering).into_batch());
        }
    }
    if !gathering.is_empty() {
        batches.push(gathering.into_batch());
    }
    batches
}

/// A batch that is being filled.
#[derive(Debug, Default)]
struct Gathering {
    count: u16,
    records: Vec<u8>,
    by_instance: BTreeMap<Uuid, u64>,
    awaited: Vec<Acknowledge>,
}

impl Gathering {
    fn add(&mut self, record: &TraceRecord, awaited: Option<Acknowledge>) {
        self.awaited.extend(awaited);
        if self.records.is_empty() {
            self.records.extend([ARRAY_16, 0, 0]);
        }
        self.records.extend(store::encode(record));
        self.count += 1;
        self.records[1..3].copy_from_slice(&self.count.to_be_bytes());
        *self.by_instance.entry(record.instance_id).or_default() += 1;
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn is_full(&self) -> bool {
        self.count == RECORDS_MAX || self.records.len() > BATCH_BYTES_MAX
    }

    fn into_batch(self) -> Batch {
        let Self { records, by_instance, awaited, .. } = self;
        Batch { id: Uuid::new_v4(), records: records.into(), by_instance, awaited }
    }
}

#[cfg(test)]
mod tests {
    use access_log::{Fields, Level, TraceEvent};
    use jiff::Timestamp;
    use store::data_stream::MESSAGE_BYTES_MAX;

    use super::*;
    use crate::exchange::TEXT_BYTES_MAX;
    use crate::traces::head::FIELDS_BYTES_MAX;
    use crate::traces::prefix::BODY_BYTES_MAX;

    /// Every text as long as it can get.
    fn longest() -> TraceRecord {
        let long = "x".repeat(TEXT_BYTES_MAX);
        // What is no UTF-8 in a value is replaced by three bytes for each.
        let fields = Fields::from([(String::new(), "x".repeat(3 * FIELDS_BYTES_MAX))]);
        TraceRecord {
            level: Level::Error,
            trace_id: long.clone(),
            span_id: "x".repeat(16),
            parent_span_id: "x".repeat(16),
            instance_id: Uuid::max(),
            instance_name: long.clone(),
            replica_id: Uuid::max(),
            token_id: Uuid::max(),
            token_label: long.clone(),
            token_header: long.clone(),
            gateway_id: "x".repeat(64),
            session_id: "x".repeat(16),
            protocol_version: long.clone(),
            http_method: long.clone(),
            path: long.clone(),
            rpc_method: long.clone(),
            rpc_id: long.clone(),
            tool: long.clone(),
            status: u16::MAX,
            rpc_error_code: i32::MIN,
            is_error: true,
            latency_ns: u64::MAX,
            first_byte_ns: u64::MAX,
            request_bytes: u64::MAX,
            response_bytes: u64::MAX,
            client_address: "x".repeat(64),
            user_agent: long.clone(),
            content_type: long.clone(),
            error_class: long.clone(),
            error: long,
            headers: fields.clone(),
            response_headers: fields.clone(),
            cookies: fields.clone(),
            form: fields,
            body: "x".repeat(BODY_BYTES_MAX),
            is_body_cut: true,
            ..TraceRecord::new(Timestamp::MAX, TraceEvent::AuthFailed)
        }
    }

    #[test]
    fn the_largest_batch_fits_into_a_message() {
        let mut gathering = Gathering::default();
        while !gathering.is_full() {
            gathering.add(&longest(), None);
        }
        let batch = gathering.into_batch();
        assert!(batch.records.len() <= MESSAGE_BYTES_MAX / 2, "{} bytes", batch.records.len());
        let read: Vec<TraceRecord> = store::decode(&batch.records).expect("a batch is an array of records");
        assert!(read.iter().all(|record| *record == longest()));
    }

    #[test]
    fn small_records_are_many_to_a_batch() {
        let mut gathering = Gathering::default();
        let record = TraceRecord::new(Timestamp::UNIX_EPOCH, TraceEvent::Request);
        while !gathering.is_full() {
            gathering.add(&record, None);
        }
        let batch = gathering.into_batch();
        assert_eq!(batch.by_instance, BTreeMap::from([(Uuid::nil(), RECORDS_MAX.into())]));
        let read: Vec<TraceRecord> = store::decode(&batch.records).expect("a batch is an array of records");
        assert_eq!(read.len(), usize::from(RECORDS_MAX));
    }
}
