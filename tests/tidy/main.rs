//! Style that is a test.
