//! Every call of signing in, refreshing and what goes with them fails once: before it took effect, after it took
//! effect, and done twice.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use cloud::{Clock, Parameters, Secret, SystemEntropy};
use common::{AUDIENCE, House, ISSUER, PASSWORD};
use identity::{
    AuthenticationError, Credential, EmailAddress, Error, Identity, IdentitySettings, NewAccount, NewToken, OldTokens,
    Password, PersonName, Result, Scope, SignedIn,
};
use testkit::{Fault, FaultyCloud};

const DEV: &str = "dev@example.com";
/// More calls than any operation makes.
const CALLS_MAX: u64 = 60;

/// One run of an operation with one fault in it.
struct Trial {
    house: House,
    cloud: FaultyCloud,
    /// A new process over the same stores, each of its calls through the plan of `cloud`.
    shaky: Identity,
    fault: Fault,
    nth: u64,
}

impl Trial {
    fn new(fault: Fault, nth: u64) -> Self {
        let (house, cloud) = (House::new(), FaultyCloud::new());
        let shaky = Identity::new(IdentitySettings {
            records: Arc::new(cloud.records(Arc::new(house.records.clone()))),
            parameters: Arc::new(cloud.parameters(Arc::new(house.parameters.clone()))),
            clock: house.clock.clone(),
            entropy: Arc::new(SystemEntropy),
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
        });
        Self { house, cloud, shaky, fault, nth }
    }

    /// The operation under test. A fault is heard as a store that is away, and as nothing else: `None`. A call done
    /// twice is not heard at all.
    async fn strike<T>(&self, operation: impl Future<Output = Result<T>>) -> Option<T> {
        self.cloud.at(self.nth, self.fault);
        let answer = operation.await;
        self.cloud.heal();
        match answer {
            Ok(done) => Some(done),
            Err(error) if is_away(&error) && self.met() && self.fault != Fault::Repeat => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn met(&self) -> bool {
        self.cloud.count() >= self.nth
    }

    async fn is_good(&self, signed_in: &SignedIn) {
        assert!(self.house.bearer(signed_in.access_token.expose()).await.is_ok());
        assert!(self.house.identity.refresh(signed_in.refresh_token.expose()).await.is_ok());
    }

    /// Every key that is listed is there: a deployment that has lost one signs nobody in.
    async fn keys_are_whole(&self) {
        let stored = self.house.records.dump();
        let listed = stored.iter().find(|record| record.key.sort == "signing-keys");
        let listed = listed.map(|record| record.value["keys"].as_array().unwrap().clone()).unwrap_or_default();
        let kept = self.house.parameters.list("/identity/signing-keys/", None, 100).await.unwrap();
        for entry in listed {
            let kid = entry["kid"].as_str().unwrap();
            assert!(kept.iter().any(|parameter| parameter.name.as_str().ends_with(kid)), "`{kid}` is lost");
        }
    }
}

fn is_away(error: &Error) -> bool {
    match error {
        Error::Store { source: cloud::Error::Unavailable(_), .. } => true,
        Error::Authentication(AuthenticationError::Unavailable(cause)) => is_away(cause),
        _ => false,
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let call = usize::try_from(self.nth - 1).ok().and_then(|at| self.cloud.calls().get(at).copied());
            eprintln!("with {:?} at call {}: {call:?}", self.fault, self.nth);
        }
    }
}

/// Runs `trial` with each kind of fault at each call, until its operation makes no more calls.
async fn at_every_call(trial: impl AsyncFn(&Trial)) {
    for fault in [Fault::Before, Fault::After, Fault::Repeat] {
        for nth in 1.. {
            assert!(nth < CALLS_MAX, "the operation comes to no end");
            let at = Trial::new(fault, nth);
            trial(&at).await;
            if !at.met() {
                assert!(nth > 1, "the operation made no call");
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_first_sign_in_makes_one_key_and_a_session_or_can_be_tried_again() {
    at_every_call(async |at: &Trial| {
        at.house.person(DEV).await;
        let signed_in = match at.strike(at.shaky.sign_in(DEV, PASSWORD)).await {
            Some(signed_in) => signed_in,
            None => at.shaky.sign_in(DEV, PASSWORD).await.unwrap(),
        };
        at.keys_are_whole().await;
        at.is_good(&signed_in).await;
        let cookie = Credential::Cookie(signed_in.session_cookie.clone().unwrap());
        assert!(at.house.identity.authenticate(&cookie).await.is_ok());
        // A process that knows nothing but what is stored.
        let other = at.house.restarted();
        assert!(other.authenticate(&Credential::Bearer(signed_in.access_token.clone())).await.is_ok());
        assert!(other.sign_in(DEV, PASSWORD).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_used_up_when_the_next_one_is_given_and_not_before() {
    at_every_call(async |at: &Trial| {
        let first = at.house.signed_in(DEV).await;
        let token = first.refresh_token.expose();
        let next = match at.strike(at.shaky.refresh(token)).await {
            Some(next) => next,
            // The client still holds the old token alone: it must not be taken for a thief's.
            None => at.shaky.refresh(token).await.unwrap(),
        };
        assert!(at.house.bearer(first.access_token.expose()).await.is_ok(), "the session goes on");
        at.is_good(&next).await;
        let reused = at.house.identity.refresh(token).await.unwrap_err();
        assert!(matches!(reused, Error::Authentication(AuthenticationError::Revoked)));
    })
    .await;
}

#[tokio::test]
async fn a_used_refresh_token_ends_the_session_in_the_end() {
    at_every_call(async |at: &Trial| {
        let first = at.house.signed_in(DEV).await;
        let token = first.refresh_token.expose();
        let next = at.house.identity.refresh(token).await.unwrap();
        at.cloud.at(at.nth, at.fault);
        let reused = at.shaky.refresh(token).await.unwrap_err();
        at.cloud.heal();
        let revoked = |error: &Error| matches!(error, Error::Authentication(AuthenticationError::Revoked));
        assert!(revoked(&reused) || is_away(&reused), "{reused:?}");
        if !revoked(&reused) {
            assert!(revoked(&at.shaky.refresh(token).await.unwrap_err()));
        }
        assert!(at.house.bearer(next.access_token.expose()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn signing_out_ends_the_session_or_can_be_tried_again() {
    at_every_call(async |at: &Trial| {
        let first = at.house.signed_in(DEV).await;
        if at.strike(at.shaky.sign_out(&first.session)).await.is_none() {
            at.shaky.sign_out(&first.session).await.unwrap();
        }
        assert!(at.house.bearer(first.access_token.expose()).await.is_err());
        assert!(at.house.identity.refresh(first.refresh_token.expose()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_replaced_is_never_lost() {
    const MONTH: std::time::Duration = std::time::Duration::from_secs(31 * 24 * 60 * 60);
    at_every_call(async |at: &Trial| {
        at.house.signed_in(DEV).await;
        at.house.clock.advance(MONTH);
        let signed_in = match at.strike(at.shaky.sign_in(DEV, PASSWORD)).await {
            Some(signed_in) => signed_in,
            None => at.shaky.sign_in(DEV, PASSWORD).await.unwrap(),
        };
        at.keys_are_whole().await;
        at.is_good(&signed_in).await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_replaced_on_demand_or_can_be_tried_again() {
    for old in [OldTokens::Expire, OldTokens::End] {
        at_every_call(async |at: &Trial| {
            let before = at.house.signed_in(DEV).await;
            if at.strike(at.shaky.rotate_signing_key(old)).await.is_none() {
                at.shaky.rotate_signing_key(old).await.unwrap();
            }
            at.keys_are_whole().await;
            let bearer = Credential::Bearer(before.access_token.clone());
            let known = at.house.restarted().authenticate(&bearer).await.is_ok();
            assert_eq!(known, old == OldTokens::Expire);
            at.is_good(&at.shaky.sign_in(DEV, PASSWORD).await.unwrap()).await;
        })
        .await;
    }
}

#[tokio::test]
async fn an_account_is_made_whole_or_not_at_all() {
    at_every_call(async |at: &Trial| {
        let new = || NewAccount {
            email: EmailAddress::parse(DEV).unwrap(),
            name: PersonName::parse("A Person").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
            admin: false,
        };
        if at.strike(at.shaky.accounts().create(new())).await.is_none() {
            // A lost answer that could not be read back may hide an account that was made.
            let again = at.house.identity.accounts().create(new()).await;
            assert!(matches!(again, Ok(_) | Err(Error::Conflict(_))), "{again:?}");
        }
        assert!(at.house.identity.sign_in(DEV, PASSWORD).await.is_ok());
        assert_eq!(at.house.identity.accounts().list(None, 10).await.unwrap().items.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_token_and_a_ticket_are_given_or_can_be_asked_for_again() {
    at_every_call(async |at: &Trial| {
        let signed_in = at.house.signed_in(DEV).await;
        let principal = at.house.principal(&signed_in).await;
        let expires = at.house.clock.now().plus(std::time::Duration::from_secs(3600));
        let new =
            || NewToken { name: "laptop".into(), scopes: [Scope::Read].into_iter().collect(), project: None, expires };
        let both = async || -> Result<(Secret, Secret)> {
            let (_, token) = at.shaky.create_token(&principal, new()).await?;
            Ok((token, at.shaky.issue_ticket(&principal).await?))
        };
        let (token, ticket) = match at.strike(both()).await {
            Some(both) => both,
            None => both().await.unwrap(),
        };
        let basic = Credential::Basic { user: "dev".into(), password: token };
        assert!(at.house.identity.authenticate(&basic).await.is_ok());
        assert!(at.house.identity.authenticate(&Credential::Ticket(ticket)).await.is_ok());
    })
    .await;
}
