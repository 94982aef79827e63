//! Role: the streaming reverse proxy that MCP clients meet.
//!
//! A request is let in by a token from memory, led to a replica of a hosted instance or to the remote server of a
//! proxied one, and streams through in both directions without being held; a scanner reads past what the access log
//! needs. Neither NATS nor a database is asked while a client waits: routes and tokens are followed views, trace
//! events leave through a queue.
//!
//! ```text
//! server ─▶ proxy ─▶ admission (credential, tokens, verified, oauth, limits), routes ─▶ upstream
//!             │  └─▶ body (both ways) ─▶ exchange ─▶ traces ─▶ publisher (masking) ─▶ NATS, or the spool
//!             └─▶ refusal, headers, session, trace_context
//! ```

mod admission;
mod body;
mod challenge;
mod client_address;
mod config;
mod credential;
mod endpoint;
mod exchange;
mod following;
mod headers;
mod keep_alive;
mod lease;
mod limits;
mod masking;
mod oauth;
mod opening;
mod path;
mod proxy;
mod refusal;
mod routes;
mod server;
mod session;
mod tokens;
mod trace_context;
mod traces;
mod upstream;
mod verified;

pub use config::{CONNECTIONS_MAX, Config, GRACE, REQUEST_BODY_BYTES_MAX, SPOOL_BYTES_MAX};
pub use ipnet::IpNet;
pub use limits::{
    ANSWER_WAIT, FAILURES, InvalidRate, Limits, OPEN_PER_TOKEN_MAX, Rate, SESSIONS_PER_TOKEN_MAX,
    STREAM_IDLE, WRITE_WAIT,
};
pub use masking::MASKED_KEYS;
pub use traces::Losses;

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::join;
use mcp::origin::Names;
use service::{CancellationToken, Context};
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use crate::admission::Admission;
use crate::following::Following;
use crate::lease::Closing;
use crate::limits::Rates;
use crate::masking::Masking;
use crate::opening::open_waiting;
use crate::proxy::Gateway;
use crate::routes::Routes;
use crate::tokens::Tokens;
use crate::traces::{Publisher, Recorder, Spool, Traces};
use crate::upstream::Upstreams;

/// The role's name in the readiness report.
pub const ROLE: &str = "gateway";

/// Serves clients on `listener` until shutdown. Returns when the last request has ended, or its time of grace, and
/// every trace event is with NATS or on disk.
///
/// # Errors
/// The configuration is wrong, the spool is not usable, or the views cannot be read.
pub async fn run(
    config: Config,
    store: Store,
    context: Context,
    listener: TcpListener,
) -> anyhow::Result<()> {
    config.check()?;
    let ready = context.readiness.register(ROLE);
    let spool = Spool::open(&config.spool_dir, config.spool_bytes_max).await?;
    let (tokens, routes) = (Arc::new(Tokens::default()), Arc::new(Routes::default()));
    let following = Following::start(&store, tokens.clone(), routes.clone())
        .await
        .context("follow tokens and instances")?;
    // The first requests must not find instances and tokens that only wait to be opened.
    let opened = join(open_waiting(&*routes, store.vault()), open_waiting(&*tokens, store.vault()));
    tokio::select! {
        ((), ()) = opened => {}
        () = context.shutdown.cancelled() => return Ok(()),
    }
    let (traces, records) = Traces::queue(config.losses.clone());
    let masking = Masking::new(config.masked_keys.iter().map(String::as_str));
    let recorder = Recorder { gateway_id: config.gateway_id, masking };
    let publisher = Publisher::new(store.clone(), recorder, records, config.losses.clone(), spool);
    let finish = CancellationToken::new();
    let mut publishing = tokio::spawn(publisher.run(finish.clone()));
    let mut beside = JoinSet::new();
    beside.spawn(opening::run(routes.clone(), store.vault().clone()));
    beside.spawn(opening::run(tokens.clone(), store.vault().clone()));
    let issuers = upstream::client(upstream::tls(), config.private_upstreams);
    beside.spawn(oauth::run(routes.issuers.clone(), issuers));
    let clock = tokens.clone();
    beside.spawn(async move { match clock.watch_clock().await {} });
    let public_host = config.public_url.as_ref().and_then(Url::host_str).map(str::to_owned);
    let gateway = Gateway {
        request_body_bytes_max: config.request_body_bytes_max,
        names: Names::new(listener.local_addr().context("read the address")?, public_host),
        admission: Admission::new(tokens, store.vault().clone(), &config.limits),
        public_url: config.public_url,
        trusted_proxies: config.trusted_proxies,
        routes,
        upstreams: Upstreams::new(config.private_upstreams),
        traces,
        vault: store.vault().clone(),
        closing: Closing::default(),
        rates: Rates::new(&config.limits),
        limits: config.limits,
        readiness: context.readiness.clone(),
    };
    let serving =
        server::serve(listener, Arc::new(gateway), config.connections_max, config.grace, &context.shutdown);
    tokio::select! {
        () = serving => {}
        ended = &mut publishing => {
            ended.context("publish trace events")?;
            anyhow::bail!("publishing trace events has ended before the gateway");
        }
        never = following.keep_flag(&ready) => match never {},
    }
    drop((ready, following, beside));
    finish.cancel();
    publishing.await.context("publish trace events")
}
