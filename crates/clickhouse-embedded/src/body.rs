//! The bodies of requests: statements and forms, read whole within a bound, and the data of inserts, passed on.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::exception::{Exception, code};
use crate::pool::Data;
use crate::request::Request;

/// A statement's text, at most; ClickHouse's own parser stops at 256 KiB, rows of an `INSERT … VALUES` not counted.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// The data of one insert, at most.
const INSERT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How long a client may take for the next piece of its body.
const BODY_IDLE_MAX: Duration = Duration::from_secs(30);

/// Feeds an insert until its data ends, or breaks it and says why.
pub(crate) async fn send_data(first: Bytes, mut body: Incoming, pieces: mpsc::Sender<Data>) {
    let mut bytes = first.len() as u64;
    let mut piece = Data::Piece(first);
    loop {
        let is_last = !matches!(piece, Data::Piece(_));
        if pieces.send(piece).await.is_err() || is_last {
            return;
        }
        piece = match next_piece(&mut body).await {
            Ok(None) => Data::End,
            Ok(Some(more)) => {
                bytes += more.len() as u64;
                match bytes <= INSERT_BYTES_MAX {
                    true => Data::Piece(more),
                    false => Data::Broken(too_large("the data of the insert", INSERT_BYTES_MAX)),
                }
            }
            Err(exception) => Data::Broken(exception),
        };
    }
}

/// Adds the body to `text`, up to the statement's bound; true when that was all of it.
pub(crate) async fn read_statement(body: &mut Incoming, text: &mut BytesMut) -> Result<bool, Exception> {
    while text.len() <= STATEMENT_BYTES_MAX {
        match next_piece(body).await? {
            None => return Ok(true),
            Some(piece) => text.extend_from_slice(&piece),
        }
    }
    Ok(false)
}

/// The body has gone on past what [`read_statement`] takes.
pub(crate) fn statement_too_large() -> Exception {
    too_large("the statement", STATEMENT_BYTES_MAX as u64)
}

async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Exception> {
    let frame = tokio::time::timeout(BODY_IDLE_MAX, body.frame()).await.map_err(|_| {
        Exception::new(code::SOCKET_TIMEOUT, "SOCKET_TIMEOUT", "the request body did not arrive in time.")
    })?;
    match frame.transpose() {
        // Trailers are no data.
        Ok(frame) => Ok(frame.map(|frame| frame.into_data().unwrap_or_default())),
        Err(error) => Err(Exception::new(
            code::NETWORK_ERROR,
            "NETWORK_ERROR",
            format!("the request body could not be read: {error}."),
        )),
    }
}

/// A form brings the statement and its parameters as fields, which keeps values out of URLs and logs.
pub(crate) async fn read_form(
    request: &mut Request,
    body: &mut Incoming,
    boundary: &str,
) -> Result<(), Exception> {
    let mut form = BytesMut::new();
    if !read_statement(body, &mut form).await? {
        return Err(too_large("the form", STATEMENT_BYTES_MAX as u64));
    }
    let refuse = |message: String| Exception::new(code::BAD_ARGUMENTS, "BAD_ARGUMENTS", message);
    let unreadable = |error: multer::Error| refuse(format!("the form could not be read: {error}."));
    let whole =
        futures_util::stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(form.freeze())));
    let mut fields = multer::Multipart::new(whole, boundary);
    while let Some(field) = fields.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() || !(name == "query" || name.starts_with("param_")) {
            return Err(refuse(format!("the form field `{name}` is neither `query` nor `param_…`.")));
        }
        let value = field.text().await.map_err(unreadable)?;
        request.field(&name, value)?;
    }
    Ok(())
}

pub(crate) fn form_boundary(parts: &Parts) -> Option<String> {
    multer::parse_boundary(parts.headers.get(CONTENT_TYPE)?.to_str().ok()?).ok()
}

fn too_large(what: &str, limit: u64) -> Exception {
    Exception::new(code::QUERY_IS_TOO_LARGE, "QUERY_IS_TOO_LARGE", format!("{what} is over {limit} bytes."))
}
