use domain::{Error, NewProject, PageQuery};
use identity::Role;

use crate::house::{Trial, at_every_call};

#[tokio::test]
async fn a_project_is_made_whole_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let slug = at.name();
        let new = || NewProject {
            name: slug.clone(),
            slug: slug.clone(),
            starter: Some("plain".into()),
            ..Default::default()
        };
        let sound = &at.world.domain;
        let made = match at.strike(at.shaky.projects.create(&at.ada, new())).await {
            Some(made) => made,
            None => {
                let named = |record: &&cloud::Record| {
                    record.key.partition == format!("slug#{slug}") || record.value["slug"] == slug.as_str()
                };
                assert_eq!(at.world.records.dump().iter().find(named), None, "nothing of it is seen");
                sound.projects.create(&at.ada, new()).await.unwrap()
            }
        };
        assert_eq!(sound.projects.get(&at.ada, &slug).await.unwrap(), made);
        assert!(matches!(sound.projects.create(&at.ada, new()).await, Err(Error::Conflict(_))));
        assert_eq!(at.told(&made), ["project.created"]);
        let members = sound.members.list(&at.ada, &slug, &PageQuery::default()).await.unwrap().items;
        assert_eq!(members.iter().map(|m| m.role).collect::<Vec<_>>(), [Role::Owner]);
        let log = sound
            .repository
            .log(
                &at.ada,
                &slug,
                &domain::LogFor { reference: "main".into(), ..Default::default() },
                &PageQuery::default(),
            )
            .await
            .unwrap();
        assert_eq!(log.commits.len(), 1);
        let file = sound.repository.file(&at.ada, &slug, "main", "README.md").await.unwrap();
        assert_eq!(&file.bytes[..], b"# A plain app\n");
    })
    .await;
}
