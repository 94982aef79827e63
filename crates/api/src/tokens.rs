//! Tokens of an instance: issue, list, show, revoke.

mod credential;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::token::{Command, Kind, LABEL_CHARS_MAX};
use domain::{InstanceId, Refusal, TokenId, token};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use views::{TokenRow, TokenState};

use crate::app::App;
use crate::client_config::{self, ClientConfig};
use crate::command::{Caller, fingerprint};
use crate::error::Error;
use crate::extract::{Json, Path, Query};
use crate::paging::{self, Page};
use crate::router::API;
use crate::violation::Violations;
use credential::Credential;

/// The body of `POST /instances/{instance}/tokens`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueToken {
    kind: Kind,
    #[serde(default)]
    label: String,
}

/// A token as answers show it.
#[derive(Debug, Serialize)]
struct TokenDocument<'a> {
    id: TokenId,
    instance: InstanceId,
    kind: Kind,
    label: &'a str,
    masked: &'a str,
    state: &'static str,
    issued_at: Timestamp,
    revoked_at: Option<Timestamp>,
    revision: u64,
    /// The document shows the log up to this event of the token.
    sequence: u64,
}

/// A token that was issued just now.
#[derive(Serialize)]
struct IssuedDocument<'a> {
    #[serde(flatten)]
    document: TokenDocument<'a>,
    /// The credential in clear. Lists never show it again.
    token: &'a str,
    config: ClientConfig,
}

/// `POST /instances/{instance}/tokens`
pub(crate) async fn issue_token(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(request): Json<IssueToken>,
) -> Result<Response, Error> {
    check_label(&request.label)?;
    let instance = app.directory.instance_id(&reference)?;
    if let Some(row) = app.directory.instance(instance) {
        client_config::require_gateway(&row)?;
    }
    let id = TokenId(caller.derive_id("token"));
    issue(&app, &caller, id, instance, &request).await?;
    let row = app.directory.token(id).ok_or_else(|| Error::TokenNotFound(id.to_string()))?;
    let instance = app.directory.instance(instance).ok_or(Error::InstanceGone)?;
    let token = match client_config::open_credential(&app, &row).await {
        // A repeated request has sealed a credential anew for a token that was revoked in the meantime.
        Err(Error::TokenRevoked) => {
            app.discard_key(id.0).await;
            return Err(Error::TokenRevoked);
        }
        opened => opened?,
    };
    let config = ClientConfig::through_gateway(&app, &instance, &row, &token)?;
    let location = format!("{API}/instances/{}/tokens/{id}", instance.id);
    let body = IssuedDocument { document: TokenDocument::new(&row), token: &token, config };
    Ok((StatusCode::CREATED, [(LOCATION, location), (ETAG, etag(&row))], axum::Json(body)).into_response())
}

async fn issue(
    app: &App,
    caller: &Caller,
    id: TokenId,
    instance: InstanceId,
    request: &IssueToken,
) -> Result<(), Error> {
    let vault = app.store.vault();
    let credential = Credential::generate().map_err(Error::NoRandomness)?;
    let command = Command::Issue {
        instance,
        // The decider looks it up.
        instance_exists: false,
        kind: request.kind,
        label: request.label.clone(),
        digest: vault.digest(credential.as_str().as_bytes()),
        masked: credential.masked(),
        sealed: vault.seal(id.0, credential.as_str().as_bytes()).await?,
    };
    let digest = fingerprint(vault, command.name(), Some(instance.0), request);
    let carried_out = app.carry_out(caller, &domain::Command::Token { id, command }, digest).await;
    if let Err(Error::Refused(Refusal::Token(token::Refusal::InstanceNotFound))) = &carried_out {
        app.discard_key(id.0).await;
    }
    carried_out.map(drop)
}

fn check_label(label: &str) -> Result<(), Error> {
    let mut violations = Violations::default();
    if label.chars().count() > LABEL_CHARS_MAX {
        violations.add_at(&["label"], format!("a label has at most {LABEL_CHARS_MAX} characters"));
    }
    if label.chars().any(char::is_control) {
        violations.add_at(&["label"], "a label has no control characters");
    }
    if label.trim() != label {
        violations.add_at(&["label"], "a label has no blanks around it");
    }
    if label.parse::<TokenId>().is_ok() {
        violations
            .add_at(&["label"], "a label must not have the form of an id: it works wherever an id does");
    }
    violations.into_result()
}

/// The query of `GET /instances/{instance}/tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTokens {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /instances/{instance}/tokens`, oldest first.
pub(crate) async fn list_tokens(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ListTokens>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let limit = paging::limit(query.limit.as_deref(), &mut violations);
    let after: Option<(Timestamp, TokenId)> = paging::from_cursor(query.cursor.as_deref(), &mut violations);
    violations.into_result()?;
    let instance = app.directory.find_instance(&reference)?;
    let rows = app.directory.tokens_of(instance.id);
    let mut rows =
        rows.iter().skip_while(|row| after.is_some_and(|after| (row.issued_at, row.id) <= after)).peekable();
    let shown: Vec<_> = rows.by_ref().take(limit).collect();
    let next_cursor = rows.peek().and(shown.last()).map(|last| paging::to_cursor(&(last.issued_at, last.id)));
    let items = shown.into_iter().map(|row| TokenDocument::new(row)).collect();
    Ok(axum::Json(Page { items, next_cursor }).into_response())
}

/// `GET /instances/{instance}/tokens/{token}`
pub(crate) async fn show_token(
    State(app): State<App>,
    Path((instance, token)): Path<(String, String)>,
) -> Result<Response, Error> {
    let instance = app.directory.find_instance(&instance)?;
    let row = app.directory.find_token(instance.id, &token)?;
    Ok(show(&row))
}

/// `DELETE /instances/{instance}/tokens/{token}`
pub(crate) async fn revoke_token(
    State(app): State<App>,
    Path((instance, token)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Error> {
    let instance = app.directory.find_instance(&instance)?;
    let id = app.directory.find_token(instance.id, &token)?.id;
    let digest = fingerprint(app.store.vault(), Command::Revoke.name(), Some(id.0), &());
    app.carry_out(&caller, &domain::Command::Token { id, command: Command::Revoke }, digest).await?;
    let row: Arc<TokenRow> = app.directory.token(id).ok_or(Error::TokenNotFound(token))?;
    Ok(show(&row))
}

impl<'a> TokenDocument<'a> {
    fn new(row: &'a TokenRow) -> Self {
        let (state, revoked_at) = match row.state {
            TokenState::Active { .. } => ("active", None),
            TokenState::Revoked { at } => ("revoked", Some(at)),
        };
        TokenDocument {
            id: row.id,
            instance: row.instance,
            kind: row.kind,
            label: &row.label,
            masked: &row.masked,
            state,
            issued_at: row.issued_at,
            revoked_at,
            revision: row.revision,
            sequence: row.sequence,
        }
    }
}

fn show(row: &TokenRow) -> Response {
    ([(ETAG, etag(row))], axum::Json(TokenDocument::new(row))).into_response()
}

fn etag(row: &TokenRow) -> String {
    format!("\"{}\"", row.revision)
}
