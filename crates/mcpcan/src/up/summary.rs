//! What `up` says when all of it is ready: where everything is, and what to type next.

use std::path::Path;

use crate::data_directory::DataDirectory;
use crate::whereabouts::{DATA_DIRECTORY, RunFile};

/// The words after "ready".
pub(super) fn summary(run: &RunFile, data: &DataDirectory) -> String {
    let mcpcan = invocation(data.path());
    let npx = if super::on_path("npx").is_none() {
        "\nnpx is not on PATH: servers from npm need it. Install Node.js, then start again.\n"
    } else {
        ""
    };
    let RunFile { api, gateway, nats, clickhouse, admin_key_file, .. } = run;
    format!(
        "\
mcpcan is ready.

  api         {api}
  gateway     {gateway}
  NATS        {nats}
  ClickHouse  {clickhouse}
  admin key   {key}
  data        {data}
{npx}
Next, in another terminal:

  {mcpcan} instance create everything --access hosted --transport stdio -- \\
    npx -y @modelcontextprotocol/server-everything@2026.8.31 stdio
  {mcpcan} token issue everything --kind bearer --label dev
  {mcpcan} call everything echo '{{\"message\":\"hi\"}}'

Ctrl-C stops everything.",
        key = admin_key_file.display(),
        data = data.path().display(),
    )
}

/// How this installation is named at a shell, wherever that stands: a relative path of the program would be right only
/// here. The default data directory is found without being named.
fn invocation(data: &Path) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "mcpcan".to_owned());
    let program = if program.contains('/') {
        std::path::absolute(&program).map_or(program, |path| path.display().to_string())
    } else {
        program
    };
    let default = Path::new(DATA_DIRECTORY).canonicalize();
    if default.is_ok_and(|default| default == data) {
        quoted(&program)
    } else {
        format!("{} --data {}", quoted(&program), quoted(&data.display().to_string()))
    }
}

/// A word of a command line, in quotes where a shell would read it as something else.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_that_is_not_the_default_is_named_for_a_shell() {
        let shown = invocation(Path::new("/srv/it's mcpcan"));
        assert!(shown.ends_with(r" --data '/srv/it'\''s mcpcan'"), "{shown}");
        assert!(shown.starts_with('/'), "{shown}");
        assert_eq!(quoted("/srv/mcpcan"), "/srv/mcpcan");
    }
}
