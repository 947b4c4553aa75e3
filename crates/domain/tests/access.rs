//! Who may see and do what; members come and go.
#![allow(clippy::unwrap_used)]

mod world;

use domain::{Caller, Error, Expected, NewProject, PageQuery, ProjectUpdate, Quotas};
use identity::{ProjectId, Role, Scope};
use world::World;

fn code(error: &Error) -> &'static str {
    match error {
        Error::NotFound(_) => "not-found",
        Error::Forbidden(_) => "forbidden",
        Error::Conflict(_) => "conflict",
        Error::Quota(_) => "quota",
        Error::Invalid { code, .. } => code.as_str(),
        Error::PreconditionFailed(_) => "precondition-failed",
        Error::PreconditionRequired(_) => "precondition-required",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn authz_001_a_project_of_others_reads_like_one_that_is_not_there() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let eve = world.person("eve").await;
    let absent = world.domain.projects.get(&eve, "nothing").await.unwrap_err().to_string();
    for name in ["shop", project.id.as_str(), "not a slug!", "", "../shop", "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        let seen = world.domain.projects.get(&eve, name).await.unwrap_err();
        assert_eq!((code(&seen), seen.to_string()), ("not-found", absent.clone()), "{name}");
    }
    assert_eq!(world.domain.projects.get(&ada, "shop").await.unwrap(), project);
    assert_eq!(world.domain.projects.get(&ada, project.id.as_str()).await.unwrap(), project);
}

#[tokio::test]
async fn authz_016_a_thing_of_another_project_is_not_found_through_ones_own() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let shop = world.project(&ada, "shop").await;
    world.project(&eve, "mine").await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let commit = world.head(&ada, &shop, "main").await;
    let digest = world.artifact(&shop).await.sha256.to_string();
    let domain = &world.domain;
    let refused = [
        domain.jobs.get(&eve, "mine", job.id.as_str()).await.unwrap_err(),
        domain.jobs.cancel(&eve, "mine", job.id.as_str()).await.unwrap_err(),
        domain.logs.job(&eve, "mine", job.id.as_str(), &Default::default()).await.unwrap_err(),
        domain.releases.artifact_url(&eve, "mine", &digest).await.unwrap_err(),
        domain.repository.file(&eve, "mine", &commit, "README.md").await.unwrap_err(),
    ];
    assert!(refused.iter().all(|error| code(error) == "not-found"), "{refused:?}");
}

#[tokio::test]
async fn authz_017_a_commit_of_another_repository_is_not_found() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let shop = world.project(&ada, "shop").await;
    world.project(&eve, "mine").await;
    let new = domain::NewCommit {
        branch: "main".into(),
        expected_head: Some(world.head(&ada, &shop, "main").await),
        message: "secret".into(),
        changes: vec![domain::Change::Put { path: "secret".into(), bytes: "x".into(), executable: None }],
        ..Default::default()
    };
    let commit = world.domain.commits.create(&ada, "shop", new).await.unwrap().oid.to_string();
    let read = world.domain.repository.file(&eve, "mine", &commit, "secret").await.unwrap_err();
    assert_eq!(code(&read), "not-found");
    let built = world.domain.jobs.build(&eve, "mine", Some(&commit)).await.unwrap_err();
    assert_eq!(code(&built), "not-found");
    let publish = domain::Publish::Reference(commit);
    let deployed = world.domain.environments.publish(&eve, "mine", "dev", publish).await.unwrap_err();
    assert_eq!(code(&deployed), "not-found");
}

#[tokio::test]
async fn authz_021_roles_do_what_they_may_and_no_more() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let viewer = world.member(&ada, &shop, "vic", Role::Viewer).await;
    let developer = world.member(&ada, &shop, "dev", Role::Developer).await;
    let domain = &world.domain;
    domain.repository.branches(&viewer, "shop", &PageQuery::default()).await.unwrap();
    assert_eq!(code(&domain.jobs.build(&viewer, "shop", None).await.unwrap_err()), "forbidden");
    assert_eq!(code(&domain.repository.create_branch(&viewer, "shop", "x", "main").await.unwrap_err()), "forbidden");
    domain.jobs.build(&developer, "shop", None).await.unwrap();
    domain.repository.create_branch(&developer, "shop", "feature/x", "main").await.unwrap();
    let publish = || domain::Publish::Reference("main".into());
    domain.environments.publish(&developer, "shop", "dev", publish()).await.unwrap();
    let prod = domain.environments.publish(&developer, "shop", "prod", publish()).await.unwrap_err();
    assert_eq!(code(&prod), "forbidden");
    let tag = Expected::Tag(shop.etag.clone());
    assert_eq!(code(&domain.projects.delete(&developer, "shop", &tag).await.unwrap_err()), "forbidden");
    let promoted = domain.members.set(&developer, "shop", "vic@example.com", Role::Owner, &Expected::Unsaid).await;
    assert_eq!(code(&promoted.unwrap_err()), "forbidden");
}

#[tokio::test]
async fn protected_branches_are_moved_by_maintainers_alone() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let developer = world.member(&ada, &shop, "dev", Role::Developer).await;
    let update = ProjectUpdate { protected_branches: Some(vec!["main".into()]), ..Default::default() };
    world.domain.projects.update(&ada, "shop", &Expected::Tag(shop.etag.clone()), update).await.unwrap();
    let commit = async |caller: &Caller| {
        let new = domain::NewCommit {
            branch: "main".into(),
            expected_head: Some(world.head(&ada, &shop, "main").await),
            message: "change".into(),
            changes: vec![domain::Change::Put {
                path: "a".into(),
                bytes: world.entropy.bytes::<8>().to_vec().into(),
                executable: None,
            }],
            ..Default::default()
        };
        world.domain.commits.create(caller, "shop", new).await
    };
    assert_eq!(code(&commit(&developer).await.unwrap_err()), "forbidden");
    commit(&ada).await.unwrap();
    let gone = world.domain.repository.delete_branch(&ada, "shop", "main", None).await.unwrap_err();
    assert_eq!(code(&gone), "forbidden");
}

#[tokio::test]
async fn authz_029_030_the_last_owner_stays_and_only_owners_touch_owners() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let maintainer = world.member(&ada, &shop, "max", Role::Maintainer).await;
    let owner = ada.principal.account.as_str();
    let members = &world.domain.members;
    assert_eq!(code(&members.remove(&maintainer, "shop", owner).await.unwrap_err()), "forbidden");
    assert_eq!(code(&members.remove(&ada, "shop", owner).await.unwrap_err()), "conflict");
    let demoted = members.set(&ada, "shop", owner, Role::Viewer, &Expected::Unsaid).await;
    assert_eq!(code(&demoted.unwrap_err()), "conflict");
    members.set(&ada, "shop", "max@example.com", Role::Owner, &Expected::Unsaid).await.unwrap();
    members.remove(&ada, "shop", owner).await.unwrap();
    assert_eq!(code(&world.domain.projects.get(&ada, "shop").await.unwrap_err()), "not-found");
}

#[tokio::test]
async fn a_removed_member_is_out_with_the_next_call() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let developer = world.member(&ada, &shop, "dev", Role::Developer).await;
    world.domain.jobs.build(&developer, "shop", None).await.unwrap();
    world.domain.members.remove(&ada, "shop", "dev@example.com").await.unwrap();
    assert_eq!(code(&world.domain.jobs.build(&developer, "shop", None).await.unwrap_err()), "not-found");
    let again = world.domain.members.remove(&ada, "shop", "dev@example.com").await.unwrap_err();
    assert_eq!(code(&again), "not-found");
}

#[tokio::test]
async fn authz_038_a_token_of_one_project_is_blind_to_another() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    world.project(&ada, "other").await;
    let mut token = ada.clone();
    token.principal.project = Some(shop.id.clone());
    token.principal.scopes = [Scope::Read].into_iter().collect();
    world.domain.projects.get(&token, "shop").await.unwrap();
    assert_eq!(code(&world.domain.projects.get(&token, "other").await.unwrap_err()), "not-found");
    let listed = world.domain.projects.list(&token, &PageQuery::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(code(&world.domain.jobs.build(&token, "shop", None).await.unwrap_err()), "forbidden");
    let new = NewProject { name: "n".into(), slug: "nn".into(), ..Default::default() };
    assert_eq!(code(&world.domain.projects.create(&token, new).await.unwrap_err()), "forbidden");
}

#[tokio::test]
async fn authz_045_a_forged_cursor_leads_nowhere() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    for cursor in ["event#1", "project#x", "../x", "' OR begins_with(pk,'TEAM')", "01ARZ3NDEKTSV4RRFFQ69G5FAV#"] {
        let query = PageQuery { after: Some(cursor.into()), limit: None };
        let refused = [
            world.domain.jobs.list(&ada, "shop", &query).await.err(),
            world.domain.releases.list(&ada, "shop", &query).await.err(),
            world.domain.files.list(&ada, "shop", &query).await.err(),
            world.domain.members.list(&ada, "shop", &query).await.err(),
            world.domain.projects.list(&ada, &query).await.err(),
            world.domain.events.list(&ada, "shop", &query).await.err(),
        ];
        for error in refused {
            assert_eq!(code(&error.unwrap()), "invalid-cursor", "{cursor}");
        }
    }
    let foreign = PageQuery { after: Some(ProjectId::parse(shop.id.as_str()).unwrap().to_string()), limit: None };
    assert!(world.domain.jobs.list(&ada, "shop", &foreign).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn authz_050_a_slug_that_is_used_again_opens_nothing_of_before() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let shop = world.project(&ada, "shop").await;
    world.deploy(&ada, &shop, "dev").await;
    assert_eq!(world.stacks.names(), ["shop--dev"]);
    let job = world.domain.projects.delete(&ada, "shop", &Expected::Tag(shop.etag.clone())).await.unwrap();
    assert_eq!(code(&world.domain.projects.get(&ada, "shop").await.unwrap_err()), "not-found");
    let taken = NewProject { name: "x".into(), slug: "shop".into(), ..Default::default() };
    assert_eq!(code(&world.domain.projects.create(&eve, taken.clone()).await.unwrap_err()), "conflict");

    let lease = world.start(&job).await;
    let done = world.domain.perform(&job, &lease).await.unwrap().unwrap();
    assert_eq!(done.state, domain::JobState::Succeeded);
    assert!(world.stacks.names().is_empty());
    assert!(world.blobs.keys().is_empty(), "{:?}", world.blobs.keys());
    let second = world.domain.projects.create(&eve, taken).await.unwrap();
    assert_ne!(second.id, shop.id);
    assert_eq!(code(&world.domain.projects.get(&ada, "shop").await.unwrap_err()), "not-found");
}

#[tokio::test]
async fn a_slug_is_won_once_and_the_loser_leaves_no_repository() {
    let world = World::new();
    let ada = world.person("ada").await;
    let new =
        || NewProject { name: "n".into(), slug: "shop".into(), starter: Some("plain".into()), ..Default::default() };
    let made = futures::future::join_all((0..4).map(|_| world.domain.projects.create(&ada, new()))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    let listed = world.domain.projects.list(&ada, &PageQuery::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let repositories = world.records.dump().into_iter().filter(|r| r.key.partition.starts_with("repository#"));
    assert!(repositories.count() <= 1);
}

#[tokio::test]
async fn projects_are_bounded_and_their_texts_checked() {
    let world = World::with(Quotas { projects_per_account: 1, ..Quotas::default() });
    let ada = world.person("ada").await;
    let new = |name: &str, slug: &str, starter: Option<&str>| NewProject {
        name: name.into(),
        slug: slug.into(),
        starter: starter.map(Into::into),
        ..Default::default()
    };
    for (name, slug, starter) in [("", "ab", None), ("a\u{0}", "ab", None), ("a", "A", None), ("a", "a--b", None)] {
        let refused = world.domain.projects.create(&ada, new(name, slug, starter)).await.unwrap_err();
        assert_eq!(code(&refused), "validation", "{name} {slug}");
    }
    for starter in ["nothing", "../starters/plain", "", "."] {
        let refused = world.domain.projects.create(&ada, new("a", "ab", Some(starter))).await.unwrap_err();
        assert_eq!(code(&refused), "validation", "{starter}");
    }
    world.project(&ada, "shop").await;
    assert_eq!(code(&world.domain.projects.create(&ada, new("a", "ab", None)).await.unwrap_err()), "quota");
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let update = || ProjectUpdate { name: Some("Shop".into()), ..Default::default() };
    let projects = &world.domain.projects;
    let unsaid = projects.update(&ada, "shop", &Expected::Unsaid, update()).await.unwrap_err();
    assert_eq!(code(&unsaid), "precondition-required");
    let changed = projects.update(&ada, "shop", &Expected::Tag(shop.etag.clone()), update()).await.unwrap();
    assert_eq!(changed.name, "Shop");
    let stale = projects.update(&ada, "shop", &Expected::Tag(shop.etag), update()).await.unwrap_err();
    assert_eq!(code(&stale), "precondition-failed");
}
