//! Asks a server of the era without sessions (2026-07-28, Streamable HTTP): each request carries all that it needs, and
//! nothing is left behind.

use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::{Dialer, Error, Limits, client_info, kept_secret, parsed, posted, send};
use crate::protocol::Revision;
use crate::{message, session};

/// Every request has an answer of its own, so one id serves them all.
const ID: u64 = 1;

/// A server, and how it is asked.
#[derive(Debug)]
pub struct Stateless {
    dialer: Dialer,
    url: Url,
    headers: HeaderMap,
    limits: Limits,
}

impl Stateless {
    /// # Errors
    /// The address is none.
    pub fn new(dialer: &Dialer, url: &str, headers: HeaderMap, limits: Limits) -> Result<Self, Error> {
        let mut headers = kept_secret(headers);
        let revision = HeaderValue::from_static(Revision::LATEST_STATELESS.as_str());
        headers.insert(session::PROTOCOL_VERSION, revision);
        Ok(Self { dialer: dialer.clone(), url: parsed(url)?, headers, limits })
    }

    /// Calls `method`, which names nothing that would have to be in the header, and waits for its result.
    ///
    /// # Errors
    /// The server did not answer, or not as the era demands.
    pub async fn request(
        &self,
        method: &'static str,
        mut params: Map<String, Value>,
    ) -> Result<Box<RawValue>, Error> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": Revision::LATEST_STATELESS.as_str(),
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": client_info(),
        });
        params.insert("_meta".to_owned(), meta);
        let params = to_raw_value(&params).expect("a JSON value always serialises");
        let id = to_raw_value(&ID).expect("an integer always serialises");
        let mut headers = self.headers.clone();
        headers.insert(session::METHOD, HeaderValue::from_static(method));
        let body = message::request(&id, method, Some(&params));
        let request = posted(&self.dialer.http, self.url.clone(), &headers, body);
        let response = answer::checked(send(request, method, self.limits.request).await?).await?;
        let mut answer = Answer::new(response, ID, self.limits.response_bytes)?;
        // A server of this era asks its clients nothing on the way.
        while answer.next_request(method, self.limits.request).await?.is_some() {}
        answer.into_result()
    }
}
