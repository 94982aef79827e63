//! What the log must hold for each answer that a writer got.

use std::collections::HashMap;

use domain::Recorded;

use crate::writer::{Answer, Sent, Wish};

/// Everything that contradicts the log.
pub(crate) fn contradictions(sent: &[Sent], by_cause: &HashMap<&str, Vec<&Recorded>>) -> Vec<String> {
    let none = vec![];
    let mut found = vec![];
    for sent in sent {
        let events = by_cause.get(format!("request:{}", sent.request.key).as_str()).unwrap_or(&none);
        if let Err(reason) = judge(sent, events) {
            let names: Vec<_> = events.iter().map(|event| (event.sequence, event.event.name())).collect();
            found.push(format!("{reason}\n    {sent:?}\n    {names:?}"));
        }
    }
    found
}

/// How often a command took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    Once,
}

fn judge(sent: &Sent, events: &[&Recorded]) -> Result<(), &'static str> {
    let effect = effect(sent.request.wish, events)?;
    match &sent.answer {
        Answer::Acknowledged { .. } if effect == Effect::None && !may_be_true_already(sent.request.wish) => {
            Err("an acknowledged command has no events")
        }
        Answer::Refused { body, .. } if effect == Effect::Once && is_final(sent, body["code"].as_str()) => {
            Err("a refused command has events")
        }
        Answer::Acknowledged { .. } | Answer::Refused { .. } | Answer::Unknown { .. } => Ok(()),
    }
}

/// The events of one command: all of them once, or none.
fn effect(wish: Wish, events: &[&Recorded]) -> Result<Effect, &'static str> {
    let names: Vec<_> = events.iter().map(|recorded| recorded.event.name()).collect();
    if names.is_empty() {
        return Ok(Effect::None);
    }
    let whole: &[&[&str]] = match wish {
        Wish::Create => &[&["instance_name.claimed", "instance.created"]],
        Wish::Start => &[&["instance.started"]],
        Wish::Stop => &[&["instance.stopped"]],
        Wish::Restart => &[&["instance.restarted"], &["instance.started"]],
        Wish::Delete => &[&["instance_name.released", "instance.deleted"]],
        Wish::Issue => &[&["credential.claimed", "token.issued"]],
        Wish::Edit => &[&["token.edited"]],
        Wish::Rotate => &[&["credential.claimed", "credential.released", "token.rotated"]],
        Wish::Revoke => &[&["credential.released", "token.revoked"]],
    };
    if !whole.contains(&names.as_slice()) {
        return Err("a command has other events than it leads to, or has them more than once");
    }
    if events.iter().any(|event| event.metadata.command_id != events[0].metadata.command_id) {
        return Err("one request has become two commands");
    }
    Ok(Effect::Once)
}

/// Whether a success may have led to nothing, because things were as wished.
fn may_be_true_already(wish: Wish) -> bool {
    match wish {
        Wish::Start | Wish::Stop | Wish::Delete | Wish::Revoke => true,
        Wish::Create | Wish::Restart | Wish::Issue | Wish::Edit | Wish::Rotate => false,
    }
}

/// Whether a refusal says that the command never took effect. What is gone may have gone after it did; and after an
/// attempt that brought no answer, what is not found may have been found by that attempt.
fn is_final(sent: &Sent, code: Option<&str>) -> bool {
    match code {
        Some("instance_deleted" | "token_revoked") => false,
        Some("instance_not_found" | "token_not_found") => sent.lost == 0,
        Some(_) | None => true,
    }
}
