//! What became of a document: shown to whoever imports it.

use serde::{Deserialize, Serialize};

use crate::limit::REPORT_ENTRIES_MAX;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub title: String,
    pub version: String,
    /// The operations that became tools.
    pub converted: Vec<Converted>,
    /// The operations that did not, with the reason.
    pub left_out: Vec<Entry>,
    /// What is not as the document has it in a tool that was made.
    pub notes: Vec<Entry>,
    /// Entries beyond those that are kept.
    pub more: usize,
    /// Bytes of all tools as a list shows them.
    pub list_bytes: usize,
}

/// A tool and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Converted {
    pub tool: String,
    pub method: String,
    pub path: String,
}

/// A place in the document and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A JSON pointer.
    pub at: String,
    pub reason: String,
}

impl Report {
    pub(crate) fn leave_out(&mut self, at: &str, reason: impl Into<String>) {
        Self::add(&mut self.left_out, &mut self.more, at, reason.into());
    }

    pub(crate) fn note(&mut self, at: &str, reason: impl Into<String>) {
        Self::add(&mut self.notes, &mut self.more, at, reason.into());
    }

    fn add(entries: &mut Vec<Entry>, more: &mut usize, at: &str, reason: String) {
        if entries.len() < REPORT_ENTRIES_MAX {
            entries.push(Entry { at: at.to_owned(), reason });
        } else {
            *more += 1;
        }
    }
}
