//! Role: makes what runs equal to what should run.
