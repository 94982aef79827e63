//! One operation, ready to be called: from the arguments of a call to the HTTP request.

use serde_json::value::RawValue;

use crate::argument::{Argument, Members};
use crate::body::Body;
use crate::parameter::{Parameter, Place};
use crate::request::{Request, RequestBody};
use crate::security::Requirement;

/// What is sent for a tool.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(crate) method: String,
    /// The path as the document has it.
    pub(crate) path: String,
    pub(crate) server: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) accept: String,
    pub(crate) security: Vec<Requirement>,
}

/// The arguments of a call do not make a request; says what is to be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadArguments(pub(crate) String);

impl Operation {
    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address before the path.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The ways in, of which one is enough: schemes with the scopes that are needed.
    pub fn security(&self) -> impl Iterator<Item = &[(String, Vec<String>)]> {
        self.security.iter().map(Vec::as_slice)
    }

    /// The request that the document prescribes for these arguments, without credentials.
    ///
    /// # Errors
    /// An argument is missing, unknown, or cannot stand where it has to.
    pub fn request(&self, arguments: Option<&RawValue>) -> Result<Request, BadArguments> {
        let members = match arguments.map(Argument::read) {
            None | Some(Argument::Null) => Members::default(),
            Some(Argument::Object(members)) => members,
            Some(_) => return Err(BadArguments("the arguments have to be an object".to_owned())),
        };
        self.check_names(&members)?;
        let mut request = Request {
            method: self.method.clone(),
            url: format!("{}{}", self.server, self.filled_path(&members)?),
            headers: vec![("accept".to_owned(), self.accept.clone())],
            body: RequestBody::None,
        };
        for parameter in &self.parameters {
            let Some(value) = members.get(&parameter.argument) else { continue };
            match parameter.place {
                Place::Path => {}
                Place::Query => {
                    for (name, value) in parameter.pairs(value) {
                        request.add_query(&name, &value);
                    }
                }
                Place::Header => {
                    if let Some(value) = parameter.header(value).map_err(BadArguments)? {
                        request.set_header(&parameter.name, value);
                    }
                }
                Place::Cookie => {
                    let pairs = parameter.pairs(value);
                    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    if !pairs.is_empty() {
                        // Styles join with `&` what a list or object is exploded to.
                        request.add_cookie(&pairs.join("&"));
                    }
                }
            }
        }
        if let Some((body, value)) =
            self.body.as_ref().and_then(|body| Some((body, members.get(&body.argument)?)))
        {
            request.body = body.write(value).map_err(BadArguments)?;
        }
        Ok(request)
    }

    fn check_names(&self, members: &Members<'_>) -> Result<(), BadArguments> {
        let parameters = self.parameters.iter().map(|parameter| (&*parameter.argument, parameter.required));
        let body = self.body.iter().map(|body| (&*body.argument, body.required));
        let known: Vec<_> = parameters.chain(body).collect();
        for (name, required) in &known {
            if *required && members.get(name).is_none() {
                return Err(BadArguments(format!("the argument {name} is missing")));
            }
        }
        for (name, _) in &members.0 {
            if !known.iter().any(|(known, _)| known == name) {
                let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(BadArguments(format!("there is no argument {name}; known are: {known}")));
            }
        }
        Ok(())
    }

    /// The path with its parameters filled in.
    fn filled_path(&self, members: &Members<'_>) -> Result<String, BadArguments> {
        let mut path = String::new();
        let mut rest = self.path.as_str();
        while let Some((literal, after)) = rest.split_once('{') {
            path.push_str(&encoded_literal(literal));
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let parameter = self.parameters.iter().find(|one| one.place == Place::Path && one.name == name);
            let value = parameter.and_then(|parameter| Some((parameter, members.get(&parameter.argument)?)));
            let Some((parameter, value)) = value else {
                return Err(BadArguments(format!("the argument {name} is missing")));
            };
            path.push_str(&parameter.in_path(value).map_err(BadArguments)?);
            rest = after;
        }
        path.push_str(&encoded_literal(rest));
        // They would lead to another operation.
        if path.split(['/', '?']).any(|segment| matches!(segment, "." | "..")) {
            return Err(BadArguments("a value of the path is . or .., which leads elsewhere".to_owned()));
        }
        Ok(path)
    }
}

/// What of a path is no parameter, as it has to stand in an address.
fn encoded_literal(literal: &str) -> String {
    let mut encoded = String::with_capacity(literal.len());
    for byte in literal.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
