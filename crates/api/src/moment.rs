//! A moment in a query: a time as RFC 3339 has it, or how long ago it was.

use std::borrow::Cow;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::violation::{Place, Violations};

/// A time of the years 2000 to 2199 (RFC 3339) as a part of a regular expression: with the days that each month has,
/// but for the 29th of February, which not every year has.
pub(crate) const TIME_PATTERN: &str = "2[01][0-9]{2}-(\
    (0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T\
    ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])";

/// How long ago a moment was, as a part of a regular expression.
pub(crate) const AGO_PATTERN: &str = "[0-9]{1,4}[smhd]";

/// The form of a moment that always works. Others that mean the same do too: `1h 30m`, `PT5M`, any RFC 3339 time that
/// the log can hold.
pub(crate) struct Moment;

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time, or how long ago it was.",
            "type": "string",
            "pattern": format!("^({TIME_PATTERN}|{AGO_PATTERN})$"),
            "examples": ["2026-01-31T14:05:00Z", "5m"],
        })
    }
}

/// The parameter as a time. `5m` means five minutes before `now`; a day has 24 hours.
pub(crate) fn moment(
    parameter: &str,
    text: Option<&str>,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let text = text?;
    let found = parse(text, now);
    if found.is_none() {
        let place = Place::Parameter(parameter.to_owned());
        violations.add(place, format!("{WHAT_A_MOMENT_IS} was expected"));
    }
    found
}

/// What a moment looks like, for whoever gave none.
pub(crate) const WHAT_A_MOMENT_IS: &str =
    "a time such as `2026-01-31T14:05:00Z` or a duration such as `5m`, `2h`, `7d`";

/// The text as a time, if it is one.
pub(crate) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| ago(text, now))
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    now.checked_sub(duration(text)?).ok()
}

/// The time that lies so far ahead: `30d` after `now`; a day has 24 hours.
pub(crate) fn ahead(text: &str, now: Timestamp) -> Option<Timestamp> {
    now.checked_add(duration(text)?).ok()
}

fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    if span.is_negative() {
        return None;
    }
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_both_moments() {
        let now: Timestamp = "2026-11-21T14:05:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-21T14:00:00Z", "2026-11-21T14:00:00Z"),
            ("2026-11-21T14:00Z", "2026-11-21T14:00:00Z"),
            ("2026-11-21T15:00:00.5+01:00", "2026-11-21T14:00:00.5Z"),
            ("5m", "2026-11-21T14:00:00Z"),
            ("1h 30m", "2026-11-21T12:35:00Z"),
            ("7d", "2026-11-14T14:05:00Z"),
            ("PT5M", "2026-11-21T14:00:00Z"),
            ("0s", "2026-11-21T14:05:00Z"),
        ] {
            let mut violations = Violations::default();
            let found = moment("since", Some(text), now, &mut violations);
            assert_eq!(found, Some(expected.parse().unwrap()), "{text}");
            assert!(violations.into_result().is_ok());
        }
    }

    #[test]
    fn what_is_no_moment_is_a_violation() {
        let now: Timestamp = "2026-11-21T14:05:00Z".parse().unwrap();
        for text in ["", "yesterday", "-5m", "5", "1mo", "99999999999h", "2026-13-01T00:00:00Z", "2026-11-21"]
        {
            let mut violations = Violations::default();
            assert_eq!(moment("since", Some(text), now, &mut violations), None, "{text}");
            assert!(violations.into_result().is_err(), "{text}");
        }
    }
}
