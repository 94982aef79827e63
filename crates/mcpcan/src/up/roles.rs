//! The roles in this process: started together, ended in an order in which each still finds what it needs.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use service::{CancellationToken, Context, Readiness};
use store::{Role, Store};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::{Arguments, Backing, Claims};
use crate::data_directory::{DataDirectory, kept_secret};
use crate::role::say_readiness;
use crate::whereabouts::RunFile;

/// The gateway's name in the access log: there is one.
const GATEWAY_ID: &str = "local";
/// The process's name in the platform's status.
const PROCESS: &str = "up";
/// How long the roles may take until all of them are ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often they are asked meanwhile.
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// How long a role may take to end before its end is not waited for any more.
const STOP_TIMEOUT: Duration = Duration::from_secs(45);

/// The order of ending: no new calls, no new commands, no replicas; then what carried those, to the last fact.
const ORDER: [&str; 5] = [gateway::ROLE, api::ROLE, worker::ROLE, decider::ROLE, projector::ROLE];

/// The connections of the roles to NATS: each is a user of its own.
pub(super) struct Stores {
    pub(super) api: Store,
    pub(super) decider: Store,
    pub(super) projector: Store,
    pub(super) worker: Store,
    pub(super) gateway: Store,
}

/// The running roles.
pub(super) struct Roles {
    readiness: Readiness,
    running: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
    shutdowns: HashMap<&'static str, CancellationToken>,
}

impl Roles {
    pub(super) fn start(
        arguments: &Arguments,
        data: &DataDirectory,
        claims: Claims,
        backing: &Backing,
        stores: Stores,
        run: &RunFile,
    ) -> anyhow::Result<Self> {
        let mut roles = Self {
            readiness: Readiness::default(),
            running: JoinSet::new(),
            names: HashMap::new(),
            shutdowns: HashMap::new(),
        };
        let admin_key = api::AdminKey::new(&kept_secret(&run.admin_key_file)?);
        let mut api = api::Config::new(admin_key, run.gateway.clone());
        api.private_upstreams = arguments.addresses.allow_private();
        let mut gateway = gateway::Config::new(GATEWAY_ID.to_owned(), data.directory("spool")?);
        gateway.public_url.clone_from(&arguments.gateway_url);
        gateway.limits = (&arguments.limits).into();
        gateway.masked_keys = arguments.masked.keys();
        gateway.trusted_proxies = arguments.proxies.trusted();
        gateway.private_upstreams = arguments.addresses.allow_private();
        let worker = worker::Config {
            data: data.path().to_owned(),
            bridge: claims.bridge,
            pass_environment: arguments.pass_env.clone(),
            private_upstreams: arguments.addresses.allow_private(),
            kubernetes: arguments.kubernetes.config(),
        };
        let context = Context { shutdown: CancellationToken::new(), readiness: roles.readiness.clone() };
        say_readiness(&stores.api, Role::Api, Some(PROCESS.to_owned()), &context);
        let (log, api_log) = (backing.access_log.clone(), backing.access_log.clone());
        roles.spawn(projector::ROLE, |context| projector::run(stores.projector, log, context));
        roles.spawn(decider::ROLE, |context| decider::run(stores.decider, context));
        roles.spawn(worker::ROLE, |context| worker::run(worker, stores.worker, context));
        roles.spawn(api::ROLE, |context| api::run(api, stores.api, api_log, context, claims.api));
        roles.spawn(gateway::ROLE, |context| gateway::run(gateway, stores.gateway, context, claims.gateway));
        Ok(roles)
    }

    fn spawn<F>(&mut self, name: &'static str, role: impl FnOnce(Context) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let context = Context { shutdown: CancellationToken::new(), readiness: self.readiness.clone() };
        self.shutdowns.insert(name, context.shutdown.clone());
        let task = self.running.spawn(role(context));
        self.names.insert(task.id(), name);
    }

    /// Waits until every role can do its work.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            let report = self.readiness.report();
            // A role that has not yet come to raise a flag does not show in the report.
            let all = ORDER.iter().all(|role| report.roles.keys().any(|flag| flag.starts_with(role)));
            if all && report.ready {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let waiting: Vec<_> =
                    report.roles.iter().filter(|(_, ready)| !**ready).map(|(name, _)| *name).collect();
                return Err(anyhow!("not ready after {} s: {}", READY_TIMEOUT.as_secs(), waiting.join(", ")));
            }
            tokio::select! {
                error = self.ended() => return Err(error),
                () = sleep(READY_INTERVAL) => {}
            }
        }
    }

    /// Waits for a role to end, which none should while this is waited for, and says why it did.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.next().await {
            Some((name, Ok(()))) => anyhow!("the role {name} ended by itself"),
            Some((name, Err(error))) => error.context(format!("run the role {name}")),
            None => anyhow!("no role runs"),
        }
    }

    /// Ends the roles one after the other, and waits for each.
    pub(super) async fn stop(mut self) {
        for role in ORDER {
            let Some(shutdown) = self.shutdowns.remove(role) else { continue };
            shutdown.cancel();
            if timeout(STOP_TIMEOUT, self.wait_for(role)).await.is_err() {
                tracing::warn!(role, "does not end in time and is left behind");
            }
        }
    }

    async fn wait_for(&mut self, role: &str) {
        while self.names.values().any(|name| *name == role) {
            match self.next().await {
                Some((name, Err(error))) => {
                    tracing::warn!(role = name, error = format!("{error:#}"), "role ended")
                }
                Some((_, Ok(()))) => {}
                None => return,
            }
        }
    }

    async fn next(&mut self) -> Option<(&'static str, anyhow::Result<()>)> {
        let (id, ended) = match self.running.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(error) => (error.id(), Err(error).context("a panic, see above")),
        };
        let name = self.names.remove(&id).expect("every task that was spawned has its name");
        Some((name, ended))
    }
}
