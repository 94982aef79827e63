//! What loggers call the levels.

use access_log::Level;

/// The level that a word stands for, in whatever case.
pub(super) fn level(word: &str) -> Option<Level> {
    Some(match word.to_ascii_lowercase().as_str() {
        "t" | "trace" | "trc" | "trce" | "silly" | "spam" => Level::Trace,
        "d" | "debug" | "dbg" | "dbug" | "verbose" | "verb" | "fine" => Level::Debug,
        "i" | "info" | "inf" | "information" | "informational" | "notice" | "success" | "http" => Level::Info,
        "w" | "warn" | "warning" | "wrn" => Level::Warn,
        "e" | "f" | "c" | "error" | "err" | "err!" | "eror" | "fail" | "fatal" | "ftl" | "critical"
        | "crit" | "panic" | "alert" | "emerg" | "emergency" | "severe" | "exception" => Level::Error,
        _ => return None,
    })
}

/// The level of a number of pino and bunyan.
pub(super) fn level_of_number(number: u64) -> Option<Level> {
    Some(match number {
        10..20 => Level::Trace,
        20..30 => Level::Debug,
        30..40 => Level::Info,
        40..50 => Level::Warn,
        50..=60 => Level::Error,
        _ => return None,
    })
}
