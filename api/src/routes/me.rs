//! The caller's own account.

use axum::extract::State;
use function::{App, Caller, IfMatch, Json, Problem, Tagged};
use identity::{AccountUpdate, Password, PersonName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::{AccountView, at_version, tagged};
use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_me, update_me)).routes(routes!(get_settings, set_settings))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMe {
    name: Option<String>,
    /// A new password; needs `current_password`, and ends every session.
    password: Option<String>,
    current_password: Option<String>,
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsView {
    /// What the pages keep for the person, at most 64 KiB; the platform does not look into it.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

/// Shows the caller's account.
#[utoipa::path(get, path = "/me", operation_id = "get_me", tag = "identity",
    responses((status = 200, body = AccountView), Refusals))]
async fn get_me(State(app): State<App>, caller: Caller) -> Result<Tagged<AccountView>, Problem> {
    Ok(tagged(app.identity.accounts().get(&caller.principal.account).await?))
}

/// Changes the caller's name or password. `If-Match` is needed for the name.
#[utoipa::path(patch, path = "/me", operation_id = "update_me", tag = "identity", request_body = UpdateMe,
    responses((status = 200, body = AccountView), Refusals))]
async fn update_me(
    State(app): State<App>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    Json(body): Json<UpdateMe>,
) -> Result<Tagged<AccountView>, Problem> {
    caller.principal.require_session()?;
    let (accounts, id) = (app.identity.accounts(), &caller.principal.account);
    if let Some(name) = &body.name {
        let change = AccountUpdate { name: Some(PersonName::parse(name)?), ..AccountUpdate::default() };
        let version = at_version(&app, id, &expected).await?;
        accounts.update(id, change, Some(&version)).await?;
    }
    if let Some(password) = &body.password {
        let password = Password::parse(password)?;
        app.domain.accounts.change_password(&caller, body.current_password.as_deref(), &password).await?;
    }
    Ok(tagged(accounts.get(id).await?))
}

/// Reads the caller's settings: an empty object when they were never written, with an `ETag` all the same.
#[utoipa::path(get, path = "/me/settings", operation_id = "get_settings", tag = "identity",
    responses((status = 200, body = SettingsView), Refusals))]
async fn get_settings(State(app): State<App>, caller: Caller) -> Result<Tagged<SettingsView>, Problem> {
    let (settings, etag) = app.domain.settings.get(&caller).await?;
    Ok(Tagged { etag, body: SettingsView { settings } })
}

/// Replaces the caller's settings. Needs `If-Match`.
#[utoipa::path(put, path = "/me/settings", operation_id = "set_settings", tag = "identity",
    request_body = SettingsView, responses((status = 200, body = SettingsView), Refusals))]
async fn set_settings(
    State(app): State<App>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    Json(body): Json<SettingsView>,
) -> Result<Tagged<SettingsView>, Problem> {
    let etag = app.domain.settings.set(&caller, &expected, body.settings.clone()).await?;
    Ok(Tagged { etag, body })
}
