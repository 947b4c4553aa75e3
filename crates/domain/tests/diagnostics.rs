//! Findings in templates and settings, with the files beside them.
#![allow(clippy::unwrap_used)]

mod world;

use bytes::Bytes;
use domain::{Caller, Change, Diagnostic, Error, Expected, NewCommit, NewDiagnosis, Result, SaveDraft};
use world::World;

const TEMPLATE: &str = "Parameters:\n  Stage: {Type: String, AllowedValues: [dev, prod]}\nConditions:\n  IsProd: !Equals [!Ref Stage, prod]\n\
    Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Condition: IsProd\nOutputs:\n  Url: {Value: !Ref Q}\n";
const SETTINGS: &str = "[dev.deploy.parameters]\nparameter_overrides = \"Stage=dev\"\n[prod.deploy.parameters]\nparameter_overrides = \"Stage=prod\"\n";

async fn shop() -> (World, Caller) {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let put = |path: &str, text: &'static str| Change::Put {
        path: path.into(),
        bytes: Bytes::from_static(text.as_bytes()),
        executable: None,
    };
    let new = NewCommit {
        branch: "main".into(),
        expected_head: Some(world.head(&ada, &project, "main").await),
        message: "app".into(),
        changes: vec![put("template.yaml", TEMPLATE), put("samconfig.toml", SETTINGS)],
        ..Default::default()
    };
    world.domain.commits.create(&ada, "shop", new).await.unwrap();
    (world, ada)
}

async fn check(world: &World, who: &Caller, path: &str, content: &str, on: Option<&str>) -> Result<Vec<Diagnostic>> {
    let asked = NewDiagnosis {
        path: path.into(),
        content: content.into(),
        environment: on.map(str::to_owned),
        ..NewDiagnosis::default()
    };
    world.domain.diagnostics.check(who, "shop", asked).await
}

#[tokio::test]
async fn a_template_is_looked_at_with_the_parameters_of_its_environments() {
    let (world, ada) = shop().await;
    assert_eq!(check(&world, &ada, "template.yaml", TEMPLATE, Some("prod")).await.unwrap(), []);
    let dev = check(&world, &ada, "template.yaml", TEMPLATE, Some("dev")).await.unwrap();
    assert!(dev.len() == 1 && dev[0].message.contains("left out") && dev[0].line == 10, "{dev:?}");
    let all = check(&world, &ada, "template.yaml", TEMPLATE, None).await.unwrap();
    assert!(all.len() == 1 && all[0].message.contains("`dev`"), "{all:?}");
}

#[tokio::test]
async fn the_callers_drafts_count_before_the_branch() {
    let (world, ada) = shop().await;
    let save = SaveDraft {
        branch: "main".into(),
        path: "samconfig.toml".into(),
        bytes: Bytes::from_static(b"[dev.deploy.parameters]\nparameter_overrides = \"Stage=prod\"\n"),
        ..SaveDraft::default()
    };
    world.domain.drafts.save(&ada, "shop", &Expected::Absent, save).await.unwrap();
    assert_eq!(check(&world, &ada, "template.yaml", TEMPLATE, None).await.unwrap(), []);
    let odd = "[dev.deploy.parameters]\nparameter_overrides = \"Stage=nowhere\"\n";
    let found = check(&world, &ada, "samconfig.toml", odd, None).await.unwrap();
    assert!(found.len() == 1 && found[0].line == 2 && found[0].message.contains("nowhere"), "{found:?}");
}

#[tokio::test]
async fn what_is_no_template_and_what_is_too_long_is_refused() {
    let (world, ada) = shop().await;
    for path in ["README.md", "../template.yaml", "", "template.yaml/", "a/samconfig.tomlx"] {
        let refused = check(&world, &ada, path, "", None).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { field: Some("path"), .. }), "{path}: {refused:?}");
    }
    let refused = check(&world, &ada, "template.yaml", "", Some("No Such")).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { field: Some("environment"), .. }), "{refused:?}");
    for (path, most) in [("template.yaml", 1_000_000), ("samconfig.toml", 256 * 1024)] {
        let refused = check(&world, &ada, path, &"x".repeat(most + 1), None).await.unwrap_err();
        assert!(matches!(refused, Error::TooLarge(_)), "{path}: {refused:?}");
    }
    let eve = world.person("eve").await;
    assert!(matches!(check(&world, &eve, "template.yaml", "", None).await, Err(Error::NotFound("project"))));
}
