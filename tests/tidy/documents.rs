//! Documents name files that exist, so that a reader can follow them.

use std::path::{Path, PathBuf};

use crate::tree::{files, metadata, none, read, root, shown};

/// Endings by which a word in backquotes is taken for a file of this repository.
const FILE_ENDINGS: [&str; 8] = [".conf", ".json", ".md", ".rs", ".sql", ".toml", ".txt", "/"];

/// Places that exist only once something has been built or run.
const MADE: [&str; 4] = [".mcpcan/", ".tools/", "target/", "/"];

#[test]
fn files_that_documents_name_exist() {
    let mut missing = vec![];
    for document in files(&root(), "md") {
        let text = read(&document);
        let paths = text.split('`').skip(1).step_by(2).filter(|word| is_path(word));
        missing.extend(
            paths.filter(|path| !exists(&document, path)).map(|path| format!("{}: {path}", shown(&document))),
        );
    }
    none(&missing, "a document names a file that does not exist");
}

/// Whether a word in backquotes is a path of this repository: with a folder in it, no blanks, no placeholders.
fn is_path(word: &str) -> bool {
    word.contains('/')
        && FILE_ENDINGS.iter().any(|ending| word.ends_with(ending))
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "./_-*".contains(c))
        && !MADE.iter().any(|made| word.starts_with(made))
}

/// A path is written from the root on, from the document's folder on, or from the crate on that the text is about. A
/// star stands for any name.
fn exists(document: &Path, path: &str) -> bool {
    let folder = document.parent().expect("a document lies in a folder");
    let places = [root(), folder.to_owned()].into_iter().chain(crate_folders());
    places.map(|place| place.join(path)).any(|path| match starless(&path) {
        Some(folder) => folder.is_dir(),
        None => path.exists(),
    })
}

/// The folder of each crate, and of its sources.
fn crate_folders() -> impl Iterator<Item = PathBuf> {
    metadata().packages.into_iter().flat_map(|package| {
        let folder =
            package.manifest_path.as_std_path().parent().expect("a manifest lies in a folder").to_owned();
        [folder.join("src"), folder]
    })
}

/// The folder before the first star.
fn starless(path: &Path) -> Option<PathBuf> {
    let starred = path.ancestors().filter(|path| path.to_string_lossy().contains('*')).last()?;
    starred.parent().map(Path::to_owned)
}

#[test]
fn every_top_level_folder_has_a_readme() {
    let silent = ["clickhouse", "crates", "deploy", "nats", "schemas", "tests"]
        .into_iter()
        .filter(|folder| !root().join(folder).join("README.md").is_file())
        .map(str::to_owned);
    none(&silent.collect::<Vec<_>>(), "a folder does not say what it is for");
}
