//! What of a document is served, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The choices of whoever imports a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which operations become tools; without any choice, all.
    pub include: Selection,
    /// Which of those do not.
    pub exclude: Selection,
    /// Other names and descriptions, by the name that a tool would have.
    pub edits: BTreeMap<String, Edit>,
    /// The address that takes the place of the document's servers. Those of paths and operations stay.
    pub server: Option<String>,
    /// Values for variables of servers, instead of the document's defaults.
    pub server_variables: BTreeMap<String, String>,
    /// Whether tools say what they answer.
    pub output_schemas: bool,
}

/// Some operations. What is named in several ways has to fit all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    pub tags: Vec<String>,
    /// Paths as the document has them; a `*` stands for any text.
    pub paths: Vec<String>,
    pub methods: Vec<String>,
    /// Names of tools, or `operationId`s.
    pub operations: Vec<String>,
}

/// How a tool differs from its operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edit {
    pub name: Option<String>,
    pub description: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            include: Selection::default(),
            exclude: Selection::default(),
            edits: BTreeMap::new(),
            server: None,
            server_variables: BTreeMap::new(),
            output_schemas: true,
        }
    }
}

/// What a selection looks at.
pub(crate) struct Candidate<'a> {
    pub(crate) tags: Vec<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) id: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl Options {
    pub(crate) fn choose(&self, candidate: &Candidate<'_>) -> bool {
        let excluded = !self.exclude.is_empty() && self.exclude.has(candidate);
        self.include.has(candidate) && !excluded
    }
}

impl Selection {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an operation fits everything that is named.
    fn has(&self, candidate: &Candidate<'_>) -> bool {
        let any = |wanted: &[String], fits: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| fits(wanted))
        };
        any(&self.tags, &|tag| candidate.tags.contains(&tag))
            && any(&self.paths, &|pattern| fits(pattern, candidate.path))
            && any(&self.methods, &|method| method.eq_ignore_ascii_case(candidate.method))
            && any(&self.operations, &|name| name == candidate.name || Some(name) == candidate.id)
    }
}

/// Whether a text fits a pattern in which stars stand for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
