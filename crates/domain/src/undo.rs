//! Taking a change back: which command makes of now what was before an event, if any does.
//!
//! Each aggregate has its rule in its own `undo`: from the event, the state in which it was decided and the state now.
//! A log is never changed; the command is a new one, and is decided as any other.

/// Why a change is not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUndone {
    /// Never, whatever the state is now.
    #[error("{0}")]
    Impossible(Impossible),
    /// Somebody has changed the same thing again.
    #[error("what it changed was changed again since")]
    Overtaken,
    #[error("what it changed is gone")]
    Gone,
}

/// Why a kind of change is never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("the keys of its secrets were shredded with it")]
    KeysShredded,
    #[error("a fact about a replica is no change that anybody wished")]
    Fact,
    #[error("there is nothing that a restart has replaced: stop the instance if it should not run")]
    Restart,
    #[error("it is a part of another change: undo the event of the same command that says more")]
    Part,
}

impl Impossible {
    /// The reason's stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Impossible::KeysShredded => "keys_shredded",
            Impossible::Fact => "fact",
            Impossible::Restart => "restart",
            Impossible::Part => "part",
        }
    }
}

impl NotUndone {
    /// The reason's stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            NotUndone::Impossible(impossible) => impossible.as_str(),
            NotUndone::Overtaken => "overtaken",
            NotUndone::Gone => "gone",
        }
    }
}

/// The command if what the event changed is still as it left it.
pub(crate) fn unless_overtaken<C>(is_untouched: bool, command: C) -> Result<C, NotUndone> {
    if is_untouched { Ok(command) } else { Err(NotUndone::Overtaken) }
}
