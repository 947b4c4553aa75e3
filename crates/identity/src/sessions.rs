//! Signing in, staying signed in, signing out.

use std::time::Duration;

use cloud::{Expect, Millis, Secret};
use serde::{Deserialize, Serialize};

use crate::accounts::view;
use crate::opaque::{SecretDigest, join, random_hex, split};
use crate::rates::{SIGN_INS, SIGN_INS_PER_ADDRESS, address_window};
use crate::store::{Stored, key};
use crate::{
    ACCESS_TOKEN_LIFE, Account, AccountId, AuthenticationError, EmailAddress, Error, Identity, Result, SessionId,
};

/// A session ends after this, however it is used.
pub const SESSION_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

const REFRESH_PREFIX: &str = "wrr";
pub(crate) const COOKIE_PREFIX: &str = "wrs";

/// What a client gets when it has signed in or refreshed.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub account: Account,
    pub session: SessionId,
    /// A JWT, good for `expires_in`.
    pub access_token: Secret,
    /// Good for one use.
    pub refresh_token: Secret,
    /// The value of the session cookie; only when signing in.
    pub session_cookie: Option<Secret>,
    /// Life of the access token.
    pub expires_in: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    v: u8,
    pub account: AccountId,
    pub epoch: u64,
    created: Millis,
    pub expires: Millis,
    pub revoked: Option<Millis>,
    /// In every refresh token of this session: tells a used token from an invented one.
    family: SecretDigest,
    /// In the one refresh token that is good now.
    refresh: SecretDigest,
    pub cookie: SecretDigest,
    /// Refreshes so far.
    rotation: u64,
}

impl Identity {
    /// Proves an address and a password. An unknown address takes as long as a wrong password and gets the same answer.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn> {
        let id = self.check_password(email, password).await?.ok_or(Error::InvalidCredentials)?;
        let stored = self.store.account(&id).await?.ok_or(Error::InvalidCredentials)?;
        if stored.value.disabled {
            return Err(Error::InvalidCredentials);
        }
        self.store.clear_attempts(&address_window(email)).await?;
        self.start_session(stored.value.epoch, view(stored)).await
    }

    /// The account that the password opens. Counts the attempt before the password is looked at.
    pub(crate) async fn check_password(&self, email: &str, password: &str) -> Result<Option<AccountId>> {
        self.store.count_attempt(&address_window(email), &SIGN_INS_PER_ADDRESS).await?;
        self.store.count_attempt("sign-in", &SIGN_INS).await?;
        let known = match EmailAddress::parse(email.trim()) {
            Ok(email) => self.accounts().credentials_of(&email).await?,
            Err(_) => None,
        };
        let (id, hash) = known.unzip();
        let fits = password.chars().count() <= crate::PASSWORD_CHARS_MAX;
        let password = if fits { password } else { "" };
        Ok(if self.passwords.verify(password, hash).await? { id } else { None })
    }

    async fn start_session(&self, epoch: u64, account: Account) -> Result<SignedIn> {
        let entropy = &*self.store.entropy;
        let now = self.store.now();
        let id = SessionId::generate(&*self.store.clock, entropy);
        let (family, refresh, cookie) = (random_hex(entropy), random_hex(entropy), random_hex(entropy));
        let record = SessionRecord {
            v: 1,
            account: account.id.clone(),
            epoch,
            created: now,
            expires: now.plus(SESSION_LIFE),
            revoked: None,
            family: SecretDigest::of(&family),
            refresh: SecretDigest::of(&refresh),
            cookie: SecretDigest::of(&cookie),
            rotation: 0,
        };
        let written = self.store.put_own(key::session(&id), &record, Expect::Absent, Some(record.expires)).await?;
        written.ok_or_else(|| Error::Conflict("the session id is taken".into()))?;
        Ok(SignedIn {
            access_token: self.sign_access_token(&account.id, &id).await?,
            refresh_token: join(REFRESH_PREFIX, &[id.as_str(), &family, &refresh]),
            session_cookie: Some(join(COOKIE_PREFIX, &[id.as_str(), &cookie])),
            expires_in: ACCESS_TOKEN_LIFE,
            session: id,
            account,
        })
    }

    /// Gives new tokens for a refresh token. One that was used before revokes its session: either the client or a
    /// thief holds a copy (RFC 9700, section 4.14.2).
    pub async fn refresh(&self, refresh_token: &str) -> Result<SignedIn> {
        let invalid = || Error::Authentication(AuthenticationError::Invalid("refresh token"));
        let (id, [family, presented]) = split::<2>(refresh_token, REFRESH_PREFIX).ok_or_else(invalid)?;
        let id = SessionId::parse(id).map_err(|_| invalid())?;
        let (stored, account) = self.live_session(&id).await?;
        if !stored.value.family.matches(family) {
            return Err(invalid());
        }
        if !stored.value.refresh.matches(presented) {
            tracing::warn!(session = %id, account = %account.id, "a used refresh token came back; the session is revoked");
            self.sign_out(&id).await?;
            return Err(AuthenticationError::Revoked.into());
        }
        // Before the old token is used up: what fails from there on would end the session.
        let access_token = self.sign_access_token(&account.id, &id).await?;
        let next = random_hex(&*self.store.entropy);
        let (refresh, rotation) = (SecretDigest::of(&next), stored.value.rotation + 1);
        let record = SessionRecord { refresh, rotation, ..stored.value };
        let moved =
            self.store.put_own(key::session(&id), &record, Expect::At(stored.version), Some(record.expires)).await?;
        if moved.is_none() {
            // Another request used the same token at the same time: two holders.
            self.sign_out(&id).await?;
            return Err(AuthenticationError::Revoked.into());
        }
        Ok(SignedIn {
            access_token,
            refresh_token: join(REFRESH_PREFIX, &[id.as_str(), family, &next]),
            session_cookie: None,
            expires_in: ACCESS_TOKEN_LIFE,
            session: id,
            account,
        })
    }

    /// Ends a session: its access tokens, refresh token, cookie and tickets are refused from now on.
    pub async fn sign_out(&self, id: &SessionId) -> Result<()> {
        for _ in 0..crate::store::ATTEMPTS_MAX {
            let stored: Option<Stored<SessionRecord>> = self.store.get(&key::session(id)).await?;
            let Some(Stored { value, version }) = stored.filter(|stored| stored.value.revoked.is_none()) else {
                return Ok(());
            };
            let record = SessionRecord { revoked: Some(self.store.now()), ..value };
            let expires = Some(record.expires);
            if self.store.put(key::session(id), &record, Expect::At(version), expires).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::Moved("session"))
    }

    /// A session that counts, and its account.
    pub(crate) async fn live_session(
        &self,
        id: &SessionId,
    ) -> Result<(Stored<SessionRecord>, Account), AuthenticationError> {
        let stored: Option<Stored<SessionRecord>> = self.store.get_kept(&key::session(id)).await?;
        let stored = stored.ok_or(AuthenticationError::Revoked)?;
        if stored.value.expires <= self.store.now() {
            return Err(AuthenticationError::Expired);
        }
        let account = self.store.account(&stored.value.account).await?.ok_or(AuthenticationError::Revoked)?;
        let void =
            stored.value.revoked.is_some() || account.value.disabled || account.value.epoch != stored.value.epoch;
        if void { Err(AuthenticationError::Revoked) } else { Ok((stored, view(account))) }
    }
}
