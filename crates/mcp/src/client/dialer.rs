//! What connections are made with. Many clients can share one, which costs far less than one for each: certificates are
//! read once.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Error;

/// For how long a connection is kept that may be of use for the next request.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// What a name leads to, as the caller has it looked up: an address that is not given is not connected to.
pub type Names = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync,
>;

/// Makes connections. Follows no redirect and no proxy.
#[derive(Clone)]
pub struct Dialer {
    pub(super) http: reqwest::Client,
}

impl Dialer {
    /// Connects wherever an address leads, within `connect`.
    ///
    /// # Errors
    /// The certificates of the operating system cannot be used.
    pub fn new(connect: Duration) -> Result<Self, Error> {
        Self::build(builder(connect))
    }

    /// Connects to where `names` lead, within `connect`, and keeps no connection for longer than a moment. Addresses that are no names are the caller's to check.
    ///
    /// # Errors
    /// The certificates of the operating system cannot be used.
    pub fn by_names(connect: Duration, names: Names) -> Result<Self, Error> {
        Self::build(builder(connect).pool_idle_timeout(IDLE_MAX).dns_resolver(Lookup(names)))
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<Self, Error> {
        let http = builder.build().map_err(|error| Error::Unreachable(error.without_url()))?;
        Ok(Self { http })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Dialer(…)")
    }
}

fn builder(connect: Duration) -> reqwest::ClientBuilder {
    // reqwest takes the process's provider; when there is one already, that one stays.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .connect_timeout(connect)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
}

struct Lookup(Names);

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.0)(name.as_str().to_owned());
        Box::pin(async move {
            let addresses: Addrs = Box::new(found.await?.into_iter());
            Ok(addresses)
        })
    }
}
