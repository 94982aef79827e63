//! The suites as programs, and what they say of each scenario.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use harness::Tools;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a suite may take.
const DEADLINE: Duration = Duration::from_secs(150);

/// How long the client of a scenario may take: it creates an instance first.
const CLIENT_MILLISECONDS: &str = "120000";

/// A suite for servers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Suite {
    /// Version 0.1.16, all scenarios.
    Legacy,
    /// Version 0.2.0-alpha.12, what a revision requires.
    Requirements(&'static str),
}

/// What came of each scenario, by its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results(pub(crate) BTreeMap<String, Outcome>);

/// The checks of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Suite {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "0.1.16",
            Self::Requirements(revision) => revision,
        }
    }

    /// Runs it against a server.
    pub(crate) async fn run(self, url: &str) -> Results {
        let (version, selection) = match self {
            Self::Legacy => ("0.1", ["--suite", "all"]),
            Self::Requirements(revision) => ("0.2", ["--requirements", revision]),
        };
        let mut command = conformance(version);
        command.arg("server").args(selection).args(["--url", url]);
        let said = said(command).await;
        let results = Results::read(&said);
        assert!(!results.0.is_empty(), "{self:?} says nothing of any scenario:\n{said}");
        results
    }
}

/// Runs a scenario of the suite for clients, directly or with the gateway of an installation in between.
#[expect(clippy::print_stdout, reason = "what failed is for whoever reads the test's output")]
pub(crate) async fn client(scenario: &str, revision: &str, data: Option<&Path>) -> Results {
    let tools = Tools::find();
    let driver = tools.clients.join("node/conformance.mjs");
    let through = data.map(|data| format!(" {} {}", tools.mcpcan.display(), data.display()));
    let client =
        format!("{} {}{}", tools.node_program.display(), driver.display(), through.unwrap_or_default());
    let mut command = conformance("0.2");
    command.args(["client", "--scenario", scenario, "--spec-version", revision, "--command", &client]);
    command.args(["--timeout", CLIENT_MILLISECONDS]);
    let said = said(command).await;
    let outcome = Outcome::of_client(&said).unwrap_or_else(|| panic!("{scenario} says nothing:\n{said}"));
    if !outcome.is_passed() {
        println!("{scenario}, {data:?}:\n{said}");
    }
    Results([(scenario.to_owned(), outcome)].into())
}

fn conformance(version: &str) -> Command {
    let tools = Tools::find();
    let mut command = Command::new(&tools.node_program);
    command.arg(tools.node.join(format!("node_modules/conformance-{version}/dist/index.js")));
    command.current_dir(&tools.node).env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn said(mut command: Command) -> String {
    let output = timeout(DEADLINE, command.output()).await.expect("a suite ends in time");
    let output = output.expect("a suite runs");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Results {
    /// Reads lines such as `✓ ping: 1 passed, 0 failed`.
    fn read(said: &str) -> Self {
        let outcome = |line: &str| {
            let line = line.strip_prefix("✓ ").or_else(|| line.strip_prefix("✗ "))?;
            let (name, counts) = line.split_once(": ")?;
            let (passed, failed) = counts.split_once(" passed, ")?;
            let failed = failed.split_once(" failed")?.0;
            Some((name.to_owned(), Outcome { passed: passed.parse().ok()?, failed: failed.parse().ok()? }))
        };
        Self(said.lines().filter_map(outcome).collect())
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many scenarios passed.
    pub(crate) fn passed(&self) -> usize {
        self.0.values().filter(|outcome| outcome.is_passed()).count()
    }

    /// What passes there and does not here, or here with fewer checks; of what is `fewer`, the checks are not counted.
    pub(crate) fn worse_than<'a>(
        &'a self,
        direct: &'a Self,
        fewer: &'a [&str],
    ) -> impl Iterator<Item = String> + 'a {
        direct.0.iter().filter(|(_, there)| there.is_passed()).filter_map(|(name, there)| {
            let here = self.0.get(name);
            let is_whole = |here: &Outcome| here.passed >= there.passed || fewer.contains(&name.as_str());
            let as_good = here.is_some_and(|here| here.is_passed() && is_whole(here));
            (!as_good).then(|| format!("{name}: {here:?}, directly {there:?}"))
        })
    }
}

impl Outcome {
    /// Reads `Passed: 2/2, 0 failed, 0 warnings`, and whether the client itself ended well.
    fn of_client(said: &str) -> Option<Self> {
        let counts = said.lines().find_map(|line| line.strip_prefix("Passed: "))?;
        let (passed, counts) = counts.split_once('/')?;
        let failed = counts.split_once(", ")?.1.split_once(" failed")?.0;
        let ended_well = said.contains("OVERALL: PASSED");
        let failed = failed.parse::<usize>().ok()?.max(usize::from(!ended_well));
        Some(Self { passed: passed.parse().ok()?, failed })
    }

    pub(crate) fn is_passed(self) -> bool {
        self.failed == 0
    }
}
