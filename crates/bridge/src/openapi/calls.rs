//! One call of a tool: from its arguments to the API's answer.

use mcp::message;
use mcp::splice;
use openapi::answer::{self, Answer, Taken};
use openapi::{Request, SchemeKind, Tool};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::server::Server;
use crate::passed;

/// Fields that belong to the connection or to the body, whatever a token lets through.
const NOT_PASSED: [&str; 10] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
];

#[derive(Deserialize)]
struct Params<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// Why there is no result at all.
pub(super) enum NoResult {
    Malformed(String),
    NoSuchTool(String),
}

impl Server {
    /// The result of a call. What goes wrong on the way to the API is a result too, for the model to read.
    pub(super) async fn call(
        &self,
        request: &message::Request<'_>,
        objects_only: bool,
    ) -> Result<Box<RawValue>, NoResult> {
        let params = request.params.map_or("{}", RawValue::get);
        let call: Params<'_> =
            serde_json::from_str(params).map_err(|error| NoResult::Malformed(error.to_string()))?;
        let tool = self.tool(&call.name).ok_or_else(|| NoResult::NoSuchTool(call.name.clone()))?;
        let mut http = match tool.operation.request(call.arguments) {
            Ok(http) => http,
            Err(error) => return Ok(answer::failure(&error.to_string())),
        };
        // Before credentials get into it.
        let url = http.url.split('?').next().unwrap_or_default().to_owned();
        let passed = if self.passes_headers { passed_in(params) } else { vec![] };
        let received = match self.authorize(tool, &mut http).await {
            Ok(used) => {
                for (name, value) in passed {
                    http.set_header(&name, value);
                }
                self.exchange(tool, http, &used).await
            }
            Err(reason) => Err(reason),
        };
        let received = match received {
            Ok(received) => received,
            Err(reason) => return Ok(answer::failure(&reason)),
        };
        let answer = Answer {
            status: received.status,
            reason: received.reason,
            content_type: received.content_type.as_deref(),
            body: &received.body,
            url: &url,
        };
        Ok(answer::result(&answer, Taken { objects_only, has_output_schema: tool.has_output_schema }))
    }

    /// Sends a request; once more with a new token if the API says that the one of before is over.
    async fn exchange(
        &self,
        tool: &Tool,
        http: Request,
        used: &[String],
    ) -> Result<super::backend::Received, String> {
        let again = (!used.is_empty()).then(|| http.clone());
        let received = self.backend.send(http).await?;
        match again {
            Some(mut http) if received.status == 401 => {
                for url in used {
                    self.tokens.forget(url).await;
                }
                self.authorize(tool, &mut http).await?;
                self.backend.send(http).await
            }
            Some(_) | None => Ok(received),
        }
    }

    /// Adds credentials for the first way in for which all are there; nothing if there is none, since the API may take it
    /// and the client may bring its own. Tells which servers gave a token.
    async fn authorize(&self, tool: &Tool, http: &mut Request) -> Result<Vec<String>, String> {
        let has_all = |way: &&[(String, Vec<String>)]| {
            way.iter().all(|(name, _)| self.credentials.0.contains_key(name))
        };
        let mut used = vec![];
        let ways: Vec<_> = tool.operation.security().filter(has_all).collect();
        let way = ways.iter().find(|way| !way.is_empty()).or_else(|| ways.first());
        for (name, scopes) in way.into_iter().flat_map(|way| way.iter()) {
            let (Some(scheme), Some(credential)) = (self.schemes.get(name), self.credentials.0.get(name))
            else {
                continue;
            };
            let token = match &scheme.kind {
                SchemeKind::ClientCredentials { token_url } => {
                    used.push(token_url.clone());
                    Some(self.tokens.get(&self.backend, token_url, credential, scopes).await?)
                }
                _ => None,
            };
            openapi::apply(http, scheme, token.as_deref().unwrap_or(credential))?;
        }
        Ok(used)
    }
}

/// The header fields that the bridge has put into a call.
fn passed_in(params: &str) -> Vec<(String, String)> {
    let Some(place) = splice::find(params, &["_meta", passed::META]) else { return vec![] };
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&params[place]).unwrap_or_default();
    let fields =
        fields.into_iter().filter(|(name, _)| !NOT_PASSED.contains(&name.to_ascii_lowercase().as_str()));
    fields.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}
