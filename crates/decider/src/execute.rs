//! The only write path: load, decide, append.

use domain::claim::{self, ClaimDecider, Claimable, Credentials, InstanceNames, TemplateNames};
use domain::instance::{self, InstanceDecider};
use domain::retention_plan::{self, RetentionPlanDecider};
use domain::template::{self, TemplateDecider};
use domain::token::{self, TokenDecider};
use domain::{Command, Decider as _, InstanceId, Refusal, TemplateId, TokenId};
use store::{Aggregate, AppendError, Given, LoadError, Outcome, Store, Stored, Unavailable, Write};

/// How often a command is decided anew because somebody else was faster.
const CONFLICTS_MAX: usize = 16;

/// Why a command has no outcome yet. It is tried again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecuteError {
    #[error("{CONFLICTS_MAX} others were faster")]
    Contended,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// One attempt's way to end without an outcome.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Decides a command and appends what it leads to.
pub(crate) async fn execute(
    store: &Store,
    command: &Command,
    given: &Given,
) -> Result<Outcome, ExecuteError> {
    for _ in 0..CONFLICTS_MAX {
        match attempt(Attempt { store, given }, command.clone()).await {
            Ok(sequence) => return Ok(Outcome::Done { sequence }),
            Err(AttemptError::Refused(refusal)) => {
                tracing::info!(%refusal, "command refused");
                return Ok(Outcome::Refused { refusal });
            }
            Err(AttemptError::Append(AppendError::Conflict)) => {}
            Err(
                AttemptError::Append(AppendError::Unavailable(error))
                | AttemptError::Load(LoadError::Unavailable(error)),
            ) => return Err(error.into()),
            Err(AttemptError::Load(error @ (LoadError::Unreadable(_) | LoadError::Corrupt { .. }))) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the log of an aggregate is damaged"
                );
                return Ok(Outcome::Failed { reason: error.to_string() });
            }
        }
    }
    Err(ExecuteError::Contended)
}

async fn attempt(attempt: Attempt<'_>, command: Command) -> Result<u64, AttemptError> {
    match command {
        Command::Instance { id, command } => attempt.instance(id, command).await,
        Command::Token { id, command } => attempt.token(id, command).await,
        Command::Template { id, command } => attempt.template(id, command).await,
        Command::RetentionPlan { id, command } => attempt.retention_plan(id, command).await,
    }
}

/// One attempt to carry out a command.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    store: &'a Store,
    given: &'a Given,
}

impl Attempt<'_> {
    async fn instance(self, id: InstanceId, command: instance::Command) -> Result<u64, AttemptError> {
        let instance = self.load::<InstanceDecider>(&id).await?;
        if let Some(sequence) = instance.done_by_command {
            return Ok(sequence);
        }
        let events = self.decide(&instance, command)?;
        let mut writes = Vec::new();
        for event in &events {
            for (name, command) in instance::name_claims(id, &instance.state, event) {
                writes.extend(self.claim::<InstanceNames>(&name, command).await?);
            }
        }
        self.append(writes, &id, &instance, &events).await
    }

    async fn token(self, id: TokenId, command: token::Command) -> Result<u64, AttemptError> {
        let token = self.load::<TokenDecider>(&id).await?;
        if let Some(sequence) = token.done_by_command {
            return Ok(sequence);
        }
        if let token::Command::Issue { instance, .. } = &command {
            let instance = self.load::<InstanceDecider>(instance).await?;
            token::require_reachable(&instance.state).map_err(Refusal::from)?;
        }
        let events = self.decide(&token, command)?;
        let mut writes = Vec::new();
        for event in &events {
            for (credential, command) in token::credential_claims(id, &token.state, event) {
                writes.extend(self.claim::<Credentials>(&credential, command).await?);
            }
        }
        self.append(writes, &id, &token, &events).await
    }

    async fn template(self, id: TemplateId, command: template::Command) -> Result<u64, AttemptError> {
        let template = self.load::<TemplateDecider>(&id).await?;
        if let Some(sequence) = template.done_by_command {
            return Ok(sequence);
        }
        let events = self.decide(&template, command)?;
        let mut writes = Vec::new();
        for event in &events {
            for (name, command) in template::name_claims(id, &template.state, event) {
                writes.extend(self.claim::<TemplateNames>(&name, command).await?);
            }
        }
        self.append(writes, &id, &template, &events).await
    }

    async fn retention_plan(
        self,
        id: InstanceId,
        command: retention_plan::Command,
    ) -> Result<u64, AttemptError> {
        let plan = self.load::<RetentionPlanDecider>(&id).await?;
        if let Some(sequence) = plan.done_by_command {
            return Ok(sequence);
        }
        if let retention_plan::Command::Set { .. } = command {
            let instance = self.load::<InstanceDecider>(&id).await?;
            retention_plan::require_instance(&instance.state).map_err(Refusal::from)?;
        }
        let events = self.decide(&plan, command)?;
        self.append(vec![], &id, &plan, &events).await
    }

    async fn load<D: Stored>(self, id: &D::Id) -> Result<Aggregate<D>, LoadError> {
        self.store.load::<D>(id, self.given.command_id).await
    }

    /// Decides, unless the command was meant for another revision.
    fn decide<D>(self, aggregate: &Aggregate<D>, command: D::Command) -> Result<Vec<D::Event>, Refusal>
    where
        D: Stored,
        Refusal: From<D::Refusal>,
    {
        let revision = D::revision(&aggregate.state);
        if self.given.expected_revision.is_some_and(|expected| expected != revision) {
            return Err(Refusal::Changed { revision });
        }
        D::decide(&aggregate.state, command).map_err(Refusal::from)
    }

    /// What a claim or its end adds to the batch.
    async fn claim<C>(
        self,
        id: &C::Id,
        command: claim::Command<C::Holder>,
    ) -> Result<Option<Write>, AttemptError>
    where
        C: Claimable,
        ClaimDecider<C>:
            Stored<Id = C::Id, State = claim::State<C::Holder>, Command = claim::Command<C::Holder>>,
        Refusal: From<<ClaimDecider<C> as domain::Decider>::Refusal>,
    {
        let claim = self.load::<ClaimDecider<C>>(id).await?;
        let events = ClaimDecider::<C>::decide(&claim.state, command).map_err(Refusal::from)?;
        let write = Write::new::<ClaimDecider<C>>(id, claim.last_sequence, &events);
        Ok((!events.is_empty()).then_some(write))
    }

    /// Appends the aggregate's events after what else belongs to them, or, if there is nothing to append, answers with
    /// what was true already. Claims go first: the last event's sequence answers the command, and views wait for the
    /// aggregate's.
    async fn append<D: Stored>(
        self,
        mut writes: Vec<Write>,
        id: &D::Id,
        aggregate: &Aggregate<D>,
        events: &[D::Event],
    ) -> Result<u64, AttemptError> {
        if events.is_empty() {
            return Ok(aggregate.last_sequence);
        }
        writes.push(Write::new::<D>(id, aggregate.last_sequence, events));
        let sequence = self.store.append(&writes, &self.given.metadata()).await?;
        tracing::info!(sequence, "command done");
        Ok(sequence)
    }
}
