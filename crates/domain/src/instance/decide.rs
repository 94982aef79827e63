//! Which commands an instance accepts, and what they lead to.

use super::{
    Command, Created, Deleted, Event, Fact, Live, Refusal, ReplicaFailed, ReplicaHandshaking, ReplicaReady,
    ReplicaStarting, ReplicaStopped, Restarted, Stage, Started, State, Stopped,
};
use crate::ReplicaId;

pub(super) fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Create { name, access } => match state {
            State::Absent => Ok(vec![Event::Created(Created { name, access })]),
            State::Running(_) | State::Stopped(_) => Err(Refusal::Exists),
            State::Deleted => Err(Refusal::Deleted),
        },
        Command::Start => match state {
            State::Running(_) => Ok(vec![]),
            State::Stopped(live) => Ok(vec![Event::Started(Started { generation: live.generation + 1 })]),
            State::Absent => Err(Refusal::NotFound),
            State::Deleted => Err(Refusal::Deleted),
        },
        Command::Stop => match state {
            State::Running(_) => Ok(vec![Event::Stopped(Stopped {})]),
            State::Stopped(_) => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
            State::Deleted => Err(Refusal::Deleted),
        },
        // Restarting what stands still starts it, as every service manager does.
        Command::Restart => match state {
            State::Running(live) => Ok(vec![Event::Restarted(Restarted { generation: live.generation + 1 })]),
            State::Stopped(live) => Ok(vec![Event::Started(Started { generation: live.generation + 1 })]),
            State::Absent => Err(Refusal::NotFound),
            State::Deleted => Err(Refusal::Deleted),
        },
        Command::Delete => match state {
            State::Running(_) | State::Stopped(_) => Ok(vec![Event::Deleted(Deleted {})]),
            State::Deleted => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
        Command::Report { replica, generation, fact } => report(state, replica, generation, fact),
    }
}

fn report(state: &State, replica: ReplicaId, generation: u64, fact: Fact) -> Result<Vec<Event>, Refusal> {
    let live = match state {
        State::Running(live) | State::Stopped(live) => live,
        State::Absent => return Err(Refusal::NotFound),
        State::Deleted => return Err(Refusal::Deleted),
    };
    if !live.access.is_hosted() {
        return Err(Refusal::NotHosted);
    }
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

/// Progress counts only for what is wanted; a replica that is refused here has to end.
fn require_wanted(state: &State, live: &Live, reported: u64) -> Result<(), Refusal> {
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
