//! `If-Match` (RFC 9110 section 13.1.1): a command for the revision that somebody has seen, and for no other.

use http::HeaderMap;
use http::header::IF_MATCH;

use crate::error::Error;

/// A revision that nothing ever has.
const NO_REVISION: u64 = u64::MAX;

/// The revisions that a command is meant for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) enum IfMatch {
    /// Whatever the revision is.
    Any,
    /// One of these. An entity tag that is none of ours, or a weak one, matches nothing (section 8.8.3.2).
    OneOf(Vec<u64>),
}

impl IfMatch {
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, Error> {
        let mut fields = headers.get_all(IF_MATCH).iter().peekable();
        if fields.peek().is_none() {
            return Ok(IfMatch::Any);
        }
        let texts: Option<Vec<&str>> = fields.map(|field| field.to_str().ok()).collect();
        parse(&texts.ok_or(Error::InvalidIfMatch)?.join(",")).ok_or(Error::InvalidIfMatch)
    }

    /// The revision that the decider is told to expect. It decides on one only, so among several it is the one that
    /// `current` shows, or else the newest: a view that is late makes a 412 of it at worst, never a change of what
    /// was not meant.
    pub(super) fn expected(&self, current: Option<u64>) -> Option<u64> {
        match self {
            IfMatch::Any => None,
            IfMatch::OneOf(revisions) => {
                let shown = current.filter(|current| revisions.contains(current));
                Some(shown.or_else(|| revisions.iter().max().copied()).unwrap_or(NO_REVISION))
            }
        }
    }
}

fn parse(text: &str) -> Option<IfMatch> {
    if text.trim_matches([' ', '\t']) == "*" {
        return Some(IfMatch::Any);
    }
    let (mut revisions, mut tags, mut rest) = (vec![], 0, text);
    loop {
        // Empty elements of a list are allowed (RFC 9110 section 5.6.1.2).
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return (tags > 0).then_some(IfMatch::OneOf(revisions));
        }
        let (weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let (opaque, after) = tag.strip_prefix('"')?.split_once('"')?;
        // RFC 9110 section 8.8.3: visible characters but the quote.
        if !opaque.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)) {
            return None;
        }
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        tags += 1;
        // Our own form only: `"03"` is another tag than `"3"`.
        let revision = opaque.parse().ok().filter(|revision: &u64| revision.to_string() == opaque);
        revisions.extend(revision.filter(|_| !weak));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_of_ours_are_revisions() {
        for (text, revisions) in [
            ("\"3\"", &[3][..]),
            (" \"3\" , \"5\",,", &[3, 5]),
            ("W/\"3\"", &[]),
            ("W/\"3\", \"4\"", &[4]),
            ("\"\"", &[]),
            ("\"03\"", &[]),
            ("\"a,b\"", &[]),
            ("\"99999999999999999999\"", &[]),
        ] {
            assert_eq!(parse(text), Some(IfMatch::OneOf(revisions.to_vec())), "{text}");
        }
        assert_eq!(parse(" * "), Some(IfMatch::Any));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for text in ["", ",", "3", "\"3", "3\"", "w/\"3\"", "\"3\" \"4\"", "*, \"3\"", "\"a b\"", "W/ \"3\""]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn of_several_the_one_that_is_shown_is_expected() {
        let one_of = |revisions: &[u64]| IfMatch::OneOf(revisions.to_vec());
        assert_eq!(IfMatch::Any.expected(Some(3)), None);
        assert_eq!(one_of(&[3, 5]).expected(Some(3)), Some(3));
        assert_eq!(one_of(&[3, 5]).expected(Some(4)), Some(5));
        assert_eq!(one_of(&[]).expected(Some(4)), Some(NO_REVISION));
    }
}
