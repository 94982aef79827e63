//! What instances and templates are made of, as requests say it and as answers show it.
//!
//! `whole` is a request that says all of it, `edit` one that changes some of it; both keep the rules on single values in
//! `rules`. `checked` is what comes of them. `secret` seals what must not be read in the log. `document` is what answers show.

mod checked;
mod document;
mod edit;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod secret;
mod whole;

pub(crate) use checked::{CheckedEdit, NewEdit, NewInstance, NewTemplate};
pub(crate) use document::{AccessDocument, ProfileDocument};
pub(crate) use edit::{EditInstance, EditTemplate, Instantiate};
pub(crate) use secret::reseal;
pub(crate) use whole::{CreateInstance, CreateTemplate, ReplaceAccess};

#[cfg(test)]
mod tests;
