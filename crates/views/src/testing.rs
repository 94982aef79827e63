//! Events with a place in the log, for the tests of every view.

use domain::{Actor, CommandId, Event, Metadata, Recorded};
use jiff::Timestamp;
use uuid::Uuid;

use crate::View;

/// The events at sequences 1, 2, …, one second apart.
pub(crate) fn recorded(events: impl IntoIterator<Item = Event>) -> Vec<Recorded> {
    (1_u64..)
        .zip(events)
        .map(|(sequence, event)| Recorded { sequence, metadata: metadata(sequence), event })
        .collect()
}

fn metadata(sequence: u64) -> Metadata {
    let seconds = i64::try_from(sequence).expect("tests have few events");
    Metadata {
        at: Timestamp::from_second(1_800_000_000 + seconds).expect("a time in this century"),
        command_id: CommandId(Uuid::from_u128(u128::from(sequence))),
        causation_id: format!("request-{sequence}"),
        actor: Actor::Admin,
        traceparent: None,
    }
}

/// The row after all events, each folded twice: the second time must change nothing.
#[track_caller]
pub(crate) fn fold<V: View>(log: &[Recorded]) -> Option<V::Row> {
    log.iter().fold(None, |row, recorded| {
        let once = V::apply(row, recorded);
        let twice = V::apply(once.clone(), recorded);
        assert!(once == twice, "folding event {} twice changed the row", recorded.sequence);
        once
    })
}
