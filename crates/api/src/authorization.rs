//! Whose access tokens an instance accepts beside its own tokens (OAuth 2.1 resource server).

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use domain::InstanceId;
use domain::instance::{Authorization, Command, SCOPES_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::app::App;
use crate::command::Caller;
use crate::error::Error;
use crate::extract::{Json, Path};
use crate::instances::show_changed;
use crate::violation::Violations;

/// The longest url and audience, in characters.
const TEXT_CHARS_MAX: usize = 2048;
/// The longest scope, in characters.
const SCOPE_CHARS_MAX: usize = 128;

/// The body of `PUT /instances/{instance}/authorization`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAuthorization {
    /// The authorization server, as its tokens name it in `iss`: a url without query and fragment.
    #[schemars(with = "PlainUrl")]
    issuer: String,
    /// What tokens name in `aud`: for MCP clients the address of the instance at the gateway.
    #[schemars(length(min = 1, max = TEXT_CHARS_MAX), regex(pattern = "^[!-~]+$"))]
    audience: String,
    /// What a token has to allow, all of it.
    #[serde(default)]
    #[schemars(with = "BTreeSet<Scope>", length(max = SCOPES_MAX))]
    scopes: BTreeSet<String>,
    /// Where the issuer's keys are; without it, its metadata says so.
    #[schemars(with = "Option<PlainUrl>")]
    jwks_url: Option<String>,
}

/// The form of a scope (RFC 6749 section 3.3).
#[derive(JsonSchema)]
#[schemars(inline)]
struct Scope(
    #[expect(dead_code, reason = "only the schema counts")]
    #[schemars(length(min = 1, max = SCOPE_CHARS_MAX), regex(pattern = r"^[!#-\[\]-~]+$"))]
    String,
);

/// The form of a url that always works; [`check_url`] takes more.
#[derive(JsonSchema)]
#[schemars(inline)]
struct PlainUrl(
    #[expect(dead_code, reason = "only the schema counts")]
    #[schemars(length(max = TEXT_CHARS_MAX), regex(pattern = r"^https?://[a-z]([a-z0-9.-]*[a-z])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]*)?$"))]
    String,
);

impl SetAuthorization {
    fn check(&self) -> Result<Authorization, Error> {
        let mut violations = Violations::default();
        check_url("issuer", &self.issuer, &mut violations);
        if let Some(url) = &self.jwks_url {
            check_url("jwks_url", url, &mut violations);
        }
        let is_audience = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if self.audience.len() > TEXT_CHARS_MAX || !is_audience(&self.audience) {
            let detail = format!("an audience has 1 to {TEXT_CHARS_MAX} visible ASCII characters");
            violations.add_at(&["audience"], detail);
        }
        if self.scopes.len() > SCOPES_MAX {
            violations.add_at(&["scopes"], format!("there are at most {SCOPES_MAX} scopes"));
        }
        let is_scope = |scope: &str| {
            (1..=SCOPE_CHARS_MAX).contains(&scope.len())
                && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        };
        if !self.scopes.iter().all(|scope| is_scope(scope)) {
            let detail = format!(
                "a scope has 1 to {SCOPE_CHARS_MAX} visible ASCII characters, without quotes and backslashes"
            );
            violations.add_at(&["scopes"], detail);
        }
        violations.into_result()?;
        Ok(Authorization {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            scopes: self.scopes.clone(),
            jwks_url: self.jwks_url.clone(),
        })
    }
}

fn check_url(name: &str, text: &str, violations: &mut Violations) {
    let is_usable = |url: Url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let is_plain = text.len() <= TEXT_CHARS_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || !text.parse().is_ok_and(is_usable) {
        let detail = "an absolute http or https url without query, fragment and credentials is needed";
        violations.add_at(&[name], detail);
    }
}

/// `PUT /instances/{instance}/authorization`
pub(crate) async fn set_authorization(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(request): Json<SetAuthorization>,
) -> Result<Response, Error> {
    let authorization = Some(request.check()?);
    let wish = app.wish(&caller, "instance.change_authorization", &[&reference], &request).await?;
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(&reference)?.0))?);
    let command = Command::ChangeAuthorization { authorization };
    app.carry_out(&caller, &domain::Command::Instance { id, command }, wish).await?;
    show_changed(&app, id)
}

/// `DELETE /instances/{instance}/authorization`
pub(crate) async fn remove_authorization(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "instance.change_authorization", &[&reference], &()).await?;
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(&reference)?.0))?);
    let command = Command::ChangeAuthorization { authorization: None };
    app.carry_out(&caller, &domain::Command::Instance { id, command }, wish).await?;
    show_changed(&app, id)
}
