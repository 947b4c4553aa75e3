//! The people of the platform, for admins.

use axum::extract::State;
use cloud::{Sha256Digest, Version};
use domain::Expected;
use function::{App, Caller, Created, IfMatch, Json, PageParams, PageView, Path, Problem, Query, Tagged};
use identity::{Account, AccountId, AccountUpdate, EmailAddress, NewAccount, Password, PersonName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_account, list_accounts)).routes(routes!(get_account, update_account))
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
    password: String,
    #[serde(default)]
    admin: bool,
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

/// Creates an account.
#[utoipa::path(post, path = "/accounts", operation_id = "create_account", tag = "identity",
    request_body = CreateAccount, responses((status = 201, body = AccountView), Refusals))]
async fn create_account(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateAccount>,
) -> Result<Created<AccountView>, Problem> {
    caller.principal.require_admin()?;
    let new = NewAccount {
        email: EmailAddress::parse(&body.email)?,
        name: PersonName::parse(&body.name)?,
        password: Password::parse(&body.password)?,
        admin: body.admin,
    };
    let account = app.identity.accounts().create(new).await?;
    let location = format!("/accounts/{}", account.id);
    Ok(Created { location, etag: Some(etag(&account.version)), body: account.into() })
}

/// Lists the accounts, oldest first.
#[utoipa::path(get, path = "/accounts", operation_id = "list_accounts", tag = "identity", params(PageParams),
    responses((status = 200, body = PageView<AccountView>), Refusals))]
async fn list_accounts(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<AccountView>>, Problem> {
    caller.principal.require_admin()?;
    let query = page.query()?;
    let after = query.after.as_deref().map(AccountId::parse).transpose();
    let after = after.map_err(|_| domain::Error::invalid_cursor())?;
    let page = app.identity.accounts().list(after.as_ref(), query.limit()).await?;
    Ok(Json(PageView::of_identity(page, AccountView::from)))
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
    Ok(tagged(app.identity.accounts().get(&parse_id(&at.account)?).await?))
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
    let change = AccountUpdate { name, admin: body.admin, disabled: body.disabled };
    app.identity.accounts().update(&id, change, Some(&version)).await?;
    if let Some(password) = password {
        app.identity.accounts().set_password(&id, &password).await?;
    }
    Ok(tagged(app.identity.accounts().get(&id).await?))
}
