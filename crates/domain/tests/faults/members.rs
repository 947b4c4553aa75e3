use domain::{Expected, PageQuery};
use identity::Role;
use serde_json::json;

use crate::house::{Trial, at_every_call};

/// Sets a role at every call, from `was`, and looks at everything that tells of it.
async fn role_is_set(at: &Trial<'_>, was: Option<Role>, role: Role, who: &str) {
    let project = at.empty_project().await;
    let slug = project.slug.as_str();
    let sound = &at.world.domain;
    if let Some(was) = was {
        sound.members.set(&at.ada, slug, who, was, &Expected::Unsaid).await.unwrap();
    }
    let before = at.told(&project).len();
    let done = at.strike(at.shaky.members.set(&at.ada, slug, who, role, &Expected::Unsaid)).await;
    let roles = async || {
        let members = sound.members.list(&at.ada, slug, &PageQuery::default()).await.unwrap().items;
        members.into_iter().find(|member| member.account.as_str() == who)
    };
    if let Some((member, _)) = done {
        assert_eq!(roles().await, Some(member));
    } else {
        let now = roles().await.map(|member| member.role);
        let told = at.told(&project).len() > before;
        assert_eq!(now, if told { Some(role) } else { was }, "the role and its event go together");
    }
    sound.members.set(&at.ada, slug, who, role, &Expected::Unsaid).await.unwrap();
    assert_eq!(roles().await.map(|member| member.role), Some(role));
    let events = at.events(&project);
    assert_eq!(events.len(), before + 1, "set once, told once");
    let detail = &events[before]["detail"];
    assert_eq!((&detail["account"], &detail["role"], &detail["was"]), (&json!(who), &json!(role), &json!(was)));
    let owners = at.world.records.dump();
    let owners = owners.iter().find(|r| r.key.partition == format!("project#{}", project.id) && r.key.sort == "owners");
    assert_eq!(owners.unwrap().value["count"], if role == Role::Owner { 2 } else { 1 });
    // As the person itself sees it.
    let own = at.world.identity.members().projects_of(&identity::AccountId::parse(who).unwrap(), None, 100).await;
    let own = own.unwrap().items.into_iter().find(|membership| membership.project == project.id);
    assert_eq!(own.map(|membership| membership.role), Some(role));
}

#[tokio::test]
async fn a_member_is_added_and_told_of_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let bob = at.world.person(&format!("bob{}", at.name())).await.principal.account;
        role_is_set(at, None, Role::Developer, bob.as_str()).await;
    })
    .await;
}

#[tokio::test]
async fn an_owner_is_made_and_counted_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let bob = at.world.person(&format!("bob{}", at.name())).await.principal.account;
        role_is_set(at, Some(Role::Viewer), Role::Owner, bob.as_str()).await;
    })
    .await;
}

#[tokio::test]
async fn a_member_is_removed_and_told_of_or_stays() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.empty_project().await;
        let bob = at.world.member(&at.ada, &project, &format!("bob{}", at.name()), Role::Viewer).await;
        let (slug, who) = (project.slug.as_str(), bob.principal.account.as_str());
        let gone = at.strike(at.shaky.members.remove(&at.ada, slug, who)).await;
        let told = at.told(&project).contains(&"member.removed".to_owned());
        let out = at.world.domain.projects.get(&bob, slug).await.is_err();
        assert_eq!(out, told);
        assert!(gone.is_none() || out);
        let again = at.world.domain.members.remove(&at.ada, slug, who).await;
        assert!(if out { matches!(again, Err(domain::Error::NotFound("member"))) } else { again.is_ok() });
        assert_eq!(at.told(&project), ["project.created", "member.set", "member.removed"]);
    })
    .await;
}
