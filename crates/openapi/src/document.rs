//! A document with everything that it refers to, and what a reference in it leads to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::limit::{DEPTH_MAX, DOCUMENT_BYTES_MAX, DOCUMENTS_MAX, REFERENCE_HOPS_MAX, YAML_NODES_MAX};

/// Gets a document that another one refers to, or says why it does not.
pub type Fetch<'a> = &'a mut dyn FnMut(&Url) -> Result<Vec<u8>, String>;

/// A document of OpenAPI 3.0 or 3.1, and the documents that it refers to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// The form of this bundle; tells it from a document.
    #[serde(rename = "mcpcanOpenApiBundle")]
    form: u8,
    /// The address of the document itself: what relative servers and references start from.
    root: Url,
    documents: BTreeMap<Url, Value>,
    /// What is referred to and not there, with the reason.
    #[serde(default)]
    missing: BTreeMap<Url, String>,
}

/// The version of bundles.
const FORM: u8 = 1;
/// The address of a document whose own is not known.
const NOWHERE: &str = "document:/openapi";
/// Members of a document whose references, if any, are examples and not references.
const NOT_FOLLOWED: [&str; 5] = ["example", "examples", "default", "enum", "const"];

/// Why a document is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the document has {0} bytes or more, and at most {DOCUMENT_BYTES_MAX} are read")]
    TooLarge(usize),
    #[error("the document is neither JSON nor YAML that can be read: {0}")]
    Unreadable(String),
    #[error(
        "this is a Swagger {0} document; convert it to OpenAPI 3.0 or 3.1 first, for example with `npx swagger2openapi`"
    )]
    Swagger(String),
    #[error("OpenAPI {0} is not known; 3.0 and 3.1 are")]
    Version(String),
    #[error("the document has no `openapi` with its version: it is no OpenAPI document")]
    NoVersion,
    #[error("the document has no `paths` with operations")]
    NoPaths,
    #[error("no operation of the document can be a tool that was asked for{}", .0.as_ref().map(|first| format!("; the first: {first}")).unwrap_or_default())]
    NothingLeft(Option<String>),
    #[error("more than {0} tools; choose with tags, paths, methods or names")]
    TooManyTools(usize),
    #[error("two tools were given the name {0}")]
    NameTaken(String),
    #[error("there is no tool {0} to edit")]
    NoSuchTool(String),
    #[error("{0} is no name of a tool: 1 to 64 letters, digits, `_`, `-` or `.`")]
    BadName(String),
    #[error("the server {0}: {1}")]
    Server(String, String),
}

/// A place in one of the documents.
#[derive(Clone, Debug)]
pub(crate) struct At<'d> {
    pub(crate) document: &'d Url,
    pub(crate) pointer: String,
    pub(crate) value: &'d Value,
}

impl<'d> At<'d> {
    /// A member of an object, or an item of a list.
    pub(crate) fn member(&self, key: &str) -> Option<At<'d>> {
        let value = match self.value {
            Value::Object(members) => members.get(key)?,
            Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
        Some(At { document: self.document, pointer: format!("{}/{}", self.pointer, escape(key)), value })
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'d str> {
        self.value.get(key)?.as_str()
    }
}

impl Document {
    /// Reads a document, and through `fetch` what it refers to. `location` is its own address, if it has one. A bundle that
    /// [`to_bundle`](Self::to_bundle) made is read as well.
    ///
    /// # Errors
    /// It is too large or too deep, no JSON or YAML, or no OpenAPI of a known version.
    pub fn read(bytes: &[u8], location: Option<&Url>, fetch: Fetch<'_>) -> Result<Self, Refused> {
        let value = parse(bytes)?;
        if value.get("mcpcanOpenApiBundle").is_some() {
            let bundle: Self =
                serde_json::from_value(value).map_err(|error| Refused::Unreadable(error.to_string()))?;
            let root = bundle.documents.get(&bundle.root).ok_or(Refused::NoVersion)?;
            return check(root).map(|()| bundle);
        }
        check(&value)?;
        let nowhere = Url::parse(NOWHERE).expect("the constant is an address");
        let mut root = location.cloned().unwrap_or(nowhere);
        root.set_fragment(None);
        let mut document =
            Self { form: FORM, root: root.clone(), documents: BTreeMap::new(), missing: BTreeMap::new() };
        document.gather(root, value, bytes.len(), fetch);
        Ok(document)
    }

    /// The document and all that it refers to, as one.
    pub fn to_bundle(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("JSON values always serialise")
    }

    /// What is referred to and not there, with the reason.
    pub fn missing(&self) -> impl Iterator<Item = (&Url, &str)> {
        self.missing.iter().map(|(url, reason)| (url, reason.as_str()))
    }

    /// The address of the document, if it has one.
    pub(crate) fn location(&self) -> Option<&Url> {
        (self.root.as_str() != NOWHERE).then_some(&self.root)
    }

    pub(crate) fn root(&self) -> At<'_> {
        let value = &self.documents[&self.root];
        At { document: &self.root, pointer: String::new(), value }
    }

    /// Whether schemas are those of 3.0, a dialect of their own.
    pub(crate) fn is_3_0(&self, document: &Url) -> bool {
        let document = if self.documents.len() == 1 { &self.root } else { document };
        let version = |url| self.documents.get(url).and_then(|value: &Value| value.get("openapi")?.as_str());
        version(document).or_else(|| version(&self.root)).is_some_and(|version| version.starts_with("3.0"))
    }

    /// The place itself, or what its `$ref` leads to in the end.
    pub(crate) fn follow<'d>(&'d self, at: At<'d>) -> Result<At<'d>, String> {
        let mut at = at;
        for _ in 0..REFERENCE_HOPS_MAX {
            let Some(reference) = at.text("$ref") else { return Ok(at) };
            at = self.resolve(at.document, reference)?;
        }
        Err(format!("references lead on and on, at {}", at.pointer))
    }

    /// What a reference leads to.
    pub(crate) fn resolve<'d>(&'d self, from: &Url, reference: &str) -> Result<At<'d>, String> {
        let unresolved = |reason: &str| Err(format!("`$ref` {reference}: {reason}"));
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let target = if path.is_empty() { Ok(from.clone()) } else { from.join(path) };
        let Ok(target) = target else { return unresolved("is no address") };
        let Some((document, value)) = self.documents.get_key_value(&target) else {
            let reason =
                self.missing.get(&target).map_or("leads to a document that is not there", String::as_str);
            return unresolved(reason);
        };
        let pointer = percent_decoded(fragment);
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return unresolved("anchors are not followed, only JSON pointers");
        }
        match value.pointer(&pointer) {
            Some(value) => Ok(At { document, pointer, value }),
            None => unresolved("leads nowhere"),
        }
    }

    /// Takes a document in, and those that it refers to.
    fn gather(&mut self, root: Url, value: Value, bytes: usize, fetch: Fetch<'_>) {
        let mut bytes = bytes;
        let mut waiting = vec![(root, value)];
        while let Some((url, value)) = waiting.pop() {
            let mut found = vec![];
            references(&value, &mut |reference| {
                let path = reference.split('#').next().unwrap_or_default();
                if !path.is_empty() {
                    found.push(url.join(path).map_err(|_| reference.to_owned()));
                }
            });
            self.documents.insert(url, value);
            for target in found.into_iter().flatten() {
                let is_known = |url| self.documents.contains_key(url) || self.missing.contains_key(url);
                if is_known(&target) || waiting.iter().any(|(url, _)| *url == target) {
                    continue;
                }
                let room = DOCUMENT_BYTES_MAX.saturating_sub(bytes);
                let fetched = if self.documents.len() + waiting.len() > DOCUMENTS_MAX {
                    Err(format!("more than {DOCUMENTS_MAX} documents are referred to"))
                } else {
                    fetch(&target).and_then(|fetched| read_referred(&fetched, room))
                };
                match fetched {
                    Ok((read, value)) => {
                        bytes += read;
                        waiting.push((target, value));
                    }
                    Err(reason) => {
                        self.missing.insert(target, reason);
                    }
                }
                if self.missing.len() > DOCUMENTS_MAX {
                    return;
                }
            }
        }
    }
}

fn read_referred(bytes: &[u8], room: usize) -> Result<(usize, Value), String> {
    if bytes.len() > room {
        return Err(format!("with it, more than {DOCUMENT_BYTES_MAX} bytes would be read"));
    }
    let value = parse(bytes).map_err(|refused| refused.to_string())?;
    Ok((bytes.len(), value))
}

/// Reads JSON or YAML. JSON is told by its first byte; YAML that begins with one of its braces is tried as well.
fn parse(bytes: &[u8]) -> Result<Value, Refused> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Refused::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Refused::Unreadable(error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let as_json = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error.to_string(),
    };
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    serde_saphyr::from_str_with_options::<Value>(text, yaml_options()).map_err(|error| {
        Refused::Unreadable(if looks_like_json { as_json } else { first_line(&error.to_string()) })
    })
}

fn yaml_options() -> serde_saphyr::Options {
    let budget = serde_saphyr::budget! {
        max_nodes: YAML_NODES_MAX,
        max_events: YAML_NODES_MAX * 2,
        max_depth: DEPTH_MAX,
        max_total_scalar_bytes: DOCUMENT_BYTES_MAX,
    };
    serde_saphyr::options! { budget: budget, with_snippet: false }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Whether this is OpenAPI of a version that can be read.
fn check(document: &Value) -> Result<(), Refused> {
    if let Some(version) = document.get("swagger") {
        return Err(Refused::Swagger(version.as_str().map_or_else(|| version.to_string(), str::to_owned)));
    }
    let version = document.get("openapi").ok_or(Refused::NoVersion)?;
    let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    if !["3.0", "3.1"].iter().any(|known| version == *known || version.starts_with(&format!("{known}."))) {
        return Err(Refused::Version(version));
    }
    let has_paths = document.get("paths").and_then(Value::as_object).is_some_and(|paths| !paths.is_empty());
    if has_paths { Ok(()) } else { Err(Refused::NoPaths) }
}

/// Tells of every reference.
fn references(value: &Value, tell: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if key == "$ref" => tell(reference),
                    _ if NOT_FOLLOWED.contains(&key.as_str()) || key.starts_with("x-") => {}
                    _ => references(value, tell),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, tell)),
        _ => {}
    }
}

/// A key as a JSON pointer has it (RFC 6901, section 3).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The text that a percent-encoded one stands for; what is not encoded well stays.
pub(crate) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
            .flatten();
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}
