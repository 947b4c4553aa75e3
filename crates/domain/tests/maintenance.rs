//! What the platform does for repositories by itself.
#![allow(clippy::unwrap_used)]

mod world;

use bytes::Bytes;
use domain::{Change, NewCommit};
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_asked_when_a_compaction_is_due_and_finds_nothing_to_do_the_second_time() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let maintenance = &world.domain.maintenance;
    maintenance.after_push(&project.id, "c1").await.unwrap();
    assert!(world.jobs.drain().is_empty(), "one pack is few enough");
    for n in 0..10 {
        let head = world.head(&ada, &project, "main").await;
        let change = Change::Put { path: "a.txt".into(), bytes: Bytes::from(n.to_string()), executable: None };
        let new = NewCommit {
            branch: "main".into(),
            expected_head: Some(head),
            message: "more".into(),
            changes: vec![change],
            ..NewCommit::default()
        };
        world.domain.commits.create(&ada, "shop", new).await.unwrap();
    }
    let before = world.head(&ada, &project, "main").await;
    maintenance.after_push(&project.id, "c1").await.unwrap();
    let message = serde_json::json!({ "compact": project.id, "correlation_id": "c1" });
    assert_eq!(world.jobs.drain(), [message]);
    let done = maintenance.compact(&project.id).await.unwrap().unwrap();
    assert!(done.packs_before >= 10 && done.packs_after == 1, "{done:?}");
    assert_eq!(maintenance.compact(&project.id).await.unwrap(), None, "delivered twice");
    assert_eq!(world.head(&ada, &project, "main").await, before);
    world.domain.projects.delete(&ada, "shop", &domain::Expected::Unsaid).await.ok();
    maintenance.after_push(&project.id, "c1").await.unwrap();
    assert!(!world.jobs.drain().iter().any(|message| message.get("compact").is_some()));
}
