//! What runs on this machine because of a test: found by the data directory, which every process of an installation
//! carries in its command line, its environment or its working directory.

use std::fs;
use std::path::Path;

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    /// The command line, its words divided by blanks.
    pub command: String,
}

/// The processes that belong to the installation with this data directory. This process and zombies do not count.
pub fn below(data: &Path) -> Vec<Process> {
    let data = data.to_str().expect("test directories have plain names");
    let entries = fs::read_dir("/proc").expect("the tests run on Linux");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<_> =
        pids.filter(|pid| *pid != std::process::id()).filter_map(|pid| belonging(pid, data)).collect();
    found.sort();
    found
}

fn belonging(pid: u32, data: &str) -> Option<Process> {
    let proc = Path::new("/proc").join(pid.to_string());
    // A process that ends while it is looked at does not run any more.
    let command = fs::read(proc.join("cmdline")).ok().filter(|command| !command.is_empty())?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
    let environment = fs::read(proc.join("environ")).unwrap_or_default();
    let here = fs::read_link(proc.join("cwd")).unwrap_or_default();
    let belongs = command.contains(data)
        || String::from_utf8_lossy(&environment).contains(data)
        || here.starts_with(data);
    belongs.then_some(Process { pid, command })
}
