//! The listening side of an HTTP/1 server: how many connections, how slow they may be, and how they end. Used by the
//! health listener and by roles whose answers need nothing more; knows no route.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long to wait before accepting again after the operating system refused, for instance for want of descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// What bounds a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections are served at a time. More wait in the listener's own queue.
    pub connections_max: usize,
    /// How long the head of a request may take, and how long a connection may stay idle between two.
    pub head_read_timeout: Duration,
    /// How long requests that are being answered may go on after shutdown was asked for.
    pub shutdown_wait: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves until shutdown, then lets the requests that are being answered come to their end.
pub async fn serve<S, B>(listener: TcpListener, service: S, limits: Limits, shutdown: &CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, permit) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_read_timeout)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection broke off");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.shutdown_wait, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off after {} seconds of waiting", limits.shutdown_wait.as_secs());
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "set TCP_NODELAY");
                }
                return (stream, permit);
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}
