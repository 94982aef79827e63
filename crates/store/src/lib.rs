//! Everything that speaks NATS: subjects, envelope, upcasts, append, load, views in buckets.
