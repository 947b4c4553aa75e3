//! Personal access tokens: for git clients and scripts.

use std::time::Duration;

use cloud::{Expect, Millis, Secret, Write};
use serde::{Deserialize, Serialize};

use crate::accounts::view;
use crate::opaque::{SecretDigest, join, random_hex, split};
use crate::store::{Stored, key, put, put_until};
use crate::{
    Account, AccountId, AuthenticationError, Error, Identity, PAGE_MAX, Page, Principal, ProjectId, Result, Scopes,
    TokenId,
};

/// Every token starts with this, so that secret scanners find it.
pub(crate) const TOKEN_PREFIX: &str = "wrp";
/// Longest life of a token.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Tokens of one account that are good at the same time.
pub const TOKENS_MAX: usize = PAGE_MAX;
/// Characters of a token's name.
const NAME_CHARS_MAX: usize = 100;
/// How exactly the last use is known.
const LAST_USED_GRAIN: Duration = Duration::from_secs(60 * 60);

/// A personal access token, without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub id: TokenId,
    pub account: AccountId,
    pub name: String,
    pub scopes: Scopes,
    /// The one project that it is good for; all of the account's when `None`.
    pub project: Option<ProjectId>,
    pub created: Millis,
    pub expires: Millis,
    /// To the hour.
    pub last_used: Option<Millis>,
}

/// What a token shall be good for.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// 1 to 100 characters on one line.
    pub name: String,
    /// At least one.
    pub scopes: Scopes,
    pub project: Option<ProjectId>,
    /// At most a year ahead.
    pub expires: Millis,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct TokenRecord {
    v: u8,
    id: TokenId,
    account: AccountId,
    name: String,
    scopes: Scopes,
    project: Option<ProjectId>,
    created: Millis,
    expires: Millis,
    digest: SecretDigest,
}

#[derive(Serialize, Deserialize)]
struct UsedRecord {
    at: Millis,
}

#[derive(Serialize, Deserialize)]
struct ListedRecord {}

impl Identity {
    /// Makes a token for the caller. The secret is shown this once. Only a signed-in person makes tokens.
    pub async fn create_token(&self, principal: &Principal, new: NewToken) -> Result<(Token, Secret)> {
        let (token, secret, writes) = self.token_with_writes(principal, new).await?;
        let made = self.store.transact_own(writes).await?;
        made.ok_or_else(|| Error::Conflict("the token's id is taken".into()))?;
        Ok((token, secret))
    }

    /// A new token of the caller with the writes that make it good.
    pub async fn token_with_writes(&self, principal: &Principal, new: NewToken) -> Result<(Token, Secret, Vec<Write>)> {
        principal.require_session()?;
        let now = self.store.now();
        check_new(&new, now)?;
        if self.tokens(&principal.account, None, PAGE_MAX).await?.items.len() >= TOKENS_MAX {
            return Err(Error::Conflict(format!("an account has at most {TOKENS_MAX} tokens; revoke one first")));
        }
        let id = TokenId::generate(&*self.store.clock, &*self.store.entropy);
        let secret = random_hex(&*self.store.entropy);
        let record = TokenRecord {
            v: 1,
            id: id.clone(),
            account: principal.account.clone(),
            name: new.name.trim().to_owned(),
            scopes: new.scopes,
            project: new.project,
            created: now,
            expires: new.expires,
            digest: SecretDigest::of(&secret),
        };
        let until = Some(record.expires);
        let writes = vec![
            put_until(key::token(&id), &record, Expect::Absent, until)?,
            put_until(key::token_of(&record.account, &id), &ListedRecord {}, Expect::Absent, until)?,
        ];
        Ok((token_view(record, None), join(TOKEN_PREFIX, &[id.as_str(), &secret]), writes))
    }

    /// The account's tokens in order of their creation, after the id `after`.
    pub async fn tokens(&self, account: &AccountId, after: Option<&TokenId>, limit: usize) -> Result<Page<Token>> {
        let partition = key::account_partition(account);
        let after = after.map(TokenId::as_str);
        let page: Page<(String, Stored<ListedRecord>)> =
            self.store.page(partition, key::TOKEN_PREFIX, after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for (id, _) in page.items {
            items.extend(self.token(&TokenId::parse(id)?).await?);
        }
        Ok(Page { items, next: page.next })
    }

    /// Takes a token back; `Error::NotFound` when the account has no such token.
    pub async fn revoke_token(&self, account: &AccountId, id: &TokenId) -> Result<()> {
        self.store.records.transact(self.revoke_token_writes(account, id).await?).await?;
        Ok(())
    }

    /// The writes of [`Identity::revoke_token`].
    pub async fn revoke_token_writes(&self, account: &AccountId, id: &TokenId) -> Result<Vec<Write>> {
        let stored: Option<Stored<TokenRecord>> = self.store.get(&key::token(id)).await?;
        if stored.is_none_or(|stored| stored.value.account != *account) {
            return Err(Error::NotFound("token"));
        }
        let keys = [key::token(id), key::token_of(account, id), key::token_used(id)];
        Ok(keys.map(|key| Write::Delete { key, expect: Expect::Anything }).into())
    }

    async fn token(&self, id: &TokenId) -> Result<Option<Token>> {
        let Some(stored) = self.store.get::<TokenRecord>(&key::token(id)).await? else { return Ok(None) };
        let used: Option<Stored<UsedRecord>> = self.store.get(&key::token_used(id)).await?;
        Ok(Some(token_view(stored.value, used.map(|used| used.value.at))))
    }

    /// The token that `raw` is, and its account, when both count.
    pub(crate) async fn verify_token(&self, raw: &str) -> Result<(Token, Account), AuthenticationError> {
        let invalid = AuthenticationError::Invalid("personal access token");
        let Some((id, [secret])) = split::<1>(raw, TOKEN_PREFIX) else { return Err(invalid) };
        let Ok(id) = TokenId::parse(id) else { return Err(invalid) };
        let stored: Option<Stored<TokenRecord>> = self.store.get_kept(&key::token(&id)).await?;
        let Some(record) = stored.map(|stored| stored.value).filter(|record| record.digest.matches(secret)) else {
            return Err(invalid);
        };
        let token = self.live_token(record).await?;
        self.note_use(&token.0.id).await;
        Ok(token)
    }

    /// The token with this id, when it still counts.
    pub(crate) async fn token_by_id(&self, id: &TokenId) -> Result<(Token, Account), AuthenticationError> {
        let stored: Option<Stored<TokenRecord>> = self.store.get_kept(&key::token(id)).await?;
        self.live_token(stored.ok_or(AuthenticationError::Revoked)?.value).await
    }

    async fn live_token(&self, record: TokenRecord) -> Result<(Token, Account), AuthenticationError> {
        if record.expires <= self.store.now() {
            return Err(AuthenticationError::Expired);
        }
        let account = self.store.account(&record.account).await?.ok_or(AuthenticationError::Revoked)?;
        if account.value.disabled {
            return Err(AuthenticationError::Revoked);
        }
        Ok((token_view(record, None), view(account)))
    }

    /// Remembers that the token is in use, at most once an hour. That this is lost must not refuse a caller.
    async fn note_use(&self, id: &TokenId) {
        let now = self.store.now();
        let noted = async {
            let used: Option<Stored<UsedRecord>> = self.store.get(&key::token_used(id)).await?;
            if used.is_none_or(|used| now.since(used.value.at) >= LAST_USED_GRAIN) {
                let write = put(key::token_used(id), &UsedRecord { at: now }, Expect::Anything)?;
                // Not after a revocation: the mark would outlive the token.
                let check = Write::Check { key: key::token(id), expect: Expect::Present };
                self.store.records.transact(vec![write, check]).await?;
            }
            Ok::<(), Error>(())
        };
        if let Err(error) = noted.await {
            tracing::warn!(token = %id, %error, "the last use of a token was not noted");
        }
    }
}

fn check_new(new: &NewToken, now: Millis) -> Result<()> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Error::invalid("name", "has 1 to 100 characters on one line"));
    }
    if new.scopes.is_empty() {
        return Err(Error::invalid("scopes", "has at least one scope"));
    }
    if new.expires <= now || new.expires > now.plus(TOKEN_LIFE_MAX) {
        return Err(Error::invalid("expires", "is in the future and at most 366 days ahead"));
    }
    Ok(())
}

fn token_view(record: TokenRecord, last_used: Option<Millis>) -> Token {
    Token {
        id: record.id,
        account: record.account,
        name: record.name,
        scopes: record.scopes,
        project: record.project,
        created: record.created,
        expires: record.expires,
        last_used,
    }
}
