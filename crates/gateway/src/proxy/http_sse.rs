//! The beginning of a stream of HTTP+SSE (2024-11-05): its endpoint event is read before the client gets an answer, so
//! that a server whose event leads nowhere is an error and not a stream that says nothing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::Url;

use super::upstream_failed::chain;
use super::way::SESSION_PARAMETER;
use super::{Admitted, Gateway, Way};
use crate::endpoint::Rewriter;
use crate::refusal::Refusal;

/// How long the endpoint event may take after the head of the answer. It is the first thing that a server says, but a
/// server of ours may have to be started for it.
const ENDPOINT_WAIT_MAX: Duration = Duration::from_secs(60);

/// How much may come before the endpoint event, in bytes: comments, at most.
const BEFORE_ENDPOINT_BYTES_MAX: usize = 256 * 1024;

/// What comes before the rest of a stream.
pub(super) struct Opened {
    pub(super) rewriter: Rewriter,
    pub(super) first: Bytes,
}

impl Opened {
    /// What the client names in every message.
    pub(super) fn session(&self) -> Option<&str> {
        Some(self.rewriter.address()?.split_once('=')?.1)
    }
}

impl Gateway {
    /// Reads up to the endpoint event, which from then on names `path`. Gives with a refusal what went wrong inside.
    pub(super) async fn open_http_sse(
        &self,
        admitted: &Admitted,
        way: &Way,
        path: String,
        body: &mut Incoming,
    ) -> Result<Opened, (Refusal, Option<String>)> {
        let stream = Url::parse(&way.uri.to_string()).map_err(|_| (Refusal::UpstreamMisconfigured, None))?;
        let (owner, vault, destination) = (admitted.owner(), self.vault.clone(), way.destination.id);
        let rewriter = Rewriter::new(stream, move |address| {
            format!("{path}?{SESSION_PARAMETER}={}", owner.seal_messages(&vault, destination, address))
        });
        tokio::select! {
            biased;
            refusal = admitted.lease.lost() => Err((refusal, None)),
            opened = tokio::time::timeout(ENDPOINT_WAIT_MAX, until_endpoint(rewriter, body)) => {
                opened.unwrap_or(Err((Refusal::UpstreamAnswerTimeout, None)))
            }
        }
    }
}

async fn until_endpoint(
    mut rewriter: Rewriter,
    body: &mut Incoming,
) -> Result<Opened, (Refusal, Option<String>)> {
    let mut first = BytesMut::new();
    while rewriter.address().is_none() {
        let frame = body.frame().await.ok_or((Refusal::UpstreamBroke, None))?;
        let frame = frame.map_err(|error| (Refusal::UpstreamBroke, Some(chain(&error))))?;
        let Some(data) = frame.data_ref() else { continue };
        let fed = rewriter.feed(data, &mut first);
        fed.map_err(|error| (Refusal::UpstreamEndpoint, Some(error.to_string())))?;
        if first.len() > BEFORE_ENDPOINT_BYTES_MAX {
            return Err((Refusal::UpstreamEndpoint, None));
        }
    }
    Ok(Opened { rewriter, first: first.freeze() })
}
