//! Deploy targets: defined, bound, reached, let go.
#![allow(clippy::unwrap_used)]

mod world;

use cloud::{RangeQuery, Records};
use domain::{Caller, Error, Expected, JobState, Outcome, PageQuery, Publish, Started, TargetSettings, TargetUpdate};
use identity::Role;
use serde_json::{Value, json};
use world::World;

fn settings() -> TargetSettings {
    TargetSettings {
        role_arn: "arn:aws:iam::123456789012:role/workroom-deploy".into(),
        region: "eu-central-1".into(),
        permissions_boundary: "arn:aws:iam::123456789012:policy/apps".into(),
        bucket: "packages-123456789012".into(),
        ..TargetSettings::default()
    }
}

async fn admin(world: &World) -> Caller {
    let mut admin = world.person("root").await;
    admin.principal.admin = true;
    admin
}

#[tokio::test]
async fn a_target_is_defined_with_an_external_id_of_ours() {
    let world = World::new();
    let root = admin(&world).await;
    let targets = &world.domain.targets;
    let made = targets.create(&root, "customer", settings()).await.unwrap();
    let other = targets.create(&root, "other", settings()).await.unwrap();
    assert!(made.external_id.len() >= 32 && made.external_id != other.external_id, "{}", made.external_id);
    assert_eq!(targets.get(&root, "customer").await.unwrap(), made);
    let page = targets.list(&root, &PageQuery { limit: Some(1), ..PageQuery::default() }).await.unwrap();
    assert_eq!((page.items.len(), page.next.as_deref()), (1, Some("customer")));
    let page = targets.list(&root, &PageQuery { after: page.next, ..PageQuery::default() }).await.unwrap();
    assert_eq!(page.items, [other]);

    assert!(matches!(targets.create(&root, "customer", settings()).await, Err(Error::Conflict(_))));
    for name in ["default", "", "A", "a--b", "a/b"] {
        let refused = targets.create(&root, name, settings()).await;
        assert!(matches!(refused, Err(Error::Invalid { field: Some("name"), .. })), "{name}: {refused:?}");
    }
    let odd = TargetSettings { projects: vec!["nobody".into()], ..settings() };
    assert!(matches!(targets.create(&root, "x", odd).await, Err(Error::Invalid { field: Some("projects"), .. })));
}

#[tokio::test]
async fn only_a_platform_admin_defines_and_binds() {
    let world = World::new();
    let (root, ada) = (admin(&world).await, world.person("ada").await);
    let project = world.project(&ada, "shop").await;
    let mia = world.member(&ada, &project, "mia", Role::Maintainer).await;
    let targets = &world.domain.targets;
    let made = targets.create(&root, "customer", settings()).await.unwrap();
    let mut scoped = root.clone();
    scoped.principal.project = Some(project.id.clone());
    let tag = Expected::Tag(made.etag.clone());
    for caller in [&ada, &mia, &scoped] {
        assert!(matches!(targets.create(caller, "x", settings()).await, Err(Error::Forbidden(_))));
        assert!(matches!(targets.list(caller, &PageQuery::default()).await, Err(Error::Forbidden(_))));
        assert!(matches!(targets.get(caller, "customer").await, Err(Error::Forbidden(_))));
        assert!(matches!(targets.get(caller, "absent").await, Err(Error::Forbidden(_))));
        assert!(matches!(
            targets.update(caller, "customer", TargetUpdate::default(), &tag).await,
            Err(Error::Forbidden(_))
        ));
        assert!(matches!(targets.delete(caller, "customer", &tag).await, Err(Error::Forbidden(_))));
        let bound = targets.bind(caller, "shop", "dev", Some("customer"), &Expected::Absent).await;
        // An admin whose token is no admin's does not see a project of others.
        let sees = caller.principal.account != root.principal.account;
        assert!(if sees {
            matches!(bound, Err(Error::Forbidden(_)))
        } else {
            matches!(bound, Err(Error::NotFound(_)))
        });
    }
    assert!(matches!(targets.get(&root, "absent").await, Err(Error::NotFound("target"))));
}

#[tokio::test]
async fn a_change_names_the_version_and_is_written_with_its_event_and_audit_entry() {
    let world = World::new();
    let root = admin(&world).await;
    let targets = &world.domain.targets;
    let made = targets.create(&root, "customer", settings()).await.unwrap();
    let change =
        || TargetUpdate { resource_types: Some(vec!["AWS::Batch::JobQueue".into()]), ..TargetUpdate::default() };
    assert!(matches!(
        targets.update(&root, "customer", change(), &Expected::Unsaid).await,
        Err(Error::PreconditionRequired(_))
    ));
    let stale = Expected::Tag("000000000000".into());
    assert!(matches!(targets.update(&root, "customer", change(), &stale).await, Err(Error::PreconditionFailed(_))));
    let changed = targets.update(&root, "customer", change(), &Expected::Tag(made.etag.clone())).await.unwrap();
    assert_eq!(changed.settings.resource_types, ["AWS::Batch::JobQueue"]);
    assert_eq!((&changed.settings.role_arn, &changed.external_id), (&made.settings.role_arn, &made.external_id));
    assert_ne!(changed.etag, made.etag);
    let bad = TargetUpdate { region: Some("moon".into()), ..TargetUpdate::default() };
    let refused = targets.update(&root, "customer", bad, &Expected::Present).await;
    assert!(matches!(refused, Err(Error::Invalid { field: Some("region"), .. })));
    targets.delete(&root, "customer", &Expected::Tag(changed.etag)).await.unwrap();

    let range = |prefix: &str| RangeQuery {
        partition: "project#00000000000000000000000000".into(),
        prefix: prefix.into(),
        limit: 100,
        ..RangeQuery::default()
    };
    let events = world.records.query(range("event#")).await.unwrap().records;
    let kinds: Vec<&str> = events.iter().map(|event| event.value["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["target.created", "target.updated", "target.deleted"]);
    assert_eq!(world.records.query(range("audit#")).await.unwrap().records.len(), 3);
    assert!(events.iter().all(|event| !event.value.to_string().contains(&made.external_id)));
}

#[tokio::test]
async fn a_bound_environment_is_deployed_there_and_nowhere_else() {
    let world = World::new();
    let (root, ada) = (admin(&world).await, world.person("ada").await);
    let project = world.project(&ada, "shop").await;
    let targets = &world.domain.targets;
    targets.create(&root, "customer", settings()).await.unwrap();
    let bound = targets.bind(&root, "shop", "dev", Some("customer"), &Expected::Absent).await.unwrap();
    assert_eq!(bound.target.as_ref().unwrap().as_str(), "customer");
    assert_eq!(bound.release, None);

    world.deploy(&ada, &project, "dev").await;
    let (reached, there) = world.stacks.target("customer");
    assert_eq!(there.names(), ["shop--dev"]);
    assert!(world.stacks.names().is_empty());
    assert_eq!(reached.session_tags["project"], "shop");
    assert_eq!(reached.session_tags["environment"], "dev");
    let made = targets.get(&root, "customer").await.unwrap();
    assert_eq!(reached.external_id, made.external_id);
    // What runs there is read there.
    assert_eq!(world.domain.environments.functions(&ada, "shop", "dev").await.unwrap().len(), 1);

    // It stays where it is, and the target stays under it.
    let now = world.domain.environments.get(&ada, "shop", "dev").await.unwrap();
    let moved = targets.bind(&root, "shop", "dev", None, &Expected::Tag(now.etag.clone())).await;
    assert!(matches!(moved, Err(Error::Conflict(_))), "{moved:?}");
    assert!(matches!(targets.delete(&root, "customer", &Expected::Present).await, Err(Error::Conflict(_))));
    let away = TargetUpdate { region: Some("us-east-1".into()), ..TargetUpdate::default() };
    assert!(matches!(targets.update(&root, "customer", away, &Expected::Present).await, Err(Error::Conflict(_))));
    let wider = TargetUpdate { managed_policies: Some(Vec::new()), ..TargetUpdate::default() };
    targets.update(&root, "customer", wider, &Expected::Present).await.unwrap();

    // Removed, it is gone there, and the target is free.
    let removal = world.domain.environments.remove(&ada, "shop", "dev", &Expected::Tag(now.etag)).await.unwrap();
    let lease = world.start(&removal).await;
    let done = world.domain.perform(&removal, &lease).await.unwrap().unwrap();
    assert_eq!(done.state, JobState::Succeeded);
    assert!(there.names().is_empty());
    targets.delete(&root, "customer", &Expected::Present).await.unwrap();
}

#[tokio::test]
async fn a_target_is_for_the_projects_and_environments_that_it_names() {
    let world = World::new();
    let (root, ada) = (admin(&world).await, world.person("ada").await);
    world.project(&ada, "shop").await;
    world.project(&ada, "blog").await;
    let targets = &world.domain.targets;
    let narrow = TargetSettings { projects: vec!["shop".into()], environments: vec!["prod".into()], ..settings() };
    let made = targets.create(&root, "customer", narrow).await.unwrap();
    assert_eq!(made.settings.projects[0].len(), 26, "kept by id: a slug may become another project's");
    for (project, environment) in [("shop", "dev"), ("blog", "prod")] {
        let refused = targets.bind(&root, project, environment, Some("customer"), &Expected::Absent).await;
        assert!(matches!(refused, Err(Error::Invalid { field: Some("target"), .. })), "{project}/{environment}");
    }
    let absent = targets.bind(&root, "shop", "prod", Some("nobody"), &Expected::Absent).await;
    assert!(matches!(absent, Err(Error::Invalid { field: Some("target"), .. })));
    let unsaid = targets.bind(&root, "shop", "prod", Some("customer"), &Expected::Unsaid).await;
    assert!(matches!(unsaid, Err(Error::PreconditionRequired(_))));
    targets.bind(&root, "shop", "prod", Some("customer"), &Expected::Absent).await.unwrap();

    // A target that has been narrowed since is not deployed to.
    let publish = Publish::Reference("main".into());
    let job = world.domain.environments.publish(&ada, "shop", "prod", publish).await.unwrap();
    let lease = world.start(&job).await;
    let change = TargetUpdate { environments: Some(vec!["dev".into()]), ..TargetUpdate::default() };
    targets.update(&root, "customer", change, &Expected::Present).await.unwrap();
    let name = domain::EnvironmentName::parse("prod").unwrap();
    assert!(matches!(world.domain.environments.target(&lease, &name).await, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_job_is_handed_over_with_its_checkpoint_and_no_attempt_lost() {
    let world = World::new();
    let ada = world.person("ada").await;
    world.project(&ada, "shop").await;
    let publish = Publish::Reference("main".into());
    let job = world.domain.environments.publish(&ada, "shop", "dev", publish).await.unwrap();
    assert_eq!(job.checkpoint, Value::Null);
    // More often than a job has attempts.
    for round in 0..5 {
        let (seen, lease) = match world.domain.jobs.start(&job.project, &job.id).await.unwrap() {
            Started::Run(job, lease) => (job, lease),
            other => panic!("{other:?}"),
        };
        assert_eq!(seen.attempt, 1, "round {round}");
        assert_eq!(seen.checkpoint, if round == 0 { Value::Null } else { json!({ "round": round - 1 }) });
        world.jobs.drain();
        world.domain.jobs.hand_over(&lease, json!({ "round": round })).await.unwrap();
        assert_eq!(world.jobs.drain().len(), 1, "the next worker is called");
        // Whoever handed over has nothing to say any more.
        let late = world.domain.jobs.finish(&lease, Outcome::Succeeded { result: json!({}) }).await;
        assert!(matches!(late, Err(Error::Conflict(_))));
        world.domain.jobs.checkpoint(&lease, json!("late")).await.unwrap();
    }
    let Started::Run(_, lease) = world.domain.jobs.start(&job.project, &job.id).await.unwrap() else { panic!() };
    world.domain.jobs.checkpoint(&lease, json!({ "told": "e1" })).await.unwrap();
    assert_eq!(world.domain.jobs.find(&job.project, &job.id).await.unwrap().checkpoint, json!({ "told": "e1" }));
}
