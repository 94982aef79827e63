//! Where an operation is: servers of the operation, of its path or of the document, their variables, and addresses that
//! are relative to the document's own (OpenAPI 3.1.1, Server Object).

use serde_json::Value;
use url::Url;

use crate::document::{At, Document};
use crate::options::Options;

/// The address before an operation's path, without a slash at its end. The innermost servers count, and of those the
/// first that is HTTP.
///
/// # Errors
/// There is none; says why.
pub(crate) fn of_operation(
    document: &Document,
    options: &Options,
    path: &At<'_>,
    operation: &At<'_>,
) -> Result<String, String> {
    let root = document.root();
    for place in
        [Some(operation), Some(path), options.server.is_none().then_some(&root)].into_iter().flatten()
    {
        if let Some(servers) = place.member("servers").filter(|servers| !is_empty(servers.value)) {
            return first(document, options, &servers);
        }
    }
    match &options.server {
        Some(server) => absolute(document, server),
        None => absolute(document, "/"),
    }
}

fn is_empty(servers: &Value) -> bool {
    servers.as_array().is_none_or(Vec::is_empty)
}

fn first(document: &Document, options: &Options, servers: &At<'_>) -> Result<String, String> {
    let mut reason = "there is no server".to_owned();
    for index in 0..servers.value.as_array().map_or(0, Vec::len) {
        let Some(server) = servers.member(&index.to_string()) else { continue };
        match filled(options, &server).and_then(|url| absolute(document, &url)) {
            Ok(url) => return Ok(url),
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

/// The address of a server with its variables filled in.
fn filled(options: &Options, server: &At<'_>) -> Result<String, String> {
    let mut url = server.text("url").ok_or("a server has no url")?.to_owned();
    let variables = server.value.get("variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten() {
        let chosen = options.server_variables.get(name).map(String::as_str);
        let value = chosen
            .or_else(|| variable.get("default").and_then(Value::as_str))
            .ok_or_else(|| format!("the server variable {name} has no default and was given no value"))?;
        let allowed = variable.get("enum").and_then(Value::as_array);
        if let Some(allowed) = allowed
            && chosen.is_some()
            && !allowed.iter().any(|allowed| allowed == value)
        {
            return Err(format!("{value} is none of the values of the server variable {name}"));
        }
        url = url.replace(&format!("{{{name}}}"), value);
    }
    match url.find('{') {
        Some(_) => Err(format!("a variable of the server {url} is not described")),
        None => Ok(url),
    }
}

/// The whole address of a server.
pub(crate) fn absolute(document: &Document, url: &str) -> Result<String, String> {
    let parsed = match (Url::parse(url), document.location()) {
        (Ok(url), _) => url,
        (Err(_), Some(location)) => {
            location.join(url).map_err(|error| format!("the server {url} is no address: {error}"))?
        }
        (Err(_), None) => {
            return Err(format!(
                "the server {url} is relative, and where the document lies is not known; name a server"
            ));
        }
    };
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err(format!("the server {url} is not reached by http or https; name a server"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("a server has credentials in its address".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(format!("the server {url} has a query or fragment"));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}
