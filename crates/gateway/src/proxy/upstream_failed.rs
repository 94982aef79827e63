//! What becomes of a request that its upstream has not answered.

use std::error::Error;

use hyper_util::client::legacy::Error as ClientError;

use super::way::Way;
use super::{Admitted, Gateway, refuse};
use crate::refusal::Refusal;
use crate::upstream;

impl Gateway {
    /// Notes it at the destination and in the log; gives what the client is told.
    pub(super) fn upstream_failed(&self, admitted: &Admitted, way: &Way, error: &ClientError) -> Refusal {
        let exchange = &admitted.exchange;
        // What looks like a broken upstream may be the client's own body that was cut off.
        if let Some(refusal) = exchange.body_refusal() {
            return refuse(exchange, refusal, None, None);
        }
        let refusal = upstream::refusal(error);
        match refusal {
            // Nobody was asked.
            Refusal::UpstreamAddressRefused => {}
            _ if error.is_connect() => way.destination.took_no_connection(),
            _ => way.destination.broke(),
        }
        let refusal = match refusal {
            // A replica that takes no connections any more has taken its sessions with it.
            Refusal::UpstreamUnreachable if way.destination.hosted && way.has_session() => {
                Refusal::SessionUnknown
            }
            refusal => refusal,
        };
        let route = &admitted.lease.route;
        tracing::warn!(
            error = error as &dyn Error,
            instance = %route.id,
            trace_id = admitted.trace.trace_id,
            "request to upstream"
        );
        refuse(exchange, refusal, Some(chain(error)), None)
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
