//! The people of the platform: changes by admins and by themselves, each with its entry in the platform's own journal.

use std::sync::Arc;

use cloud::{Secret, Version, Write};
use identity::{
    Account, AccountId, AccountUpdate, EmailAddress, InvitedAccount, NewToken, Password, RESET_LIFE, ResetToken, Token,
    TokenId,
};
use serde_json::json;

use crate::core::Core;
use crate::events::{Author, NewEvent};
use crate::{Caller, Error, Page, PageQuery, Result, keys};

/// Accounts that one search looks at; it goes on with the next page.
const SCANNED_MAX: usize = 1_000;
/// A text that is searched for (characters).
const SEARCH_CHARS_MAX: usize = 200;

/// What an admin changes of an account; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    pub update: AccountUpdate,
    /// Ends every session of the account.
    pub password: Option<Password>,
}

/// Makes, invites, searches and changes accounts; makes and takes back tokens.
#[derive(Clone)]
pub struct Accounts {
    core: Arc<Core>,
}

fn require_admin(caller: &Caller) -> Result<()> {
    let denied = |_| Error::Forbidden("Only a platform admin looks after accounts.".into());
    caller.principal.require_admin().map_err(denied)
}

fn require_session(caller: &Caller) -> Result<()> {
    let denied = |_| Error::Forbidden("Only who has signed in may do this, not a token.".into());
    caller.principal.require_session().map_err(denied)
}

fn who(error: identity::Error) -> Error {
    Error::identity(error, "account")
}

fn event(kind: &'static str, account: &AccountId, detail: serde_json::Value) -> NewEvent {
    NewEvent::new(kind, format!("account/{account}"), detail)
}

impl Accounts {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Makes an account with a password. `Error::Conflict` when the address is taken.
    pub async fn create(&self, caller: &Caller, new: InvitedAccount, password: &Password) -> Result<Account> {
        require_admin(caller)?;
        let (id, writes) = self.core.identity.accounts().create_writes(&new, Some(password)).await.map_err(who)?;
        self.commit(caller, event("account.created", &id, json!({ "admin": new.admin })), writes)
            .await?
            .ok_or_else(taken)?;
        self.found(&id).await
    }

    /// Makes an account without a password, and the token by which its person sets one.
    pub async fn invite(&self, caller: &Caller, new: InvitedAccount) -> Result<(Account, ResetToken)> {
        require_admin(caller)?;
        let (id, token, writes) = self.core.identity.accounts().invite_writes(&new).await.map_err(who)?;
        self.commit(caller, event("account.invited", &id, json!({ "admin": new.admin })), writes)
            .await?
            .ok_or_else(taken)?;
        Ok((self.found(&id).await?, token))
    }

    /// Accounts in order of their creation; with `search` those whose name or address has that text in it. A page may be
    /// short, or empty, and have a next one.
    pub async fn list(&self, caller: &Caller, search: Option<&str>, query: &PageQuery) -> Result<Page<Account>> {
        require_admin(caller)?;
        let wanted = search.map(str::trim).unwrap_or_default().to_lowercase();
        if wanted.chars().count() > SEARCH_CHARS_MAX {
            return Err(Error::invalid("q", format!("A search has at most {SEARCH_CHARS_MAX} characters.")));
        }
        let after = query.after.as_deref().map(|raw| AccountId::parse(raw).map_err(|_| Error::invalid_cursor()));
        let mut after = after.transpose()?;
        let limit = query.limit().min(identity::PAGE_MAX);
        let mut items = Vec::new();
        for _ in 0..SCANNED_MAX / identity::PAGE_MAX {
            let size = if wanted.is_empty() { limit } else { identity::PAGE_MAX };
            let page = self.core.identity.accounts().list(after.as_ref(), size).await.map_err(who)?;
            for account in page.items {
                let last = account.id.clone();
                let fits = account.email.as_str().to_lowercase().contains(&wanted)
                    || account.name.as_str().to_lowercase().contains(&wanted);
                if fits {
                    items.push(account);
                }
                if items.len() == limit {
                    return Ok(Page { items, next: Some(last.to_string()) });
                }
                after = Some(last);
            }
            if page.next.is_none() {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next: after.map(|id| id.to_string()) })
    }

    pub async fn get(&self, caller: &Caller, id: &AccountId) -> Result<Account> {
        require_admin(caller)?;
        self.found(id).await
    }

    async fn found(&self, id: &AccountId) -> Result<Account> {
        self.core.identity.accounts().get(id).await.map_err(who)
    }

    /// Changes an account that is still at `expect`. Who is disabled is out at once: their sessions and tokens are
    /// refused, and their sockets closed. An admin stays one and enabled for themselves, so that there is always one.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &AccountId,
        change: AccountChange,
        expect: &Version,
    ) -> Result<Account> {
        require_admin(caller)?;
        let AccountChange { update, password } = change;
        let own = *id == caller.principal.account;
        if own && (update.disabled == Some(true) || update.admin == Some(false)) {
            return Err(Error::conflict("An admin cannot disable themselves or stop being one; another admin can."));
        }
        let accounts = self.core.identity.accounts();
        let (admin, disabled, renamed) = (update.admin, update.disabled, update.name.is_some());
        let (before, writes) = accounts.update_writes(id, update, Some(expect)).await.map_err(who)?;
        let detail = json!({
            "admin": admin.filter(|to| *to != before.admin),
            "disabled": disabled.filter(|to| *to != before.disabled),
            "name": renamed,
        });
        self.commit(caller, event("account.updated", id, detail), writes)
            .await?
            .ok_or(Error::PreconditionFailed("The account"))?;
        if let Some(password) = password {
            let writes = accounts.set_password_writes(id, &password).await.map_err(who)?;
            self.commit(caller, event("password.set", id, json!({})), writes)
                .await?
                .ok_or(Error::PreconditionFailed("The account"))?;
        }
        self.found(id).await
    }

    /// A token by which the person sets a new password; to be handed over by the admin, and shown this once.
    pub async fn reset_password(&self, caller: &Caller, id: &AccountId) -> Result<ResetToken> {
        require_admin(caller)?;
        let (token, writes) = self.core.identity.reset_writes(id, RESET_LIFE).await.map_err(who)?;
        let made =
            self.commit(caller, event("password.reset-made", id, json!({ "expires": token.expires })), writes).await?;
        made.ok_or(Error::Unavailable("The account"))?;
        Ok(token)
    }

    /// Sets a password by a token that an admin has made. Nobody is signed in here: the token is all the proof, and the
    /// entry in the journal names the person whose it is.
    pub async fn redeem_reset(&self, correlation_id: &str, token: &str, password: &str) -> Result<()> {
        let (id, writes) = self.core.identity.redeem_reset_writes(token, password).await.map_err(who)?;
        let author =
            Author { actor: id.to_string(), correlation_id: correlation_id.to_owned(), idempotency_token: None };
        let told = [event("password.reset", &id, json!({}))];
        match self.core.journal.commit(&keys::platform(), &author, &told, writes).await {
            Err(error) if error.is_condition_failed() => {
                Err(Error::invalid("token", "token is used, expired or not one of ours."))
            }
            other => Ok(other.map(drop)?),
        }
    }

    /// Changes the caller's own password, which ends their sessions.
    pub async fn change_password(&self, caller: &Caller, current: Option<&str>, password: &Password) -> Result<()> {
        require_session(caller)?;
        let (accounts, id) = (self.core.identity.accounts(), &caller.principal.account);
        let wrong = || Error::invalid("current_password", "The current password is wrong.");
        if !accounts.verify_password(id, current.ok_or_else(wrong)?).await.map_err(who)? {
            return Err(wrong());
        }
        let writes = accounts.set_password_writes(id, password).await.map_err(who)?;
        let made = self.commit(caller, event("password.changed", id, json!({})), writes).await?;
        made.ok_or(Error::PreconditionFailed("The account"))
    }

    /// Makes a token for the caller; its secret is shown this once.
    pub async fn create_token(&self, caller: &Caller, new: NewToken) -> Result<(Token, Secret)> {
        require_session(caller)?;
        let made = self.core.identity.token_with_writes(&caller.principal, new).await;
        let (token, secret, writes) = made.map_err(|e| Error::identity(e, "token"))?;
        let detail = json!({ "scopes": token.scopes.to_string(), "project": token.project, "expires": token.expires });
        let told = NewEvent::new("token.created", format!("token/{}", token.id), detail);
        self.commit(caller, told, writes).await?.ok_or(Error::Unavailable("The token"))?;
        Ok((token, secret))
    }

    /// Takes one of the caller's tokens back.
    pub async fn revoke_token(&self, caller: &Caller, id: &TokenId) -> Result<()> {
        require_session(caller)?;
        let writes = self.core.identity.revoke_token_writes(&caller.principal.account, id).await;
        let writes = writes.map_err(|e| Error::identity(e, "token"))?;
        let told = NewEvent::new("token.revoked", format!("token/{id}"), json!({}));
        self.commit(caller, told, writes).await?.ok_or(Error::Unavailable("The token"))
    }

    /// Makes `writes` with their entry in the platform's journal; `None` when one of them lost.
    async fn commit(&self, caller: &Caller, told: NewEvent, writes: Vec<Write>) -> Result<Option<()>> {
        match self.core.commit(&keys::platform(), caller, &[told], writes).await {
            Err(error) if error.is_condition_failed() => Ok(None),
            other => Ok(Some(other.map(drop)?)),
        }
    }

    /// The account with an address; for adding members.
    pub(crate) async fn by_email(core: &Core, raw: &str) -> Result<Option<AccountId>> {
        let email = EmailAddress::parse(raw).map_err(who)?;
        let found = core.identity.accounts().by_email(&email).await.map_err(who)?;
        Ok(found.filter(|account| !account.disabled).map(|account| account.id))
    }
}

fn taken() -> Error {
    Error::conflict("The e-mail address is taken.")
}
