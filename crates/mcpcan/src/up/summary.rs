//! What `up` says when all of it is ready: where everything is, and what to type next.

use crate::data_directory::DataDirectory;
use crate::whereabouts::RunFile;

/// The words after "ready".
pub(super) fn summary(run: &RunFile, data: &DataDirectory) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "mcpcan".to_owned());
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

  {program} instance create everything --access hosted --transport stdio -- \\
    npx -y @modelcontextprotocol/server-everything@2026.8.31 stdio
  {program} token issue everything --kind bearer --label dev
  {program} call everything echo '{{\"message\":\"hi\"}}'

Ctrl-C stops everything.",
        key = admin_key_file.display(),
        data = data.path().display(),
    )
}
