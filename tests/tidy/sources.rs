//! Rules over source files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tree::{files, metadata, none, read, root, shown};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["common", "helper", "helpers", "manager", "misc", "util", "utils", "types"];

/// What is not finished, or switched off. Put together here, so that this file is not found by its own rule.
const UNFINISHED: [&str; 5] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

#[test]
fn every_source_file_is_part_of_a_crate() {
    let mut reached = BTreeSet::new();
    for target in metadata().packages.iter().flat_map(|package| &package.targets) {
        reach(target.src_path.as_std_path(), true, &mut reached);
    }
    let lost = files(&root(), "rs").into_iter().filter(|path| !reached.contains(path));
    none(&lost.map(|path| shown(&path)).collect::<Vec<_>>(), "no `mod` leads to these files");
}

/// Follows the `mod name;` lines of a file. `is_root`: the file is the root of a crate, and its modules lie beside it.
fn reach(file: &Path, is_root: bool, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let beside = file.parent().expect("a file lies in a folder");
    let folder = if is_root { beside.to_owned() } else { file.with_extension("") };
    let text = read(file);
    let mut named = None;
    for line in text.lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            named = Some(beside.join(path));
        } else if let Some(module) = module_of(line) {
            let path = named.take().unwrap_or_else(|| folder.join(format!("{module}.rs")));
            if path.exists() {
                reach(&path, false, reached);
            }
        }
    }
}

/// The name in `mod name;`, whatever its visibility.
fn module_of(line: &str) -> Option<&str> {
    let (before, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent = files(&root(), "rs").into_iter().filter(|path| !read(path).starts_with("//! "));
    none(&silent.map(|path| shown(&path)).collect::<Vec<_>>(), "these files do not open with `//! `");
}

#[test]
fn names_of_files_say_something() {
    let empty = files(&root(), "rs").into_iter().filter(|path| {
        let parts = path.strip_prefix(root()).expect("a file of the repository").with_extension("");
        parts.components().any(|part| EMPTY_NAMES.contains(&part.as_os_str().to_string_lossy().as_ref()))
    });
    none(
        &empty.map(|path| shown(&path)).collect::<Vec<_>>(),
        "a file or folder has a name that says nothing",
    );
}

#[test]
fn modules_are_not_called_mod() {
    let old =
        files(&root(), "rs").into_iter().filter(|path| path.file_name().is_some_and(|name| name == "mod.rs"));
    none(&old.map(|path| shown(&path)).collect::<Vec<_>>(), "write name.rs beside name/");
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    let mut found = vec![];
    for path in files(&root(), "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            if UNFINISHED.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    none(&found, "finish it, or leave it out");
}
