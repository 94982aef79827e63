//! Taking a change back: a new command, made of an event, of what was before it and of what is now.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::instance::InstanceDecider;
use domain::retention_plan::RetentionPlanDecider;
use domain::template::TemplateDecider;
use domain::token::TokenDecider;
use domain::undo::{Impossible, NotUndone};
use domain::{Command, CommandId, Event, Recorded, instance, retention_plan, template, token};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{PastError, StatesAround, Stored};
use uuid::Uuid;

use super::document::mask_command;
use super::selection::flag;
use super::show::{parse_sequence, read};
use crate::app::App;
use crate::command::Caller;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::violation::Violations;

/// No command leads to more events than a claim, the end of another, and the aggregate's own.
const BATCH_EVENTS_MAX: usize = 8;

/// The query of `POST /events/{sequence}/undo`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoEvent {
    /// `true` to show the command and to send nothing.
    #[schemars(with = "Option<bool>")]
    dry_run: Option<String>,
}

/// A change that was taken back, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UndoneDocument {
    /// The event that is undone.
    undone: u64,
    aggregate: &'static str,
    id: Uuid,
    /// The command's name, such as `instance.edit`.
    name: &'static str,
    /// The command; what is sealed is masked.
    command: Value,
    dry_run: bool,
    /// The last event that came of it; none for a dry run.
    sequence: Option<u64>,
}

/// `POST /events/{sequence}/undo`
pub(crate) async fn undo_event(
    State(app): State<App>,
    Path(sequence): Path<String>,
    Query(query): Query<UndoEvent>,
    caller: Caller,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let dry_run = flag("dry_run", query.dry_run.as_deref(), &mut violations);
    violations.into_result()?;
    let number = parse_sequence(&sequence)?;
    let stored = app.store.event(number).await?.ok_or_else(|| Error::EventNotFound(sequence.clone()))?;
    let wish = app.wish(&caller, "event.undo", &[], &number).await?;
    // A repeated request finds what the first one found.
    let request =
        Request { app: &app, sequence: number, id: &|aggregate| caller.command_id(&wish, aggregate) };
    let recorded = read(&stored)?;
    let Undo { command, revision } = match request.find(&recorded.event).await? {
        Ok(undo) => undo,
        Err(reason) => {
            let instead = match reason {
                NotUndone::Impossible(Impossible::Part) => whole_of(&app, &recorded).await?,
                NotUndone::Impossible(_) | NotUndone::Overtaken | NotUndone::Gone => None,
            };
            return Err(Error::NotUndone { sequence: number, reason, instead });
        }
    };
    let mut document = UndoneDocument {
        undone: number,
        aggregate: command.aggregate(),
        id: command.aggregate_id(),
        name: command.name(),
        command: serde_json::to_value(mask_command(command.clone()))
            .expect("a command can be written as JSON"),
        dry_run,
        sequence: None,
    };
    if !dry_run {
        document.sequence = Some(app.carry_out_because(&caller, &command, wish, number, revision).await?);
    }
    Ok(axum::Json(document).into_response())
}

/// The event that a part belongs to: of those that lie side by side because one command led to them it is the last, for
/// claims go first.
async fn whole_of(app: &App, part: &Recorded) -> Result<Option<u64>, Error> {
    let mut whole = None;
    for stored in app.store.events_from(part.sequence + 1, BATCH_EVENTS_MAX).await? {
        let next = read(&stored)?;
        if next.metadata.command_id != part.metadata.command_id {
            break;
        }
        whole = Some(next.sequence);
    }
    Ok(whole)
}

/// The command that undoes, and the revision of what it is for.
struct Undo {
    command: Command,
    revision: u64,
}

/// What a request is about.
struct Request<'a> {
    app: &'a App,
    sequence: u64,
    /// The id of its command, by the aggregate that it is for.
    id: &'a (dyn Fn(Uuid) -> CommandId + Sync),
}

impl Request<'_> {
    async fn find(&self, event: &Event) -> Result<Result<Undo, NotUndone>, PastError> {
        Ok(match event {
            Event::Instance { id, event } => {
                let states = self.states::<InstanceDecider>(id, id.0).await?;
                let command = instance::undo(event, &states.before, &states.now);
                undo(&states, command.map(|command| Command::Instance { id: *id, command }))
            }
            Event::Token { id, event } => {
                let states = self.states::<TokenDecider>(id, id.0).await?;
                let command = token::undo(event, &states.before, &states.now);
                undo(&states, command.map(|command| Command::Token { id: *id, command }))
            }
            Event::Template { id, event } => {
                let states = self.states::<TemplateDecider>(id, id.0).await?;
                let command = template::undo(event, &states.before, &states.now);
                undo(&states, command.map(|command| Command::Template { id: *id, command }))
            }
            Event::RetentionPlan { id, event } => {
                let states = self.states::<RetentionPlanDecider>(id, id.0).await?;
                let command = retention_plan::undo(event, &states.before, &states.now);
                undo(&states, command.map(|command| Command::RetentionPlan { id: *id, command }))
            }
            Event::InstanceName { .. } | Event::Credential { .. } | Event::TemplateName { .. } => {
                Err(NotUndone::Impossible(Impossible::Part))
            }
        })
    }

    async fn states<D: Stored>(&self, id: &D::Id, aggregate: Uuid) -> Result<StatesAround<D>, PastError> {
        self.app.store.states_around::<D>(id, self.sequence, (self.id)(aggregate)).await
    }
}

fn undo<D: Stored>(states: &StatesAround<D>, command: Result<Command, NotUndone>) -> Result<Undo, NotUndone> {
    Ok(Undo { command: command?, revision: D::revision(&states.now) })
}
