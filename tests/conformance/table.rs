//! The table of the results.

use std::collections::BTreeSet;

use crate::suite::Results;

/// Prints one line for each scenario, and for each way what came of it directly and through us.
#[expect(clippy::print_stdout, reason = "the table is for whoever reads the test's output")]
pub(crate) fn print(columns: &[(String, Results, Results)]) {
    let scenarios: BTreeSet<&String> = columns.iter().flat_map(|(_, direct, _)| direct.0.keys()).collect();
    let line = |name: &str, cell: &dyn Fn(&Results, &Results) -> String| {
        let cells: String =
            columns.iter().map(|(_, direct, through)| format!(" | {:>18}", cell(direct, through))).collect();
        println!("{name:<46}{cells}");
    };
    let titles: String = columns.iter().map(|(title, ..)| format!(" | {title:>18}")).collect();
    println!("{:<46}{titles}", "scenario: directly, through us");
    for scenario in scenarios {
        let mark = |results: &Results| match results.0.get(scenario) {
            Some(outcome) if outcome.is_passed() => "ok",
            Some(_) => "FAIL",
            None => "-",
        };
        line(scenario, &|direct, through| format!("{}, {}", mark(direct), mark(through)));
    }
    line("passed", &|direct, through| {
        format!("{}, {} of {}", direct.passed(), through.passed(), direct.0.len())
    });
}
