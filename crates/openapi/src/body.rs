//! The body of a request: which media type is sent, and how an argument becomes one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use url::Url;
use url::form_urlencoded;

use crate::argument::{Argument, Members};
use crate::document::{At, Document};
use crate::parameter::{as_text, is_json};
use crate::request::{Content, Part, RequestBody};
use crate::schema::{Form, Schemas};
use crate::style::{self, Encoding, Shape, Style};

/// Schemas in `allOf` that are looked through for fields of a form.
const ALL_OF_DEPTH_MAX: usize = 8;
/// Padding may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Debug)]
pub(crate) struct Body {
    media_type: String,
    kind: Kind,
    pub(crate) required: bool,
    /// The name of the tool's argument.
    pub(crate) argument: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Json,
    Text,
    Binary,
    Form(BTreeMap<String, Field>),
    Multipart(BTreeMap<String, Field>),
}

/// How a field of a form is written.
#[derive(Clone, Debug, Default)]
struct Field {
    is_file: bool,
    content_type: Option<String>,
    style: Option<(Style, bool, Encoding)>,
}

/// A body with its media type, and the media types that are not used.
pub(crate) struct Read<'d> {
    pub(crate) body: Body,
    pub(crate) media: At<'d>,
    pub(crate) unused: Vec<String>,
}

impl Body {
    /// Reads the body of an operation; `None` if it has no content.
    pub(crate) fn read<'d>(document: &'d Document, at: &At<'d>) -> Option<Read<'d>> {
        let content = at.member("content")?;
        let mut media_types: Vec<&String> = content.value.as_object()?.keys().collect();
        media_types.sort_by_key(|media_type| preference(media_type));
        let (chosen, unused) = media_types.split_first()?;
        let media = content.member(chosen)?;
        let essence = chosen.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let kind = match essence.as_str() {
            _ if is_json(chosen) || matches!(essence.as_str(), "*/*" | "application/*") => Kind::Json,
            "application/x-www-form-urlencoded" => Kind::Form(fields(document, &media)),
            _ if essence.starts_with("multipart/") => Kind::Multipart(fields(document, &media)),
            _ if is_text(&essence) => Kind::Text,
            _ => Kind::Binary,
        };
        let media_type =
            if essence.contains('*') { default_for(&kind).to_owned() } else { (*chosen).clone() };
        let required = at.value.get("required") == Some(&Value::Bool(true));
        let body = Self { media_type, kind, required, argument: String::new() };
        Some(Read { body, media, unused: unused.iter().map(|media_type| (*media_type).clone()).collect() })
    }

    /// What the tool's argument takes.
    pub(crate) fn schema<'d>(
        &self,
        schemas: &mut Schemas<'d>,
        document: &'d Document,
        media: &At<'d>,
        form: Form,
    ) -> Value {
        let fields = match &self.kind {
            Kind::Json => {
                return media.member("schema").map_or(json!({}), |schema| schemas.convert(&schema, form));
            }
            Kind::Text => {
                return json!({ "type": "string", "description": format!("The body, {}", self.media_type) });
            }
            Kind::Binary => return file_schema(),
            Kind::Form(fields) | Kind::Multipart(fields) => fields,
        };
        let (mut properties, mut required) = (BTreeMap::new(), vec![]);
        if let Some(schema) = media.member("schema") {
            gather(document, schema, &mut properties, &mut required, 0);
        }
        let mut converted = Map::new();
        for (name, at) in properties {
            let is_file = fields.get(&name).is_some_and(|field| field.is_file);
            let is_list = document.follow(at.clone()).is_ok_and(|at| at.text("type") == Some("array"));
            let schema = match (is_file, is_list) {
                (true, false) => file_schema(),
                (true, true) => json!({ "type": "array", "items": file_schema() }),
                (false, _) => schemas.convert(&at, form),
            };
            converted.insert(name, schema);
        }
        let mut schema = json!({ "type": "object", "properties": converted });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// The body that an argument asks for.
    ///
    /// # Errors
    /// The argument is not what the body can be made of; says why.
    pub(crate) fn write(&self, raw: &RawValue) -> Result<RequestBody, String> {
        let media_type = self.media_type.clone();
        let whole = |bytes: Vec<u8>| RequestBody::Whole(media_type.clone(), Content::Bytes(bytes));
        match &self.kind {
            Kind::Json => Ok(whole(raw.get().as_bytes().to_vec())),
            Kind::Text => Ok(whole(as_text(raw).unwrap_or_default().into_bytes())),
            Kind::Binary => {
                let file = file(raw).map_err(|reason| format!("{}: {reason}", self.argument))?;
                Ok(RequestBody::Whole(file.content_type.unwrap_or(media_type), file.content))
            }
            Kind::Form(fields) => Ok(whole(form(fields, &self.members(raw)?).into_bytes())),
            Kind::Multipart(fields) => {
                let mut parts = vec![];
                for (name, value) in self.members(raw)?.0 {
                    let field = fields.get(&name).cloned().unwrap_or_default();
                    add_parts(&mut parts, &name, &field, value)
                        .map_err(|reason| format!("{}.{name}: {reason}", self.argument))?;
                }
                Ok(RequestBody::Parts(media_type, parts))
            }
        }
    }

    fn members<'a>(&self, raw: &'a RawValue) -> Result<Members<'a>, String> {
        match Argument::read(raw) {
            Argument::Object(members) => Ok(members),
            _ => Err(format!("{} has to be an object with the fields of the form", self.argument)),
        }
    }
}

/// The media type that is sent where a body may be of several: the lowest.
fn preference(media_type: &str) -> (u8, &str) {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let rank = match essence {
        "application/json" => 0,
        _ if is_json(essence) => 1,
        "*/*" | "application/*" => 2,
        "application/x-www-form-urlencoded" => 3,
        _ if essence.starts_with("multipart/") => 4,
        "text/plain" => 5,
        _ if is_text(essence) => 6,
        _ => 7,
    };
    (rank, media_type)
}

fn default_for(kind: &Kind) -> &'static str {
    match kind {
        Kind::Json => "application/json",
        Kind::Text => "text/plain",
        Kind::Multipart(_) => "multipart/form-data",
        Kind::Form(_) | Kind::Binary => "application/octet-stream",
    }
}

/// Whether a body of this media type is text.
pub(crate) fn is_text(essence: &str) -> bool {
    let named = [
        "application/xml",
        "application/javascript",
        "application/yaml",
        "application/x-yaml",
        "application/graphql",
        "application/sql",
        "application/x-ndjson",
        "application/jsonl",
        "application/x-www-form-urlencoded",
        "application/toml",
    ];
    essence.starts_with("text/")
        || named.contains(&essence)
        || ["+xml", "+yaml", "+json-seq"].iter().any(|suffix| essence.ends_with(suffix))
}

/// How the fields of a form are written: by its `encoding`, and by what their schemas are.
fn fields(document: &Document, media: &At<'_>) -> BTreeMap<String, Field> {
    let (mut properties, mut required) = (BTreeMap::new(), vec![]);
    if let Some(schema) = media.member("schema") {
        gather(document, schema, &mut properties, &mut required, 0);
    }
    let encodings = media.member("encoding");
    let mut fields = BTreeMap::new();
    for (name, schema) in properties {
        let mut field = Field { is_file: is_file(document, &schema), ..Field::default() };
        if let Some(encoding) = encodings.as_ref().and_then(|encodings| encodings.member(&name)) {
            let first = |types: &str| types.split(',').next().unwrap_or_default().trim().to_owned();
            field.content_type = encoding.text("contentType").map(first).filter(|name| !name.contains('*'));
            let is_set = |key: &str| encoding.value.get(key);
            if ["style", "explode", "allowReserved"].iter().any(|key| is_set(key).is_some()) {
                let style = encoding.text("style").and_then(Style::from_name).unwrap_or(Style::Form);
                let explode = is_set("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
                let reserved = is_set("allowReserved") == Some(&Value::Bool(true));
                let encoding = if reserved { Encoding::Reserved } else { Encoding::Strict };
                field.style = Some((style, explode, encoding));
            }
        }
        fields.insert(name, field);
    }
    fields
}

/// The properties of an object, those in its `allOf` included.
fn gather<'d>(
    document: &'d Document,
    schema: At<'d>,
    properties: &mut BTreeMap<String, At<'d>>,
    required: &mut Vec<String>,
    depth: usize,
) {
    let Ok(schema) = document.follow(schema) else { return };
    if let Some(named) = schema.member("properties") {
        for name in named.value.as_object().into_iter().flat_map(Map::keys) {
            let Some(property) = named.member(name) else { continue };
            if property.value.get("readOnly") != Some(&Value::Bool(true)) {
                properties.insert(name.clone(), property);
            }
        }
    }
    let names = schema.value.get("required").and_then(Value::as_array).into_iter().flatten();
    required.extend(names.filter_map(Value::as_str).map(str::to_owned));
    required.retain(|name| !name.is_empty());
    let all_of = schema.member("allOf").filter(|_| depth < ALL_OF_DEPTH_MAX);
    let count = all_of.as_ref().and_then(|all| all.value.as_array()).map_or(0, Vec::len);
    for index in 0..count {
        if let Some(part) = all_of.as_ref().and_then(|all| all.member(&index.to_string())) {
            gather(document, part, properties, required, depth + 1);
        }
    }
}

/// Whether a field holds bytes: by OpenAPI 3.0 or 3.1, alone or in a list.
fn is_file(document: &Document, schema: &At<'_>) -> bool {
    let is_bytes = |at: &At<'_>| {
        at.text("format") == Some("binary")
            || (at.text("contentMediaType").is_some_and(|media_type| !is_json(media_type))
                && at.text("contentEncoding").is_none())
    };
    let Ok(schema) = document.follow(schema.clone()) else { return false };
    let items = schema.member("items").and_then(|items| document.follow(items).ok());
    is_bytes(&schema) || items.is_some_and(|items| is_bytes(&items))
}

fn file_schema() -> Value {
    json!({
        "type": "object",
        "description": "A file: its bytes as base64 in `data`, or the `url` to get them from.",
        "properties": {
            "data": { "type": "string", "contentEncoding": "base64" },
            "url": { "type": "string" },
            "filename": { "type": "string" },
            "contentType": { "type": "string" },
        },
    })
}

struct File {
    content: Content,
    file_name: Option<String>,
    content_type: Option<String>,
}

/// Reads a file: base64, a `data:` address, or an object that says more.
fn file(raw: &RawValue) -> Result<File, String> {
    match Argument::read(raw) {
        Argument::Text(text) => of_text(&text),
        Argument::Object(members) => {
            let text = |name: &str| members.get(name).and_then(as_text);
            let mut file = match (text("data"), text("url")) {
                (Some(data), None) => of_text(&data)?,
                (None, Some(url)) if url.starts_with("data:") => of_text(&url)?,
                (None, Some(url)) => {
                    let url = Url::parse(&url).map_err(|error| format!("`url` is no address: {error}"))?;
                    if !matches!(url.scheme(), "http" | "https") {
                        return Err("`url` has to begin with http or https".to_owned());
                    }
                    let name = url.path_segments().and_then(|mut segments| segments.next_back());
                    let file_name = name.filter(|name| !name.is_empty()).map(str::to_owned);
                    File { content: Content::Url(url), file_name, content_type: None }
                }
                _ => return Err("a file has either `data` or `url`".to_owned()),
            };
            file.file_name = text("filename").or(file.file_name);
            file.content_type =
                text("contentType").filter(|text| !text.chars().any(char::is_control)).or(file.content_type);
            Ok(file)
        }
        _ => Err("a file is base64 in a text, or an object with `data` or `url`".to_owned()),
    }
}

fn of_text(text: &str) -> Result<File, String> {
    let (content_type, encoded) = match text.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, encoded)) => {
            let media_type = head.strip_suffix(";base64").ok_or("a `data:` address has to be in base64")?;
            ((!media_type.is_empty()).then(|| media_type.to_owned()), encoded)
        }
        None => (None, text),
    };
    let encoded: String = encoded.chars().filter(|char| !char.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(encoded).map_err(|error| format!("is no base64: {error}"))?;
    Ok(File { content: Content::Bytes(bytes), file_name: None, content_type })
}

/// A form in the query's form. What has no style of its own repeats lists and writes objects as JSON.
fn form(fields: &BTreeMap<String, Field>, members: &Members<'_>) -> String {
    let mut pairs = vec![];
    for (name, value) in &members.0 {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        match fields.get(name).and_then(|field| field.style) {
            Some((style, explode, encoding)) => {
                let shape = if style == Style::DeepObject { style::deep(value) } else { Shape::of(value) };
                let of_style = shape.map(|shape| style::pairs(name, style, explode, &shape, encoding));
                pairs.extend(of_style.unwrap_or_default());
            }
            None => match Argument::read(value) {
                Argument::List(items) => {
                    let texts = items.into_iter().filter_map(as_text);
                    pairs.extend(texts.map(|text| (encode(name), encode(&text))));
                }
                _ => pairs.extend(as_text(value).map(|text| (encode(name), encode(&text)))),
            },
        }
    }
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

fn add_parts(parts: &mut Vec<Part>, name: &str, field: &Field, value: &RawValue) -> Result<(), String> {
    match Argument::read(value) {
        Argument::List(items) => {
            for item in items {
                add_part(parts, name, field, item)?;
            }
            Ok(())
        }
        _ => add_part(parts, name, field, value),
    }
}

fn add_part(parts: &mut Vec<Part>, name: &str, field: &Field, value: &RawValue) -> Result<(), String> {
    let name = name.to_owned();
    if field.is_file && !matches!(Argument::read(value), Argument::Null) {
        let file = file(value)?;
        let declared = field.content_type.clone();
        let content_type =
            file.content_type.or(declared).unwrap_or_else(|| "application/octet-stream".to_owned());
        let file_name = Some(file.file_name.unwrap_or_else(|| name.clone()));
        parts.push(Part { name, file_name, content_type: Some(content_type), content: file.content });
        return Ok(());
    }
    let Some(text) = as_text(value) else { return Ok(()) };
    let nested = matches!(Argument::read(value), Argument::List(_) | Argument::Object(_));
    let default = nested.then(|| "application/json".to_owned());
    let content_type = field.content_type.clone().or(default);
    // A text whose part is declared to be JSON is written as JSON, too.
    let is_json = content_type.as_deref().is_some_and(is_json);
    let text = if is_json { value.get().to_owned() } else { text };
    parts.push(Part { name, file_name: None, content_type, content: Content::Bytes(text.into_bytes()) });
    Ok(())
}
