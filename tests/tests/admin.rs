//! What admins see over REST: use and quotas, the trail of the platform, jobs and projects of everyone.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workroom_tests::Team;

/// The trail comes with the change feed, soon.
const FEED_MAX: Duration = Duration::from_secs(30);

#[test]
fn admins_set_quotas_and_read_use_jobs_and_the_trail() {
    let team = Team::start();
    let project = team.project("quotas", "empty");
    for path in ["/usage", "/audit", "/jobs", "/projects?all=true"] {
        project.client.get(path).expect(403);
    }
    project.client.json("PUT", &project.path("/quota"), &[], &json!({ "open_jobs": 1 })).expect(403);
    let set = team.admin.json("PUT", &project.path("/quota"), &[], &json!({ "storage_bytes": 1 })).expect(200).json();
    assert_eq!((&set["storage_bytes"], &set["set"]["open_jobs"]), (&json!(1), &Value::Null));
    team.admin.json("PUT", &project.path("/quota"), &[], &json!({ "storage_bytes": -1 })).expect(422);
    let upload = json!({ "path": "a", "length": 1, "content_type": "text/plain", "sha256": "0".repeat(64) });
    let refused = project.client.post(&project.path("/uploads"), &upload).expect(403).json();
    assert_eq!(refused["code"], "quota-exceeded");
    team.admin.json("PUT", &project.path("/quota"), &[], &json!({})).expect(200);
    project.client.post(&project.path("/uploads"), &upload).expect(201);

    let usage = project.client.get(&project.path("/usage")).expect(200).json();
    assert!(usage["repository_bytes"].as_u64().unwrap() > 0 && usage["files_bytes"] == 1, "{usage}");
    let all = team.admin.get("/usage?limit=200").expect(200).json();
    assert!(all["items"].as_array().unwrap().iter().any(|one| one["slug"] == project.slug.as_str()), "{all}");
    let found = team.admin.get(&format!("/projects?all=true&q={}", project.slug)).expect(200).json();
    assert_eq!(found["items"][0]["slug"], project.slug.as_str());

    project.client.post(&project.path("/builds"), &json!({ "ref": "main" })).expect(202);
    let jobs = team.admin.get(&format!("/jobs?project={}", project.slug)).expect(200).json();
    assert_eq!((jobs["items"].as_array().unwrap().len(), &jobs["items"][0]["kind"]), (1, &json!("build")));
    team.admin.get("/jobs?state=nonsense").expect(422);

    let own = project.client.get(&project.path("/audit?type=quota.set")).expect(200).json();
    assert_eq!(own["items"].as_array().unwrap().len(), 2, "{own}");
    let end = Instant::now() + FEED_MAX;
    loop {
        let trail = team.admin.get("/audit?type=quota.set&limit=200").expect(200).json();
        let of_project =
            trail["items"].as_array().unwrap().iter().filter(|one| one["project"] == usage["project"]).count();
        if of_project == 2 {
            break;
        }
        assert!(Instant::now() < end, "{trail}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
