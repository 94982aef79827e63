//! The command line's client of the command API. Knows addresses, the admin key and problem documents; knows no
//! resource. Used by every command but `up` and the roles.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::failure::{Failure, Problem};
use crate::output::field;
use crate::terms::Terms;
use crate::whereabouts::Whereabouts;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the api itself waits for a command's outcome.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const PAGE_SIZE_MAX: usize = 500;

/// The api, reached with the admin key.
#[derive(Clone)]
pub(crate) struct Rest {
    http: Client,
    base: Url,
    authorization: HeaderValue,
    terms: Terms,
}

impl Rest {
    /// Finds the api; nothing is sent yet.
    pub(crate) fn find(data: Option<&Path>) -> Result<Self, Failure> {
        let Whereabouts { api, admin_key } = Whereabouts::find(data)?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", *admin_key)).map_err(|_| {
            Failure::Usage("the admin key holds characters that no HTTP header can carry".to_owned())
        })?;
        authorization.set_sensitive(true);
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The admin key goes to the api and to nobody else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("mcpcan/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("make the HTTP client")?;
        Ok(Self { http, base: api, authorization, terms: Terms::default() })
    }

    /// The same api, for changes on these terms.
    pub(crate) fn on(&self, terms: Terms) -> Self {
        Rest { terms, ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.answer(self.request(Method::GET, path, query).timeout(REQUEST_TIMEOUT)).await
    }

    pub(crate) async fn post(&self, path: &[&str], body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path, &[]).timeout(REQUEST_TIMEOUT);
        self.answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// A request that says everything in its query.
    pub(crate) async fn post_query(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.answer(self.request(Method::POST, path, query).timeout(REQUEST_TIMEOUT)).await
    }

    pub(crate) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.answer(self.request(Method::PATCH, path, &[]).timeout(REQUEST_TIMEOUT).json(body)).await
    }

    pub(crate) async fn put(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.answer(self.request(Method::PUT, path, &[]).timeout(REQUEST_TIMEOUT).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        self.answer(self.request(Method::DELETE, path, &[]).timeout(REQUEST_TIMEOUT)).await
    }

    /// The items of a list, page by page, at most so many.
    pub(crate) async fn items(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let (mut items, mut cursor) = (vec![], None);
        loop {
            let page_size = PAGE_SIZE_MAX.min(limit - items.len());
            let mut query = query.to_vec();
            query.push(("limit", page_size.to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            items.extend(take_items(&mut page)?);
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// An answer that has no end, to be read as it comes.
    pub(crate) async fn open(&self, path: &[&str], query: &[(&str, String)]) -> Result<Response, Failure> {
        self.send(self.request(Method::GET, path, query)).await
    }

    /// The same, going on after what was seen last.
    pub(crate) async fn open_after(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        last: Option<&str>,
    ) -> Result<Response, Failure> {
        let request = self.request(Method::GET, path, query);
        let request = last.into_iter().fold(request, |request, last| request.header("Last-Event-ID", last));
        self.send(request).await
    }

    /// Sends what has no end that is known before, and gives an answer to be read as it comes.
    pub(crate) async fn upload(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: reqwest::Body,
    ) -> Result<Response, Failure> {
        self.send(self.request(Method::POST, path, query).body(body)).await
    }

    /// A request whose answer is to be read as it comes.
    pub(crate) async fn open_post(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<Response, Failure> {
        self.send(self.request(Method::POST, path, query).json(body)).await
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        // An address that has been checked to be http or https has path segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url).header(AUTHORIZATION, self.authorization.clone())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.send(self.terms.state(request)).await?;
        let status = response.status();
        // What is accepted and shown elsewhere is a command; what is accepted and has no such place is on its way.
        let is_command = status == StatusCode::ACCEPTED && response.headers().contains_key(LOCATION);
        let body = response.bytes().await.map_err(|error| self.unreachable(error))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let document: Value =
            serde_json::from_slice(&body).with_context(|| format!("read the answer of {}", self.base))?;
        match is_command {
            true if self.terms.haste.respond_async => Err(Failure::Accepted(document)),
            true => Err(Failure::Undecided(field(&document, "/id"))),
            false => Ok(document),
        }
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return self.unreachable(error),
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.status == 401 => Failure::Unauthorized(format!(
                "the api at {} does not accept the admin key: {problem}",
                self.base
            )),
            Ok(problem) => Failure::Problem(problem),
            Err(_) => {
                Failure::Failed(anyhow::anyhow!("{} answered {status}: is this mcpcan's api?", self.base))
            }
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        Failure::unreachable(format!("the api at {}", self.base), error.without_url())
    }
}

/// The parameters of a query that have a value.
pub(crate) fn given<const N: usize>(
    parameters: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Takes the items out of a page.
pub(crate) fn take_items(page: &mut Value) -> Result<Vec<Value>, Failure> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Failure::Failed(anyhow::anyhow!("the api's answer is no list"))),
    }
}
