//! For how long log rows are kept: asked for each row that goes in, and brought to those that lie there when a plan changes.
//!
//! A sink that has not heard of a change yet puts rows in under the old plan for a moment. So a change is carried out at
//! once, and once more when every sink must have heard of it; only then is it noted as done.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use access_log::{Client, Error, RetentionDays};
use domain::retention_plan::Days;
use service::ReadyFlag;
use store::{Follower, Store, Task, Unavailable};
use uuid::Uuid;
use views::{RetentionPlanRow, RetentionPlans};

use crate::alone::{Rest, Work};

/// How long after a change every sink has heard of it: longer than a view may lag while its follower counts as ready, and
/// a batch waits.
const HEARD_AFTER: Duration = Duration::from_secs(60);
/// How long to wait before trying again what ClickHouse or NATS did not take.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// The plans as they are now.
pub(crate) struct Retention(Follower<RetentionPlans>);

impl Retention {
    /// Waits until they are known: rows that went in for too short a time could not be had back.
    pub(crate) async fn follow(store: &Store) -> Result<Self, Unavailable> {
        Ok(Retention(store.follow::<RetentionPlans>(|_, _| {}).await?))
    }

    pub(crate) fn days(&self, instance: Uuid) -> Days {
        self.0.get(instance).map(|plan| days(&plan)).unwrap_or_default()
    }
}

/// Has the rows that lie in the tables follow their plans.
pub(crate) struct Keep {
    client: Client,
}

impl Keep {
    pub(crate) fn new(client: Client) -> Self {
        Keep { client }
    }

    /// Carries out every change that is not done, and says when to look again, if a change has to settle first.
    async fn apply(
        &self,
        plans: &Retention,
        started: &mut HashMap<Uuid, u64>,
    ) -> Result<Option<Duration>, Error> {
        let applied = self.client.applied_retention().await?;
        let mut next = None;
        for plan in plans.0.rows() {
            let (instance, sequence) = (plan.instance.0, plan.sequence);
            if applied.get(&instance).is_some_and(|applied| *applied >= sequence) {
                continue;
            }
            let age = SystemTime::from(plan.updated_at).elapsed().unwrap_or_default();
            let has_settled = age >= HEARD_AFTER;
            if has_settled || started.insert(instance, sequence) != Some(sequence) {
                let Days { access_log, container_log } = days(&plan);
                self.client.apply_retention(instance, RetentionDays { access_log, container_log }).await?;
            }
            if has_settled {
                self.client.record_retention(instance, sequence).await?;
                started.remove(&instance);
            } else {
                let rest = HEARD_AFTER - age;
                next = Some(next.map_or(rest, |next: Duration| next.min(rest)));
            }
        }
        Ok(next)
    }
}

impl Work for Keep {
    fn task(&self) -> Task {
        Task::Retention
    }

    async fn run(&self, store: &Store, ready: &ReadyFlag) -> Rest {
        let plans = match Retention::follow(store).await {
            Ok(plans) => plans,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "follow the plans again");
                return Rest::Interrupted(RETRY_DELAY);
            }
        };
        let mut changes = plans.0.changes();
        let mut started = HashMap::new();
        loop {
            changes.mark_unchanged();
            let next = match self.apply(&plans, &mut started).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "apply retention again");
                    return Rest::Interrupted(RETRY_DELAY);
                }
            };
            ready.set(true);
            let settled = async {
                match next {
                    Some(next) => tokio::time::sleep(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return Rest::Interrupted(RETRY_DELAY);
                },
                () = settled => {}
            }
        }
    }
}

fn days(plan: &RetentionPlanRow) -> Days {
    plan.days.unwrap_or_default()
}
