//! `instance authorize`: whose access tokens are accepted.

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::Rest;
use crate::terms::Terms;

#[derive(Debug, Args)]
pub(crate) struct AuthorizeArguments {
    /// Name or id.
    instance: String,
    /// The authorization server, as its tokens name it in `iss`.
    #[arg(long, value_name = "URL", requires = "audience", required_unless_present = "none")]
    issuer: Option<String>,
    /// What its tokens name in `aud`: for MCP clients the address of the instance at the gateway.
    #[arg(long, requires = "issuer")]
    audience: Option<String>,
    /// What a token has to allow; repeat for more.
    #[arg(long, value_name = "SCOPE", requires = "issuer")]
    scope: Vec<String>,
    /// Where the issuer's keys are; its metadata says so otherwise.
    #[arg(long, value_name = "URL", requires = "issuer")]
    jwks_url: Option<String>,
    /// Accept the instance's own tokens only.
    #[arg(long, conflicts_with = "issuer")]
    none: bool,
    #[command(flatten)]
    terms: Terms,
}

pub(super) async fn run(arguments: AuthorizeArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let AuthorizeArguments { instance, issuer, audience, scope, jwks_url, none: _, terms } = arguments;
    let path = ["instances", &instance, "authorization"];
    let Some(issuer) = issuer else {
        let changed = rest.on(terms).delete(&path).await?;
        let name = field(&changed, "/name");
        return Ok(output.one(&changed, || format!("{name} accepts its own tokens only"))?);
    };
    let mut body = json!({ "issuer": issuer, "audience": audience, "scopes": scope });
    if let Some(url) = jwks_url {
        body["jwks_url"] = json!(url);
    }
    let changed = rest.on(terms).put(&path, &body).await?;
    let name = field(&changed, "/name");
    Ok(output.one(&changed, || format!("{name} accepts access tokens of {issuer} beside its own tokens"))?)
}
