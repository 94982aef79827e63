//! The read models: row types and the pure fold from events to rows.
