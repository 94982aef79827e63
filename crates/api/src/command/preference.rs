//! `Prefer` (RFC 7240): whether somebody wants to wait for a decision.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a client prefers. A preference that we do not know, or cannot read, is none (section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preference {
    /// An answer at once, before the command is decided (section 4.1).
    pub(crate) respond_async: bool,
    /// How long to wait for the decision all the same (section 4.3).
    wait: Option<Duration>,
}

impl Preference {
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let mut preference = Preference::default();
        let fields = headers.get_all(PREFER).iter().filter_map(|field| field.to_str().ok());
        for stated in fields.flat_map(|field| field.split(',')) {
            let stated = stated.split(';').next().unwrap_or_default();
            let (name, value) = stated.split_once('=').unwrap_or((stated, ""));
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
            match name.as_str() {
                "respond-async" => preference.respond_async = true,
                "wait" if preference.wait.is_none() => {
                    preference.wait = value.parse().ok().map(Duration::from_secs);
                }
                _ => {}
            }
        }
        preference
    }

    /// How long the request waits for its decision: never longer than without a preference.
    pub(super) fn wait(self, longest: Duration) -> Duration {
        let asked = if self.respond_async { self.wait.or(Some(Duration::ZERO)) } else { self.wait };
        asked.map_or(longest, |asked| asked.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(15);

    fn wait(fields: &[&'static str]) -> (bool, u64) {
        let fields = fields.iter().map(|field| (PREFER, field.parse().unwrap()));
        let preference = Preference::of_request(&HeaderMap::from_iter(fields.collect::<Vec<_>>()));
        (preference.respond_async, preference.wait(LONGEST).as_secs())
    }

    #[test]
    fn who_prefers_nothing_that_is_known_waits() {
        for text in ["", "return=minimal", "respond-asynchronously", "wait=soon", "wait=-1", ",;=,"] {
            assert_eq!(wait(&[text]), (false, 15), "{text}");
        }
    }

    #[test]
    fn a_preference_shortens_the_wait() {
        assert_eq!(wait(&["respond-async"]), (true, 0));
        assert_eq!(wait(&["Respond-Async; foo=\"bar\" , WAIT = \"3\""]), (true, 3));
        assert_eq!(wait(&["return=minimal", "wait=3, wait=4"]), (false, 3));
        assert_eq!(wait(&["wait=100"]), (false, 15));
    }
}
