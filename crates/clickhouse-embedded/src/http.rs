//! ClickHouse's HTTP interface in front of the pool: routes, credentials, bodies in, answers out.
//!
//! An answer's head is sent when the first piece of output is there, so a statement that fails at once gets a proper
//! status; one that fails later ends its body in ClickHouse's exception block, announced by a tag in the head.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::body;
use crate::chunks::Joiner;
use crate::engine::Summary;
use crate::exception::{Exception, code};
use crate::pool::{Answer, Job, PIECES_MAX, Pool, Work};
use crate::request::Request;
use crate::statement::{self, InsertHead};

/// An answer that cannot be streamed, at most, as ClickHouse counts its bytes; a request may set another bound.
const RESULT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The only user, as in a fresh ClickHouse.
const USER: &str = "default";

const EXCEPTION_CODE: HeaderName = HeaderName::from_static("x-clickhouse-exception-code");
const EXCEPTION_TAG: HeaderName = HeaderName::from_static("x-clickhouse-exception-tag");
const FORMAT: HeaderName = HeaderName::from_static("x-clickhouse-format");
const QUERY_ID: HeaderName = HeaderName::from_static("x-clickhouse-query-id");
const SERVER: HeaderName = HeaderName::from_static("x-clickhouse-server-display-name");
const SUMMARY: HeaderName = HeaderName::from_static("x-clickhouse-summary");
const TIMEZONE: HeaderName = HeaderName::from_static("x-clickhouse-timezone");

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What every request is answered with.
pub(crate) struct Interface {
    pub pool: Pool,
    /// Empty: none is asked for.
    pub password: String,
    /// The engine's own, for error texts and headers.
    pub version: String,
    pub timezone: String,
}

impl Interface {
    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: http::Request<Incoming>) -> Response<AnswerBody> {
        let (parts, body) = request.into_parts();
        match (&parts.method, parts.uri.path()) {
            (&Method::GET | &Method::HEAD, "/ping") => return text(StatusCode::OK, "Ok.\n"),
            (&Method::GET | &Method::HEAD, "/") if parts.uri.query().is_none() => {
                return text(StatusCode::OK, "Ok.\n");
            }
            (&Method::GET | &Method::HEAD | &Method::POST | &Method::PUT, "/") => {}
            (_, "/") => return text(StatusCode::METHOD_NOT_ALLOWED, "use GET or POST\n"),
            (_, path) => {
                return text(
                    StatusCode::NOT_FOUND,
                    format!("There is no handle {path}: send queries to / and probes to /ping\n"),
                );
            }
        }
        let mut query_id = None;
        let answered = match self.statement(&parts, body, &mut query_id).await {
            Ok((answers, format)) => self.respond(answers, &format).await,
            Err(exception) => Err(exception),
        };
        let mut response = answered.unwrap_or_else(|exception| self.failed(&exception));
        let headers = response.headers_mut();
        let query_id = query_id.unwrap_or_else(|| Uuid::new_v4().to_string());
        for (name, value) in [(QUERY_ID, query_id.as_str()), (TIMEZONE, &self.timezone), (SERVER, "mcpcan")] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        response
    }

    /// Reads the request and hands its statement to the pool; gives the answers and their format.
    async fn statement(
        &self,
        parts: &Parts,
        mut body: Incoming,
        query_id: &mut Option<String>,
    ) -> Result<(mpsc::Receiver<Answer>, String), Exception> {
        let mut request = Request::read(parts)?;
        *query_id = request.query_id.take();
        self.authenticate(parts, &request)?;

        // An insert named in the URL has nothing but data in its body, which goes straight to the engine.
        if let Some(head) = statement::insert_head(request.query.as_bytes()) {
            let first = Bytes::copy_from_slice(&request.query.as_bytes()[head.data_start..]);
            return self.insert(&request, head, first, body);
        }
        let mut text = BytesMut::from(request.query.as_bytes());
        if let Some(boundary) = body::form_boundary(parts) {
            body::read_form(&mut request, &mut body, &boundary).await?;
            text = BytesMut::from(request.query.as_bytes());
        } else {
            if !text.is_empty() {
                text.extend_from_slice(b"\n");
            }
            let complete = body::read_statement(&mut body, &mut text).await?;
            if let Some(head) = statement::insert_head(&text) {
                let first = Bytes::copy_from_slice(&text[head.data_start..]);
                return self.insert(&request, head, first, body);
            }
            if !complete {
                return Err(body::statement_too_large());
            }
        }
        let sql = String::from_utf8(text.into()).map_err(|_| {
            Exception::new(code::SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error: the statement is not UTF-8.")
        })?;
        let format = statement::output_format(&sql).unwrap_or(&request.format).to_owned();
        // A setting of the output may give a format a beginning and an end.
        let as_usual = !request.settings.iter().any(|(name, _)| name.starts_with("output_format_"));
        let joiner = if as_usual && statement::is_select(&sql) { Joiner::of(&format) } else { None };
        if joiner.is_none() {
            request.settings.insert(0, ("max_result_bytes".to_owned(), RESULT_BYTES_MAX.to_string()));
        }
        let work = Work::Statement { sql, format: request.format.clone(), joiner };
        Ok((self.submit(&request, work)?, format))
    }

    fn authenticate(&self, parts: &Parts, request: &Request) -> Result<(), Exception> {
        let basic = basic_credentials(parts);
        let (user, password) = match (&request.user, &request.password, &basic) {
            (None, None, Some((user, password))) => (user.as_str(), password.as_str()),
            (user, password, _) => (user.as_deref().unwrap_or(USER), password.as_deref().unwrap_or_default()),
        };
        let known = user == USER && bool::from(password.as_bytes().ct_eq(self.password.as_bytes()));
        known.then_some(()).ok_or_else(|| {
            Exception::new(
                code::AUTHENTICATION_FAILED,
                "AUTHENTICATION_FAILED",
                format!("{user}: Authentication failed: password is incorrect, or there is no user with such name."),
            )
        })
    }

    fn insert(
        &self,
        request: &Request,
        head: InsertHead<'_>,
        first: Bytes,
        body: Incoming,
    ) -> Result<(mpsc::Receiver<Answer>, String), Exception> {
        let (pieces, data) = mpsc::channel(PIECES_MAX);
        let work = Work::Insert { sql: head.sql.to_owned(), format: head.format.to_owned(), data };
        let answers = self.submit(request, work)?;
        tokio::spawn(body::send_data(first, body, pieces));
        Ok((answers, request.format.clone()))
    }

    fn submit(&self, request: &Request, work: Work) -> Result<mpsc::Receiver<Answer>, Exception> {
        let (answers, receiver) = mpsc::channel(PIECES_MAX);
        self.pool.submit(Job {
            preparation: request.preparation(),
            work,
            parameters: request.parameters.clone(),
            answers,
        })?;
        Ok(receiver)
    }

    /// Waits for the first answer and builds the response around it.
    async fn respond(
        &self,
        mut answers: mpsc::Receiver<Answer>,
        format: &str,
    ) -> Result<Response<AnswerBody>, Exception> {
        let mut response = match answers.recv().await {
            Some(Answer::Done(summary)) => {
                let mut response = Response::new(Full::default().boxed_unsync());
                response.headers_mut().insert(SUMMARY, summary_header(summary));
                response
            }
            Some(Answer::Piece(first)) => self.stream(first, answers),
            Some(Answer::Failed(exception)) => return Err(exception),
            None => {
                return Err(Exception::new(code::ABORTED, "ABORTED", "the engine is stopping."));
            }
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(format)));
        if let Ok(format) = HeaderValue::from_str(format) {
            headers.insert(FORMAT, format);
        }
        Ok(response)
    }

    fn stream(&self, first: Bytes, answers: mpsc::Receiver<Answer>) -> Response<AnswerBody> {
        let tag = exception_tag();
        let state =
            Streaming { first: Some(first), answers, tag: tag.clone(), version: self.version.clone() };
        let pieces = futures_util::stream::unfold(Some(state), |state| async {
            let mut state = state?;
            let (piece, more) = state.next().await?;
            Some((Ok(Frame::data(piece)), more.then_some(state)))
        });
        let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
        let tag = HeaderValue::from_str(&tag).expect("a tag is hexadecimal digits");
        response.headers_mut().insert(EXCEPTION_TAG, tag);
        response
    }

    fn failed(&self, exception: &Exception) -> Response<AnswerBody> {
        let mut response = text(exception.status(), exception.body(&self.version));
        response.headers_mut().insert(EXCEPTION_CODE, exception.code.into());
        response
    }
}

/// An answer under way.
struct Streaming {
    first: Option<Bytes>,
    answers: mpsc::Receiver<Answer>,
    tag: String,
    version: String,
}

impl Streaming {
    /// The next piece of the body, and whether there may be more.
    async fn next(&mut self) -> Option<(Bytes, bool)> {
        if let Some(first) = self.first.take() {
            return Some((first, true));
        }
        let exception = match self.answers.recv().await {
            Some(Answer::Piece(piece)) => return Some((piece, true)),
            Some(Answer::Done(_)) => return None,
            Some(Answer::Failed(exception)) => exception,
            None => Exception::new(
                code::ABORTED,
                "ABORTED",
                "the answer was not read in time, or the engine is stopping.",
            ),
        };
        let message = exception.body(&self.version);
        let (tag, length) = (&self.tag, message.len());
        let block = format!("\r\n__exception__\r\n{tag}\r\n{message}{length} {tag}\r\n__exception__\r\n");
        Some((block.into(), false))
    }
}

fn basic_credentials(parts: &Parts) -> Option<(String, String)> {
    use base64::Engine;
    let value = parts.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?.1;
    let decoded = base64::prelude::BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// What separates an exception from data: a text that no data holds by chance.
fn exception_tag() -> String {
    let mut tag = Uuid::new_v4().simple().to_string();
    tag.truncate(16);
    tag
}

fn summary_header(summary: Summary) -> HeaderValue {
    let Summary { rows_read, bytes_read, rows_written, bytes_written } = summary;
    let json = format!(
        r#"{{"read_rows":"{rows_read}","read_bytes":"{bytes_read}","written_rows":"{rows_written}","written_bytes":"{bytes_written}"}}"#
    );
    HeaderValue::from_str(&json).expect("digits and ASCII names")
}

fn content_type(format: &str) -> &'static str {
    match format {
        "TabSeparated" | "TSV" | "TabSeparatedWithNames" | "TSVWithNames" => {
            "text/tab-separated-values; charset=UTF-8"
        }
        "CSV" | "CSVWithNames" => "text/csv; charset=UTF-8; header=absent",
        "JSON" | "JSONCompact" => "application/json; charset=UTF-8",
        "JSONEachRow" => "application/x-ndjson; charset=UTF-8",
        format if format.starts_with("RowBinary") || format == "Native" => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    response
}
