//! Accounts, passwords, sessions, tokens, keys, roles and permissions.
//!
//! Every channel (Bearer, Basic, cookie, socket ticket) goes through [`Identity::authenticate`], and every
//! permission through [`decide`]. The authorizer only proves who is calling; what they may do is decided in the
//! domain on the value that is used, so that a removed member is out at once.
//!
//! **Invariant**: no secret is stored. Passwords are argon2id hashes; tokens, refresh tokens, cookies and tickets
//! are stored as SHA-256 digests of 32 random bytes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accounts;
mod authenticate;
mod credential;
mod email;
mod error;
mod ids;
mod jwt;
mod keys;
mod members;
mod membership;
mod opaque;
mod password;
mod principal;
mod rates;
mod resets;
mod role;
mod sessions;
mod store;
mod tickets;
mod tokens;

use std::sync::Arc;

use cloud::{Clock, Entropy, Parameters, Records};

pub use accounts::{Account, AccountUpdate, Accounts, InvitedAccount, NewAccount};
pub use credential::{Credential, FetchMetadata, SESSION_COOKIE, clear_cookie, session_cookie};
pub use email::{EmailAddress, PersonName};
pub use error::{AuthenticationError, Denied, Error, Result};
pub use ids::{AccountId, ProjectId, SessionId, TokenId};
pub use jwt::ACCESS_TOKEN_LIFE;
pub use keys::{OldTokens, RotatedKey};
pub use members::{Member, Members, Membership};
pub use membership::decide_membership;
pub use password::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, Password};
pub use principal::{Channel, Principal};
pub use resets::{INVITATION_LIFE, RESET_LIFE, ResetToken};
pub use role::{Permission, Role, Scope, Scopes, decide};
pub use sessions::{SESSION_LIFE, SignedIn};
pub use tickets::TICKET_LIFE;
pub use tokens::{NewToken, TOKEN_LIFE_MAX, TOKENS_MAX, Token};

/// Largest page of any list.
pub const PAGE_MAX: usize = 100;

/// What identity needs from its surroundings.
pub struct IdentitySettings {
    pub records: Arc<dyn Records>,
    /// Signing keys are kept under `/identity/signing-keys/`.
    pub parameters: Arc<dyn Parameters>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// `iss` of every access token; another issuer's tokens are refused.
    pub issuer: String,
    /// `aud` of every access token, compared exactly.
    pub audience: String,
}

/// Who someone is, and how they prove it. Cheap to share behind an `Arc`.
pub struct Identity {
    pub(crate) store: store::Store,
    pub(crate) keys: keys::SigningKeys,
    pub(crate) passwords: password::Hasher,
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

/// A part of a list and where it goes on.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Pass as `after` for the next page; `None` when this was the last.
    pub next: Option<String>,
}

impl Identity {
    pub fn new(settings: IdentitySettings) -> Self {
        let store = store::Store { records: settings.records, clock: settings.clock, entropy: settings.entropy };
        let keys = keys::SigningKeys::new(store.clone(), settings.parameters);
        let passwords = password::Hasher::new(store.entropy.clone());
        Self { store, keys, passwords, issuer: settings.issuer, audience: settings.audience }
    }

    /// Makes a new key for access tokens at once. Nothing has to be stopped for it: every process hears of it within a
    /// minute. Sessions stay, with either meaning of `old`: their refresh tokens give new access tokens.
    pub async fn rotate_signing_key(&self, old: OldTokens) -> Result<RotatedKey> {
        let rotated = self.keys.replace(old).await?;
        tracing::warn!(kid = rotated.kid, ?old, "the key that signs access tokens was replaced on demand");
        Ok(rotated)
    }

    /// The people.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { identity: self }
    }

    /// Who belongs to which project.
    pub fn members(&self) -> Members<'_> {
        Members { store: &self.store }
    }
}
