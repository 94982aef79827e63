//! What the log must hold for each answer that a writer got, and which answers may be others when they come again.

use std::collections::HashMap;

use domain::{Event, Recorded};

use crate::log::States;
use crate::wish::{Thing, Wish};
use crate::writer::{Answer, Sent};

/// The log, as far as answers are held against it.
pub(crate) struct Verdict<'a> {
    pub(crate) by_cause: HashMap<&'a str, Vec<&'a Recorded>>,
    pub(crate) states: &'a States,
}

/// How often a command took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    Once,
}

impl Verdict<'_> {
    /// Everything that contradicts the log.
    pub(crate) fn contradictions(&self, sent: &[Sent]) -> Vec<String> {
        let mut found = vec![];
        for sent in sent {
            let events = self.events(sent);
            if let Err(reason) = self.judge(sent, events) {
                let names: Vec<_> = events.iter().map(|event| (event.sequence, event.event.name())).collect();
                found.push(format!("{reason}\n    {sent:?}\n    {names:?}"));
            }
        }
        found
    }

    /// A command that is sent again is answered as before, unless what it was about has gone since.
    pub(crate) fn changed_answers(&self, sent: &[Sent], repeated: &[Sent]) -> Vec<String> {
        let first: HashMap<_, _> = sent.iter().map(|sent| (&sent.request.key, sent)).collect();
        let mut wrong = vec![];
        for again in repeated {
            let first = first[&again.request.key];
            if !self.is_same(first, again) {
                let events: Vec<_> = self.events(first).iter().map(|event| event.sequence).collect();
                wrong.push(format!(
                    "a repeat is answered otherwise\n    {first:?}\n    {again:?}\n    {events:?}"
                ));
            }
        }
        wrong
    }

    fn events(&self, sent: &Sent) -> &[&Recorded] {
        let cause = format!("request:{}", sent.request.key);
        self.by_cause.get(cause.as_str()).map(Vec::as_slice).unwrap_or_default()
    }

    fn judge(&self, sent: &Sent, events: &[&Recorded]) -> Result<(), &'static str> {
        let effect = effect(sent.request.wish, events)?;
        match &sent.answer {
            Answer::Acknowledged { .. } if effect == Effect::None => {
                if may_be_true_already(sent.request.wish) {
                    return Ok(());
                }
                Err("an acknowledged command has no events")
            }
            Answer::Acknowledged { body, .. } => {
                let shown = body["sequence"].as_u64();
                match events.last().zip(shown) {
                    Some((last, shown)) if shown < last.sequence => {
                        Err("an answer does not show what its own command led to")
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Answer::Refused { body, .. } => {
                let code = body["code"].as_str();
                if is_about_gone(code) && !self.is_gone(sent, events) {
                    return Err("what is there is said to be gone");
                }
                if effect == Effect::Once && is_final(sent, code) {
                    return Err("a refused command has events");
                }
                Ok(())
            }
            Answer::Unknown { .. } => Ok(()),
        }
    }

    fn is_same(&self, first: &Sent, again: &Sent) -> bool {
        let is_gone = |status: u16| matches!(status, 404 | 410) && self.is_gone(first, self.events(first));
        match (&first.answer, &again.answer) {
            (_, Answer::Unknown { .. }) => false,
            (Answer::Unknown { .. }, _) => true,
            (Answer::Acknowledged { status, .. }, Answer::Acknowledged { status: again, .. }) => {
                status == again
            }
            (Answer::Acknowledged { .. }, Answer::Refused { status, .. }) => is_gone(*status),
            (Answer::Refused { status, .. }, Answer::Refused { status: again, .. }) => {
                status == again || is_gone(*again)
            }
            (Answer::Refused { .. }, Answer::Acknowledged { .. }) => false,
        }
    }

    /// Whether what the command has changed is gone by now; what it was about, if it has changed nothing.
    fn is_gone(&self, sent: &Sent, events: &[&Recorded]) -> bool {
        match events {
            [] => sent.request.about.as_ref().is_some_and(|thing| self.is_thing_gone(thing)),
            events => events.iter().any(|recorded| self.is_changed_gone(&recorded.event)),
        }
    }

    fn is_thing_gone(&self, thing: &Thing) -> bool {
        match thing {
            Thing::Instance(id) => self.states.is_instance_gone(id.parse().expect("the api gives ids")),
            Thing::Token { id, instance } => {
                self.is_thing_gone(&Thing::Instance(instance.clone()))
                    || self.states.is_token_gone(id.parse().expect("the api gives ids"))
            }
            Thing::Template(id) => self.states.is_template_gone(id.parse().expect("the api gives ids")),
        }
    }

    fn is_changed_gone(&self, event: &Event) -> bool {
        match event {
            Event::Instance { id, .. } => self.states.is_instance_gone(*id),
            Event::Token { id, .. } => self.states.is_token_gone(*id),
            Event::Template { id, .. } => self.states.is_template_gone(*id),
            Event::InstanceName { .. }
            | Event::Credential { .. }
            | Event::TemplateName { .. }
            | Event::RetentionPlan { .. } => false,
        }
    }
}

/// The events of one command: all of them once, or none.
fn effect(wish: Wish, events: &[&Recorded]) -> Result<Effect, &'static str> {
    let names: Vec<_> = events.iter().map(|recorded| recorded.event.name()).collect();
    if names.is_empty() {
        return Ok(Effect::None);
    }
    let whole: &[&[&str]] = match wish {
        Wish::Create | Wish::Instantiate => &[&["instance_name.claimed", "instance.created"]],
        Wish::Edit => &[&["instance.edited"]],
        Wish::Rename => &[&["instance_name.claimed", "instance_name.released", "instance.renamed"]],
        Wish::Scale => &[&["instance.scaled"]],
        Wish::Start => &[&["instance.started"]],
        Wish::Stop => &[&["instance.stopped"]],
        Wish::Restart => &[&["instance.restarted"], &["instance.started"]],
        Wish::Delete => &[&["instance_name.released", "instance.deleted"]],
        Wish::Issue => &[&["credential.claimed", "token.issued"]],
        Wish::EditToken => &[&["token.edited"]],
        Wish::Rotate => &[&["credential.claimed", "credential.released", "token.rotated"]],
        Wish::Revoke => &[&["credential.released", "token.revoked"]],
        Wish::SetPlan => &[&["retention_plan.set"]],
        Wish::ResetPlan => &[&["retention_plan.reset"]],
        Wish::CreateTemplate | Wish::TakeTemplate => &[&["template_name.claimed", "template.created"]],
        Wish::EditTemplate => &[&["template.edited"]],
        Wish::RenameTemplate => &[&["template_name.claimed", "template_name.released", "template.renamed"]],
        Wish::DeleteTemplate => &[&["template_name.released", "template.deleted"]],
    };
    if !whole.contains(&names.as_slice()) {
        return Err("a command has other events than it leads to, or has them more than once");
    }
    if events.windows(2).any(|pair| pair[1].sequence != pair[0].sequence + 1) {
        return Err("a command's events are not one batch");
    }
    if events.iter().any(|event| event.metadata.command_id != events[0].metadata.command_id) {
        return Err("one request has become two commands");
    }
    Ok(Effect::Once)
}

/// Whether a success may have led to nothing, because things were as wished.
fn may_be_true_already(wish: Wish) -> bool {
    match wish {
        Wish::Rename
        | Wish::Scale
        | Wish::Start
        | Wish::Stop
        | Wish::Delete
        | Wish::Revoke
        | Wish::SetPlan
        | Wish::ResetPlan
        | Wish::RenameTemplate
        | Wish::DeleteTemplate => true,
        Wish::Create
        | Wish::Instantiate
        | Wish::Edit
        | Wish::Restart
        | Wish::Issue
        | Wish::EditToken
        | Wish::Rotate
        | Wish::CreateTemplate
        | Wish::TakeTemplate
        | Wish::EditTemplate => false,
    }
}

/// Whether a refusal says that something is not there.
fn is_about_gone(code: Option<&str>) -> bool {
    is_ended(code) || matches!(code, Some("instance_not_found" | "token_not_found" | "template_not_found"))
}

fn is_ended(code: Option<&str>) -> bool {
    matches!(code, Some("instance_deleted" | "token_revoked" | "token_expired" | "template_deleted"))
}

/// Whether a refusal says that the command never took effect. What is gone may have gone after it did; and after an
/// attempt that brought no answer, what is not found may have been found by that attempt.
fn is_final(sent: &Sent, code: Option<&str>) -> bool {
    !is_ended(code) && (!is_about_gone(code) || sent.lost == 0)
}
