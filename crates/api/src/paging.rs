//! Pages of lists: how many items, and where the next page goes on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::violation::{Place, Violations};

/// The items of a page, unless the request says otherwise.
const LIMIT_DEFAULT: u32 = 100;

/// The most items of a page.
const LIMIT_MAX: u32 = 1000;

/// The longest cursor that is looked at.
pub(crate) const CURSOR_BYTES_MAX: usize = 1024;

/// The form of the parameter `limit`.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its form counts")]
pub(crate) struct Limit(#[schemars(range(min = 1, max = LIMIT_MAX))] u32);

/// The form of a cursor, as far as clients may know it.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its form counts")]
pub(crate) struct Cursor(
    #[schemars(length(max = CURSOR_BYTES_MAX), regex(pattern = "^[A-Za-z0-9_-]+$"))] String,
);

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Gives the next page when sent as `cursor` with the same filters; none after the last page.
    pub(crate) next_cursor: Option<String>,
}

/// The query of a list that has nothing to choose from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many of them, at most.
    #[schemars(with = "Option<Limit>")]
    limit: Option<String>,
    /// The `next_cursor` of an earlier answer to the same request.
    #[schemars(with = "Option<Cursor>")]
    cursor: Option<String>,
}

impl ListQuery {
    /// # Errors
    /// `Error::Invalid` with every parameter that is wrong.
    pub(crate) fn window<K: DeserializeOwned>(&self) -> Result<Window<K>, Error> {
        Window::of_query(self.limit.as_deref(), self.cursor.as_deref())
    }
}

/// What a request wants of a list: so many items after a position.
pub(crate) struct Window<K> {
    limit: usize,
    after: Option<K>,
}

impl<K: DeserializeOwned> Window<K> {
    /// # Errors
    /// `Error::Invalid` with every parameter that is wrong.
    pub(crate) fn of_query(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let limit = self::limit(limit, &mut violations);
        let after = from_cursor(cursor, &mut violations);
        violations.into_result()?;
        Ok(Window { limit, after })
    }
}

impl<K: Copy> Window<K> {
    /// How many items a page has at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The key of the last item of the page before.
    pub(crate) fn after(&self) -> Option<K> {
        self.after
    }
}

impl<K: Serialize + PartialOrd> Window<K> {
    /// The page of rows that stand in the order of their keys.
    pub(crate) fn page<R, T>(
        &self,
        rows: impl IntoIterator<Item = R>,
        key: impl Fn(&R) -> K,
        show: impl Fn(R) -> T,
    ) -> Page<T> {
        let is_before = |row: &R| self.after.as_ref().is_some_and(|after| key(row) <= *after);
        let mut rows = rows.into_iter().skip_while(is_before).peekable();
        let shown: Vec<R> = rows.by_ref().take(self.limit).collect();
        let next_cursor = rows.peek().and(shown.last()).map(|last| to_cursor(&key(last)));
        Page { items: shown.into_iter().map(show).collect(), next_cursor }
    }
}

/// The parameter `limit`.
fn limit(text: Option<&str>, violations: &mut Violations) -> usize {
    let limit = bounded("limit", text, LIMIT_DEFAULT, LIMIT_MAX, violations);
    usize::try_from(limit).expect("a page fits into memory")
}

/// A parameter that is a whole number from 1 to `max`.
pub(crate) fn bounded(
    parameter: &str,
    text: Option<&str>,
    default: u32,
    max: u32,
    violations: &mut Violations,
) -> u32 {
    let Some(text) = text else { return default };
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => number,
        Ok(_) | Err(_) => {
            let place = Place::Parameter(parameter.to_owned());
            violations.add(place, format!("a whole number from 1 to {max} was expected"));
            default
        }
    }
}

/// A cursor: where a page ended, in a form that clients have no reason to look into.
fn to_cursor(position: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).expect("a position is plain data"))
}

/// The position in a cursor that one of our own answers gave.
fn from_cursor<T: DeserializeOwned>(text: Option<&str>, violations: &mut Violations) -> Option<T> {
    let text = text?;
    let position = (text.len() <= CURSOR_BYTES_MAX)
        .then(|| URL_SAFE_NO_PAD.decode(text).ok())
        .flatten()
        .and_then(|json| serde_json::from_slice(&json).ok());
    if position.is_none() {
        refuse_cursor(violations);
    }
    position
}

/// Notes that the parameter `cursor` is none of ours.
pub(crate) fn refuse_cursor(violations: &mut Violations) {
    let place = Place::Parameter("cursor".to_owned());
    violations.add(place, "a cursor is the `next_cursor` of an earlier answer to the same request");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_numbers_within_bounds() {
        let mut violations = Violations::default();
        assert_eq!(limit(None, &mut violations), 100);
        assert_eq!(limit(Some("1"), &mut violations), 1);
        assert_eq!(limit(Some("1000"), &mut violations), 1000);
        assert!(violations.into_result().is_ok());
        for text in ["", "0", "-1", "1001", "1.5", "99999999999999999999", "ten"] {
            let mut violations = Violations::default();
            limit(Some(text), &mut violations);
            assert!(violations.into_result().is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_leads_back_to_its_position_and_a_foreign_one_is_refused() {
        let mut violations = Violations::default();
        assert_eq!(
            from_cursor(Some(&to_cursor(&("name", 7))), &mut violations),
            Some(("name".to_owned(), 7))
        );
        assert!(violations.into_result().is_ok());
        for text in ["", "%", "bm90IGpzb24", &"A".repeat(CURSOR_BYTES_MAX + 1)] {
            let mut violations = Violations::default();
            assert_eq!(from_cursor::<(String, u64)>(Some(text), &mut violations), None);
            assert!(violations.into_result().is_err(), "{text}");
        }
    }
}
