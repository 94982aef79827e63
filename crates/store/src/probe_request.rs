//! Asking the worker that probes to probe an instance now, and hearing what it saw. Nothing of it is kept: what has
//! changed is an event of its own, and a request that nobody hears is asked again by who cares.

use std::time::Duration;

use async_nats::{Message, RequestErrorKind, Subscriber};
use domain::InstanceId;
use domain::instance::Health;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::subject;

/// What a probe saw, before any damping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    pub health: Health,
    /// How many replicas, or servers elsewhere, were asked, and how many of them answered as they should.
    pub asked: usize,
    pub answered: usize,
    /// How long the slowest took, in milliseconds.
    pub took_ms: u64,
}

/// The requests for probes that reach this process.
pub struct ProbeRequests {
    store: Store,
    requests: Subscriber,
}

/// Somebody wants an instance probed, and waits.
#[derive(Debug)]
pub struct ProbeRequest {
    pub instance: InstanceId,
    store: Store,
    message: Message,
}

impl Store {
    /// Has an instance probed now. None if no worker probes, or none answered within `wait`.
    ///
    /// # Errors
    /// NATS did not answer, or what was answered cannot be read.
    pub async fn ask_probe(
        &self,
        instance: InstanceId,
        wait: Duration,
    ) -> Result<Option<Probed>, Unavailable> {
        const OPERATION: &str = "ask for a probe";
        let request = async_nats::Request::new().timeout(Some(wait));
        match self.client.send_request(subject::probe(instance), request).await {
            Ok(reply) => codec::decode(&reply.payload).during(OPERATION).map(Some),
            Err(error)
                if matches!(error.kind(), RequestErrorKind::NoResponders | RequestErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).during(OPERATION),
        }
    }

    /// Hears requests for probes from now on.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn probe_requests(&self) -> Result<ProbeRequests, Unavailable> {
        let requests = self.client.subscribe(subject::ALL_PROBES).await.during("hear requests for probes")?;
        // Who was told that this process probes may ask at once.
        self.client.flush().await.during("hear requests for probes")?;
        Ok(ProbeRequests { store: self.clone(), requests })
    }
}

impl ProbeRequests {
    /// The next request. None once the connection is closed.
    pub async fn next(&mut self) -> Option<ProbeRequest> {
        loop {
            let message = self.requests.next().await?;
            let instance = subject::parse_probe(&message.subject).and_then(|id| id.parse().ok());
            if let Some(instance) = instance {
                return Some(ProbeRequest { instance, store: self.store.clone(), message });
            }
        }
    }
}

impl ProbeRequest {
    /// Tells what was seen. No harm is done if nobody waits any more.
    pub async fn answer(self, probed: &Probed) {
        let Some(reply) = self.message.reply else { return };
        if let Err(error) = self.store.client.publish(reply, codec::encode(probed).into()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "answer of a probe not sent");
        }
    }
}
