//! Which events a request means: from where to where, of what, by whom.

use domain::claim::{Claimable as _, InstanceNames, TemplateNames};
use domain::{AGGREGATES, Actor, Name, template};
use http::HeaderMap;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use store::{End, Filter, Start, Tail};
use uuid::Uuid;

use super::document::Shown;
use crate::directory::Directory;
use crate::error::Error;
use crate::extract::LAST_EVENT_ID;
use crate::moment;
use crate::violation::{Place, Violations};

/// The query of `GET /events` and `POST /events/replay`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectEvents {
    /// A sequence, `new`, `beginning`, or a moment; `new` if nothing is said. The header `Last-Event-ID` goes before it.
    #[schemars(schema_with = "start_schema")]
    pub(crate) from: Option<String>,
    /// The last sequence, or a moment before which the events have to be stored; it may be to come.
    #[schemars(schema_with = "end_schema")]
    pub(crate) until: Option<String>,
    /// Only events of this kind of aggregate.
    #[schemars(extend("enum" = AGGREGATES))]
    pub(crate) aggregate: Option<String>,
    /// The id of an aggregate; an instance also by name, and a template where only templates are asked for.
    pub(crate) id: Option<String>,
    /// `instance.created`, or all types of an aggregate: `instance.*`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = AGGREGATES.map(|aggregate| format!("{aggregate}.*"))))]
    pub(crate) event_type: Option<String>,
    /// `admin`, or `role:<name>`.
    #[schemars(regex(pattern = "^(admin|role:[a-z]+)$"))]
    pub(crate) actor: Option<String>,
    /// At most so many events.
    #[schemars(with = "Option<u64>", range(min = 1, max = u64::MAX))]
    pub(crate) limit: Option<String>,
    /// `true` for events as they are stored: sealed secrets and digests are not masked.
    #[schemars(with = "Option<bool>")]
    pub(crate) raw: Option<String>,
}

pub(super) fn start_schema(_: &mut SchemaGenerator) -> Schema {
    place_or_moment("new|beginning")
}

pub(super) fn end_schema(_: &mut SchemaGenerator) -> Schema {
    place_or_moment("now")
}

fn place_or_moment(place: &str) -> Schema {
    let pattern = format!("^({place}|[0-9]{{1,18}}|{}|{})$", moment::TIME_PATTERN, moment::AGO_PATTERN);
    json_schema!({ "type": "string", "pattern": pattern })
}

/// The same, understood.
pub(crate) struct Selection {
    pub(crate) tail: Tail,
    pub(crate) limit: Option<u64>,
    pub(crate) shown: Shown,
}

impl SelectEvents {
    pub(crate) fn check(self, headers: &HeaderMap, directory: &Directory) -> Result<Selection, Error> {
        let (mut violations, now) = (Violations::default(), Timestamp::now());
        let from = start(self.from.as_deref(), now, &mut violations);
        let start = last_event_id(headers, &mut violations).map_or(from, Start::Sequence);
        let end = self.until.as_deref().and_then(|until| end(until, now, &mut violations));
        let limit = self.limit.as_deref().and_then(|limit| positive("limit", limit, &mut violations));
        let shown = match flag("raw", self.raw.as_deref(), &mut violations) {
            true => Shown::Raw,
            false => Shown::Masked,
        };
        let mut filter = self.filter(&mut violations);
        violations.into_result()?;
        if let Some(id) = self.id {
            let id = aggregate_id(self.aggregate.as_deref(), id, directory)?;
            filter.id = Some(id.parse().expect("names and ids have only letters, digits and hyphens"));
        }
        Ok(Selection { tail: Tail { start, end, filter }, limit, shown })
    }

    fn filter(&self, violations: &mut Violations) -> Filter {
        let mut refuse =
            |name: &str, detail: String| violations.add(Place::Parameter(name.to_owned()), detail);
        let mut filter = Filter::default();
        if let Some(aggregate) = self.aggregate.as_deref() {
            match aggregate.parse() {
                Ok(name) if AGGREGATES.contains(&aggregate) => filter.aggregate = Some(name),
                Ok(_) | Err(_) => {
                    let known = AGGREGATES.map(|name| format!("`{name}`")).join(", ");
                    refuse("aggregate", format!("one of {known} was expected"));
                }
            }
        }
        match self.event_type.as_deref().map(str::parse).transpose() {
            Ok(event) => filter.event = event,
            Err(error) => refuse("type", error.to_string()),
        }
        match self.actor.as_deref().map(str::parse::<Actor>).transpose() {
            Ok(actor) => filter.actor = actor,
            Err(_) => refuse("actor", "`admin` or `role:<name>` was expected".to_owned()),
        }
        filter
    }
}

fn last_event_id(headers: &HeaderMap, violations: &mut Violations) -> Option<u64> {
    let last = headers.get(LAST_EVENT_ID)?;
    let next =
        last.to_str().ok().and_then(|last| last.parse().ok()).and_then(|last: u64| last.checked_add(1));
    if next.is_none() {
        let place = Place::Header(LAST_EVENT_ID.to_string());
        violations.add(place, "the sequence of an event was expected");
    }
    next
}

pub(super) fn start(from: Option<&str>, now: Timestamp, violations: &mut Violations) -> Start {
    let from = match from {
        None | Some("new") => return Start::New,
        Some("beginning") => return Start::Beginning,
        Some(from) => from,
    };
    if let Ok(sequence) = from.parse() {
        return Start::Sequence(sequence);
    }
    match moment::parse(from, now) {
        Some(time) => Start::Time(time),
        None => {
            let detail =
                format!("a sequence, `new`, `beginning`, or {} was expected", moment::WHAT_A_MOMENT_IS);
            violations.add(Place::Parameter("from".to_owned()), detail);
            Start::New
        }
    }
}

pub(super) fn end(until: &str, now: Timestamp, violations: &mut Violations) -> Option<End> {
    if let Ok(sequence) = until.parse() {
        return Some(End::Sequence(sequence));
    }
    let end = match until {
        "now" => Some(now),
        until => moment::parse(until, now),
    };
    if end.is_none() {
        let detail = format!("a sequence, `now`, or {} was expected", moment::WHAT_A_MOMENT_IS);
        violations.add(Place::Parameter("until".to_owned()), detail);
    }
    end.map(End::Time)
}

/// A parameter that is a whole number above 0.
pub(crate) fn positive(parameter: &str, text: &str, violations: &mut Violations) -> Option<u64> {
    let number = text.parse().ok().filter(|number| *number > 0);
    if number.is_none() {
        violations.add(Place::Parameter(parameter.to_owned()), "a whole number from 1 on was expected");
    }
    number
}

/// A parameter that is `true` or `false`; false if nothing is said.
pub(crate) fn flag(parameter: &str, text: Option<&str>, violations: &mut Violations) -> bool {
    match text {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            violations.add(Place::Parameter(parameter.to_owned()), "`true` or `false` was expected");
            false
        }
    }
}

/// The id as it stands in the log. A name means an instance, unless templates or names themselves are asked for.
fn aggregate_id(aggregate: Option<&str>, id: String, directory: &Directory) -> Result<String, Error> {
    if [InstanceNames::NAME, TemplateNames::NAME].map(Some).contains(&aggregate) {
        return match id.parse::<Name>() {
            Ok(_) => Ok(id),
            Err(_) => Err(Error::InstanceNotFound(id)),
        };
    }
    if let Ok(id) = id.parse::<Uuid>() {
        return Ok(id.to_string());
    }
    match aggregate {
        Some(template::NAME) => directory.template_id(&id).map(|id| id.to_string()),
        Some(_) | None => directory.instance_id(&id).map(|id| id.to_string()),
    }
}
