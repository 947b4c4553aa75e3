//! Signing in and out.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use function::{App, Caller, Json, NoContent, Problem};
use http::StatusCode;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use identity::{SignedIn, clear_cookie, session_cookie};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::AccountView;
use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_session))
        .routes(routes!(refresh_session))
        .routes(routes!(delete_session))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateSession {
    email: String,
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshSession {
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
struct SessionView {
    account: AccountView,
    /// For the header `Authorization: Bearer`.
    access_token: String,
    token_type: &'static str,
    /// Seconds that the access token is good for.
    expires_in: u64,
    /// Good for one refresh.
    refresh_token: String,
}

/// Signs in with e-mail address and password. Browsers get a session cookie as well.
#[utoipa::path(post, path = "/sessions", operation_id = "create_session", tag = "identity", security(()),
    request_body = CreateSession,
    responses((status = 201, body = SessionView), Refusals))]
async fn create_session(State(app): State<App>, Json(body): Json<CreateSession>) -> Result<Response, Problem> {
    let signed_in = app.identity.sign_in(&body.email, &body.password).await?;
    Ok(session(StatusCode::CREATED, signed_in))
}

/// Gives new tokens for a refresh token. One that was used before ends its session.
#[utoipa::path(post, path = "/sessions/refresh", operation_id = "refresh_session", tag = "identity", security(()),
    request_body = RefreshSession,
    responses((status = 200, body = SessionView), Refusals))]
async fn refresh_session(State(app): State<App>, Json(body): Json<RefreshSession>) -> Result<Response, Problem> {
    let signed_in = app.identity.refresh(&body.refresh_token).await?;
    Ok(session(StatusCode::OK, signed_in))
}

fn session(status: StatusCode, signed_in: SignedIn) -> Response {
    let cookie = signed_in.session_cookie.as_ref().map(|cookie| (SET_COOKIE, session_cookie(cookie)));
    let view = SessionView {
        account: signed_in.account.into(),
        access_token: signed_in.access_token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: signed_in.expires_in.as_secs(),
        refresh_token: signed_in.refresh_token.expose().to_owned(),
    };
    (status, [(CACHE_CONTROL, "no-store")], AppendHeaders(cookie), Json(view)).into_response()
}

/// Ends the caller's session: its tokens and cookie are refused from now on.
#[utoipa::path(delete, path = "/sessions/current", operation_id = "delete_session", tag = "identity",
    responses((status = 204, description = "Signed out."), Refusals))]
async fn delete_session(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    if let Some(session) = &caller.principal.session {
        app.identity.sign_out(session).await?;
    }
    Ok(([(SET_COOKIE, clear_cookie())], NoContent).into_response())
}
