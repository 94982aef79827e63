//! What the publisher says of itself: metrics, its part of the platform's status, and what it had to drop.

use jiff::Timestamp;
use metrics::{counter, gauge, histogram};
use store::GatewayReport;

use super::{Batch, Publisher};

impl Publisher {
    /// Counts what the stream has acknowledged.
    pub(super) fn arrived(&mut self, batch: &Batch) {
        let rows = batch.by_instance.values().sum();
        self.rows += rows;
        self.batches += 1;
        counter!("mcpcan_trace_rows_total").increment(rows);
        counter!("mcpcan_trace_batches_total").increment(1);
        histogram!("mcpcan_trace_batch_rows").record(rows as f64);
    }

    /// Tells whoever asks for the platform's status what only this gateway knows. Nothing waits for it.
    pub(super) fn say(&self) {
        let (spool_bytes, dropped) = (self.spool.bytes(), self.losses.by_instance());
        gauge!("mcpcan_trace_spool_bytes").set(spool_bytes as f64);
        for (instance, rows) in &dropped {
            counter!("mcpcan_trace_dropped_total", "instance" => instance.to_string()).absolute(*rows);
        }
        let at = Timestamp::now();
        let report = GatewayReport { rows: self.rows, batches: self.batches, spool_bytes, dropped, at };
        let (store, id) = (self.store.clone(), self.gateway_id.clone());
        tokio::spawn(async move { store.say_gateway(&id, &report).await });
    }

    /// Puts what was dropped into the log, once.
    pub(super) fn report(&self) {
        for (instance, records) in self.losses.take_unreported() {
            tracing::error!(%instance, records, "trace events were dropped: neither memory nor spool took them");
        }
    }
}
