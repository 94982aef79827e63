//! What an API asks for credentials, and where they go. Credentials are settings of the instance, never arguments of a
//! tool: a model does not see them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::document::{At, Document};
use crate::request::Request;
use crate::style::Encoding;

/// A security scheme of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    pub kind: SchemeKind,
}

/// What a scheme asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemeKind {
    /// A value of this name.
    ApiKey { place: CredentialPlace, name: String },
    /// `user:password` (RFC 7617).
    Basic,
    /// A token (RFC 6750).
    Bearer,
    /// Client credentials (RFC 6749, section 4.4), `id:secret`, for a token from this address with these scopes.
    ClientCredentials { token_url: String },
    /// A token that is got in a way that needs a person: it has to be given.
    Token,
    /// What is not served, by its name.
    Other(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialPlace {
    Query,
    Header,
    Cookie,
}

/// One way in: schemes with their scopes, all of which are needed.
pub(crate) type Requirement = Vec<(String, Vec<String>)>;

/// A credential as it goes into a request.
pub type Credential = String;

/// The schemes of a document by name.
pub(crate) fn schemes(document: &Document) -> BTreeMap<String, Scheme> {
    let root = document.root();
    let Some(schemes) = root.member("components").and_then(|components| components.member("securitySchemes"))
    else {
        return BTreeMap::new();
    };
    let names = schemes.value.as_object().into_iter().flat_map(|schemes| schemes.keys());
    let read = |name: &String| {
        let scheme = document.follow(schemes.member(name)?).ok()?;
        Some((name.clone(), Scheme { kind: kind(document, &scheme) }))
    };
    names.filter_map(read).collect()
}

fn kind(document: &Document, scheme: &At<'_>) -> SchemeKind {
    let other = || SchemeKind::Other(scheme.text("type").unwrap_or("without a type").to_owned());
    match scheme.text("type") {
        Some("apiKey") => {
            let place = match scheme.text("in") {
                Some("query") => CredentialPlace::Query,
                Some("header") => CredentialPlace::Header,
                Some("cookie") => CredentialPlace::Cookie,
                _ => return other(),
            };
            scheme.text("name").map_or_else(other, |name| SchemeKind::ApiKey { place, name: name.to_owned() })
        }
        Some("http") => match scheme.text("scheme").map(str::to_ascii_lowercase).as_deref() {
            Some("basic") => SchemeKind::Basic,
            Some("bearer") => SchemeKind::Bearer,
            name => SchemeKind::Other(format!("http {}", name.unwrap_or_default())),
        },
        Some("oauth2") => {
            let flow = scheme.member("flows").and_then(|flows| flows.member("clientCredentials"));
            let token_url = flow.and_then(|flow| flow.text("tokenUrl")).map(str::to_owned);
            match token_url.and_then(|url| crate::server::absolute(document, &url).ok()) {
                Some(token_url) => SchemeKind::ClientCredentials { token_url },
                None => SchemeKind::Token,
            }
        }
        Some("openIdConnect") => SchemeKind::Token,
        _ => other(),
    }
}

/// The ways into an operation: its own, or those of the document.
pub(crate) fn requirements(document: &Document, operation: &At<'_>) -> Vec<Requirement> {
    let security = operation.value.get("security").or_else(|| document.root().value.get("security"));
    let alternatives = security.and_then(Value::as_array).into_iter().flatten();
    let requirement = |alternative: &Value| {
        let schemes = alternative.as_object().into_iter().flatten();
        let scopes = |scopes: &Value| -> Vec<String> {
            let scopes = scopes.as_array().into_iter().flatten();
            scopes.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        schemes.map(|(name, asked)| (name.clone(), scopes(asked))).collect()
    };
    alternatives.map(requirement).collect()
}

/// Adds a scheme's credential to a request.
///
/// # Errors
/// The credential cannot stand where it has to.
pub fn apply(request: &mut Request, scheme: &Scheme, credential: &str) -> Result<(), &'static str> {
    if credential.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("the credential has a control character");
    }
    match &scheme.kind {
        SchemeKind::ApiKey { place: CredentialPlace::Query, name } => {
            request.add_query(&Encoding::Strict.apply(name), &Encoding::Strict.apply(credential));
        }
        SchemeKind::ApiKey { place: CredentialPlace::Header, name } => {
            request.set_header(name, credential.to_owned())
        }
        SchemeKind::ApiKey { place: CredentialPlace::Cookie, name } => {
            request.add_cookie(&format!("{name}={}", Encoding::Strict.apply(credential)));
        }
        SchemeKind::Basic => {
            let encoded = BASE64_STANDARD.encode(credential);
            request.set_header("authorization", format!("Basic {encoded}"));
        }
        SchemeKind::Bearer | SchemeKind::ClientCredentials { .. } | SchemeKind::Token => {
            request.set_header("authorization", format!("Bearer {credential}"));
        }
        SchemeKind::Other(_) => return Err("the scheme is not served"),
    }
    Ok(())
}
