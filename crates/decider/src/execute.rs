//! The only write path: load, decide, append.

use domain::claim::{self, ClaimDecider, Claimable, Credentials, InstanceNames, TemplateNames};
use domain::instance::{self, InstanceDecider};
use domain::retention_plan::{self, RetentionPlanDecider};
use domain::template::{self, TemplateDecider};
use domain::token::{self, TokenDecider};
use domain::{Command, Decider as _, InstanceId, Refusal, TemplateId, TokenId};
use store::{Aggregate, AppendError, Decision, Given, LoadError, Outcome, Store, Stored, Unavailable, Write};

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
) -> Result<Decision, ExecuteError> {
    let mut source = Source::Memory;
    for _ in 0..CONFLICTS_MAX {
        let attempted = attempt(Attempt { store, given, source }, command.clone()).await;
        let is_sure = source == Source::Log;
        source = Source::Log;
        match attempted {
            Ok(decision @ Decision::Appended { .. }) => return Ok(decision),
            // Only an append is compared with the log: what else memory says is looked up.
            Ok(Decision::Unchanged(_)) | Err(AttemptError::Refused(_)) if !is_sure => {}
            Ok(decision) => return Ok(decision),
            Err(AttemptError::Refused(refusal)) => {
                tracing::info!(%refusal, "command refused");
                return Ok(Decision::Unchanged(Outcome::Refused { refusal }));
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
                return Ok(Decision::Unchanged(Outcome::Failed { reason: error.to_string() }));
            }
        }
    }
    Err(ExecuteError::Contended)
}

/// Where an attempt takes the state of the command's aggregate from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// What this process remembers, where it does: mostly nobody else has appended since.
    Memory,
    Log,
}

async fn attempt(attempt: Attempt<'_>, command: Command) -> Result<Decision, AttemptError> {
    match command {
        Command::Instance { id, command } => attempt.instance(id, command).await,
        Command::Token { id, command } => attempt.token(id, command).await,
        Command::Template { id, command } => attempt.template(id, command).await,
        Command::RetentionPlan { id, command } => attempt.retention_plan(id, command).await,
    }
}

/// What an event of an aggregate claims or gives up, by the state before it.
type Claims<D, C> = fn(
    <D as domain::Decider>::Id,
    &<D as domain::Decider>::State,
    &<D as domain::Decider>::Event,
) -> Vec<(<C as Claimable>::Id, claim::Command<<C as Claimable>::Holder>)>;

/// One attempt to carry out a command.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    store: &'a Store,
    given: &'a Given,
    source: Source,
}

impl Attempt<'_> {
    async fn instance(self, id: InstanceId, command: instance::Command) -> Result<Decision, AttemptError> {
        let instance = self.own::<InstanceDecider>(&id).await?;
        self.carry_out::<_, InstanceNames>(id, instance, command, instance::name_claims).await
    }

    async fn token(self, id: TokenId, command: token::Command) -> Result<Decision, AttemptError> {
        let token = self.own::<TokenDecider>(&id).await?;
        if let (token::Command::Issue { instance, .. }, None) = (&command, token.done_by_command) {
            let instance = self.load::<InstanceDecider>(instance).await?;
            token::require_reachable(&instance.state).map_err(Refusal::from)?;
        }
        self.carry_out::<_, Credentials>(id, token, command, token::credential_claims).await
    }

    async fn template(self, id: TemplateId, command: template::Command) -> Result<Decision, AttemptError> {
        let template = self.own::<TemplateDecider>(&id).await?;
        self.carry_out::<_, TemplateNames>(id, template, command, template::name_claims).await
    }

    async fn retention_plan(
        self,
        id: InstanceId,
        command: retention_plan::Command,
    ) -> Result<Decision, AttemptError> {
        let plan = self.own::<RetentionPlanDecider>(&id).await?;
        if let Some(sequence) = plan.done_by_command {
            return Ok(Decision::Appended { sequence });
        }
        if let retention_plan::Command::Set { .. } = command {
            let instance = self.load::<InstanceDecider>(&id).await?;
            retention_plan::require_instance(&instance.state).map_err(Refusal::from)?;
        }
        let events = self.decide(&plan, command)?;
        self.append(vec![], &id, &plan, &events).await
    }

    /// Decides a command, unless it was carried out before, and appends what it leads to, together with what its events
    /// claim or give up.
    async fn carry_out<D, C>(
        self,
        id: D::Id,
        aggregate: Aggregate<D>,
        command: D::Command,
        claims: Claims<D, C>,
    ) -> Result<Decision, AttemptError>
    where
        D: Stored<Id: Copy>,
        C: Claimable,
        ClaimDecider<C>:
            Stored<Id = C::Id, State = claim::State<C::Holder>, Command = claim::Command<C::Holder>>,
        Refusal: From<D::Refusal> + From<<ClaimDecider<C> as domain::Decider>::Refusal>,
    {
        if let Some(sequence) = aggregate.done_by_command {
            return Ok(Decision::Appended { sequence });
        }
        let events = self.decide(&aggregate, command)?;
        let mut writes = Vec::new();
        for event in &events {
            for (claimed, command) in claims(id, &aggregate.state, event) {
                writes.extend(self.claim::<C>(&claimed, command).await?);
            }
        }
        self.append(writes, &id, &aggregate, &events).await
    }

    /// The aggregate that the command is for.
    async fn own<D: Stored>(self, id: &D::Id) -> Result<Aggregate<D>, LoadError> {
        if self.source == Source::Memory
            && let Some(remembered) = self.store.recall::<D>(id, self.given.command_id)
        {
            return Ok(remembered);
        }
        self.load::<D>(id).await
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
    ) -> Result<Decision, AttemptError> {
        if events.is_empty() {
            return Ok(Decision::Unchanged(Outcome::Done { sequence: aggregate.last_sequence }));
        }
        writes.push(Write::new::<D>(id, aggregate.last_sequence, events));
        let sequence = self.store.append(&writes, &self.given.metadata()).await?;
        self.store.remember::<D>(id, aggregate, events, sequence, self.given.command_id);
        tracing::info!(sequence, "command done");
        Ok(Decision::Appended { sequence })
    }
}
