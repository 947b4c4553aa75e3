//! Signing in, refreshing, cookies, tickets and personal tokens.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use cloud::{Clock, Millis, Secret};
use common::{House, PASSWORD};
use identity::{
    AccountId, AccountUpdate, AuthenticationError, Channel, Credential, EmailAddress, Error, NewAccount, NewToken,
    Password, PersonName, Principal, ProjectId, Scope, Scopes, TokenId,
};

const DEV: &str = "dev@example.com";

fn new_token(clock: &dyn Clock, scopes: &[Scope]) -> NewToken {
    NewToken {
        name: "laptop".into(),
        scopes: scopes.iter().copied().collect(),
        project: None,
        expires: clock.now().plus(Duration::from_secs(3600)),
    }
}

async fn basic(house: &House, password: &Secret) -> Result<Principal, AuthenticationError> {
    house.identity.authenticate(&Credential::Basic { user: "anyone".into(), password: password.clone() }).await
}

#[tokio::test]
async fn every_channel_proves_the_same_person() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let bearer = house.principal(&signed_in).await;
    assert_eq!((bearer.account.clone(), bearer.channel), (signed_in.account.id.clone(), Channel::Bearer));
    let cookie = Credential::Cookie(signed_in.session_cookie.clone().unwrap());
    let cookie = house.identity.authenticate(&cookie).await.unwrap();
    assert_eq!((cookie.account.clone(), cookie.channel), (bearer.account.clone(), Channel::Cookie));
    let (token, secret) = house.identity.create_token(&bearer, new_token(&*house.clock, &[Scope::Read])).await.unwrap();
    assert!(secret.expose().starts_with("wrp_"));
    let by_basic = basic(&house, &secret).await.unwrap();
    assert_eq!((by_basic.token.clone(), by_basic.channel), (Some(token.id.clone()), Channel::Basic));
    assert_eq!(by_basic.scopes, Scopes::from_iter([Scope::Read]));
    assert_eq!(house.bearer(secret.expose()).await.unwrap().token, Some(token.id));
    for principal in [&bearer, &cookie, &by_basic] {
        assert_eq!(Principal::from_context(&principal.to_context()).unwrap(), *principal);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let house = House::new();
    house.person(DEV).await;
    let wrong = house.identity.sign_in(DEV, "wrong horse battery").await.unwrap_err();
    let unknown = house.identity.sign_in("nobody@example.com", PASSWORD).await.unwrap_err();
    let nonsense = house.identity.sign_in("\u{0}", &"x".repeat(100_000)).await.unwrap_err();
    assert!(matches!(wrong, Error::InvalidCredentials));
    assert_eq!(wrong.to_string(), unknown.to_string());
    assert_eq!(wrong.to_string(), nonsense.to_string());
}

#[tokio::test]
async fn a_disabled_account_cannot_sign_in_and_its_tokens_are_void() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let principal = house.principal(&signed_in).await;
    let (_, token) = house.identity.create_token(&principal, new_token(&*house.clock, &[Scope::Read])).await.unwrap();
    let disable = AccountUpdate { disabled: Some(true), ..AccountUpdate::default() };
    house.identity.accounts().update(&principal.account, disable, None).await.unwrap();
    assert!(matches!(house.identity.sign_in(DEV, PASSWORD).await, Err(Error::InvalidCredentials)));
    assert!(matches!(basic(&house, &token).await, Err(AuthenticationError::Revoked)));
    assert!(house.identity.refresh(signed_in.refresh_token.expose()).await.is_err());
    let enable = AccountUpdate { disabled: Some(false), ..AccountUpdate::default() };
    house.identity.accounts().update(&principal.account, enable, None).await.unwrap();
    assert!(house.bearer(signed_in.access_token.expose()).await.is_err(), "old sessions stay ended");
}

#[tokio::test]
async fn authn_010_attempts_are_limited_by_the_address_alone() {
    let house = House::new();
    house.person(DEV).await;
    let mut limited = 0;
    for attempt in 0..30 {
        // Neither case nor blanks around the address start a new count.
        let spelling = if attempt % 2 == 0 { "DEV@example.com" } else { " dev@example.com" };
        match house.identity.sign_in(spelling, "wrong horse battery").await.unwrap_err() {
            Error::RateLimited { retry_after } => {
                assert!(retry_after > Duration::ZERO);
                limited += 1;
            }
            error => assert!(matches!(error, Error::InvalidCredentials), "{error}"),
        }
    }
    assert_eq!(limited, 20);
    assert!(matches!(house.identity.sign_in(DEV, PASSWORD).await, Err(Error::RateLimited { .. })));
    house.clock.advance(Duration::from_secs(5 * 60));
    assert!(house.identity.sign_in(DEV, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn attempts_at_once_do_not_pass_the_limit_together() {
    let house = House::new();
    house.person(DEV).await;
    let attempts = (0..16).map(|_| house.identity.sign_in(DEV, "wrong horse battery"));
    let answers = futures::future::join_all(attempts).await;
    let tried = answers.iter().filter(|answer| matches!(answer, Err(Error::InvalidCredentials))).count();
    assert!(tried <= 10, "{tried} passwords were tried");
}

#[tokio::test]
async fn authn_014_spellings_of_an_address_are_one_account_and_look_alikes_are_refused() {
    let house = House::new();
    house.person("victim@example.com").await;
    for spelling in ["VICTIM@example.com", "victim@EXAMPLE.com"] {
        let new = NewAccount {
            email: EmailAddress::parse(spelling).unwrap(),
            name: PersonName::parse("Evil").unwrap(),
            password: Password::parse("another password").unwrap(),
            admin: false,
        };
        assert!(matches!(house.identity.accounts().create(new).await, Err(Error::Conflict(_))), "{spelling}");
    }
    assert!(EmailAddress::parse("vi\u{441}tim@example.com").is_err());
    assert!(house.identity.sign_in("victim@example.com", "another password").await.is_err());
    assert!(house.identity.sign_in("VICTIM@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn authn_017_two_session_cookies_are_refused() {
    let good = "__Host-workroom=a";
    assert!(matches!(Credential::from_headers(None, Some(good)), Ok(Some(Credential::Cookie(_)))));
    assert!(matches!(Credential::from_headers(None, Some("other=1; __Host-workroom=a; x=y")), Ok(Some(_))));
    for tossed in ["__Host-workroom=evil; __Host-workroom=a", "__Host-workroom=a;__Host-workroom=a"] {
        assert!(
            matches!(Credential::from_headers(None, Some(tossed)), Err(AuthenticationError::Invalid(_))),
            "{tossed}"
        );
    }
    for nothing in [None, Some(""), Some("__host-workroom=a"), Some("workroom=a")] {
        assert!(matches!(Credential::from_headers(None, nothing), Ok(None)), "{nothing:?}");
    }
}

#[test]
fn malformed_authorization_headers_are_refused() {
    let long = format!("Bearer {}", "a".repeat(5000));
    let bad = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a\u{e9}",
        "Digest x",
        "Basic !!",
        "Basic YQ==",
        "Basic /w==",
        &long,
    ];
    for header in bad {
        let answer = Credential::from_headers(Some(header), Some("__Host-workroom=a"));
        assert!(matches!(answer, Err(AuthenticationError::Invalid(_))), "{header}");
    }
    let basic = Credential::from_headers(Some("basic YTp3cnBfeDp5"), None).unwrap();
    assert!(
        matches!(basic, Some(Credential::Basic { user, password }) if user == "a" && password.expose() == "wrp_x:y")
    );
}

#[tokio::test]
async fn a_refresh_token_works_once_and_reuse_ends_the_session() {
    let house = House::new();
    let first = house.signed_in(DEV).await;
    let second = house.identity.refresh(first.refresh_token.expose()).await.unwrap();
    assert!(house.bearer(second.access_token.expose()).await.is_ok());
    let reuse = house.identity.refresh(first.refresh_token.expose()).await.unwrap_err();
    assert!(matches!(reuse, Error::Authentication(AuthenticationError::Revoked)));
    assert!(house.bearer(second.access_token.expose()).await.is_err());
    assert!(house.identity.refresh(second.refresh_token.expose()).await.is_err());
}

#[tokio::test]
async fn an_invented_refresh_token_does_not_end_the_session() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let zeros = "0".repeat(64);
    let invented = [
        format!("wrr_{}_{zeros}_{zeros}", signed_in.session),
        format!("wrr_{}_{zeros}", signed_in.session),
        format!("{}_{zeros}", signed_in.refresh_token.expose()),
        signed_in.refresh_token.expose().to_uppercase(),
        signed_in.access_token.expose().to_owned(),
        String::new(),
    ];
    for token in invented {
        let answer = house.identity.refresh(&token).await;
        assert!(matches!(answer, Err(Error::Authentication(AuthenticationError::Invalid(_)))), "{token}");
    }
    assert!(house.identity.refresh(signed_in.refresh_token.expose()).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_after_two_weeks_however_often_it_is_refreshed() {
    let house = House::new();
    let mut signed_in = house.signed_in(DEV).await;
    let cookie = Credential::Cookie(signed_in.session_cookie.clone().unwrap());
    for _ in 0..13 {
        house.clock.advance(Duration::from_secs(24 * 60 * 60));
        signed_in = house.identity.refresh(signed_in.refresh_token.expose()).await.unwrap();
    }
    assert!(house.identity.authenticate(&cookie).await.is_ok());
    house.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert!(house.identity.refresh(signed_in.refresh_token.expose()).await.is_err());
    assert!(house.identity.authenticate(&cookie).await.is_err());
}

#[tokio::test]
async fn a_new_password_ends_sessions_and_replaces_the_old_one() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let id = &signed_in.account.id;
    assert!(house.identity.accounts().verify_password(id, PASSWORD).await.unwrap());
    house.identity.accounts().set_password(id, &Password::parse("a new password").unwrap()).await.unwrap();
    assert!(house.bearer(signed_in.access_token.expose()).await.is_err());
    assert!(house.identity.sign_in(DEV, PASSWORD).await.is_err());
    assert!(house.identity.sign_in(DEV, "a new password").await.is_ok());
}

#[tokio::test]
async fn a_ticket_opens_one_connection_for_a_minute() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let principal = house.principal(&signed_in).await;
    let ticket = house.identity.issue_ticket(&principal).await.unwrap();
    let credential = Credential::Ticket(ticket);
    let (a, b) = tokio::join!(house.identity.authenticate(&credential), house.identity.authenticate(&credential));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    let opened = a.or(b).unwrap();
    assert_eq!((opened.account, opened.channel), (principal.account.clone(), Channel::Ticket));
    let late = Credential::Ticket(house.identity.issue_ticket(&principal).await.unwrap());
    house.clock.advance(Duration::from_secs(60));
    assert!(house.identity.authenticate(&late).await.is_err());
    let signed_out = Credential::Ticket(house.identity.issue_ticket(&principal).await.unwrap());
    house.identity.sign_out(&signed_in.session).await.unwrap();
    assert!(matches!(house.identity.authenticate(&signed_out).await, Err(AuthenticationError::Revoked)));
    for bad in ["", "wrt_", "wrt_x", "ticket"] {
        assert!(house.identity.authenticate(&Credential::Ticket(Secret::new(bad))).await.is_err());
    }
}

#[tokio::test]
async fn a_token_expires_can_be_revoked_and_tells_its_last_use() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let principal = house.principal(&signed_in).await;
    let (token, secret) =
        house.identity.create_token(&principal, new_token(&*house.clock, &[Scope::Write])).await.unwrap();
    let list = async || house.identity.tokens(&principal.account, None, 100).await.unwrap().items;
    assert_eq!(list().await[0].last_used, None);
    basic(&house, &secret).await.unwrap();
    let used = house.clock.now();
    house.clock.advance(Duration::from_secs(60));
    basic(&house, &secret).await.unwrap();
    assert_eq!(list().await[0].last_used, Some(used));
    let stranger = AccountId::generate(&*house.clock, &cloud::SystemEntropy);
    assert!(matches!(house.identity.revoke_token(&stranger, &token.id).await, Err(Error::NotFound(_))));
    house.identity.revoke_token(&principal.account, &token.id).await.unwrap();
    assert!(matches!(basic(&house, &secret).await, Err(AuthenticationError::Invalid(_))));
    assert!(list().await.is_empty());
    let (_, secret) = house.identity.create_token(&principal, new_token(&*house.clock, &[Scope::Write])).await.unwrap();
    house.clock.advance(Duration::from_secs(3600));
    assert!(matches!(basic(&house, &secret).await, Err(AuthenticationError::Expired)));
}

#[tokio::test]
async fn a_token_with_one_wrong_digit_is_refused() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let principal = house.principal(&signed_in).await;
    let (token, secret) =
        house.identity.create_token(&principal, new_token(&*house.clock, &[Scope::Read])).await.unwrap();
    let good = secret.expose();
    let last = if good.ends_with('0') { "1" } else { "0" };
    let other = TokenId::generate(&*house.clock, &cloud::SystemEntropy);
    let bad = [
        format!("{}{last}", &good[..good.len() - 1]),
        good.replace(token.id.as_str(), other.as_str()),
        good.to_uppercase(),
        format!("{good}0"),
        good[..good.len() - 1].to_owned(),
        "wrp_".into(),
        "wrp__".into(),
    ];
    for token in bad {
        assert!(basic(&house, &Secret::new(token.clone())).await.is_err(), "{token}");
    }
    assert!(basic(&house, &Secret::new(PASSWORD)).await.is_err(), "the account's password is no token");
}

#[tokio::test]
async fn tokens_are_made_by_people_within_bounds() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let principal = house.principal(&signed_in).await;
    let good = new_token(&*house.clock, &[Scope::Admin]);
    let bad = [
        NewToken { name: " ".into(), ..good.clone() },
        NewToken { name: "a\nb".into(), ..good.clone() },
        NewToken { scopes: Scopes::default(), ..good.clone() },
        NewToken { expires: house.clock.now(), ..good.clone() },
        NewToken { expires: Millis(i64::MAX), ..good.clone() },
    ];
    for new in bad {
        assert!(matches!(house.identity.create_token(&principal, new).await, Err(Error::Invalid { .. })));
    }
    let (_, secret) = house.identity.create_token(&principal, good.clone()).await.unwrap();
    let by_token = basic(&house, &secret).await.unwrap();
    assert!(matches!(house.identity.create_token(&by_token, good).await, Err(Error::Denied(_))));
}

#[tokio::test]
async fn nothing_stored_opens_anything() {
    let house = House::new();
    let signed_in = house.signed_in(DEV).await;
    let principal = house.principal(&signed_in).await;
    let project = ProjectId::generate(&*house.clock, &cloud::SystemEntropy);
    let new = NewToken { project: Some(project), ..new_token(&*house.clock, &[Scope::Read]) };
    let (_, token) = house.identity.create_token(&principal, new).await.unwrap();
    let ticket = house.identity.issue_ticket(&principal).await.unwrap();
    let stored: String =
        house.records.dump().iter().map(|record| format!("{} {}\n", record.key, record.value)).collect();
    let cookie = signed_in.session_cookie.unwrap();
    for secret in [&signed_in.access_token, &signed_in.refresh_token, &cookie, &token, &ticket] {
        let tail = &secret.expose()[secret.expose().len() - 32..];
        assert!(!stored.contains(tail));
    }
    assert!(!stored.contains(PASSWORD));
    assert!(stored.contains("$argon2id$"));
}

#[tokio::test]
async fn the_first_admin_is_made_once() {
    let house = House::new();
    let email = EmailAddress::parse("admin@localhost").unwrap();
    let password = Password::generate(&cloud::SystemEntropy);
    let (a, b) = tokio::join!(
        house.identity.bootstrap_admin(email.clone(), password.clone()),
        house.identity.bootstrap_admin(EmailAddress::parse("other@localhost").unwrap(), password.clone())
    );
    let admins: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(admins.len(), 1);
    assert!(admins[0].admin);
    assert!(house.identity.is_bootstrapped().await.unwrap());
    assert!(house.identity.bootstrap_admin(email, password).await.unwrap().is_none());
    assert_eq!(house.identity.accounts().list(None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn an_account_changes_only_from_the_version_that_was_read() {
    let house = House::new();
    let account = house.person(DEV).await;
    let rename =
        |name: &str| AccountUpdate { name: Some(PersonName::parse(name).unwrap()), ..AccountUpdate::default() };
    let renamed = house.identity.accounts().update(&account.id, rename("One"), Some(&account.version)).await.unwrap();
    let lost = house.identity.accounts().update(&account.id, rename("Two"), Some(&account.version)).await;
    assert!(matches!(lost, Err(Error::Moved(_))));
    assert_eq!(house.identity.accounts().get(&account.id).await.unwrap(), renamed);
}
