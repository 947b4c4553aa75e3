//! Roles, scopes, the one decision, and the last owner.
#![allow(clippy::unwrap_used)]

mod common;

use cloud::{Clock, SystemEntropy};
use common::House;
use identity::{
    AccountId, Channel, Denied, EmailAddress, Error, FetchMetadata, Permission, PersonName, Principal, ProjectId, Role,
    Scope, Scopes, SessionId, decide, decide_membership,
};

const ROLES: [Role; 4] = [Role::Owner, Role::Maintainer, Role::Developer, Role::Viewer];

fn person(clock: &dyn Clock, scopes: &[Scope], project: Option<&ProjectId>) -> Principal {
    Principal {
        account: AccountId::generate(clock, &SystemEntropy),
        email: EmailAddress::parse("dev@example.com").unwrap(),
        name: PersonName::parse("Dev").unwrap(),
        admin: false,
        channel: Channel::Bearer,
        scopes: scopes.iter().copied().collect(),
        project: project.cloned(),
        session: Some(SessionId::generate(clock, &SystemEntropy)),
        token: None,
    }
}

fn a_project(house: &House) -> ProjectId {
    ProjectId::generate(&*house.clock, &SystemEntropy)
}

/// The least role of each permission, written down apart from the code.
const TABLE: [(Permission, Role, Scope); 14] = [
    (Permission::ReadProject, Role::Viewer, Scope::Read),
    (Permission::ReadLogs, Role::Viewer, Scope::Read),
    (Permission::ReadFiles, Role::Viewer, Scope::Read),
    (Permission::WriteCode, Role::Developer, Scope::Write),
    (Permission::ManageFiles, Role::Developer, Scope::Write),
    (Permission::Build, Role::Developer, Scope::Deploy),
    (Permission::Deploy, Role::Developer, Scope::Deploy),
    (Permission::Invoke, Role::Developer, Scope::Deploy),
    (Permission::WriteProtected, Role::Maintainer, Scope::Write),
    (Permission::DeployProtected, Role::Maintainer, Scope::Deploy),
    (Permission::ManageSecrets, Role::Maintainer, Scope::Admin),
    (Permission::ManageMembers, Role::Maintainer, Scope::Admin),
    (Permission::ManageProject, Role::Maintainer, Scope::Admin),
    (Permission::DeleteProject, Role::Owner, Scope::Admin),
];

#[test]
fn each_role_and_scope_opens_what_the_table_says() {
    let house = House::new();
    let project = a_project(&house);
    for permission in Permission::ALL {
        let (_, least, scope) = TABLE.into_iter().find(|(listed, ..)| *listed == permission).unwrap();
        for role in ROLES {
            let expected = if role <= least { Ok(()) } else { Err(Denied::Forbidden) };
            let all = person(&*house.clock, &Scope::ALL, None);
            assert_eq!(decide(&all, &project, Some(role), permission), expected, "{role} {permission:?}");
            for narrow in Scope::ALL {
                let expected = if narrow == scope { expected } else { Err(Denied::Forbidden) };
                let token = person(&*house.clock, &[narrow], None);
                assert_eq!(
                    decide(&token, &project, Some(role), permission),
                    expected,
                    "{role} {permission:?} {narrow:?}"
                );
            }
        }
    }
}

#[test]
fn who_is_no_member_learns_nothing() {
    let house = House::new();
    let project = a_project(&house);
    let outsider = person(&*house.clock, &Scope::ALL, None);
    for permission in Permission::ALL {
        assert_eq!(decide(&outsider, &project, None, permission), Err(Denied::NotFound));
    }
}

#[test]
fn authz_038_and_050_a_token_of_one_project_does_not_see_another() {
    let house = House::new();
    let (project, other) = (a_project(&house), a_project(&house));
    let token = person(&*house.clock, &Scope::ALL, Some(&project));
    assert_eq!(decide(&token, &project, Some(Role::Owner), Permission::ReadProject), Ok(()));
    for permission in Permission::ALL {
        assert_eq!(decide(&token, &other, Some(Role::Owner), permission), Err(Denied::NotFound));
    }
    assert_eq!(token.require_platform(), Err(Denied::Forbidden));
    let admin = Principal { admin: true, ..token };
    assert_eq!(decide(&admin, &other, None, Permission::DeleteProject), Err(Denied::NotFound));
    assert_eq!(admin.require_admin(), Err(Denied::Forbidden));
}

#[test]
fn an_admin_runs_every_project_and_reads_the_code_of_none() {
    let house = House::new();
    let project = a_project(&house);
    let admin = Principal { admin: true, ..person(&*house.clock, &Scope::ALL, None) };
    assert_eq!(admin.require_admin(), Ok(()));
    for permission in Permission::ALL {
        let runs =
            matches!(permission, Permission::ManageMembers | Permission::ManageProject | Permission::DeleteProject);
        let expected = if runs { Ok(()) } else { Err(Denied::NotFound) };
        assert_eq!(decide(&admin, &project, None, permission), expected, "{permission:?}");
    }
    let read_only = Principal { scopes: Scopes::from_iter([Scope::Read]), ..admin };
    assert_eq!(decide(&read_only, &project, None, Permission::DeleteProject), Err(Denied::Forbidden));
    assert_eq!(read_only.require_admin(), Err(Denied::Forbidden));
}

#[test]
fn authz_029_only_owners_make_and_unmake_owners() {
    let house = House::new();
    let project = a_project(&house);
    let who = person(&*house.clock, &Scope::ALL, None);
    let change = |role, own, current, wanted| decide_membership(&who, &project, Some(role), own, current, wanted);
    for role in ROLES {
        let manages = if role <= Role::Maintainer { Ok(()) } else { Err(Denied::Forbidden) };
        let owns = if role == Role::Owner { Ok(()) } else { Err(Denied::Forbidden) };
        assert_eq!(change(role, false, None, Some(Role::Maintainer)), manages, "{role} adds");
        assert_eq!(change(role, false, Some(Role::Viewer), None), manages, "{role} removes");
        assert_eq!(change(role, false, Some(Role::Owner), None), owns, "{role} removes an owner");
        assert_eq!(change(role, false, Some(Role::Owner), Some(Role::Viewer)), owns, "{role} demotes an owner");
        assert_eq!(change(role, true, Some(role), Some(Role::Owner)), owns, "{role} promotes itself");
        assert_eq!(change(role, true, Some(role), None), Ok(()), "{role} leaves");
    }
}

#[tokio::test]
async fn authz_030_the_last_owner_stays() {
    let house = House::new();
    let (owner, other) = (house.person("owner@example.com").await.id, house.person("other@example.com").await.id);
    let project = a_project(&house);
    let members = house.identity.members();
    let records: &dyn cloud::Records = &house.records;
    records.transact(members.first_owner_writes(&project, &owner).unwrap()).await.unwrap();
    for role in [Role::Maintainer, Role::Viewer] {
        assert!(matches!(members.set(&project, &owner, role).await, Err(Error::Conflict(_))));
    }
    assert!(matches!(members.remove(&project, &owner).await, Err(Error::Conflict(_))));
    members.set(&project, &owner, Role::Owner).await.unwrap();
    members.set(&project, &other, Role::Owner).await.unwrap();
    members.set(&project, &owner, Role::Viewer).await.unwrap();
    assert!(matches!(members.remove(&project, &other).await, Err(Error::Conflict(_))));
    members.remove(&project, &owner).await.unwrap();
    assert!(matches!(members.remove(&project, &owner).await, Err(Error::NotFound(_))));
    assert_eq!(members.role_of(&project, &other).await.unwrap(), Some(Role::Owner));
}

#[tokio::test]
async fn of_two_last_owners_who_leave_at_once_one_stays() {
    let house = House::new();
    let (a, b) = (house.person("a@example.com").await.id, house.person("b@example.com").await.id);
    let project = a_project(&house);
    let members = house.identity.members();
    let records: &dyn cloud::Records = &house.records;
    records.transact(members.first_owner_writes(&project, &a).unwrap()).await.unwrap();
    members.set(&project, &b, Role::Owner).await.unwrap();
    // Both plans are made before either is committed.
    let plans =
        [members.remove_writes(&project, &a).await.unwrap(), members.remove_writes(&project, &b).await.unwrap()];
    let mut left = 0;
    for plan in plans {
        left += usize::from(records.transact(plan).await.is_ok());
    }
    assert_eq!(left, 1);
    assert_eq!(members.list(&project, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_removed_member_is_out_at_once_in_both_lists() {
    let house = House::new();
    let (owner, dev) = (house.person("owner@example.com").await.id, house.person("dev@example.com").await.id);
    let project = a_project(&house);
    let members = house.identity.members();
    let records: &dyn cloud::Records = &house.records;
    records.transact(members.first_owner_writes(&project, &owner).unwrap()).await.unwrap();
    members.set(&project, &dev, Role::Developer).await.unwrap();
    let mine = members.projects_of(&dev, None, 10).await.unwrap().items;
    assert_eq!((mine[0].project.clone(), mine[0].role), (project.clone(), Role::Developer));
    let first = members.list(&project, None, 1).await.unwrap();
    let after = AccountId::parse(first.next.unwrap()).unwrap();
    let second = members.list(&project, Some(&after), 1).await.unwrap();
    let mut everyone = [owner.clone(), dev.clone()];
    everyone.sort();
    assert_eq!([first.items[0].account.clone(), second.items[0].account.clone()], everyone);
    members.remove(&project, &dev).await.unwrap();
    assert_eq!(members.role_of(&project, &dev).await.unwrap(), None);
    assert!(members.projects_of(&dev, None, 10).await.unwrap().items.is_empty());
    members.clear(&project).await.unwrap();
    assert!(members.projects_of(&owner, None, 10).await.unwrap().items.is_empty());
    assert!(members.list(&project, None, 10).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn clearing_a_large_project_forgets_everyone() {
    let house = House::new();
    let project = a_project(&house);
    let members = house.identity.members();
    let accounts: Vec<AccountId> = (0..120).map(|_| AccountId::generate(&*house.clock, &SystemEntropy)).collect();
    for account in &accounts {
        members.set(&project, account, Role::Owner).await.unwrap();
    }
    members.clear(&project).await.unwrap();
    assert!(house.records.dump().is_empty());
}

#[test]
fn a_cookie_changes_things_only_from_our_own_origin() {
    let host = Some("localhost:8080");
    let table = [
        ("GET", None, None, true),
        ("POST", None, None, false),
        ("POST", Some("http://localhost:8080"), None, true),
        ("POST", Some("http://localhost:8080"), Some("same-origin"), true),
        ("PUT", None, Some("same-origin"), true),
        ("POST", None, Some("none"), true),
        ("POST", Some("http://localhost:8080"), Some("cross-site"), false),
        ("POST", Some("http://dev--shop.localhost:8080"), Some("same-site"), false),
        ("DELETE", Some("http://dev--shop.localhost:8080"), None, false),
        ("PATCH", Some("http://localhost:8081"), None, false),
        ("POST", Some("null"), None, false),
        ("POST", Some("http://localhost:8080.evil.example"), None, false),
        ("POST", Some("https://evil.example"), Some("same-origin"), false),
    ];
    for (method, origin, fetch_site, allowed) in table {
        let metadata = FetchMetadata { method, host, origin, fetch_site };
        assert_eq!(metadata.allows_cookie(), allowed, "{metadata:?}");
    }
    let nowhere = FetchMetadata { method: "POST", host: None, origin: Some("null"), fetch_site: None };
    assert!(!nowhere.allows_cookie());
}
