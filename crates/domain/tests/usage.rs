//! What projects use and may use, who did what, and the jobs of all projects.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use domain::{
    AuditQuery, Caller, Change, Error, Expected, JobState, NewCommit, NewMerge, NewPick, NewUpload, PageQuery, Project,
    QuotaUpdate, SaveDraft, TagFor,
};
use identity::{ProjectId, Role};
use world::World;

async fn admin(world: &World) -> Caller {
    let mut admin = world.person("root").await;
    admin.principal.admin = true;
    admin
}

async fn shop() -> (World, Caller, Caller, Project) {
    let world = World::new();
    let (root, ada) = (admin(&world).await, world.person("ada").await);
    let project = world.project(&ada, "shop").await;
    (world, root, ada, project)
}

fn set(storage_bytes: Option<u64>, job_minutes: Option<u64>, open_jobs: Option<u64>) -> QuotaUpdate {
    QuotaUpdate { storage_bytes, job_minutes, open_jobs }
}

async fn quota(world: &World, root: &Caller, update: QuotaUpdate) {
    world.domain.usage.set_quota(root, "shop", &Expected::Unsaid, update).await.unwrap();
}

fn upload(length: u64) -> NewUpload {
    NewUpload { path: "a.bin".into(), length, content_type: "text/plain".into(), sha256: "0".repeat(64) }
}

/// The feed's consumer, as it copies audit entries into the platform's list.
async fn feed(world: &World) {
    for record in world.records.dump() {
        if let (Some(project), true) =
            (record.key.partition.strip_prefix("project#"), record.key.sort.starts_with("audit#"))
        {
            let project = ProjectId::parse(project).unwrap();
            for _ in 0..2 {
                world.domain.audit.list_entry(&project, &record.value).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_a_project_uses_is_counted_where_it_changes() {
    let (world, root, ada, _) = shop().await;
    let before = world.domain.usage.get(&ada, "shop", None).await.unwrap();
    assert!(before.repository_bytes > 0 && before.members == 1, "{before:?}");
    assert_eq!((before.files_bytes, before.artifacts_bytes, before.job_ms, before.jobs), (0, 0, 0, 0));
    world.domain.files.create_upload(&ada, "shop", upload(1000)).await.unwrap();
    for _ in 0..2 {
        let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
        let lease = world.start(&job).await;
        world.clock.advance(Duration::from_millis(1500));
        let project = world.domain.projects.get(&ada, "shop").await.unwrap();
        let artifact = world.artifact(&project).await;
        let build = domain::Build { artifacts: vec![artifact.clone(), artifact], ..Default::default() };
        world.domain.releases.remember_build(&lease, "0", &build).await.unwrap();
        world.succeed(&lease).await;
    }
    let waiting = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    world.domain.jobs.cancel(&ada, "shop", waiting.id.as_str()).await.unwrap();
    let after = world.domain.usage.get(&root, "shop", None).await.unwrap();
    assert_eq!((after.files_bytes, after.artifacts_bytes), (1000, 3), "the same bytes count once");
    assert_eq!((after.job_ms, after.jobs), (3000, 3));
    let other = world.domain.usage.get(&ada, "shop", Some("1999-01")).await.unwrap();
    assert_eq!((other.job_ms, other.jobs, other.files_bytes), (0, 0, 1000));
    for bad in ["", "2026-13", "x"] {
        let refused = world.domain.usage.get(&ada, "shop", Some(bad)).await;
        assert!(matches!(refused, Err(Error::Invalid { field: Some("month"), .. })), "{bad}");
    }
    world.project(&ada, "other").await;
    let all = world.domain.usage.list(&root, None, &PageQuery { after: None, limit: Some(1) }).await.unwrap();
    assert_eq!((all.items.len(), all.next.is_some()), (1, true));
    assert!(matches!(world.domain.usage.list(&ada, None, &PageQuery::default()).await, Err(Error::Forbidden(_))));
    let eve = world.person("eve").await;
    assert!(matches!(world.domain.usage.get(&eve, "shop", None).await, Err(Error::NotFound("project"))));
}

#[tokio::test]
async fn storage_that_is_used_up_takes_nothing_more() {
    let (world, root, ada, project) = shop().await;
    let used = world.domain.usage.get(&ada, "shop", None).await.unwrap().repository_bytes;
    quota(&world, &root, set(Some(used + 10), None, None)).await;
    let over = world.domain.files.create_upload(&ada, "shop", upload(11)).await;
    assert!(matches!(over, Err(Error::Quota(_))), "{over:?}");
    world.domain.files.create_upload(&ada, "shop", upload(10)).await.unwrap();
    let commit = NewCommit {
        branch: "main".into(),
        expected_head: Some(world.head(&ada, &project, "main").await),
        message: "more".into(),
        changes: vec![Change::Delete { path: "README.md".into() }],
        ..Default::default()
    };
    let full = world.domain.commits.create(&ada, "shop", commit.clone()).await;
    assert!(matches!(&full, Err(Error::Quota(text)) if text.contains("storage is used up")), "{full:?}");
    assert!(matches!(world.domain.usage.refuse_full(&project.id).await, Err(Error::Quota(_))));
    quota(&world, &root, set(None, None, None)).await;
    world.domain.commits.create(&ada, "shop", commit).await.unwrap();
}

#[tokio::test]
async fn whatever_makes_objects_or_refs_is_over_the_quota_of_a_full_project_and_removing_is_not() {
    let (world, root, ada, project) = shop().await;
    let base = world.head(&ada, &project, "main").await;
    let commit = |branch: &str, head: &str, path: &str| NewCommit {
        branch: branch.into(),
        expected_head: Some(head.into()),
        message: "more".into(),
        changes: vec![Change::Put { path: path.into(), bytes: "text".into(), executable: None }],
        ..NewCommit::default()
    };
    world.domain.repository.create_branch(&ada, "shop", "side", "main").await.unwrap();
    let side = world.domain.commits.create(&ada, "shop", commit("side", &base, "side.txt")).await.unwrap();
    let main = world.domain.commits.create(&ada, "shop", commit("main", &base, "main.txt")).await.unwrap();
    let (side, main) = (side.oid.to_string(), main.oid.to_string());
    let draft =
        SaveDraft { branch: "main".into(), path: "draft.txt".into(), bytes: "x".into(), ..SaveDraft::default() };
    world.domain.drafts.save(&ada, "shop", &Expected::Absent, draft).await.unwrap();
    quota(&world, &root, set(Some(1), None, None)).await;
    let amend = NewCommit { amend: Some(side.clone()), ..commit("side", &side, "other.txt") };
    let drafted = NewCommit { drafts: vec!["draft.txt".into()], changes: Vec::new(), ..commit("main", &main, "x") };
    for (case, new) in [("amend", amend), ("drafts", drafted), ("commit", commit("main", &main, "x"))] {
        let refused = world.domain.commits.create(&ada, "shop", new).await;
        assert!(matches!(refused, Err(Error::Quota(_))), "{case}: {refused:?}");
    }
    let merge = NewMerge { into: "main".into(), from: "side".into(), ..NewMerge::default() };
    let refused = world.domain.merges.merge(&ada, "shop", merge).await;
    assert!(matches!(refused, Err(Error::Quota(_))), "merge: {refused:?}");
    for revert in [false, true] {
        let commit = if revert { main.clone() } else { side.clone() };
        let pick = NewPick { commit, onto: "main".into(), revert, ..NewPick::default() };
        let refused = world.domain.merges.pick(&ada, "shop", pick).await;
        assert!(matches!(refused, Err(Error::Quota(_))), "revert {revert}: {refused:?}");
    }
    for message in [None, Some("first".to_owned())] {
        let tag = TagFor { name: "v1".into(), target: "main".into(), message };
        let refused = world.domain.repository.create_tag(&ada, "shop", tag).await;
        assert!(matches!(refused, Err(Error::Quota(_))), "tag: {refused:?}");
    }
    let refused = world.domain.repository.create_branch(&ada, "shop", "more", "main").await;
    assert!(matches!(refused, Err(Error::Quota(_))), "branch: {refused:?}");
    world.domain.repository.delete_branch(&ada, "shop", "side", None).await.unwrap();
    assert_eq!(world.head(&ada, &project, "main").await, main);
}

#[tokio::test]
async fn jobs_that_are_used_up_are_not_started() {
    let (world, root, ada, _) = shop().await;
    quota(&world, &root, set(None, Some(2), Some(1))).await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    assert!(matches!(world.domain.jobs.build(&ada, "shop", None).await, Err(Error::Quota(_))), "one is open");
    let lease = world.start(&job).await;
    world.clock.advance(Duration::from_secs(119));
    world.domain.jobs.heartbeat(&lease).await.unwrap();
    world.succeed(&lease).await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let lease = world.start(&job).await;
    world.clock.advance(Duration::from_secs(1));
    world.succeed(&lease).await;
    let over = world.domain.jobs.build(&ada, "shop", None).await;
    assert!(matches!(over, Err(Error::Quota(_))), "two minutes are used: {over:?}");
    world.clock.advance(Duration::from_secs(31 * 24 * 3600));
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
}

#[tokio::test]
async fn quotas_are_set_by_admins_within_bounds_and_told() {
    let (world, root, ada, project) = shop().await;
    let usual = world.domain.usage.quota(&ada, "shop").await.unwrap();
    assert_eq!(usual.set, QuotaUpdate::default());
    let refused = world.domain.usage.set_quota(&ada, "shop", &Expected::Unsaid, set(None, Some(1), None)).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    let most = set(Some(u64::MAX), None, None);
    let refused = world.domain.usage.set_quota(&root, "shop", &Expected::Unsaid, most).await;
    assert!(matches!(refused, Err(Error::Invalid { field: Some("storage_bytes"), .. })), "{refused:?}");
    let tag = Expected::Tag(usual.etag.clone());
    let made = world.domain.usage.set_quota(&root, "shop", &tag, set(None, Some(7), None)).await.unwrap();
    assert_eq!((made.job_minutes, made.storage_bytes), (7, usual.storage_bytes));
    let stale = world.domain.usage.set_quota(&root, "shop", &tag, set(None, None, None)).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed(_))), "{stale:?}");
    let entries = world.domain.audit.of_project(&ada, project.slug.as_str(), &AuditQuery::default()).await.unwrap();
    let told = entries.items.iter().find(|entry| entry.kind == "quota.set").unwrap();
    assert_eq!((told.actor_name.as_deref(), &told.detail["job_minutes"]), (Some("root"), &serde_json::json!(7)));
}

#[tokio::test]
async fn the_trail_is_read_newest_first_in_pages_and_by_filter() {
    let (world, root, ada, project) = shop().await;
    for name in ["bea", "dev", "eve"] {
        world.clock.advance(Duration::from_secs(20 * 24 * 3600));
        world.member(&ada, &project, name, Role::Viewer).await;
    }
    feed(&world).await;
    let viewer = world.member(&ada, &project, "vic", Role::Viewer).await;
    let read = async |own: bool, kind: Option<&str>, actor: Option<&str>, limit: usize| {
        let mut query = AuditQuery { kind: kind.map(Into::into), actor: actor.map(Into::into), ..Default::default() };
        query.page.limit = Some(limit);
        let mut found = Vec::new();
        loop {
            let page = match own {
                true => world.domain.audit.of_project(&ada, "shop", &query).await.unwrap(),
                false => world.domain.audit.list(&root, &query).await.unwrap(),
            };
            found.extend(page.items);
            let Some(next) = page.next else { return found };
            query.page.after = Some(next);
            assert!(found.len() < 100);
        }
    };
    for limit in [1, 2, 50] {
        for own in [true, false] {
            let all = read(own, None, None, limit).await;
            assert!(all.windows(2).all(|pair| pair[0].time >= pair[1].time), "newest first");
            assert_eq!(all.last().unwrap().kind, "project.created");
            let sets = read(own, Some("member.set"), None, limit).await;
            assert_eq!(sets.len(), if own { 4 } else { 3 });
            assert!(sets.iter().all(|entry| entry.project.as_ref() == Some(&project.id)));
            assert!(read(own, None, Some("nobody"), limit).await.is_empty());
        }
    }
    let of_one = AuditQuery { project: Some("shop".into()), ..Default::default() };
    assert_eq!(world.domain.audit.list(&root, &of_one).await.unwrap().items.len(), 5);
    for cursor in ["x", "2026-13#", "2026-01#x", "#"] {
        let mut query = AuditQuery::default();
        query.page.after = Some(cursor.into());
        assert!(matches!(world.domain.audit.list(&root, &query).await, Err(Error::Invalid { .. })), "{cursor}");
    }
    let query = AuditQuery::default();
    assert!(matches!(world.domain.audit.list(&ada, &query).await, Err(Error::Forbidden(_))));
    assert!(matches!(world.domain.audit.of_project(&viewer, "shop", &query).await, Err(Error::Forbidden(_))));
    let nobody = world.person("mallory").await;
    assert!(matches!(world.domain.audit.of_project(&nobody, "shop", &query).await, Err(Error::NotFound("project"))));
}

#[tokio::test]
async fn admins_see_the_jobs_and_the_projects_of_everyone() {
    let (world, root, ada, _) = shop().await;
    world.clock.advance(Duration::from_millis(5));
    world.project(&ada, "tools").await;
    let mut jobs = Vec::new();
    for slug in ["shop", "tools", "shop"] {
        world.clock.advance(Duration::from_millis(5));
        jobs.push(world.domain.jobs.build(&ada, slug, None).await.unwrap());
    }
    world.domain.jobs.cancel(&ada, "shop", jobs[0].id.as_str()).await.unwrap();
    let list = async |state: Option<JobState>, project: Option<&str>, limit: usize| {
        let mut query = PageQuery { after: None, limit: Some(limit) };
        let mut found = Vec::new();
        loop {
            let page = world.domain.jobs.list_all(&root, state, project, &query).await.unwrap();
            found.extend(page.items.into_iter().map(|job| job.id));
            let Some(next) = page.next else { return found };
            query.after = Some(next);
        }
    };
    let [first, second, third] = [0, 1, 2].map(|n| jobs[n].id.clone());
    for limit in [1, 50] {
        assert_eq!(list(None, None, limit).await, [third.clone(), second.clone(), first.clone()]);
        assert_eq!(list(Some(JobState::Cancelled), None, limit).await, std::slice::from_ref(&first));
        assert_eq!(list(None, Some("tools"), limit).await, std::slice::from_ref(&second));
    }
    assert!(matches!(
        world.domain.jobs.list_all(&ada, None, None, &PageQuery::default()).await,
        Err(Error::Forbidden(_))
    ));
    let found = world.domain.projects.search(&root, "", true, &PageQuery::default()).await.unwrap();
    let slugs: Vec<(&str, bool)> = found.items.iter().map(|(p, role)| (p.slug.as_str(), role.is_some())).collect();
    assert_eq!(slugs, [("shop", false), ("tools", false)]);
    let found = world.domain.projects.search(&ada, "OOL", false, &PageQuery::default()).await.unwrap();
    assert_eq!(found.items.iter().map(|(p, _)| p.slug.as_str()).collect::<Vec<_>>(), ["tools"]);
    let refused = world.domain.projects.search(&ada, "", true, &PageQuery::default()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
}
