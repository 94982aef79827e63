//! Schemas of a document as JSON Schema 2020-12, which is what tools have.
//!
//! What a schema refers to becomes a definition under `$defs`, made once and shared, so that circles end and nothing
//! grows by being referred to often. What does not fit into the bytes that a tool may have is shortened to its type: a
//! shortened schema takes everything that the whole one takes.

mod dialect;
mod fit;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use serde_json::{Map, Value, json};
use url::Url;

use crate::document::{At, Document};
use crate::name;
pub(crate) use dialect::shortened;
pub(crate) use fit::{bytes, fit};

/// Where references to definitions lead.
const DEFS: &str = "#/$defs/";

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Form {
    /// What a tool answers rather than takes: without what would refuse an answer that is as good as any.
    pub(crate) output: bool,
    /// Characters of a description.
    pub(crate) description_chars: usize,
}

/// The definitions of a document, as far as they were asked for.
pub(crate) struct Schemas<'d> {
    document: &'d Document,
    /// Names of definitions by their place, and the other way round.
    names: HashMap<(Url, String), String>,
    places: BTreeMap<String, At<'d>>,
    made: HashMap<(String, Form), Rc<Made>>,
    /// References that lead nowhere, with the reason; what has them takes anything there.
    pub(crate) unresolved: BTreeSet<String>,
}

struct Made {
    value: Value,
    bytes: usize,
}

impl<'d> Schemas<'d> {
    pub(crate) fn of(document: &'d Document) -> Self {
        Self {
            document,
            names: HashMap::new(),
            places: BTreeMap::new(),
            made: HashMap::new(),
            unresolved: BTreeSet::new(),
        }
    }

    /// A schema with references to definitions that [`define`](Self::define) adds.
    pub(crate) fn convert(&mut self, at: &At<'d>, form: Form) -> Value {
        dialect::convert(self, at, form, 0)
    }

    /// Adds the definitions that a schema refers to, those that are nearest first, as long as they fit into `bytes_max`
    /// with it; and says whether anything had to be shortened.
    pub(crate) fn define(&mut self, root: Value, form: Form, bytes_max: usize) -> (Value, bool) {
        let mut shortened = false;
        let (root, cut) = fit(root, bytes_max);
        shortened |= cut;
        let mut used = bytes(&root);
        let (mut waiting, mut seen) = (VecDeque::new(), BTreeSet::new());
        note_references(&root, &mut waiting, &mut seen);
        let mut definitions = Map::new();
        while let Some(name) = waiting.pop_front() {
            let made = self.definition(&name, form);
            let cost = made.bytes + name.len() + 4;
            let value = if used + cost <= bytes_max {
                note_references(&made.value, &mut waiting, &mut seen);
                made.value.clone()
            } else {
                shortened = true;
                fit::stub(&made.value)
            };
            used += bytes(&value) + name.len() + 4;
            definitions.insert(name, value);
        }
        let root = match root {
            Value::Object(mut members) => {
                if !definitions.is_empty() {
                    members.insert("$defs".to_owned(), Value::Object(definitions));
                }
                Value::Object(members)
            }
            other => other,
        };
        (root, shortened)
    }

    fn definition(&mut self, name: &str, form: Form) -> Rc<Made> {
        let key = (name.to_owned(), form);
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let value = match self.places.get(name).cloned() {
            Some(at) => self.convert(&at, form),
            None => json!({}),
        };
        let made = Rc::new(Made { bytes: bytes(&value), value });
        self.made.insert(key, made.clone());
        made
    }

    /// The reference to what a reference leads to, as it stands in a tool.
    fn reference(&mut self, from: &At<'d>, reference: &str) -> Value {
        let target = match self.document.resolve(from.document, reference) {
            Ok(target) => target,
            Err(reason) => {
                self.unresolved.insert(reason);
                return json!({});
            }
        };
        let key = (target.document.clone(), target.pointer.clone());
        if let Some(name) = self.names.get(&key) {
            return json!({ "$ref": format!("{DEFS}{name}") });
        }
        let last = target.pointer.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("schema");
        let wanted = name::of_argument(last);
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let name = names.find(|name| !self.places.contains_key(name)).expect("numbers do not end");
        self.places.insert(name.clone(), target);
        self.names.insert(key, name.clone());
        json!({ "$ref": format!("{DEFS}{name}") })
    }
}

/// Notes the definitions that a schema refers to and that were not noted yet.
fn note_references(schema: &Value, waiting: &mut VecDeque<String>, seen: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) =
                members.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(DEFS))
                && seen.insert(name.to_owned())
            {
                waiting.push_back(name.to_owned());
            }
            members.values().for_each(|value| note_references(value, waiting, seen));
        }
        Value::Array(items) => items.iter().for_each(|item| note_references(item, waiting, seen)),
        _ => {}
    }
}
