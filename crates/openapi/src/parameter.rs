//! One parameter of an operation: where it goes and how it is written.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::argument;
use crate::document::At;
use crate::style::{self, Encoding, Shape, Style};

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// The name of the tool's argument.
    pub(crate) argument: String,
    pub(crate) required: bool,
    style: Style,
    explode: bool,
    encoding: Encoding,
    /// Whether the value is written as JSON, whatever it is; otherwise only what styles cannot write.
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// Header fields that are no parameters even if they are declared (OpenAPI 3.1.1, Parameter Object), and those that are
/// the connection's (RFC 9110, section 7.6.1).
const NOT_PARAMETERS: [&str; 12] = [
    "accept",
    "content-type",
    "authorization",
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
];

/// A parameter with its schema, and what is not as the document has it.
pub(crate) struct Read<'d> {
    pub(crate) parameter: Parameter,
    pub(crate) schema: Option<At<'d>>,
    pub(crate) description: Option<&'d str>,
    pub(crate) note: Option<String>,
}

impl Place {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
            Place::Cookie => "cookie",
        }
    }
}

impl Parameter {
    /// Reads a parameter; `None` for what only looks like one.
    ///
    /// # Errors
    /// It cannot be written; says why.
    pub(crate) fn read<'d>(at: &At<'d>) -> Result<Option<Read<'d>>, String> {
        let name = at.text("name").ok_or("a parameter has no name")?;
        let place = match at.text("in") {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            _ => return Err(format!("the parameter {name} is in no place that is known")),
        };
        if place == Place::Header && NOT_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(None);
        }
        if place == Place::Header && !is_token(name) || name.chars().any(char::is_control) {
            return Err(format!("{name:?} is no name of a parameter in {}", place.as_str()));
        }
        let is_set = |key: &str| at.value.get(key).and_then(Value::as_bool);
        let (style, explode, note) = style_of(at, place, name);
        let content = at.member("content");
        let media_type = content.as_ref().and_then(|content| content.value.as_object()?.keys().next());
        let schema = match (&content, media_type) {
            (Some(content), Some(media_type)) => {
                content.member(media_type).and_then(|media| media.member("schema"))
            }
            _ => at.member("schema"),
        };
        let encoding = match place {
            Place::Header => Encoding::Nothing,
            Place::Query if is_set("allowReserved") == Some(true) => Encoding::Reserved,
            Place::Path | Place::Query | Place::Cookie => Encoding::Strict,
        };
        let parameter = Self {
            name: name.to_owned(),
            place,
            argument: String::new(),
            required: place == Place::Path || is_set("required") == Some(true),
            style,
            explode,
            encoding,
            json: media_type.is_some_and(|media_type| is_json(media_type)),
        };
        Ok(Some(Read { parameter, schema, description: at.text("description"), note }))
    }

    /// What stands in the path.
    ///
    /// # Errors
    /// The value would lead to another path.
    pub(crate) fn in_path(&self, raw: &RawValue) -> Result<String, String> {
        let shape = self.shape(raw).ok_or_else(|| format!("{} is empty", self.argument))?;
        let text = style::in_path(&self.name, self.style, self.explode, &shape, self.encoding);
        if text.is_empty() {
            return Err(format!("{} is empty", self.argument));
        }
        Ok(text)
    }

    /// Pairs for the query or a cookie; none for `null` and for what has nothing in it.
    pub(crate) fn pairs(&self, raw: &RawValue) -> Vec<(String, String)> {
        let shape = self.shape(raw);
        let pairs = |shape: Shape| style::pairs(&self.name, self.style, self.explode, &shape, self.encoding);
        shape.map(pairs).unwrap_or_default()
    }

    /// What a header field says; `None` for `null`.
    ///
    /// # Errors
    /// A header field cannot say it.
    pub(crate) fn header(&self, raw: &RawValue) -> Result<Option<String>, String> {
        let Some(shape) = self.shape(raw) else { return Ok(None) };
        let value = style::in_header(self.explode, &shape);
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(format!("{} has a line break or another control character", self.argument));
        }
        Ok(Some(value))
    }

    fn shape(&self, raw: &RawValue) -> Option<Shape> {
        match (self.json, self.style) {
            (true, _) => Some(Shape::Scalar(raw.get().to_owned())),
            (false, Style::DeepObject) => style::deep(raw),
            (false, _) => Shape::of(raw),
        }
    }
}

/// How a value is written, and what had to be taken instead of what is declared.
fn style_of(at: &At<'_>, place: Place, name: &str) -> (Style, bool, Option<String>) {
    let (default, allowed): (_, &[Style]) = match place {
        Place::Path => (Style::Simple, &[Style::Simple, Style::Label, Style::Matrix]),
        Place::Query => {
            (Style::Form, &[Style::Form, Style::SpaceDelimited, Style::PipeDelimited, Style::DeepObject])
        }
        Place::Header => (Style::Simple, &[Style::Simple]),
        Place::Cookie => (Style::Form, &[Style::Form]),
    };
    let declared = at.text("style");
    let style = declared.and_then(Style::from_name).filter(|style| allowed.contains(style));
    let note = (declared.is_some() && style.is_none())
        .then(|| format!("the style of {name} is none of {}; the default is used", place.as_str()));
    let style = style.unwrap_or(default);
    let explode = at.value.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    (style, explode, note)
}

pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Whether this can be the name of a header field (RFC 9110, section 5.6.2).
fn is_token(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// A value as one text, for bodies that are no JSON.
pub(crate) fn as_text(raw: &RawValue) -> Option<String> {
    argument::text(raw)
}
