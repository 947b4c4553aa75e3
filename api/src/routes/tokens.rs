//! Personal access tokens.

use std::time::Duration;

use axum::extract::State;
use cloud::Millis;
use function::{App, Caller, Created, Json, NoContent, PageParams, PageView, Path, Problem, Query};
use identity::{NewToken, Scope, Scopes, Token, TokenId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::Refusals;

/// Life of a token whose end is not given.
const LIFE_DEFAULT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_token, list_tokens)).routes(routes!(delete_token))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateToken {
    name: String,
    /// `read`, `write`, `deploy`, `admin`.
    scopes: Vec<String>,
    /// The slug or id of the one project that it is good for; all of yours when absent.
    project: Option<String>,
    /// When it ends; in 90 days when absent, in a year at most.
    expires: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct TokenView {
    id: String,
    name: String,
    scopes: Vec<String>,
    /// The id of the one project that it is good for.
    project: Option<String>,
    created: i64,
    expires: i64,
    /// To the hour.
    last_used: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct NewTokenView {
    #[serde(flatten)]
    view: TokenView,
    /// The secret. It is shown this once.
    token: String,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            scopes: token.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            project: token.project.map(|project| project.to_string()),
            created: token.created.0,
            expires: token.expires.0,
            last_used: token.last_used.map(|at| at.0),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TokenPath {
    /// The token's id.
    token: String,
}

/// Makes a token for the caller. Only a signed-in person makes tokens.
#[utoipa::path(post, path = "/tokens", operation_id = "create_token", tag = "identity", request_body = CreateToken,
    responses((status = 201, body = NewTokenView), Refusals))]
async fn create_token(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateToken>,
) -> Result<Created<NewTokenView>, Problem> {
    let project = match &body.project {
        Some(project) => Some(app.domain.projects.get(&caller, project).await?.id),
        None => None,
    };
    let scopes = body.scopes.iter().map(|raw| Scope::parse(raw)).collect::<Result<Scopes, _>>()?;
    let expires = body.expires.map_or_else(|| app.clock.now().plus(LIFE_DEFAULT), Millis);
    let new = NewToken { name: body.name, scopes, project, expires };
    let (token, secret) = app.domain.accounts.create_token(&caller, new).await?;
    let location = format!("/tokens/{}", token.id);
    let body = NewTokenView { view: token.into(), token: secret.expose().to_owned() };
    Ok(Created { location, etag: None, body })
}

/// Lists the caller's tokens, oldest first.
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "identity", params(PageParams),
    responses((status = 200, body = PageView<TokenView>), Refusals))]
async fn list_tokens(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<TokenView>>, Problem> {
    let query = page.query()?;
    let after = query.after.as_deref().map(TokenId::parse).transpose();
    let after = after.map_err(|_| domain::Error::invalid_cursor())?;
    let page = app.identity.tokens(&caller.principal.account, after.as_ref(), query.limit()).await?;
    Ok(Json(PageView::of_identity(page, TokenView::from)))
}

/// Takes one of the caller's tokens back.
#[utoipa::path(delete, path = "/tokens/{token}", operation_id = "delete_token", tag = "identity", params(TokenPath),
    responses((status = 204, description = "It is refused from now on."), Refusals))]
async fn delete_token(State(app): State<App>, caller: Caller, Path(at): Path<TokenPath>) -> Result<NoContent, Problem> {
    caller.principal.require_session()?;
    let id = TokenId::parse(at.token).map_err(|_| Problem::from(identity::Error::NotFound("token")))?;
    app.domain.accounts.revoke_token(&caller, &id).await?;
    Ok(NoContent)
}
