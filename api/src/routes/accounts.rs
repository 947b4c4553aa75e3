//! The people of the platform, for admins.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cloud::{Sha256Digest, Version};
use domain::{AccountChange, Expected};
use function::{
    App, Caller, Correlation, Created, IfMatch, Json, NoContent, PageParams, PageView, Path, Problem, Query, Tagged,
};
use http::StatusCode;
use identity::{Account, AccountId, AccountUpdate, EmailAddress, InvitedAccount, Password, PersonName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_account, list_accounts))
        .routes(routes!(get_account, update_account))
        .routes(routes!(create_password_reset))
        .routes(routes!(redeem_password_reset))
}

#[derive(Serialize, ToSchema)]
pub struct AccountView {
    id: String,
    email: String,
    name: String,
    /// A platform admin.
    admin: bool,
    disabled: bool,
    created: i64,
    updated: i64,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.to_string(),
            name: account.name.to_string(),
            admin: account.admin,
            disabled: account.disabled,
            created: account.created.0,
            updated: account.updated.0,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateAccount {
    email: String,
    name: String,
    /// Absent for an invitation.
    password: Option<String>,
    /// Without a password: the answer has a token by which the person sets one.
    #[serde(default)]
    invite: bool,
    #[serde(default)]
    admin: bool,
}

#[derive(Serialize, ToSchema)]
struct InvitationView {
    /// Good once, for `POST /password-resets`; shown this once.
    token: String,
    expires: i64,
}

#[derive(Serialize, ToSchema)]
struct CreatedAccountView {
    #[serde(flatten)]
    account: AccountView,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<InvitationView>,
}

#[derive(Serialize, ToSchema)]
struct PasswordResetView {
    /// Good once, for `POST /password-resets`; shown this once. Put it behind the `#` of an address, which no server sees.
    url_fragment_token: String,
    expires: i64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedeemPasswordReset {
    token: String,
    /// 12 to 128 characters.
    password: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AccountsQuery {
    /// Only accounts with this text in their name or e-mail address.
    q: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateAccount {
    name: Option<String>,
    admin: Option<bool>,
    /// A disabled account cannot do anything, from the next request on.
    disabled: Option<bool>,
    /// A new password; ends every session of the account.
    password: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AccountPath {
    /// The account's id.
    account: String,
}

fn etag(version: &Version) -> String {
    Sha256Digest::of(version.0.as_bytes()).to_string()[..24].to_owned()
}

pub fn tagged(account: Account) -> Tagged<AccountView> {
    Tagged { etag: etag(&account.version), body: account.into() }
}

/// The version that the caller's `If-Match` stands for.
pub async fn at_version(app: &App, id: &AccountId, expected: &Expected) -> Result<Version, Problem> {
    let version = app.identity.accounts().get(id).await?.version;
    match expected {
        Expected::Unsaid => Err(Problem::precondition_required("Send If-Match with the ETag that you last read.")),
        Expected::Present => Ok(version),
        Expected::Tag(tag) if *tag == etag(&version) => Ok(version),
        Expected::Tag(_) | Expected::Absent => Err(Problem::precondition_failed("The account has changed.")),
    }
}

fn parse_id(raw: &str) -> Result<AccountId, Problem> {
    AccountId::parse(raw).map_err(|_| Problem::from(identity::Error::NotFound("account")))
}

/// Creates an account, with a password or with an invitation. Its address must not be taken.
#[utoipa::path(post, path = "/accounts", operation_id = "create_account", tag = "identity",
    request_body = CreateAccount, responses((status = 201, body = CreatedAccountView), Refusals))]
async fn create_account(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateAccount>,
) -> Result<Created<CreatedAccountView>, Problem> {
    caller.principal.require_admin()?;
    let new = InvitedAccount {
        email: EmailAddress::parse(&body.email)?,
        name: PersonName::parse(&body.name)?,
        admin: body.admin,
    };
    let (account, invitation) = match (&body.password, body.invite) {
        (Some(password), false) => (app.domain.accounts.create(&caller, new, &Password::parse(password)?).await?, None),
        (None, true) => {
            let (account, token) = app.domain.accounts.invite(&caller, new).await?;
            let expires = token.expires.0;
            (account, Some(InvitationView { token: token.token.expose().to_owned(), expires }))
        }
        _ => return Err(Problem::validation("Send a password, or `invite`: true without one.").at("password")),
    };
    let (location, etag) = (format!("/accounts/{}", account.id), etag(&account.version));
    let body = CreatedAccountView { account: account.into(), invitation };
    Ok(Created { location, etag: Some(etag), body })
}

/// Lists the accounts, oldest first, or searches them. A page of a search may be short and have a next one.
#[utoipa::path(get, path = "/accounts", operation_id = "list_accounts", tag = "identity", params(AccountsQuery),
    responses((status = 200, body = PageView<AccountView>), Refusals))]
async fn list_accounts(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<PageView<AccountView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let page = app.domain.accounts.list(&caller, query.q.as_deref(), &page).await?;
    Ok(Json(PageView::of(page, AccountView::from)))
}

/// Makes a token by which the person of an account sets a new password. An earlier one is void.
#[utoipa::path(post, path = "/accounts/{account}/password-resets", operation_id = "create_password_reset",
    tag = "identity", params(AccountPath), responses((status = 201, body = PasswordResetView), Refusals))]
async fn create_password_reset(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<AccountPath>,
) -> Result<Response, Problem> {
    caller.principal.require_admin()?;
    let token = app.domain.accounts.reset_password(&caller, &parse_id(&at.account)?).await?;
    let view = PasswordResetView { url_fragment_token: token.token.expose().to_owned(), expires: token.expires.0 };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Sets a password by a token from an invitation or a reset, and ends every session of the account.
#[utoipa::path(post, path = "/password-resets", operation_id = "redeem_password_reset", tag = "identity",
    security(()), request_body = RedeemPasswordReset,
    responses((status = 204, description = "Sign in with the new password."), Refusals))]
async fn redeem_password_reset(
    State(app): State<App>,
    correlation: Correlation,
    Json(body): Json<RedeemPasswordReset>,
) -> Result<NoContent, Problem> {
    app.domain.accounts.redeem_reset(&correlation.0, &body.token, &body.password).await?;
    Ok(NoContent)
}

/// Shows an account.
#[utoipa::path(get, path = "/accounts/{account}", operation_id = "get_account", tag = "identity",
    params(AccountPath), responses((status = 200, body = AccountView), Refusals))]
async fn get_account(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<AccountPath>,
) -> Result<Tagged<AccountView>, Problem> {
    caller.principal.require_admin()?;
    Ok(tagged(app.domain.accounts.get(&caller, &parse_id(&at.account)?).await?))
}

/// Changes an account. Needs `If-Match`.
#[utoipa::path(patch, path = "/accounts/{account}", operation_id = "update_account", tag = "identity",
    params(AccountPath), request_body = UpdateAccount, responses((status = 200, body = AccountView), Refusals))]
async fn update_account(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<AccountPath>,
    IfMatch(expected): IfMatch,
    Json(body): Json<UpdateAccount>,
) -> Result<Tagged<AccountView>, Problem> {
    caller.principal.require_admin()?;
    let id = parse_id(&at.account)?;
    let name = body.name.as_deref().map(PersonName::parse).transpose()?;
    let password = body.password.as_deref().map(Password::parse).transpose()?;
    let version = at_version(&app, &id, &expected).await?;
    let update = AccountUpdate { name, admin: body.admin, disabled: body.disabled };
    let change = AccountChange { update, password };
    Ok(tagged(app.domain.accounts.update(&caller, &id, change, &version).await?))
}
