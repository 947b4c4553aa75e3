//! Accounts, invitations, resets and tokens, and that each change is in the platform's journal.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use cloud::ConnectionId;
use domain::{AccountChange, Caller, Error, PageQuery};
use identity::{AccountUpdate, EmailAddress, InvitedAccount, NewToken, Password, PersonName, Role, Scopes};
use world::{PASSWORD, World};

const NEW: &str = "a password that is new";

async fn admin(world: &World) -> Caller {
    let mut admin = world.person("root").await;
    admin.principal.admin = true;
    admin
}

fn invited(name: &str) -> InvitedAccount {
    InvitedAccount {
        email: EmailAddress::parse(&format!("{name}@example.com")).unwrap(),
        name: PersonName::parse(name).unwrap(),
        admin: false,
    }
}

async fn redeem(world: &World, token: &str, password: &str) -> Result<(), Error> {
    world.domain.accounts.redeem_reset("correlation", token, password).await
}

fn is_refused(outcome: &Result<(), Error>) -> bool {
    matches!(outcome, Err(Error::Invalid { field: Some("token"), .. }))
}

/// The types of the platform's own events, in order; each has its audit entry.
fn audited(world: &World) -> Vec<String> {
    let stored = world.records.dump();
    let own = |prefix: &'static str| {
        let of = move |r: &&cloud::Record| r.key.partition.ends_with(&"0".repeat(26)) && r.key.sort.starts_with(prefix);
        stored.iter().filter(of).map(|record| record.value.clone()).collect::<Vec<_>>()
    };
    let (mut events, audits) = (own("event#"), own("audit#"));
    assert!(events.iter().all(|event| audits.iter().any(|audit| audit["id"] == event["id"])));
    events.sort_by_key(|event| event["sequence"].as_u64());
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_invited_person_sets_a_password_once() {
    let world = World::new();
    let root = admin(&world).await;
    let (account, token) = world.domain.accounts.invite(&root, invited("eve")).await.unwrap();
    let signed_in = world.identity.sign_in("eve@example.com", "").await;
    assert!(matches!(signed_in, Err(identity::Error::InvalidCredentials)));
    let raw = token.token.expose().to_owned();
    assert!(world.records.dump().iter().all(|r| !r.value.to_string().contains(&raw)), "the token is not stored");
    let short = redeem(&world, &raw, "short").await;
    assert!(matches!(short, Err(Error::Invalid { field: Some("password"), .. })), "{short:?}");
    redeem(&world, &raw, NEW).await.unwrap();
    assert_eq!(world.identity.sign_in("eve@example.com", NEW).await.unwrap().account.id, account.id);
    assert!(is_refused(&redeem(&world, &raw, PASSWORD).await), "a token is good once");
    let again = world.domain.accounts.invite(&root, invited("eve")).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    assert_eq!(audited(&world), ["account.invited", "password.reset"]);
}

#[tokio::test]
async fn a_reset_ends_sessions_and_an_earlier_token() {
    let world = World::new();
    let root = admin(&world).await;
    let account = world.account("eve").await;
    let session = world.identity.sign_in("eve@example.com", PASSWORD).await.unwrap();
    let first = world.domain.accounts.reset_password(&root, &account.id).await.unwrap();
    let second = world.domain.accounts.reset_password(&root, &account.id).await.unwrap();
    assert!(is_refused(&redeem(&world, first.token.expose(), NEW).await), "replaced");
    world.identity.sign_in("eve@example.com", PASSWORD).await.unwrap();
    redeem(&world, second.token.expose(), NEW).await.unwrap();
    assert!(world.identity.refresh(session.refresh_token.expose()).await.is_err(), "the session is over");
    assert!(world.identity.sign_in("eve@example.com", PASSWORD).await.is_err());
    assert_eq!(audited(&world), ["password.reset-made", "password.reset-made", "password.reset"]);
}

#[tokio::test]
async fn tokens_end_with_time_with_another_password_and_with_the_account() {
    let world = World::new();
    let root = admin(&world).await;
    let account = world.account("eve").await;
    let make = || world.domain.accounts.reset_password(&root, &account.id);
    let late = make().await.unwrap();
    world.clock.advance(identity::RESET_LIFE);
    assert!(is_refused(&redeem(&world, late.token.expose(), NEW).await), "expired");
    let overtaken = make().await.unwrap();
    let password = Password::parse("changed in another way").unwrap();
    world.identity.accounts().set_password(&account.id, &password).await.unwrap();
    assert!(is_refused(&redeem(&world, overtaken.token.expose(), NEW).await), "the password is another");
    let shut = make().await.unwrap();
    let disabled = AccountUpdate { disabled: Some(true), ..AccountUpdate::default() };
    world.identity.accounts().update(&account.id, disabled, None).await.unwrap();
    assert!(is_refused(&redeem(&world, shut.token.expose(), NEW).await), "disabled");
    assert!(matches!(make().await, Err(Error::Conflict(_))));
    for odd in ["", "wri_", "wri_00", "x", &"wri_".repeat(1000), &format!("wri_{}", "0".repeat(64))] {
        assert!(is_refused(&redeem(&world, odd, NEW).await), "{odd}");
    }
}

#[tokio::test]
async fn of_two_who_use_a_token_at_once_one_gets_in() {
    let world = World::new();
    let root = admin(&world).await;
    let (_, token) = world.domain.accounts.invite(&root, invited("eve")).await.unwrap();
    let raw = token.token.expose();
    let (one, other) =
        tokio::join!(redeem(&world, raw, "the password of one"), redeem(&world, raw, "of the other one"));
    assert_eq!([&one, &other].iter().filter(|outcome| outcome.is_ok()).count(), 1, "{one:?} {other:?}");
    assert!([&one, &other].iter().any(|outcome| is_refused(outcome)));
}

#[tokio::test]
async fn guessing_tokens_is_bounded() {
    let world = World::new();
    let mut last = Ok(());
    for _ in 0..200 {
        last = redeem(&world, "wri_guess", NEW).await;
        if !is_refused(&last) {
            break;
        }
    }
    assert!(matches!(last, Err(Error::RateLimited { .. })), "{last:?}");
    world.clock.advance(Duration::from_secs(60));
    assert!(is_refused(&redeem(&world, "wri_guess", NEW).await));
}

#[tokio::test]
async fn a_disabled_person_is_out_and_their_sockets_close() {
    let world = World::new();
    let root = admin(&world).await;
    let account = world.account("eve").await;
    let signed_in = world.identity.sign_in("eve@example.com", PASSWORD).await.unwrap();
    let mut eve = Caller::new(world.principal(&account), "c");
    eve.principal.session = Some(signed_in.session.clone());
    let (hers, other) = (ConnectionId("c1".into()), ConnectionId("c2".into()));
    world.domain.connections.open(&hers, &eve.principal).await.unwrap();
    world.domain.connections.open(&other, &root.principal).await.unwrap();
    world.domain.connections.close_void(&account.id).await.unwrap();
    assert!(world.sockets.gone.lock().unwrap().is_empty(), "she still counts");
    let change =
        AccountChange { update: AccountUpdate { disabled: Some(true), ..AccountUpdate::default() }, password: None };
    let now = world.identity.accounts().get(&account.id).await.unwrap();
    world.domain.accounts.update(&root, &account.id, change, &now.version).await.unwrap();
    assert!(world.identity.refresh(signed_in.refresh_token.expose()).await.is_err());
    assert!(!world.identity.still_holds(&eve.principal).await.unwrap());
    world.domain.connections.close_void(&account.id).await.unwrap();
    let gone = world.sockets.gone.lock().unwrap().clone();
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), ["c1"]);
    assert!(world.records.dump().iter().all(|r| r.key.sort != "c1" && !r.key.partition.contains("c1")));
    assert_eq!(audited(&world), ["account.updated"]);
}

#[tokio::test]
async fn an_admin_does_not_lock_the_platform() {
    let world = World::new();
    let root = admin(&world).await;
    let now = world.identity.accounts().get(&root.principal.account).await.unwrap();
    for (admin, disabled) in [(Some(false), None), (None, Some(true))] {
        let update = AccountUpdate { admin, disabled, ..AccountUpdate::default() };
        let change = AccountChange { update, password: None };
        let refused = world.domain.accounts.update(&root, &root.principal.account, change, &now.version).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn accounts_are_found_by_name_and_address() {
    let world = World::new();
    let root = admin(&world).await;
    for name in ["ada", "bea", "eve"] {
        world.clock.advance(Duration::from_millis(1));
        world.account(name).await;
    }
    let names = async |q: Option<&str>, limit: usize| {
        let mut query = PageQuery { after: None, limit: Some(limit) };
        let mut found = Vec::new();
        loop {
            let page = world.domain.accounts.list(&root, q, &query).await.unwrap();
            found.extend(page.items.into_iter().map(|account| account.name.to_string()));
            let Some(next) = page.next else { return found };
            query.after = Some(next);
        }
    };
    for limit in [1, 2, 50] {
        assert_eq!(names(None, limit).await, ["root", "ada", "bea", "eve"]);
        assert_eq!(names(Some(" EA"), limit).await, ["bea"]);
        assert_eq!(names(Some("@example"), limit).await.len(), 4);
        assert!(names(Some("nobody"), limit).await.is_empty());
    }
    let long = world.domain.accounts.list(&root, Some(&"x".repeat(201)), &PageQuery::default()).await;
    assert!(matches!(long, Err(Error::Invalid { field: Some("q"), .. })));
    let odd = PageQuery { after: Some("x".into()), limit: None };
    assert!(world.domain.accounts.list(&root, None, &odd).await.is_err());
    let ada = world.person("mallory").await;
    assert!(matches!(world.domain.accounts.list(&ada, None, &PageQuery::default()).await, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn members_are_added_by_their_address() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let bea = world.account("bea").await;
    let add = |email: &'static str, role: Role| world.domain.members.add(&ada, "shop", email, role);
    let member = add(" bea@example.com ", Role::Developer).await.unwrap();
    assert_eq!((member.account, member.role), (bea.id, Role::Developer));
    assert!(matches!(add("bea@example.com", Role::Viewer).await, Err(Error::Conflict(_))));
    for nobody in ["nobody@example.com", "x", "", "@"] {
        let refused = add(nobody, Role::Viewer).await;
        assert!(matches!(refused, Err(Error::Invalid { field: Some("email"), .. })), "{nobody}: {refused:?}");
    }
    let eve = world.member(&ada, &project, "eve", Role::Viewer).await;
    for email in ["bea@example.com", "nobody@example.com"] {
        let refused = world.domain.members.add(&eve, "shop", email, Role::Viewer).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "who may not add learns nothing: {refused:?}");
    }
}

#[tokio::test]
async fn tokens_are_made_and_taken_back_with_an_entry() {
    let world = World::new();
    let mut ada = world.person("ada").await;
    let new = NewToken {
        name: "t".into(),
        scopes: Scopes::all(),
        project: None,
        expires: world.now().plus(Duration::from_secs(60)),
    };
    let refused = world.domain.accounts.create_token(&ada, new.clone()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "only who signed in");
    ada.principal.session = Some(world.identity.sign_in("ada@example.com", PASSWORD).await.unwrap().session);
    let (token, _) = world.domain.accounts.create_token(&ada, new).await.unwrap();
    world.domain.accounts.revoke_token(&ada, &token.id).await.unwrap();
    let again = world.domain.accounts.revoke_token(&ada, &token.id).await;
    assert!(matches!(again, Err(Error::NotFound("token"))));
    assert_eq!(audited(&world), ["token.created", "token.revoked"]);
}
