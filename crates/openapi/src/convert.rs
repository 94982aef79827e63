//! From the operations of a document to tools, and the report of what became of each.

mod detail;
mod draft;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::document::{Document, Refused};
use crate::limit::{LIST_BYTES_MAX, TOOLS_MAX};
use crate::name;
use crate::operation::Operation;
use crate::options::Options;
use crate::report::{Converted, Report};
use crate::schema::{Schemas, bytes};
use crate::security::{self, Scheme, SchemeKind};
use detail::{DETAILS, Detail};
use draft::Draft;

/// What a document becomes.
pub struct Api {
    /// In the order of paths and methods.
    pub tools: Vec<Tool>,
    pub schemes: BTreeMap<String, Scheme>,
    pub report: Report,
}

/// An operation as a tool.
pub struct Tool {
    pub name: String,
    pub operation: Operation,
    /// Whether it says what it answers.
    pub has_output_schema: bool,
    /// As `tools/list` shows it: of revisions that take only objects as answers, and of the others.
    pub listed: Listed,
}

pub struct Listed {
    pub with_sessions: Value,
    pub stateless: Value,
}

/// What a client may think of a call, by its method (RFC 9110, section 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    pub read_only: bool,
    /// Not said of `POST`, which may be anything.
    pub destructive: Option<bool>,
    pub idempotent: bool,
}

impl Hints {
    pub(crate) fn of_method(method: &str) -> Self {
        let read_only = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        let destructive = match method {
            _ if read_only => Some(false),
            "PUT" | "PATCH" | "DELETE" => Some(true),
            _ => None,
        };
        Self { read_only, destructive, idempotent: read_only || matches!(method, "PUT" | "DELETE") }
    }

    fn to_value(self) -> Value {
        let mut hints = json!({
            "readOnlyHint": self.read_only,
            "idempotentHint": self.idempotent,
            "openWorldHint": true,
        });
        if let Some(destructive) = self.destructive {
            hints["destructiveHint"] = json!(destructive);
        }
        hints
    }
}

/// Makes tools of a document's operations.
///
/// # Errors
/// No tool is left, there are too many, or an edit names a tool that is not there.
pub fn convert(document: &Document, options: &Options) -> Result<Api, Refused> {
    if let Some(server) = &options.server {
        let invalid = |reason| Refused::Server(server.clone(), reason);
        crate::server::absolute(document, server).map_err(invalid)?;
    }
    let root = document.root();
    let schemes = security::schemes(document);
    let mut report =
        Report { title: info(document, "title"), version: info(document, "version"), ..Report::default() };
    for (name, scheme) in &schemes {
        if let SchemeKind::Other(kind) = &scheme.kind {
            report.note(
                &format!("/components/securitySchemes/{}", crate::document::escape(name)),
                format!("{kind} is not served"),
            );
        }
    }
    for (url, reason) in document.missing() {
        report.note("", format!("{url} is referred to and not there: {reason}"));
    }
    let mut drafts = draft::read(document, options, &schemes, &root, &mut report);
    name_drafts(&mut drafts);
    drafts.retain(|draft| options.choose(&draft.candidate()));
    edit(&mut drafts, options)?;
    if drafts.is_empty() {
        let first = report.left_out.first().map(|entry| format!("{}: {}", entry.at, entry.reason));
        return Err(Refused::NothingLeft(first));
    }
    if drafts.len() > TOOLS_MAX {
        return Err(Refused::TooManyTools(TOOLS_MAX));
    }
    let mut schemas = Schemas::of(document);
    let mut tools = None;
    for (at, detail) in DETAILS.iter().enumerate() {
        let is_last = at + 1 == DETAILS.len();
        if let Some(rendered) = render(options, &drafts, &mut schemas, detail, is_last) {
            note_details(&mut report, at, &rendered.1);
            report.list_bytes = rendered.2;
            tools = Some(rendered.0);
            break;
        }
    }
    let listed = tools.ok_or(Refused::TooManyTools(drafts.len()))?;
    for reason in &schemas.unresolved {
        report.note("", format!("{reason}; any value is taken there"));
    }
    let converted = |draft: &Draft<'_>| Converted {
        tool: draft.name.clone(),
        method: draft.operation.method.clone(),
        path: draft.operation.path.clone(),
    };
    report.converted = drafts.iter().map(converted).collect();
    let tools = drafts.into_iter().zip(listed).map(|(draft, listed)| Tool {
        name: draft.name,
        operation: draft.operation,
        has_output_schema: listed.with_sessions.get("outputSchema").is_some(),
        listed,
    });
    Ok(Api { tools: tools.collect(), schemes, report })
}

fn info(document: &Document, key: &str) -> String {
    let value = document.root().value.get("info").and_then(|info| info.get(key));
    let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    crate::schema::shortened(&text.unwrap_or_default(), 200)
}

/// Gives each operation a name that no other has. Those that are not asked for count too, so that a choice changes no
/// name.
fn name_drafts(drafts: &mut [Draft<'_>]) {
    let wanted = drafts.iter().map(|draft| {
        let Operation { method, path, .. } = &draft.operation;
        let name = name::of_operation(draft.id, &method.to_ascii_lowercase(), path);
        let is_exact = draft.id == Some(&*name);
        (name, format!("{method} {path}"), is_exact)
    });
    let names = name::unique(&wanted.collect::<Vec<_>>());
    for (draft, name) in drafts.iter_mut().zip(names) {
        draft.name = name;
    }
}

fn edit(drafts: &mut [Draft<'_>], options: &Options) -> Result<(), Refused> {
    for (name, edit) in &options.edits {
        let draft = drafts.iter_mut().find(|draft| draft.unedited() == name);
        let draft = draft.ok_or_else(|| Refused::NoSuchTool(name.clone()))?;
        draft.edit(edit).map_err(Refused::BadName)?;
    }
    let mut names = BTreeSet::new();
    match drafts.iter().find(|draft| !names.insert(&draft.name)) {
        Some(twice) => Err(Refused::NameTaken(twice.name.clone())),
        None => Ok(()),
    }
}

type Rendered = (Vec<Listed>, Vec<String>, usize);

/// The tools in so much detail, with the places of those that were shortened and the bytes of all; `None` if they are too
/// many bytes, unless nothing is left to shorten.
fn render<'d>(
    options: &Options,
    drafts: &[Draft<'d>],
    schemas: &mut Schemas<'d>,
    detail: &Detail,
    is_last: bool,
) -> Option<Rendered> {
    let (mut listed, mut shortened, mut sum) = (vec![], vec![], 0);
    for draft in drafts {
        let (tool, cut) = draft.listed(schemas, options, detail);
        if cut {
            shortened.push(draft.pointer.clone());
        }
        sum += bytes(&tool.with_sessions).max(bytes(&tool.stateless)) + 1;
        if sum > LIST_BYTES_MAX && !is_last {
            return None;
        }
        listed.push(tool);
    }
    (sum <= LIST_BYTES_MAX).then_some((listed, shortened, sum))
}

fn note_details(report: &mut Report, at: usize, shortened: &[String]) {
    if at > 0 {
        let reason = format!(
            "all tools together would be more than {LIST_BYTES_MAX} bytes: schemas and descriptions are shortened (step {at} of {})",
            DETAILS.len() - 1
        );
        report.note("", reason);
    }
    for pointer in shortened {
        report.note(pointer, "a schema is shortened: what is nested deepest takes any value");
    }
}

/// A tool as a list shows it.
pub(crate) fn listed(draft: &Draft<'_>, description: &str, input: Value, output: Option<Value>) -> Value {
    let mut tool = Map::new();
    tool.insert("name".to_owned(), json!(draft.name));
    tool.insert("description".to_owned(), json!(description));
    tool.insert("inputSchema".to_owned(), input);
    if let Some(output) = output {
        tool.insert("outputSchema".to_owned(), output);
    }
    tool.insert("annotations".to_owned(), Hints::of_method(&draft.operation.method).to_value());
    Value::Object(tool)
}
