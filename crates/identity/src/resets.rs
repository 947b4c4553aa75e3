//! New passwords by a token that an admin hands over: for who forgot theirs, and for who is invited.
//!
//! A token is good once and for a while; an account has at most one. It ends when the password changes in any other way.

use std::time::Duration;

use cloud::{Expect, Millis, Secret, Write};
use serde::{Deserialize, Serialize};

use crate::opaque::{SecretDigest, random_hex};
use crate::rates::RESETS;
use crate::store::{Stored, key, put_until};
use crate::{AccountId, Error, Identity, Password, Result};

/// How long a token for a new password is good.
pub const RESET_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an invitation is good.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const RESET_PREFIX: &str = "wri_";
/// Longest token that is looked at (bytes).
const RESET_BYTES_MAX: usize = 128;

#[derive(Serialize, Deserialize)]
struct ResetRecord {
    v: u8,
    account: AccountId,
    /// Of the account when the token was made.
    epoch: u64,
    expires: Millis,
}

/// Which token of an account counts.
#[derive(Serialize, Deserialize)]
struct CurrentRecord {
    digest: String,
}

/// A token to be handed over, shown this once.
#[derive(Clone, Debug)]
pub struct ResetToken {
    pub token: Secret,
    pub expires: Millis,
}

impl Identity {
    /// A token that sets a new password of `account`, good for `life`, with the writes that make it good. An earlier one
    /// is then void.
    pub async fn reset_writes(&self, account: &AccountId, life: Duration) -> Result<(ResetToken, Vec<Write>)> {
        let stored = self.store.account(account).await?.ok_or(Error::NotFound("account"))?;
        if stored.value.disabled {
            return Err(Error::Conflict("the account is disabled; enable it first".into()));
        }
        self.token_writes(account, stored.value.epoch, life)
    }

    pub(crate) fn token_writes(
        &self,
        account: &AccountId,
        epoch: u64,
        life: Duration,
    ) -> Result<(ResetToken, Vec<Write>)> {
        let token = format!("{RESET_PREFIX}{}", random_hex(&*self.store.entropy));
        let expires = self.store.now().plus(life);
        let digest = SecretDigest::of(&token);
        let record = ResetRecord { v: 1, account: account.clone(), epoch, expires };
        let current = CurrentRecord { digest: digest.as_str().to_owned() };
        let writes = vec![
            put_until(key::reset(digest.as_str()), &record, Expect::Absent, Some(expires))?,
            put_until(key::reset_of(account), &current, Expect::Anything, Some(expires))?,
        ];
        Ok((ResetToken { token: Secret::new(token), expires }, writes))
    }

    /// Whose password a token may set, with the writes that set it, use the token up and end every session. The same
    /// refusal for a token that is used, expired, replaced or invented; of two who use it at once, one gets in.
    pub async fn redeem_reset_writes(&self, token: &str, password: &str) -> Result<(AccountId, Vec<Write>)> {
        self.store.count_attempt("reset", &RESETS).await?;
        let password = Password::parse(password)?;
        let refused = || Error::invalid("token", "is used, expired or not one of ours");
        if token.len() > RESET_BYTES_MAX || !token.starts_with(RESET_PREFIX) {
            return Err(refused());
        }
        let digest = SecretDigest::of(token);
        let stored: Option<Stored<ResetRecord>> = self.store.get(&key::reset(digest.as_str())).await?;
        let Stored { value, version } = stored.ok_or_else(refused)?;
        let current: Option<Stored<CurrentRecord>> = self.store.get(&key::reset_of(&value.account)).await?;
        let account = self.store.account(&value.account).await?.ok_or_else(refused)?;
        let counts = current.is_some_and(|current| current.value.digest == digest.as_str())
            && account.value.epoch == value.epoch
            && !account.value.disabled
            && value.expires > self.store.now();
        if !counts {
            return Err(refused());
        }
        let mut writes = self.password_writes(account, &password).await?;
        writes.push(Write::Delete { key: key::reset(digest.as_str()), expect: Expect::At(version) });
        writes.push(Write::Delete { key: key::reset_of(&value.account), expect: Expect::Anything });
        Ok((value.account, writes))
    }
}
