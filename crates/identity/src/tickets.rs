//! One-use tickets that open a WebSocket connection, where no header can be sent.

use std::time::Duration;

use cloud::{Expect, Millis, Secret};
use serde::{Deserialize, Serialize};

use crate::opaque::{SecretDigest, random_hex};
use crate::store::{Stored, key};
use crate::{AuthenticationError, Channel, Error, Identity, Principal, Result, SessionId, TokenId};

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(60);

const TICKET_PREFIX: &str = "wrt_";
/// Longest ticket that is looked at (bytes).
const TICKET_BYTES_MAX: usize = 128;

/// What the ticket stands for: the session or token of the one who asked for it.
#[derive(Serialize, Deserialize)]
struct TicketRecord {
    session: Option<SessionId>,
    token: Option<TokenId>,
    expires: Millis,
}

impl Identity {
    /// A ticket for the caller: good for 60 seconds and one connection.
    pub async fn issue_ticket(&self, principal: &Principal) -> Result<Secret> {
        let ticket = format!("{TICKET_PREFIX}{}", random_hex(&*self.store.entropy));
        let expires = self.store.now().plus(TICKET_LIFE);
        let record = TicketRecord { session: principal.session.clone(), token: principal.token.clone(), expires };
        let key = key::ticket(SecretDigest::of(&ticket).as_str());
        let written = self.store.put_own(key, &record, Expect::Absent, Some(expires)).await?;
        written.ok_or_else(|| Error::Conflict("the ticket is taken".into()))?;
        Ok(Secret::new(ticket))
    }

    /// Uses a ticket up; of two who try at once, one gets in.
    pub(crate) async fn redeem_ticket(&self, ticket: &str) -> Result<Principal, AuthenticationError> {
        let invalid = AuthenticationError::Invalid("ticket");
        if ticket.len() > TICKET_BYTES_MAX || !ticket.starts_with(TICKET_PREFIX) {
            return Err(invalid);
        }
        let key = key::ticket(SecretDigest::of(ticket).as_str());
        let stored: Option<Stored<TicketRecord>> = self.store.get_kept(&key).await?;
        let Some(Stored { value, version }) = stored else { return Err(invalid) };
        match self.store.records.delete(key, Expect::At(version)).await {
            Ok(()) => {}
            Err(error) if error.is_condition_failed() => return Err(invalid),
            Err(error) => return Err(error.into()),
        }
        if value.expires <= self.store.now() {
            return Err(AuthenticationError::Expired);
        }
        match (value.session, value.token) {
            (Some(session), _) => {
                let (_, account) = self.live_session(&session).await?;
                Ok(Principal::of_session(account, session, Channel::Ticket))
            }
            (None, Some(token)) => {
                let (token, account) = self.token_by_id(&token).await?;
                Ok(Principal::of_token(account, token, Channel::Ticket))
            }
            (None, None) => Err(invalid),
        }
    }
}
