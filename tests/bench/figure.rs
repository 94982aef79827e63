//! Figures as they are shown and kept.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

/// Where the figures of this run go.
pub(crate) struct Figures {
    file: File,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Shown so that others can be understood.
    None,
}

impl Figures {
    /// # Panics
    /// `target/bench.jsonl` cannot be written.
    pub(crate) fn open() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository");
        fs::create_dir_all(root.join("target")).expect("make target/");
        Figures { file: File::create(root.join("target/bench.jsonl")).expect("open target/bench.jsonl") }
    }

    /// Shows a figure and keeps it.
    #[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &str, goal: Goal) {
        let (wanted, reached) = match goal {
            Goal::AtLeast(least) => (Some(format!(">= {least}")), Some(value >= least)),
            Goal::AtMost(most) => (Some(format!("<= {most}")), Some(value <= most)),
            Goal::None => (None, None),
        };
        let verdict = reached.map(|reached| if reached { "ok" } else { "short" });
        let (shown, verdict_shown) = (wanted.as_deref().unwrap_or("-"), verdict.unwrap_or("-"));
        println!("{name:<52} {value:>12.3} {unit:<6} {shown:>8} {verdict_shown}");
        let line = json!({ "name": name, "value": value, "unit": unit, "goal": wanted, "verdict": verdict });
        writeln!(self.file, "{line}").expect("write target/bench.jsonl");
    }
}

/// The middle of the values.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this share of all values lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index among a few million values"
)]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
