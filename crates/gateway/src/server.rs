//! The listening side: accepts connections up to a bound, and ends them in order at shutdown. Knows nothing of MCP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use service::CancellationToken;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;

use crate::keep_alive;
use crate::proxy::Gateway;

/// How long a client may take to send the head of a request, and how long its connection may lie idle.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes; a larger one is 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most that is read from a connection at once, in bytes.
const BUFFER_BYTES_MAX: usize = 256 * 1024;
/// How long to wait after a failed accept: it usually means that there are no file descriptors left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// How long connections get to write the end of their answers once the time of grace is over.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then lets requests end for as long as `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    connections_max: usize,
    grace: Duration,
    shutdown: &CancellationToken,
) {
    let connections = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(connections_max));
    // Whoever comes when all permits are taken waits in the kernel's backlog.
    while let Some((stream, client, permit)) = accept(&listener, &permits, shutdown).await {
        connections.spawn(connection(stream, client, gateway.clone(), grace, permit));
    }
    drop(listener);
    connections.close();
    gateway.closing.draining.cancel();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "time of grace is over, closing connections");
        gateway.closing.closing.cancel();
        connections.wait().await;
    }
}

/// The next connection; none at shutdown.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, client)) => return Some((stream, client, permit)),
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    gateway: Arc<Gateway>,
    grace: Duration,
    _permit: OwnedSemaphorePermit,
) {
    // Without it, small events wait for the acknowledgement of the one before: 40 ms each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "set TCP_NODELAY");
    }
    keep_alive::turn_on(&stream);
    let draining = gateway.closing.draining.clone();
    let write_wait = gateway.limits.write_wait;
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.serve(client.ip(), request).await) }
    });
    // A client that does not read would otherwise keep its answer, and the upstream's connection, for as long as it likes.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_wait));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => Ok(served),
        () = draining.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(grace + CLOSE_WAIT_MAX, serving).await
        }
    };
    match served {
        Ok(Ok(())) => {}
        // The client's doing: it broke off, or sent no HTTP. Nothing for a person to look after.
        Ok(Err(error)) => tracing::debug!(%error, %client, "serve a connection"),
        Err(_) => tracing::debug!(%client, "close a connection that does not end"),
    }
}
