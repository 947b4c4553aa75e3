use domain::{Caller, Draft, Error, Expected, NewCommit, PageQuery, Project, Result, SaveDraft};

use crate::house::{Trial, at_every_call};

async fn save(at: &Trial<'_>, shaky: bool, expected: &Expected, path: &str, text: &'static str) -> Result<Draft> {
    let save = SaveDraft { branch: "main".into(), path: path.into(), bytes: text.into(), ..SaveDraft::default() };
    let domain = if shaky { &at.shaky } else { &*at.world.domain };
    domain.drafts.save(&at.ada, &at.name(), expected, save).await.map(|(draft, _)| draft)
}

async fn read(at: &Trial<'_>, path: &str) -> Option<(Draft, String)> {
    match at.world.domain.drafts.get(&at.ada, &at.name(), "main", path, None).await {
        Ok((draft, bytes)) => Some((draft, String::from_utf8(bytes.to_vec()).unwrap())),
        Err(Error::NotFound("draft")) => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_new_draft_is_saved_with_its_event_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.empty_project().await;
        let saved = match at.strike(save(at, true, &Expected::Absent, "a.txt", "one")).await {
            Some(saved) => saved,
            None => {
                assert_eq!(read(at, "a.txt").await, None);
                assert_eq!(at.told(&project), ["project.created"]);
                save(at, false, &Expected::Absent, "a.txt", "one").await.unwrap()
            }
        };
        assert_eq!(read(at, "a.txt").await, Some((saved, "one".into())));
        assert_eq!(at.told(&project), ["project.created", "draft.saved"]);
    })
    .await;
}

#[tokio::test]
async fn a_draft_is_saved_over_or_stays_as_it_was() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.empty_project().await;
        let before = save(at, false, &Expected::Absent, "a.txt", "one").await.unwrap();
        let tag = Expected::Tag(before.etag.clone());
        let saved = match at.strike(save(at, true, &tag, "a.txt", "two")).await {
            Some(saved) => saved,
            None => {
                assert_eq!(read(at, "a.txt").await, Some((before, "one".into())));
                save(at, false, &tag, "a.txt", "two").await.unwrap()
            }
        };
        assert_eq!(read(at, "a.txt").await, Some((saved, "two".into())));
        assert!(matches!(save(at, false, &tag, "a.txt", "two").await, Err(Error::PreconditionFailed(_))));
        assert_eq!(at.told(&project), ["project.created", "draft.saved", "draft.saved"]);
    })
    .await;
}

/// The commits of `main`, newest first, with what the drafts' files hold there.
async fn history(at: &Trial<'_>, project: &Project) -> Vec<String> {
    let slug = project.slug.as_str();
    let log = at
        .world
        .domain
        .repository
        .log(&at.ada, slug, &domain::LogFor { reference: "main".into(), ..Default::default() }, &PageQuery::default())
        .await
        .unwrap();
    log.commits.iter().map(|commit| commit.oid.to_string()).collect()
}

#[tokio::test]
async fn a_commit_takes_its_drafts_and_tells_or_nothing_happens() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.project().await;
        let slug = project.slug.as_str();
        for path in ["a.txt", "b/c.txt"] {
            save(at, false, &Expected::Absent, path, "text").await.unwrap();
        }
        let gone = SaveDraft { branch: "main".into(), path: "README.md".into(), deleted: true, ..Default::default() };
        at.world.domain.drafts.save(&at.ada, slug, &Expected::Absent, gone).await.unwrap();
        let first = at.world.head(&at.ada, &project, "main").await;
        let caller = Caller { idempotency_token: Some(at.name()), ..at.ada.clone() };
        let new = NewCommit {
            branch: "main".into(),
            expected_head: Some(first.clone()),
            message: "both".into(),
            drafts: vec!["a.txt".into(), "b/c.txt".into(), "README.md".into()],
            ..NewCommit::default()
        };
        let made = at.strike(at.shaky.commits.create(&caller, slug, new.clone())).await;
        if made.is_none() {
            assert_eq!(history(at, &project).await, std::slice::from_ref(&first));
            assert!(read(at, "a.txt").await.is_some() && read(at, "b/c.txt").await.is_some());
            assert!(read(at, "README.md").await.is_some());
        }
        // The client asks again in either case: the answer may have been lost on its way to it.
        let again = at.world.domain.commits.create(&caller, slug, new).await.unwrap();
        assert!(made.is_none_or(|made| made.oid == again.oid));
        assert_eq!(history(at, &project).await, [again.oid.to_string(), first]);
        assert!(read(at, "a.txt").await.is_none() && read(at, "b/c.txt").await.is_none());
        let file = at.world.domain.repository.file(&at.ada, slug, "main", "b/c.txt").await.unwrap();
        assert_eq!(&file.bytes[..], b"text");
        assert!(read(at, "README.md").await.is_none());
        let gone = at.world.domain.repository.file(&at.ada, slug, "main", "README.md").await;
        assert!(matches!(gone, Err(Error::NotFound("file"))));
        assert_eq!(at.told(&project), ["project.created", "draft.saved", "draft.saved", "draft.saved", "git.pushed"]);
    })
    .await;
}
