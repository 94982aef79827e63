//! Where a follower begins.

use ::access_log::Place;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::extract::LAST_EVENT_ID;
use crate::moment::{Moment, moment};
use crate::violation::{self, Violations};

/// How many rows of history a follower may ask for by their number.
pub(crate) const HISTORY_ROWS_MAX: u32 = 1_000;

/// The parameters that say where a follower begins.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SelectStart {
    /// Begin with so many of the newest rows that are there already; with none if nothing is said. Fewer come where a row
    /// is seldom that passes the filter, and more than 2048 messages of rows are not in ClickHouse yet.
    #[schemars(with = "Option<u32>", range(max = HISTORY_ROWS_MAX))]
    tail: Option<String>,
    /// Begin with the rows from this moment on; with `tail`, with the newest of those.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
    /// Begin after the row at this place, as the frames' ids name it: for clients that cannot set `Last-Event-ID`, which
    /// goes before it. Both go before `tail` and `since`.
    #[schemars(with = "Option<PlaceBefore>")]
    after: Option<String>,
}

/// The form of a place in a request, narrow enough that every text of this form is one.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its form counts")]
struct PlaceBefore(#[schemars(regex(pattern = "^[0-9]{1,18}-[0-9]{1,9}$"))] String);

/// Where a follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With so many of the newest rows.
    Newest(u32),
    /// With everything that passes the filter.
    Everything,
    /// With what comes after this row.
    After(Place),
}

impl SelectStart {
    /// Where to begin, and from which moment on rows count.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        now: jiff::Timestamp,
        violations: &mut Violations,
    ) -> (Start, Option<jiff::Timestamp>) {
        let since = moment("since", self.since.as_deref(), now, violations);
        let tail = self.tail.as_deref().map(|tail| rows(tail, violations));
        let parameter = violation::Place::Parameter("after".to_owned());
        let after = self.after.as_deref().map(|after| place(after, parameter, violations));
        let header = violation::Place::Header(LAST_EVENT_ID.to_string());
        // An empty one says that nothing was seen.
        let last = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty());
        let last = last.map(|last| last.to_str().unwrap_or_default());
        let last = last.map(|last| place(last, header, violations));
        match (last.or(after), tail, since) {
            (Some(place), _, _) => (Start::After(place), None),
            (None, Some(rows), since) => (Start::Newest(rows), since),
            (None, None, Some(since)) => (Start::Everything, Some(since)),
            (None, None, None) => (Start::Newest(0), None),
        }
    }
}

fn rows(text: &str, violations: &mut Violations) -> u32 {
    match text.parse() {
        Ok(rows) if rows <= HISTORY_ROWS_MAX => rows,
        Ok(_) | Err(_) => {
            let detail = format!("a whole number up to {HISTORY_ROWS_MAX} was expected");
            violations.add(violation::Place::Parameter("tail".to_owned()), detail);
            0
        }
    }
}

fn place(text: &str, given_in: violation::Place, violations: &mut Violations) -> Place {
    text.parse().unwrap_or_else(|error: ::access_log::record::InvalidPlace| {
        violations.add(given_in, error.to_string());
        Place::default()
    })
}
