//! The ups and downs of the connection to NATS.
//!
//! What is sent while there is no connection waits in the client and goes out with the next one, when nobody expects it
//! any more. Whoever must not be late asks here first.

use async_nats::connection::State;
use tokio::sync::watch;

use crate::connection::REQUEST_TIMEOUT;
use crate::error::{During, Unavailable};

/// How often there was a connection, and how often it was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) connected: u64,
    pub(crate) lost: u64,
}

/// The connection, as it comes and goes.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) client: async_nats::Client,
    times: watch::Receiver<Times>,
}

impl Link {
    pub(crate) fn new(client: async_nats::Client, times: watch::Receiver<Times>) -> Self {
        Link { client, times }
    }

    /// Tells when the connection was lost and made again.
    pub(crate) fn reconnects(&self) -> Reconnects {
        Reconnects { known: self.times.borrow().connected, times: self.times.clone() }
    }

    /// Waits until there is a connection, as long as a request may take.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn connected(&self, operation: &'static str) -> Result<(), Unavailable> {
        let mut times = self.times.clone();
        let connected = times.wait_for(|times| times.connected > times.lost);
        tokio::time::timeout(REQUEST_TIMEOUT, connected).await.during(operation)?.during(operation).map(drop)
    }

    /// What comes of something, unless the connection is lost meanwhile: what was sent may not have got there then, and
    /// an answer comes no more.
    ///
    /// # Errors
    /// Those of the work, or there is no connection.
    pub(crate) async fn while_connected<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let mut times = self.times.clone();
        let lost = times.borrow().lost;
        if self.client.connection_state() != State::Connected {
            return Err(Unavailable::new(operation, "there is no connection to NATS"));
        }
        tokio::select! {
            done = work => done,
            _ = times.wait_for(|times| times.lost != lost) => {
                Err(Unavailable::new(operation, "the connection to NATS was lost"))
            }
        }
    }
}

/// Tells when the connection was lost and made again.
///
/// A consumer whose server was restarted notices by the absence of heartbeats, which takes up to ten seconds. That is
/// too long for a revoked token, so whoever reads opens a new consumer as soon as the connection is back.
#[derive(Clone, Debug)]
pub(crate) struct Reconnects {
    times: watch::Receiver<Times>,
    /// The connection that was told of last.
    known: u64,
}

impl Reconnects {
    /// Whether there was a new connection that nobody has waited for with this.
    pub(crate) fn is_reconnected(&self) -> bool {
        self.times.borrow().connected != self.known
    }

    /// Waits for `reading`, or for a new connection, which is an error: requests and consumers of the old one are
    /// gone, and what was being read has to be opened anew.
    pub(crate) async fn unless_reconnected<T>(
        &mut self,
        operation: &'static str,
        reading: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let known = self.known;
        tokio::select! {
            biased;
            Ok(times) = self.times.wait_for(|times| times.connected != known) => {
                self.known = times.connected;
                Err(Unavailable::new(operation, "the connection was made anew"))
            }
            read = reading => read,
        }
    }
}
