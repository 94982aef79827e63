//! From a row of the view to what it grants. Pure.

use std::iter;
use std::sync::Arc;

use domain::Digest;
use domain::token::Expiry;
use http::HeaderMap;
use jiff::Timestamp;
use views::{TokenRow, TokenState};

use super::Grant;
use crate::opening::SealedFields;

/// What a row grants: the current credential and then the one before it, if it still counts. What is known of the token
/// already lives on as far as it is the same.
pub(super) fn grants(row: &TokenRow, known: &[Arc<Grant>]) -> Vec<Grant> {
    let expiry = match row.expiry {
        Expiry::At(at) => Some(at),
        Expiry::Never => None,
    };
    match &row.state {
        TokenState::Active { digest, previous, .. } => {
            let ends = |until: Timestamp| expiry.map_or(until, |expiry| expiry.min(until));
            let previous = previous.as_ref().map(|before| (&before.digest, Some(ends(before.until))));
            let current = grant(row, digest, expiry, true, known);
            let uses = &current.uses;
            let previous = previous
                .map(|(digest, end)| Grant { uses: uses.clone(), ..grant(row, digest, end, true, known) });
            iter::once(current).chain(previous).collect()
        }
        TokenState::Expired { digest, .. } => vec![grant(row, digest, expiry, false, known)],
        TokenState::Revoked { .. } => vec![],
    }
}

fn grant(
    row: &TokenRow,
    digest: &Digest,
    end: Option<Timestamp>,
    active: bool,
    known: &[Arc<Grant>],
) -> Grant {
    let credential = (row.instance, digest.clone());
    let same = known.iter().find(|known| known.credential == credential);
    let life = match same {
        // Another label or another end is no other credential: what was opened with it goes on.
        Some(known) if !(active && known.life.ended.is_cancelled()) => known.life.clone(),
        _ => Arc::default(),
    };
    let headers = if active { row.headers.clone() } else { Default::default() };
    let fields = SealedFields { headers, credential: None };
    let opened = match known.iter().find(|known| known.fields == fields) {
        Some(known) => known.opened.clone(),
        None => fields.is_empty().then(|| Ok(HeaderMap::new())),
    };
    if !active {
        life.expire();
    }
    Grant {
        token: row.id,
        kind: row.kind,
        label: row.label.clone(),
        passthrough: row.passthrough.iter().filter_map(|name| name.parse().ok()).collect(),
        life,
        credential,
        end,
        is_watched: true,
        fields,
        uses: known.first().map(|known| known.uses.clone()).unwrap_or_default(),
        opened,
    }
}
