//! The connection to ClickHouse: address, credentials, TLS and the bound on how long anything may take.
//!
//! Making a client opens no connection; the first call does. A client is cheap to clone and is shared by tasks.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use clickhouse::Compression;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

use crate::cluster::Cluster;
use crate::error::Error;

/// The database that holds every table of this crate; migrations and queries name it literally.
pub const DATABASE: &str = "mcpcan";

/// How long the server may work on one query.
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client waits for the answer to a query: the server gives up before that and says why.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(35);

/// Connecting takes at most this long, so that a server that is away is noticed at once.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Idle connections are closed before ClickHouse's own keep-alive (3 s in old servers) would close them under us.
const IDLE_TIME_MAX: Duration = Duration::from_secs(2);

/// A client for one ClickHouse server.
#[derive(Clone)]
pub struct Client {
    clickhouse: clickhouse::Client,
    url: String,
    cluster: Option<Cluster>,
}

impl Client {
    /// A client for the HTTP interface at `url` (`http://` or `https://`), opening no connection yet.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] names what is wrong with the address; [`Error::Tls`] when `https` is asked for and this
    /// machine has no root certificates.
    pub fn connect(url: &str, user: &str, password: &str) -> Result<Self, Error> {
        let parsed = Url::parse(url).map_err(|error| invalid_url(error.to_string()))?;
        if parsed.host_str().is_none() {
            return Err(invalid_url("it names no host".to_owned()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(invalid_url(
                "put user and password in their own settings, not into the url".to_owned(),
            ));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(invalid_url("leave out everything from `?` or `#` on".to_owned()));
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        connector.set_nodelay(true);
        let clickhouse = match parsed.scheme() {
            "http" => clickhouse::Client::with_http_client(pool().build(connector)),
            "https" => clickhouse::Client::with_http_client(pool().build(tls(connector)?)),
            other => return Err(invalid_url(format!("its scheme is `{other}`: use http or https"))),
        };
        let clickhouse = clickhouse
            .with_url(parsed.as_str())
            .with_compression(Compression::None)
            .with_user(user)
            .with_password(password);
        Ok(Self { clickhouse, url: parsed.into(), cluster: None })
    }

    /// The same server as one of a cluster: tables lie on all of its servers, and an insert is answered when the servers
    /// that its rows belong to have them.
    #[must_use]
    pub fn on_cluster(self, cluster: Cluster) -> Self {
        let clickhouse = self.clickhouse.with_setting("distributed_foreground_insert", "1");
        Self { clickhouse, cluster: Some(cluster), ..self }
    }

    /// The cluster that the server is one of, if it is.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Asks the server for nothing but an answer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none, or when the credentials are refused.
    pub async fn ping(&self) -> Result<(), Error> {
        self.within("ping", self.clickhouse.query("SELECT 1").fetch_one::<u8>()).await.map(|_one| ())
    }

    /// The client for one read, with the server's own limit on its time.
    pub(crate) fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.clickhouse.query(sql).with_setting("max_execution_time", QUERY_TIME_MAX.as_secs().to_string())
    }

    /// A statement that is not a read, sent as it is written: `?` means nothing in it.
    pub(crate) fn statement(&self, sql: &str) -> clickhouse::query::Query {
        self.clickhouse.query_raw(sql)
    }

    pub(crate) fn clickhouse(&self) -> &clickhouse::Client {
        &self.clickhouse
    }

    /// Runs one call with a deadline and sorts its error.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(ANSWER_TIME_MAX, call)
            .await
            .unwrap_or(Err(clickhouse::error::Error::TimedOut))
            .map_err(|error| Error::during(operation, error))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The inner client would print its password.
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

fn pool() -> hyper_util::client::legacy::Builder {
    let mut builder = HttpClient::builder(TokioExecutor::new());
    builder.pool_idle_timeout(IDLE_TIME_MAX).pool_timer(hyper_util::rt::TokioTimer::new());
    builder
}

/// TLS with ring and the machine's own root certificates.
fn tls(mut connector: HttpConnector) -> Result<hyper_rustls::HttpsConnector<HttpConnector>, Error> {
    connector.enforce_http(false);
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| Error::Tls { source: error.into() })?;
    Ok(builder.https_only().enable_http1().wrap_connector(connector))
}

fn invalid_url(reason: String) -> Error {
    Error::InvalidUrl { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_work_is_refused_with_the_reason() {
        for (url, reason) in [
            ("127.0.0.1:8123", "relative URL without a base"),
            ("ftp://127.0.0.1", "its scheme is `ftp`: use http or https"),
            (
                "http://root:secret@127.0.0.1:8123",
                "put user and password in their own settings, not into the url",
            ),
            ("http://127.0.0.1:8123/?user=root", "leave out everything from `?` or `#` on"),
        ] {
            let error = Client::connect(url, "default", "").unwrap_err();
            assert_eq!(error.to_string(), format!("the ClickHouse url is not usable: {reason}"));
        }
    }

    #[test]
    fn debug_output_holds_no_password() {
        let client = Client::connect("http://127.0.0.1:8123", "default", "hunter2").unwrap();
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}
