//! The aggregates: commands, events, states and the rules between them. Pure.
