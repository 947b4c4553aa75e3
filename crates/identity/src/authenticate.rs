//! The one way in, for every channel.

use crate::opaque::split;
use crate::sessions::COOKIE_PREFIX;
use crate::tokens::TOKEN_PREFIX;
use crate::{
    Account, AuthenticationError, Channel, Credential, Error, Identity, Principal, Result, Scopes, SessionId, Token,
};

impl Identity {
    /// Proves a credential, on records read now: a revoked session or token and a disabled account are refused at once.
    pub async fn authenticate(&self, credential: &Credential) -> Result<Principal, AuthenticationError> {
        match credential {
            Credential::Bearer(token) if token.expose().starts_with(TOKEN_PREFIX) => {
                self.by_token(token.expose(), Channel::Bearer).await
            }
            Credential::Bearer(token) => self.by_access_token(token.expose()).await,
            Credential::Basic { password, .. } => self.by_token(password.expose(), Channel::Basic).await,
            Credential::Cookie(cookie) => self.by_cookie(cookie.expose()).await,
            Credential::Ticket(ticket) => self.redeem_ticket(ticket.expose()).await,
        }
    }

    /// Whether what proved `principal` still counts: its session or token, and its account.
    pub async fn still_holds(&self, principal: &Principal) -> Result<bool> {
        let proof = match (&principal.session, &principal.token) {
            (Some(session), _) => self.live_session(session).await.map(|(_, account)| account),
            (None, Some(token)) => self.token_by_id(token).await.map(|(_, account)| account),
            (None, None) => {
                return match self.accounts().get(&principal.account).await {
                    Ok(account) => Ok(!account.disabled),
                    Err(Error::NotFound(_)) => Ok(false),
                    Err(error) => Err(error),
                };
            }
        };
        match proof {
            Ok(account) => Ok(account.id == principal.account),
            Err(AuthenticationError::Revoked | AuthenticationError::Expired) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn by_access_token(&self, token: &str) -> Result<Principal, AuthenticationError> {
        let claims = self.verify_access_token(token).await?;
        let (_, account) = self.live_session(&claims.session).await?;
        if account.id != claims.account {
            return Err(AuthenticationError::Invalid("session of another account"));
        }
        Ok(Principal::of_session(account, claims.session, Channel::Bearer))
    }

    async fn by_token(&self, token: &str, channel: Channel) -> Result<Principal, AuthenticationError> {
        let (token, account) = self.verify_token(token).await?;
        Ok(Principal::of_token(account, token, channel))
    }

    async fn by_cookie(&self, cookie: &str) -> Result<Principal, AuthenticationError> {
        let invalid = AuthenticationError::Invalid("session cookie");
        let Some((id, [secret])) = split::<1>(cookie, COOKIE_PREFIX) else { return Err(invalid) };
        let Ok(id) = SessionId::parse(id) else { return Err(invalid) };
        let (session, account) = self.live_session(&id).await?;
        if !session.value.cookie.matches(secret) {
            return Err(invalid);
        }
        Ok(Principal::of_session(account, id, Channel::Cookie))
    }
}

impl Principal {
    pub(crate) fn of_session(account: Account, session: SessionId, channel: Channel) -> Self {
        Self {
            account: account.id,
            email: account.email,
            name: account.name,
            admin: account.admin,
            channel,
            scopes: Scopes::all(),
            project: None,
            session: Some(session),
            token: None,
        }
    }

    pub(crate) fn of_token(account: Account, token: Token, channel: Channel) -> Self {
        Self {
            account: account.id,
            email: account.email,
            name: account.name,
            admin: account.admin,
            channel,
            scopes: token.scopes,
            project: token.project,
            session: None,
            token: Some(token.id),
        }
    }
}
