//! Deploy targets over REST, and the fences around what is deployed.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use workroom_tests::{Client, Project, Team};

fn body(name: &str) -> Value {
    json!({
        "name": name,
        "role_arn": "arn:aws:iam::123456789012:role/workroom-deploy",
        "region": "eu-central-1",
        "permissions_boundary": "arn:aws:iam::123456789012:policy/apps",
        "bucket": "packages-123456789012",
    })
}

fn tagged(client: &Client, method: &str, path: &str, etag: &str, body: Option<&Value>) -> workroom_tests::Answer {
    let bytes = body.map(ToString::to_string);
    let headers = [("If-Match", etag), ("Content-Type", "application/json")];
    client.send(method, path, &headers, bytes.as_deref().map(str::as_bytes))
}

#[test]
fn an_admin_defines_targets_and_binds_environments_to_them() {
    let team = Team::start();
    let project = team.project("bound", "python");
    let admin = team.admin.clone();
    let name = team.platform.own("customer");
    let made = admin.post("/targets", &body(&name)).expect(201);
    let (location, etag) = (made.header("location").unwrap().to_owned(), made.header("etag").unwrap().to_owned());
    assert_eq!(location, format!("/targets/{name}"));
    assert!(made.json()["external_id"].as_str().unwrap().starts_with("workroom-"));
    assert_eq!(admin.post("/targets", &body(&name)).expect(409).json()["code"], "conflict");
    assert_eq!(admin.get(&location).expect(200).json(), made.json());
    let listed = admin.get("/targets?limit=200").expect(200).json();
    assert!(listed["items"].as_array().unwrap().iter().any(|target| target["name"] == name.as_str()));

    // Nobody else knows of them.
    for path in ["/targets", location.as_str(), "/targets/absent"] {
        project.client.get(path).expect(403);
    }
    project.client.post("/targets", &body("mine")).expect(403);

    // A change names the version that it is meant for, and each bad value its field.
    let change = json!({"environments": ["dev", "prod"]});
    admin.json("PATCH", &location, &[], &change).expect(428);
    tagged(&admin, "PATCH", &location, "\"0\"", Some(&change)).expect(412);
    let changed = tagged(&admin, "PATCH", &location, &etag, Some(&change)).expect(200);
    assert_eq!(changed.json()["environments"], json!(["dev", "prod"]));
    for (field, value) in [
        ("role_arn", json!("admin")),
        ("region", json!("moon")),
        ("permissions_boundary", json!("arn:aws:iam::999999999999:policy/x")),
        ("bucket", json!("s3://x")),
        ("projects", json!(["nobody-knows"])),
        ("resource_types", json!(["AWS::CloudFormation::Stack"])),
        ("managed_policies", json!(["*"])),
        ("layers", json!(["arn:aws:lambda:*:*:layer:x"])),
    ] {
        let refused = tagged(&admin, "PATCH", &location, "*", Some(&json!({ field: value }))).expect(422).json();
        assert_eq!(
            (refused["code"].as_str(), refused["field"].as_str()),
            (Some("validation"), Some(field)),
            "{refused}"
        );
    }

    // The environment comes into being with its binding; one machine has no other account to deploy to.
    let path = project.path("/environments/dev/target");
    project.client.put(&path, &json!({"target": name})).expect(403);
    let bound = admin.json("PUT", &path, &[("If-None-Match", "*")], &json!({"target": name})).expect(200);
    assert_eq!(bound.json()["target"], name.as_str());
    let job = project.deploy("dev", "main");
    assert_eq!(job["state"], "failed", "{job:#}");
    let said = job["error"].as_str().unwrap();
    assert!(said.contains(&name) && said.contains("default"), "{said}");
    tagged(&admin, "DELETE", &location, "*", None).expect(409);

    // Back home, it is deployed; deployed, it stays.
    let etag = project.client.get(&project.path("/environments/dev")).expect(200).header("etag").unwrap().to_owned();
    tagged(&admin, "PUT", &path, &etag, Some(&json!({"target": "default"}))).expect(200);
    let job = project.succeeded(project.deploy("dev", "main"));
    assert_eq!(job["result"]["target"], "default");
    let again = tagged(&admin, "PUT", &path, "*", Some(&json!({"target": name}))).expect(409).json();
    assert!(again["detail"].as_str().unwrap().contains("remove it"), "{again}");
    tagged(&admin, "DELETE", &location, "*", None).expect(204);
    admin.get(&location).expect(404);
}

#[test]
fn a_target_is_made_once_for_one_idempotency_key() {
    let team = Team::start();
    let admin = team.admin.clone();
    let name = team.platform.own("once");
    let post = || admin.json("POST", "/targets", &[("Idempotency-Key", &name)], &body(&name));
    let (first, second) = (post().expect(201), post().expect(201));
    assert_eq!(first.json(), second.json(), "the external id is the first one's");
    tagged(&admin, "DELETE", &format!("/targets/{name}"), "*", None).expect(204);
}

/// Deploys a template; the answer is the failed job.
fn refused(project: &Project, template: &str) -> Value {
    project.commit(&[("template.yaml", template)]);
    let job = project.deploy("dev", "main");
    assert_eq!(job["state"], "failed", "{job:#}");
    job
}

#[test]
fn what_would_run_foreign_code_or_read_foreign_values_is_refused_with_resource_and_property() {
    let team = Team::start();
    let project = team.project("fenced", "empty");
    let with = |resource: &str| format!("Resources:\n  Kept: {{ Type: AWS::SQS::Queue }}\n  X: {resource}\n");
    for (resource, code, property) in [
        ("{ Type: Custom::Thing, Properties: { ServiceToken: x } }", "custom-resource", "Type"),
        ("{ Type: AWS::CloudFormation::CustomResource, Properties: { ServiceToken: x } }", "custom-resource", "Type"),
        (
            "{ Type: AWS::ApiGateway::Model, Properties: { Name: '{{resolve:ssm:/workroom/dev/signing-key}}' } }",
            "dynamic-reference",
            "Properties.Name",
        ),
        (
            "{ Type: AWS::ApiGateway::Model, Properties: { Name: !Join ['', ['{{resolve', ':ssm:/x}}']] } }",
            "dynamic-reference",
            "Properties.Name",
        ),
    ] {
        let job = refused(&project, &with(resource));
        let violation = &job["result"]["violations"][0];
        let named = (violation["code"].as_str(), violation["resource"].as_str(), violation["property"].as_str());
        assert_eq!(named, (Some(code), Some("X"), Some(property)), "{job:#}");
        assert!(job["error"].as_str().unwrap().contains("X."), "{job:#}");
    }
    // What is merely unknown here is not refused.
    project.commit(&[("template.yaml", &with("{ Type: AWS::Batch::JobQueue }"))]);
    let job = project.succeeded(project.deploy("dev", "main"));
    assert_eq!(job["result"]["unsupported"][0]["resource"], "X", "{job:#}");
}

#[test]
fn an_earlier_release_serves_again_as_it_was() {
    let team = Team::start();
    let project = team.project("back", "python");
    let first = project.succeeded(project.deploy("dev", "main"));
    let release = first["result"]["release"].as_str().unwrap().to_owned();
    project.commit(&[("functions/greet/app.py", "def handler(event, context):\n    return {'statusCode': 500}\n")]);
    let second = project.succeeded(project.deploy("dev", "main"));
    assert_ne!(second["result"]["release"], first["result"]["release"]);
    let path = project.path("/environments/dev/release");
    let job = project.client.put(&path, &json!({"release": release})).expect(202).json();
    let job = project.succeeded(project.wait(job["id"].as_str().unwrap()));
    assert_eq!(job["result"]["release"], release.as_str());
    assert_eq!(job["result"]["commit"], first["result"]["commit"]);
    let site = workroom_tests::Site::of(&team.platform, "dev", &project.slug);
    site.get("/api/greeting?name=Ada").expect(200);
    let environment = project.client.get(&project.path("/environments/dev")).expect(200).json();
    assert_eq!(environment["release"], release.as_str());
}

#[test]
fn deploy_013_a_commit_of_another_project_is_not_deployed() {
    let team = Team::start();
    let (mine, other) = (team.project("mine", "empty"), team.project("other", "python"));
    let foreign = other.client.get(&other.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
    let path = mine.path("/environments/dev/release");
    for reference in [foreign, json!("0123456789012345678901234567890123456789")] {
        let answer = mine.client.put(&path, &json!({ "ref": reference }));
        assert!([404, 422].contains(&answer.status), "{answer:?}");
    }
    mine.client.get(&mine.path("/environments/dev")).expect(404);
}
