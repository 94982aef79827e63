//! An operation that was read, before its schemas are written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Listed;
use super::detail::Detail;
use crate::body::Body;
use crate::document::{At, Document};
use crate::limit::PARAMETERS_MAX;
use crate::name;
use crate::operation::Operation;
use crate::options::{Candidate, Edit, Options};
use crate::parameter::{self, Parameter, is_json};
use crate::report::Report;
use crate::schema::{Form, Schemas, shortened};
use crate::security::{self, CredentialPlace, Scheme, SchemeKind};
use crate::server;

/// The methods that a path item can have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Media types that a request says it takes.
const ACCEPTED_MAX: usize = 8;

pub(crate) struct Draft<'d> {
    pub(crate) name: String,
    unedited: Option<String>,
    description: Option<String>,
    pub(crate) id: Option<&'d str>,
    tags: Vec<&'d str>,
    pub(crate) pointer: String,
    at: At<'d>,
    pub(crate) operation: Operation,
    document: &'d Document,
    /// What parameters take and say, in their order.
    parameters: Vec<(Option<At<'d>>, Option<&'d str>)>,
    media: Option<At<'d>>,
    answer: Option<At<'d>>,
}

/// Reads every operation, and reports those that cannot be one tool.
pub(super) fn read<'d>(
    document: &'d Document,
    options: &Options,
    schemes: &BTreeMap<String, Scheme>,
    root: &At<'d>,
    report: &mut Report,
) -> Vec<Draft<'d>> {
    let Some(paths) = root.member("paths") else { return vec![] };
    let mut drafts = vec![];
    for path in paths.value.as_object().into_iter().flat_map(Map::keys) {
        if path.starts_with("x-") {
            continue;
        }
        let Some(at) = paths.member(path) else { continue };
        let (pointer, item) = (at.pointer.clone(), document.follow(at));
        let item = match item {
            Ok(item) if path.starts_with('/') => item,
            Ok(_) => {
                report.leave_out(&pointer, "a path has to begin with a slash");
                continue;
            }
            Err(reason) => {
                report.leave_out(&pointer, reason);
                continue;
            }
        };
        for method in METHODS {
            let Some(operation) = item.member(method) else { continue };
            let pointer = format!("{pointer}/{method}");
            match Draft::read(document, options, schemes, path, method, &item, operation, &pointer, report) {
                Ok(draft) => drafts.push(draft),
                Err(reason) => report.leave_out(&pointer, reason),
            }
        }
    }
    drafts
}

impl<'d> Draft<'d> {
    #[expect(clippy::too_many_arguments, reason = "where an operation stands has this many parts")]
    fn read(
        document: &'d Document,
        options: &Options,
        schemes: &BTreeMap<String, Scheme>,
        path: &str,
        method: &str,
        item: &At<'d>,
        at: At<'d>,
        pointer: &str,
        report: &mut Report,
    ) -> Result<Self, String> {
        if !at.value.is_object() {
            return Err("an operation has to be an object".to_owned());
        }
        let server = server::of_operation(document, options, item, &at)?;
        let security = security::requirements(document, &at);
        let (mut parameters, kept) = parameters(document, item, &at, schemes, pointer, report)?;
        let in_path: BTreeSet<_> =
            path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        for name in in_path {
            let is_it = |one: &Parameter| one.place == parameter::Place::Path && one.name == name;
            if !parameters.iter().any(is_it) {
                return Err(format!("the parameter {name} of the path is not described"));
            }
        }
        let request_body = at.member("requestBody").map(|body| document.follow(body)).transpose()?;
        let read = request_body.and_then(|body| Body::read(document, &body));
        let (mut body, media) = match read {
            Some(read) => {
                if !read.unused.is_empty() {
                    report.note(pointer, format!("bodies are not sent as {}", read.unused.join(", ")));
                }
                (Some(read.body), Some(read.media))
            }
            None => (None, None),
        };
        name_arguments(&mut parameters, body.as_mut());
        let (answer, accept) = answers(document, &at);
        let operation = Operation {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            server,
            parameters,
            body,
            accept,
            security,
        };
        let tags = at.value.get("tags").and_then(Value::as_array).into_iter().flatten();
        let tags = tags.filter_map(Value::as_str).collect();
        let id = at.text("operationId").filter(|id| !id.trim().is_empty());
        let pointer = pointer.to_owned();
        let (name, unedited, description) = (String::new(), None, None);
        Ok(Self {
            name,
            unedited,
            description,
            id,
            tags,
            pointer,
            at,
            operation,
            document,
            parameters: kept,
            media,
            answer,
        })
    }

    pub(super) fn candidate(&self) -> Candidate<'_> {
        let Operation { method, path, .. } = &self.operation;
        Candidate { tags: self.tags.clone(), path, method, id: self.id, name: &self.name }
    }

    /// The name that it had before it was edited.
    pub(super) fn unedited(&self) -> &str {
        self.unedited.as_ref().unwrap_or(&self.name)
    }

    pub(super) fn edit(&mut self, edit: &Edit) -> Result<(), String> {
        if let Some(name) = &edit.name {
            if !name::is_valid(name) {
                return Err(name.clone());
            }
            self.unedited = Some(std::mem::replace(&mut self.name, name.clone()));
        }
        self.description.clone_from(&edit.description);
        Ok(())
    }

    /// The tool in so much detail, and whether a schema had to be shortened.
    pub(super) fn listed(
        &self,
        schemas: &mut Schemas<'d>,
        options: &Options,
        detail: &Detail,
    ) -> (Listed, bool) {
        let description = match &self.description {
            Some(description) => description.clone(),
            None => shortened(&self.own_description(), detail.description_chars),
        };
        let form = Form { output: false, description_chars: detail.schema_chars };
        let (input, cut) = {
            let input = self.input(schemas, form);
            schemas.define(input, form, detail.input_bytes)
        };
        let answer = self.answer.as_ref().filter(|_| options.output_schemas && detail.output_bytes > 0);
        let Some(answer) = answer else {
            let tool = super::listed(self, &description, input, None);
            return (Listed { with_sessions: tool.clone(), stateless: tool }, cut);
        };
        let (with_sessions, stateless, cut_output) = self.outputs(schemas, answer, detail);
        let with_sessions = super::listed(self, &description, input.clone(), Some(with_sessions));
        let stateless = super::listed(self, &description, input, Some(stateless));
        (Listed { with_sessions, stateless }, cut || cut_output)
    }

    /// What the operation answers, beside anything else: clients refuse an answer that does not fit, and what an API answers
    /// is as good as any, whatever its document says.
    fn outputs(&self, schemas: &mut Schemas<'d>, answer: &At<'d>, detail: &Detail) -> (Value, Value, bool) {
        let form = Form { output: true, description_chars: detail.schema_chars / 2 };
        let declared = schemas.convert(answer, form);
        let or_any = json!({ "anyOf": [declared, {}] });
        let (defined, cut) = schemas.define(or_any, form, detail.output_bytes);
        let is_object = self.document.follow(answer.clone()).is_ok_and(|at| is_object(at.value));
        let mut with_sessions = defined.clone();
        if is_object {
            with_sessions["type"] = json!("object");
        } else if let Value::Object(members) = &mut with_sessions {
            let definitions = members.remove("$defs");
            let any_of = members.remove("anyOf").unwrap_or_else(|| json!([{}]));
            members.clear();
            members.insert("type".to_owned(), json!("object"));
            members.insert("properties".to_owned(), json!({ "result": { "anyOf": any_of } }));
            members.extend(definitions.map(|definitions| ("$defs".to_owned(), definitions)));
        }
        (with_sessions, defined, cut)
    }

    fn own_description(&self) -> String {
        let text = |key: &str| self.at.text(key).map(str::trim).filter(|text| !text.is_empty());
        let mut parts: Vec<&str> = vec![];
        parts.extend(text("summary"));
        parts.extend(text("description").filter(|description| parts.first() != Some(description)));
        let own = if parts.is_empty() {
            format!("{} {}", self.operation.method, self.operation.path)
        } else {
            parts.join("\n\n")
        };
        let deprecated = self.at.value.get("deprecated") == Some(&Value::Bool(true));
        if deprecated { format!("Deprecated. {own}") } else { own }
    }

    fn input(&self, schemas: &mut Schemas<'d>, form: Form) -> Value {
        let (mut properties, mut required) = (Map::new(), vec![]);
        for (parameter, (schema, description)) in self.operation.parameters.iter().zip(&self.parameters) {
            let mut schema = schema.as_ref().map_or(json!({}), |schema| schemas.convert(schema, form));
            if let (Some(description), Value::Object(members)) = (description, &mut schema)
                && form.description_chars > 0
            {
                members
                    .insert("description".to_owned(), json!(shortened(description, form.description_chars)));
            }
            properties.insert(parameter.argument.clone(), schema);
            if parameter.required {
                required.push(parameter.argument.clone());
            }
        }
        if let (Some(body), Some(media)) = (&self.operation.body, &self.media) {
            properties.insert(body.argument.clone(), body.schema(schemas, self.document, media, form));
            if body.required {
                required.push(body.argument.clone());
            }
        }
        let mut input = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            input["required"] = json!(required);
        }
        input
    }
}

type Schemata<'d> = Vec<(Option<At<'d>>, Option<&'d str>)>;

/// The parameters of an operation and of its path, without those that are credentials.
fn parameters<'d>(
    document: &'d Document,
    item: &At<'d>,
    operation: &At<'d>,
    schemes: &BTreeMap<String, Scheme>,
    pointer: &str,
    report: &mut Report,
) -> Result<(Vec<Parameter>, Schemata<'d>), String> {
    let (mut read, mut kept): (Vec<Parameter>, Schemata<'d>) = (vec![], vec![]);
    for holder in [operation, item] {
        let Some(list) = holder.member("parameters") else { continue };
        for index in 0..list.value.as_array().map_or(0, Vec::len) {
            let Some(at) = list.member(&index.to_string()) else { continue };
            let Some(found) = Parameter::read(&document.follow(at)?)? else { continue };
            let parameter = found.parameter;
            // What the operation says replaces what its path says.
            let is_known = |one: &Parameter| one.name == parameter.name && one.place == parameter.place;
            if read.iter().any(is_known) || is_credential(&parameter, schemes) {
                continue;
            }
            if let Some(note) = found.note {
                report.note(pointer, note);
            }
            if read.len() == PARAMETERS_MAX {
                return Err(format!("an operation has more than {PARAMETERS_MAX} parameters"));
            }
            read.push(parameter);
            kept.push((found.schema, found.description));
        }
    }
    Ok((read, kept))
}

fn is_credential(parameter: &Parameter, schemes: &BTreeMap<String, Scheme>) -> bool {
    schemes.values().any(|scheme| match &scheme.kind {
        SchemeKind::ApiKey { place: CredentialPlace::Query, name } => {
            parameter.place == parameter::Place::Query && parameter.name == *name
        }
        SchemeKind::ApiKey { place: CredentialPlace::Header, name } => {
            parameter.place == parameter::Place::Header && parameter.name.eq_ignore_ascii_case(name)
        }
        SchemeKind::ApiKey { place: CredentialPlace::Cookie, name } => {
            parameter.place == parameter::Place::Cookie && parameter.name == *name
        }
        _ => false,
    })
}

/// Gives arguments names that are told apart: by their places where several have one, by numbers where that is not enough.
fn name_arguments(parameters: &mut [Parameter], body: Option<&mut Body>) {
    let alone: Vec<_> = parameters.iter().map(|parameter| name::of_argument(&parameter.name)).collect();
    let has_body = body.is_some();
    let mut taken = BTreeSet::new();
    if let Some(body) = body {
        body.argument = "body".to_owned();
        taken.insert("body".to_owned());
    }
    for (at, parameter) in parameters.iter_mut().enumerate() {
        let own = &alone[at];
        let is_shared = alone.iter().filter(|other| *other == own).count() > 1 || has_body && own == "body";
        let wanted = if is_shared { format!("{own}_{}", parameter.place.as_str()) } else { own.clone() };
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let name = names.find(|name| !taken.contains(name)).expect("numbers do not end");
        taken.insert(name.clone());
        parameter.argument = name;
    }
}

/// The schema of the answer that is expected, if it is JSON, and the media types that are taken.
fn answers<'d>(document: &'d Document, operation: &At<'d>) -> (Option<At<'d>>, String) {
    let responses = operation.member("responses");
    let statuses = responses.as_ref().and_then(|responses| responses.value.as_object());
    let statuses = statuses.into_iter().flat_map(Map::keys).filter(|status| status.starts_with('2'));
    let statuses = statuses.cloned().chain(["default".to_owned()]);
    let (mut schema, mut accepted) = (None, vec![]);
    for status in statuses {
        let response = responses.as_ref().and_then(|responses| responses.member(&status));
        let content = response.and_then(|at| document.follow(at).ok()).and_then(|at| at.member("content"));
        let Some(content) = content else { continue };
        for media_type in content.value.as_object().into_iter().flat_map(Map::keys) {
            let is_visible = media_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            if is_visible
                && !accepted.contains(media_type)
                && accepted.len() < ACCEPTED_MAX
                && status != "default"
            {
                accepted.push(media_type.clone());
            }
            if schema.is_none() && is_json(media_type) {
                schema = content.member(media_type).and_then(|media| media.member("schema"));
            }
        }
    }
    accepted.sort_by_key(|media_type| !is_json(media_type));
    let accept = if accepted.is_empty() { "*/*".to_owned() } else { accepted.join(", ") };
    (schema, accept)
}

/// Whether a schema is one of an object, as far as it says.
fn is_object(schema: &Value) -> bool {
    match schema.get("type") {
        Some(kind) => kind == "object",
        None => schema.get("properties").is_some() || schema.get("allOf").is_some(),
    }
}
