//! What pods have written: each container that ran has a file of lines with their times.

use std::collections::BTreeMap;

/// The lines of each container of a pod, the last one last.
#[derive(Default)]
pub(crate) struct Logs(BTreeMap<String, Vec<Lines>>);

/// What one container has written, and whether it writes no more.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<(jiff::Timestamp, String)>,
    pub(crate) ended: bool,
}

impl Logs {
    /// A container begins.
    pub(crate) fn begin(&mut self, pod: &str) {
        self.0.entry(pod.to_owned()).or_default().push(Lines::default());
    }

    pub(crate) fn push(&mut self, pod: &str, line: String) {
        if let Some(lines) = self.0.get_mut(pod).and_then(|containers| containers.last_mut()) {
            lines.lines.push((jiff::Timestamp::now(), line));
        }
    }

    pub(crate) fn end(&mut self, pod: &str) {
        if let Some(lines) = self.0.get_mut(pod).and_then(|containers| containers.last_mut()) {
            lines.ended = true;
        }
    }

    /// The container whose log is asked for: the last, or the one before.
    pub(crate) fn container(&self, pod: &str, previous: bool) -> Option<(usize, &Lines)> {
        let containers = self.0.get(pod)?;
        let number = containers.len().checked_sub(if previous { 2 } else { 1 })?;
        Some((number, &containers[number]))
    }

    pub(crate) fn numbered(&self, pod: &str, number: usize) -> Option<&Lines> {
        self.0.get(pod)?.get(number)
    }
}
