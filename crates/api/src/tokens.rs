//! Tokens of an instance: issue, list, show, edit, rotate, revoke.

mod credential;
mod custom;
mod document;
mod request;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::TokenId;
use domain::token::credential::decode_basic;
use domain::token::{Command, Expiry, Kind};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use jiff::Timestamp;
use store::Vault;
use uuid::Uuid;
use views::{TokenRow, TokenState};

use crate::app::App;
use crate::client_config::{self, ClientConfig};
use crate::command::{Caller, Wish};
use crate::error::Error;
use crate::extract::{Json, MergePatch, Path, Query};
use crate::paging::ListQuery;
use crate::router::API;
use crate::settings::secret::{seal_all, seal_some};
use credential::{Owner, SealedCredential, fingerprint};
use custom::{Custom, NewCredential};
pub(crate) use document::{CredentialDocument, TokenDocument};
use request::{CheckedIssue, EditToken, IssueToken, RotateToken, lower_case, require_ahead};

/// How long the answer about a token waits for how it was used.
const USAGE_WAIT: Duration = Duration::from_secs(2);

/// `POST /instances/{instance}/tokens`
pub(crate) async fn issue_token(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(mut request): Json<IssueToken>,
) -> Result<Response, Error> {
    let now = Timestamp::now();
    let custom = request.take_custom();
    let checked = request.check(&custom, now)?;
    let body = (&request, fingerprint(app.store.vault(), &custom).await);
    let credential = custom.for_kind(request.kind, None)?;
    let wish = app.wish(&caller, "token.issue", &[&reference], &body).await?;
    let id = TokenId(caller.derive_id("token"));
    let instance = match app.directory.token(id) {
        // The request comes again. What its instance was called then, another may be called now, or nothing.
        Some(issued) => issued.instance,
        None => {
            require_ahead(checked.expiry, now)?;
            app.directory.instance_id(&reference)?
        }
    };
    let owner = Owner { token: id, instance, kind: request.kind };
    let sealed = issue(app.store.vault(), owner, credential, request, checked).await;
    let command = app.sealed_for_new((&caller, &wish), id.0, sealed, || ended(&app, id)).await?;
    app.carry_out(&caller, &domain::Command::Token { id, command }, wish).await?;
    let location = format!("{API}/instances/{instance}/tokens/{id}");
    let shown = show_credential(&app, id).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], shown).into_response())
}

/// The answer to a request that has put a credential in place: the only one that shows it in clear unasked.
async fn show_credential(app: &App, id: TokenId) -> Result<Response, Error> {
    let row = app.directory.token(id).ok_or_else(|| Error::TokenNotFound(id.to_string()))?;
    let instance = app.directory.instance(row.instance).ok_or(Error::InstanceGone)?;
    let token = client_config::open_credential(app, &row).await?;
    let config = ClientConfig::through_gateway(app, &instance, &row, &token)?;
    let body = CredentialDocument::new(&row, &token, config);
    Ok(([(ETAG, etag(&row))], axum::Json(body)).into_response())
}

async fn issue(
    vault: &Vault,
    owner: Owner,
    credential: NewCredential,
    request: IssueToken,
    CheckedIssue { expiry, passthrough }: CheckedIssue,
) -> Result<Command, Error> {
    let SealedCredential { digest, masked, sealed } = SealedCredential::new(vault, owner, credential).await?;
    Ok(Command::Issue {
        instance: owner.instance,
        kind: owner.kind,
        label: request.label,
        digest,
        masked,
        sealed,
        expiry,
        headers: seal_all(lower_case(request.headers).collect(), owner.token.0, vault).await?,
        passthrough,
    })
}

/// `GET /instances/{instance}/tokens`, oldest first.
pub(crate) async fn list_tokens(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Error> {
    let window = query.window()?;
    let instance = app.directory.find_instance(&reference)?;
    let rows = app.directory.tokens_of(instance.id);
    let mut page = window.page(&rows, |row| (row.issued_at, row.id), |row| TokenDocument::new(row));
    add_usage(&app, &mut page.items).await;
    Ok(axum::Json(page).into_response())
}

/// `GET /instances/{instance}/tokens/{token}`
pub(crate) async fn show_token(
    State(app): State<App>,
    Path((instance, token)): Path<(String, String)>,
) -> Result<Response, Error> {
    let instance = app.directory.find_instance(&instance)?;
    let row = app.directory.find_token(instance.id, &token)?;
    let mut documents = [TokenDocument::new(&row)];
    add_usage(&app, &mut documents).await;
    let [document] = documents;
    Ok(([(ETAG, etag(&row))], axum::Json(document)).into_response())
}

/// Says how tokens were used, if the access log answers in time: a token is shown without it, too.
async fn add_usage(app: &App, documents: &mut [TokenDocument<'_>]) {
    let ids: Vec<Uuid> = documents.iter().map(|document| document.id().0).collect();
    match tokio::time::timeout(USAGE_WAIT, app.access_log.token_usage(&ids)).await {
        Ok(Ok(usage)) => {
            for document in documents {
                let known = usage.get(&document.id().0);
                document.set_usage(known);
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "tokens are shown without their use");
        }
        Err(_) => tracing::warn!("tokens are shown without their use: the access log takes too long"),
    }
}

/// `PATCH /instances/{instance}/tokens/{token}`
pub(crate) async fn edit_token(
    State(app): State<App>,
    Path((instance, token)): Path<(String, String)>,
    caller: Caller,
    MergePatch(request): MergePatch<EditToken>,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "token.edit", &[&instance, &token], &request).await?;
    let now = Timestamp::now();
    let edit = request.check(now)?;
    require_ahead(edit.expiry.unwrap_or(Expiry::Never), now)?;
    let id = target(&app, &wish, &instance, &token)?;
    let sealed = seal_some(edit.headers, id.0, app.store.vault()).await;
    let headers = app.sealed_for((&caller, &wish), id.0, sealed, || ended(&app, id)).await?;
    let (label, expiry, passthrough) = (edit.label, edit.expiry, edit.passthrough);
    let command = Command::Edit { label, expiry, headers, passthrough };
    app.carry_out(&caller, &domain::Command::Token { id, command }, wish).await?;
    let row = app.directory.token(id).ok_or(Error::TokenNotFound(token))?;
    Ok(show(&row))
}

/// `POST /instances/{instance}/tokens/{token}/rotate`: the old credential is refused from the next request on, or once
/// the overlap is over that was asked for.
///
/// A repeated request answers with the credential that counts now.
pub(crate) async fn rotate_token(
    State(app): State<App>,
    Path((instance, token)): Path<(String, String)>,
    caller: Caller,
    body: Option<Json<RotateToken>>,
) -> Result<Response, Error> {
    let mut request = body.map(|Json(request)| request).unwrap_or_default();
    let custom = request.take_custom();
    let previous_until = request.check(&custom, Timestamp::now())?;
    let body = (&request, fingerprint(app.store.vault(), &custom).await);
    let wish = app.wish(&caller, "token.rotate", &[&instance, &token], &body).await?;
    let id = target(&app, &wish, &instance, &token)?;
    let row = app.directory.token(id).ok_or(Error::TokenNotFound(token))?;
    let known_as = username_kept(&app, &row, &custom).await?;
    let credential = custom.for_kind(row.kind, known_as)?;
    let owner = Owner { token: id, instance: row.instance, kind: row.kind };
    let sealed = SealedCredential::new(app.store.vault(), owner, credential).await;
    let SealedCredential { digest, masked, sealed } =
        app.sealed_for((&caller, &wish), id.0, sealed, || ended(&app, id)).await?;
    let command = Command::Rotate { digest, masked, sealed, previous_until };
    app.carry_out(&caller, &domain::Command::Token { id, command }, wish).await?;
    show_credential(&app, id).await
}

/// The username of a token of kind `basic` that is given another password only.
async fn username_kept(app: &App, row: &TokenRow, custom: &Custom) -> Result<Option<String>, Error> {
    match row.kind {
        Kind::Basic if custom.keeps_username() => {
            let known = client_config::open_credential(app, row).await?;
            Ok(decode_basic(&known).map(|(username, _)| username))
        }
        Kind::Basic | Kind::Bearer | Kind::ApiKey | Kind::XApiKey => Ok(None),
    }
}

/// `DELETE /instances/{instance}/tokens/{token}`
pub(crate) async fn revoke_token(
    State(app): State<App>,
    Path((instance, token)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "token.revoke", &[&instance, &token], &()).await?;
    let id = target(&app, &wish, &instance, &token)?;
    app.carry_out(&caller, &domain::Command::Token { id, command: Command::Revoke }, wish).await?;
    let row: Arc<TokenRow> = app.directory.token(id).ok_or(Error::TokenNotFound(token))?;
    Ok(show(&row))
}

/// Why nothing is sealed for a token any more.
fn ended(app: &App, id: TokenId) -> Error {
    match app.directory.token(id).map(|row| row.state.clone()) {
        Some(TokenState::Expired { .. }) => Error::TokenExpired,
        Some(TokenState::Active { .. } | TokenState::Revoked { .. }) | None => Error::TokenRevoked,
    }
}

/// The token that a request is for.
fn target(app: &App, wish: &Wish, instance: &str, token: &str) -> Result<TokenId, Error> {
    let find = || {
        let instance = app.directory.find_instance(instance)?;
        Ok(app.directory.find_token(instance.id, token)?.id.0)
    };
    wish.target(find).map(TokenId)
}

fn show(row: &TokenRow) -> Response {
    ([(ETAG, etag(row))], axum::Json(TokenDocument::new(row))).into_response()
}

fn etag(row: &TokenRow) -> String {
    format!("\"{}\"", row.revision)
}
