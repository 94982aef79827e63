//! Trace events that travel as one message. The id makes sending it again harmless for half an hour: JetStream drops
//! a message whose id it has seen within the stream's window of duplicates (`nats/streams/TRACES.json`). A batch that
//! was stored without an answer, and is sent again after a longer outage, comes twice.

use std::collections::BTreeMap;

use access_log::TraceRecord;
use bytes::Bytes;
use uuid::Uuid;

/// How many trace events a batch has at most. Full of the longest texts, it stays below the largest message.
pub(super) const RECORDS_MAX: usize = 256;

/// Encoded trace events.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) id: Uuid,
    /// A MessagePack array of records.
    pub(super) records: Bytes,
    /// How many of them belong to which instance, for when they have to be dropped.
    pub(super) by_instance: BTreeMap<Uuid, u64>,
}

impl Batch {
    pub(super) fn new(records: &[TraceRecord]) -> Self {
        let mut by_instance = BTreeMap::new();
        for record in records {
            *by_instance.entry(record.instance_id).or_default() += 1;
        }
        Self { id: Uuid::new_v4(), records: store::encode(&records).into(), by_instance }
    }
}

#[cfg(test)]
mod tests {
    use access_log::{Level, TraceEvent};
    use jiff::Timestamp;
    use store::data_stream::MESSAGE_BYTES_MAX;

    use super::*;
    use crate::exchange::TEXT_BYTES_MAX;

    /// Every text as long as it can get: what the scanner replaces in a text makes it up to three times as long.
    fn longest() -> TraceRecord {
        let (short, long) = ("x".repeat(TEXT_BYTES_MAX), "x".repeat(3 * TEXT_BYTES_MAX));
        TraceRecord {
            level: Level::Error,
            trace_id: short.clone(),
            span_id: short.clone(),
            instance_id: Uuid::max(),
            instance_name: short.clone(),
            token_id: Uuid::max(),
            token_label: short.clone(),
            gateway_id: "x".repeat(64),
            session_id: "x".repeat(16),
            protocol_version: short.clone(),
            http_method: short.clone(),
            path: short.clone(),
            rpc_method: short.clone(),
            rpc_id: short.clone(),
            tool: long,
            status: u16::MAX,
            latency_ns: u64::MAX,
            request_bytes: u64::MAX,
            response_bytes: u64::MAX,
            client_address: "x".repeat(64),
            user_agent: short.clone(),
            content_type: short.clone(),
            error: short,
            ..TraceRecord::new(Timestamp::MAX, TraceEvent::AuthFailed)
        }
    }

    #[test]
    fn the_largest_batch_fits_into_a_message() {
        let batch = Batch::new(&vec![longest(); RECORDS_MAX]);
        assert!(batch.records.len() <= MESSAGE_BYTES_MAX, "{} bytes", batch.records.len());
    }
}
