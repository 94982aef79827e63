//! Which commands an instance accepts, and what they lead to.

use super::access::require_possible;
use super::{
    Access, AccessChanged, Authorization, AuthorizationChanged, Command, Created, Deleted, Edit, Edited,
    Event, Fact, Health, HealthChanged, Live, Profile, Refusal, Renamed, ReplicaFailed, ReplicaHandshaking,
    ReplicaReady, ReplicaStarting, ReplicaStopped, Restarted, Scaled, Stage, Started, State, Stopped,
};
use crate::{Name, ReplicaId, TemplateId};

pub(super) fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Create { name, access, profile, template } => create(state, name, access, profile, template),
        Command::Rename { name } => rename(existing(state)?, name),
        Command::Edit(edit) => apply(state, &edit),
        Command::ChangeAccess { access } => change_access(state, access),
        Command::ChangeAuthorization { authorization } => authorize(existing(state)?, authorization),
        Command::Scale { replicas } => scale(existing(state)?, replicas),
        Command::Start => match state {
            State::Running(_) => Ok(vec![]),
            State::Stopped(live) => Ok(vec![Event::Started(Started { generation: live.generation + 1 })]),
            State::Absent | State::Deleted => Err(missing(state)),
        },
        Command::Stop => match state {
            State::Running(_) => Ok(vec![Event::Stopped(Stopped {})]),
            State::Stopped(_) => Ok(vec![]),
            State::Absent | State::Deleted => Err(missing(state)),
        },
        // Restarting what stands still starts it, as every service manager does.
        Command::Restart => match state {
            State::Running(live) => Ok(vec![Event::Restarted(Restarted { generation: live.generation + 1 })]),
            State::Stopped(live) => Ok(vec![Event::Started(Started { generation: live.generation + 1 })]),
            State::Absent | State::Deleted => Err(missing(state)),
        },
        Command::Delete => match state {
            State::Running(_) | State::Stopped(_) => Ok(vec![Event::Deleted(Deleted {})]),
            State::Deleted => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
        Command::Report { replica, generation, fact } => report(state, replica, generation, fact),
        Command::ReportHealth { generation, health } => report_health(state, generation, health),
    }
}

fn create(
    state: &State,
    name: Name,
    access: Access,
    profile: Profile,
    template: Option<TemplateId>,
) -> Result<Vec<Event>, Refusal> {
    match state {
        State::Absent => {
            require_possible(&access)?;
            Ok(vec![Event::Created(Created { name, access, profile, template })])
        }
        State::Running(_) | State::Stopped(_) => Err(Refusal::Exists),
        State::Deleted => Err(Refusal::Deleted),
    }
}

fn rename(live: &Live, name: Name) -> Result<Vec<Event>, Refusal> {
    if live.name == name {
        return Ok(vec![]);
    }
    Ok(vec![Event::Renamed(Renamed { from: live.name.clone(), to: name })])
}

fn apply(state: &State, edit: &Edit) -> Result<Vec<Event>, Refusal> {
    let live = existing(state)?;
    let (access, profile) = edit.apply(&live.access, &live.profile)?;
    if access == live.access && profile == live.profile {
        return Ok(vec![]);
    }
    let generation = next_generation(state, live, &access);
    Ok(vec![Event::Edited(Edited { access, profile, generation })])
}

fn change_access(state: &State, access: Access) -> Result<Vec<Event>, Refusal> {
    let live = existing(state)?;
    require_possible(&access)?;
    if access == live.access {
        return Ok(vec![]);
    }
    let generation = next_generation(state, live, &access);
    Ok(vec![Event::AccessChanged(AccessChanged { access, generation })])
}

fn authorize(live: &Live, authorization: Option<Authorization>) -> Result<Vec<Event>, Refusal> {
    match live.access {
        // Its clients never meet the gateway, which would check.
        Access::Direct(_) if authorization.is_some() => {
            Err(Refusal::NotOfMode { setting: "authorization".to_owned(), mode: "direct".to_owned() })
        }
        _ if authorization == live.authorization => Ok(vec![]),
        Access::Direct(_) | Access::Hosted(_) | Access::Proxy(_) => {
            Ok(vec![Event::AuthorizationChanged(AuthorizationChanged { authorization })])
        }
    }
}

fn scale(live: &Live, replicas: u16) -> Result<Vec<Event>, Refusal> {
    let mut access = live.access.clone();
    access.scale(replicas);
    require_possible(&access)?;
    match live.access.is_hosted() {
        false => Err(Refusal::NoReplicas),
        true if access == live.access => Ok(vec![]),
        true => Ok(vec![Event::Scaled(Scaled { replicas })]),
    }
}

/// What runs with other settings than these has to be replaced; what stands still gets a generation when it starts.
fn next_generation(state: &State, live: &Live, access: &Access) -> u64 {
    match state {
        State::Running(_) if *access != live.access => live.generation + 1,
        State::Running(_) | State::Stopped(_) | State::Absent | State::Deleted => live.generation,
    }
}

fn existing(state: &State) -> Result<&Live, Refusal> {
    state.live().ok_or_else(|| missing(state))
}

/// Why there is no instance to change.
fn missing(state: &State) -> Refusal {
    match state {
        State::Deleted => Refusal::Deleted,
        State::Absent | State::Running(_) | State::Stopped(_) => Refusal::NotFound,
    }
}

fn report(state: &State, replica: ReplicaId, generation: u64, fact: Fact) -> Result<Vec<Event>, Refusal> {
    let live = existing(state)?;
    match fact {
        // An end is a fact whatever is wanted now, and telling it twice changes nothing.
        Fact::Failed { reason, detail } if live.replicas.contains_key(&replica) => {
            Ok(vec![Event::ReplicaFailed(ReplicaFailed { replica, reason, detail })])
        }
        Fact::Stopped if live.replicas.contains_key(&replica) => {
            Ok(vec![Event::ReplicaStopped(ReplicaStopped { replica })])
        }
        Fact::Failed { .. } | Fact::Stopped => Ok(vec![]),
        Fact::Starting => {
            require_wanted(state, live, generation)?;
            match live.replicas.get(&replica) {
                Some(_) => Ok(vec![]),
                None => Ok(vec![Event::ReplicaStarting(ReplicaStarting { replica, generation })]),
            }
        }
        Fact::Handshaking => {
            require_wanted(state, live, generation)?;
            match stage(live, replica)? {
                Stage::Starting => Ok(vec![Event::ReplicaHandshaking(ReplicaHandshaking { replica })]),
                Stage::Handshaking | Stage::Ready => Ok(vec![]),
            }
        }
        Fact::Ready { endpoint, credential, server } => {
            require_wanted(state, live, generation)?;
            match stage(live, replica)? {
                Stage::Starting | Stage::Handshaking => {
                    Ok(vec![Event::ReplicaReady(ReplicaReady { replica, endpoint, credential, server })])
                }
                Stage::Ready => Ok(vec![]),
            }
        }
    }
}

fn report_health(state: &State, generation: u64, health: Health) -> Result<Vec<Event>, Refusal> {
    let live = existing(state)?;
    require_current(state, live, generation)?;
    match live.access {
        Access::Direct(_) => return Err(Refusal::NotProbed),
        Access::Hosted(_) if !live.is_ready() => return Err(Refusal::NoReadyReplica),
        Access::Hosted(_) | Access::Proxy(_) => {}
    }
    if live.health.as_ref() == Some(&health) {
        return Ok(vec![]);
    }
    Ok(vec![Event::HealthChanged(HealthChanged { health })])
}

/// Progress counts only for what is wanted; a replica that is refused here has to end.
fn require_wanted(state: &State, live: &Live, reported: u64) -> Result<(), Refusal> {
    if !live.access.is_hosted() {
        return Err(Refusal::NotHosted);
    }
    require_current(state, live, reported)
}

fn require_current(state: &State, live: &Live, reported: u64) -> Result<(), Refusal> {
    if !matches!(state, State::Running(_)) {
        return Err(Refusal::NotRunning);
    }
    if reported != live.generation {
        return Err(Refusal::Superseded { reported, wanted: live.generation });
    }
    Ok(())
}

fn stage(live: &Live, replica: ReplicaId) -> Result<Stage, Refusal> {
    live.replicas.get(&replica).map(|replica| replica.stage).ok_or(Refusal::UnknownReplica)
}
