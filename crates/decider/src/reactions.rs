//! What follows from an event: keys of what has ended are shredded, tokens of deleted instances are revoked.
//!
//! An event may be handed out twice, to two deciders; every reaction bears that.

use std::sync::Arc;
use std::time::Duration;

use domain::instance::InstanceDecider;
use domain::{Actor, Command, CommandId, Event, InstanceId, Recorded, TokenId, instance, template, token};
use jiff::Timestamp;
use service::{CancellationToken, ReadyFlag};
use store::{Follower, Given, LoadError, NotReached, ReceivedEvent, SendError, Store, Unavailable};
use tokio::task::JoinSet;
use uuid::Uuid;
use views::Tokens;

use crate::{GIVE_BACK_DELAY, RETRY_DELAY, ROLE};

/// How long the view of tokens may take to reach an event before it is given back.
const VIEW_WAIT: Duration = Duration::from_secs(10);
/// How long a command that follows from an event may take.
const COMMAND_WAIT: Duration = Duration::from_secs(10);

/// How many events are reacted to at the same time.
const REACTIONS_IN_FLIGHT_MAX: usize = 16;

/// Why a reaction was not done. The event comes back.
#[derive(Debug, thiserror::Error)]
enum ReactionError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    NotReached(#[from] NotReached),
    #[error("revoke token {token}")]
    Revoke {
        token: TokenId,
        #[source]
        source: SendError,
    },
}

/// Reacts until shutdown.
pub(crate) async fn run(store: Store, ready: ReadyFlag, shutdown: CancellationToken) {
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = receive(&store, &ready) => ended,
        };
        ready.set(false);
        if let Err(error) = ended {
            tracing::warn!(error = &error as &dyn std::error::Error, "reactions interrupted, trying again");
        }
        tokio::select! { () = shutdown.cancelled() => return, () = tokio::time::sleep(RETRY_DELAY) => {} }
    }
}

async fn receive(store: &Store, ready: &ReadyFlag) -> Result<(), Unavailable> {
    let reactions =
        Arc::new(Reactions { store: store.clone(), tokens: store.follow::<Tokens>(|_, _| {}).await? });
    let mut events = store.receive_events().await?;
    ready.set(true);
    // One event that has to wait, for a view or for a command, holds up no other. Dropping the set gives back what is
    // in flight when its time to acknowledge is over.
    let mut in_flight = JoinSet::new();
    loop {
        if in_flight.len() >= REACTIONS_IN_FLIGHT_MAX {
            in_flight.join_next().await;
        }
        let event = events.next().await?;
        let reactions = reactions.clone();
        in_flight.spawn(async move {
            if let Err(error) = reactions.handle(event).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "event comes back");
            }
        });
        while in_flight.try_join_next().is_some() {}
    }
}

struct Reactions {
    store: Store,
    tokens: Follower<Tokens>,
}

impl Reactions {
    async fn handle(&self, event: ReceivedEvent) -> Result<(), Unavailable> {
        match self.react(&event.recorded).await {
            Ok(()) => event.finish().await,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    sequence = event.recorded.sequence,
                    "event comes back"
                );
                event.give_back(GIVE_BACK_DELAY).await
            }
        }
    }

    async fn react(&self, recorded: &Recorded) -> Result<(), ReactionError> {
        match &recorded.event {
            Event::Instance { id, event: instance::Event::Deleted(_) } => {
                self.store.keys().shred(id.0).await?;
                self.tokens.reached(recorded.sequence, VIEW_WAIT).await?;
                self.revoke_tokens(*id, recorded).await
            }
            Event::Token { id, event: token::Event::Issued(issued) } => {
                // It may have been issued while its instance was being deleted: then nobody else revokes it.
                let by = recorded.metadata.command_id;
                let instance = self.store.load::<InstanceDecider>(&issued.instance, by).await?;
                match instance.state.live() {
                    Some(_) => Ok(()),
                    None => self.revoke(*id, recorded).await,
                }
            }
            Event::Token { id, event: token::Event::Revoked(_) | token::Event::Expired(_) } => {
                Ok(self.store.keys().shred(id.0).await?)
            }
            Event::Template { id, event: template::Event::Deleted(_) } => {
                Ok(self.store.keys().shred(id.0).await?)
            }
            Event::Token { event: token::Event::Edited(_) | token::Event::Rotated(_), .. }
            | Event::Instance { .. }
            | Event::InstanceName { .. }
            | Event::Credential { .. }
            | Event::Template { .. }
            | Event::TemplateName { .. }
            | Event::RetentionPlan { .. } => Ok(()),
        }
    }

    async fn revoke_tokens(&self, instance: InstanceId, because: &Recorded) -> Result<(), ReactionError> {
        for token in self.tokens.rows() {
            if token.instance == instance && token.digest().is_some() {
                self.revoke(token.id, because).await?;
            }
        }
        Ok(())
    }

    async fn revoke(&self, token: TokenId, because: &Recorded) -> Result<(), ReactionError> {
        let command = Command::Token { id: token, command: token::Command::Revoke };
        // The same event leads to the same command, however often it is handed out.
        let id = CommandId(Uuid::new_v5(&because.metadata.command_id.0, token.0.as_bytes()));
        let (actor, cause) = (Actor::Role(ROLE.to_owned()), Given::caused_by_event(because.sequence));
        let traceparent = because.metadata.traceparent.clone();
        let given = Given { traceparent, ..Given::new(id, actor, cause, Timestamp::now()) };
        match self.store.send(&command, &given, COMMAND_WAIT).await {
            Ok(_) => Ok(()),
            Err(source) => Err(ReactionError::Revoke { token, source }),
        }
    }
}
