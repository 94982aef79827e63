//! When tokens end, in order: what a clock is set to. Whoever acts on it keeps one beside the rows.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::TokenId;
use domain::token::Expiry;
use jiff::Timestamp;
use uuid::Uuid;

use super::TokenRow;

/// The tokens that are accepted and have an end.
#[derive(Debug, Default)]
pub struct Expiries {
    queue: BTreeSet<Expiring>,
    by_token: HashMap<Uuid, Expiring>,
}

/// A token with its end, as one revision of it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiring {
    pub at: Timestamp,
    pub token: TokenId,
    pub revision: u64,
}

impl Expiries {
    /// Takes over what the view says of a token now.
    pub fn change(&mut self, id: Uuid, row: Option<&TokenRow>) {
        if let Some(known) = self.by_token.remove(&id) {
            self.queue.remove(&known);
        }
        let Some(row) = row.filter(|row| row.digest().is_some()) else { return };
        match row.expiry {
            Expiry::Never => {}
            Expiry::At(at) => {
                let expiring = Expiring { at, token: row.id, revision: row.revision };
                self.queue.insert(expiring);
                self.by_token.insert(id, expiring);
            }
        }
    }

    /// How long it is until the next end; `max` if that is later or there is none.
    pub fn wait(&self, now: Timestamp, max: Duration) -> Duration {
        let Some(next) = self.queue.first() else { return max };
        // An end that has passed has no wait.
        Duration::try_from(next.at.duration_since(now)).unwrap_or_default().min(max)
    }

    /// The tokens whose time is over, earliest first.
    pub fn due(&self, now: Timestamp) -> Vec<Expiring> {
        self.queue.iter().take_while(|expiring| expiring.at <= now).copied().collect()
    }

    /// Forgets what was acted on, unless the token has another end by now.
    pub fn forget(&mut self, expiring: &Expiring) {
        if self.queue.remove(expiring) {
            self.by_token.remove(&expiring.token.0);
        }
    }
}
