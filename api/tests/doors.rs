//! Every endpoint of the API document: without a credential 401, for an outsider as if it did not exist.
#![allow(clippy::unwrap_used)]

#[path = "../../crates/domain/tests/world/mod.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::Area;
use axum::Router;
use axum::body::Body;
use cloud::Records;
use domain::{Caller, Project};
use function::{App, Config};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use world::World;

fn config() -> Config {
    let variable = |name: &str| {
        Some(match name {
            "WORKROOM_ENVIRONMENT" => "dev",
            "SOCKET_URL" => "ws://localhost:8000/socket",
            "PARAMETER_PREFIX" => "/workroom/dev",
            "LOG_LEVEL" => "off",
            "AREA" | "RESPONSE_TRANSFER_MODE" => return None,
            _ => "http://localhost:8000/",
        })
    };
    Config::read(|name| variable(name).map(str::to_owned)).unwrap()
}

fn router(world: &World) -> Router {
    let app = App {
        identity: world.identity.clone(),
        domain: world.domain.clone(),
        config: Arc::new(config()),
        records: Arc::new(world.records.clone()) as Arc<dyn Records>,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
    };
    let mut all = Router::new();
    for area in Area::ALL {
        // One router an area, told apart by what each knows: the first that does not answer 404 for its routes.
        all = all.nest(&format!("/{}", area.as_str()), api::router(area, app.clone()));
    }
    all
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: bytes::Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    /// The problem without what differs from request to request.
    fn problem(&self) -> Value {
        let mut problem = self.json();
        problem.as_object_mut().unwrap().remove("request_id").expect("a problem has a request id");
        problem
    }
}

async fn send(world: &World, area: Area, who: Option<&Caller>, mut request: Request<Body>) -> Answer {
    let path = format!("/{}{}", area.as_str(), request.uri());
    *request.uri_mut() = path.parse().unwrap();
    if let Some(caller) = who {
        request.extensions_mut().insert(caller.principal.clone());
    }
    let response = router(world).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

fn json_request(method: &str, path: &str, body: &Value) -> Request<Body> {
    request(method, path, &[("content-type", "application/json")], Body::from(body.to_string()))
}

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    Open,
    SignedIn,
    Admin,
    /// Members of the project in the path; with the query and the body that make the request good.
    Member(&'static str, &'static str),
}

const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Every operation, its area and its door. The test below fails for an operation that is not here.
fn doors() -> Vec<(&'static str, Area, Door)> {
    use Area::{Downloads, Environments, Files, Identity, Jobs, Projects, Public, Repository};
    use Door::{Admin, Member, Open, SignedIn};
    let read = Member("", "");
    vec![
        ("get_health", Public, Open),
        ("get_openapi", Public, Open),
        ("get_root", Public, Open),
        ("create_session", Identity, Open),
        ("refresh_session", Identity, Open),
        ("delete_session", Identity, SignedIn),
        ("get_me", Identity, SignedIn),
        ("update_me", Identity, SignedIn),
        ("get_settings", Identity, SignedIn),
        ("set_settings", Identity, SignedIn),
        ("create_token", Identity, SignedIn),
        ("list_tokens", Identity, SignedIn),
        ("delete_token", Identity, SignedIn),
        ("create_account", Identity, Admin),
        ("list_accounts", Identity, Admin),
        ("get_account", Identity, Admin),
        ("update_account", Identity, Admin),
        ("create_password_reset", Identity, Admin),
        ("redeem_password_reset", Identity, Open),
        ("create_socket_ticket", Identity, SignedIn),
        ("list_starters", Projects, SignedIn),
        ("create_project", Projects, SignedIn),
        ("list_projects", Projects, SignedIn),
        ("get_project", Projects, read),
        ("update_project", Projects, Member("", r#"{"name":"x"}"#)),
        ("delete_project", Projects, read),
        ("create_import", Projects, Member("", r#"{"url":"https://example.com/x.git"}"#)),
        ("list_members", Projects, read),
        ("add_member", Projects, Member("", r#"{"email":"x@example.com","role":"viewer"}"#)),
        ("set_member", Projects, Member("", r#"{"role":"viewer"}"#)),
        ("delete_member", Projects, read),
        ("list_events", Projects, read),
        ("list_presence", Projects, read),
        ("list_usage", Projects, Admin),
        ("get_usage", Projects, read),
        ("get_quota", Projects, read),
        ("set_quota", Projects, Member("", "{}")),
        ("list_audit", Projects, Admin),
        ("list_project_audit", Projects, read),
        ("list_all_jobs", Jobs, Admin),
        ("list_branches", Repository, read),
        ("create_branch", Repository, Member("", r#"{"name":"x"}"#)),
        ("delete_branch", Repository, read),
        ("list_tags", Repository, read),
        ("create_tag", Repository, Member("", r#"{"name":"x"}"#)),
        ("delete_tag", Repository, read),
        ("get_blame", Repository, Member("path=README.md", "")),
        ("get_comparison", Repository, Member("base=main&head=main", "")),
        ("get_archive", Downloads, Member("format=zip", "")),
        ("list_tree", Repository, read),
        ("get_file", Downloads, Member("path=README.md", "")),
        ("search_files", Repository, Member("q=x", "")),
        ("list_paths", Repository, read),
        ("preview_merge", Repository, Member("into=main&from=main", "")),
        ("create_merge", Repository, Member("", r#"{"into":"main","from":"main"}"#)),
        ("create_cherry_pick", Repository, Member("", r#"{"onto":"main","commit":"main"}"#)),
        ("create_revert", Repository, Member("", r#"{"onto":"main","commit":"main"}"#)),
        ("get_lfs_object", Repository, read),
        (
            "create_commit",
            Repository,
            Member("", r#"{"branch":"main","message":"m","changes":[{"action":"delete","path":"README.md"}]}"#),
        ),
        ("list_commits", Repository, read),
        ("get_commit", Repository, read),
        ("get_diff", Repository, Member("head=main", "")),
        ("list_drafts", Repository, Member("branch=main", "")),
        ("get_draft", Repository, Member("branch=main&path=a", "")),
        ("save_draft", Repository, Member("branch=main&path=a", "bytes")),
        ("delete_draft", Repository, Member("branch=main&path=a", "")),
        ("create_build", Jobs, Member("", r#"{"ref":"main"}"#)),
        ("list_jobs", Jobs, read),
        ("get_job", Jobs, read),
        ("cancel_job", Jobs, read),
        ("get_job_log", Jobs, read),
        ("get_artifact", Jobs, read),
        ("list_releases", Environments, read),
        ("list_environments", Environments, read),
        ("get_environment", Environments, read),
        ("delete_environment", Environments, read),
        ("publish_release", Environments, Member("", r#"{"ref":"main"}"#)),
        ("create_credentials", Environments, read),
        ("list_functions", Environments, read),
        ("invoke_function", Environments, Member("", r#"{"event":{}}"#)),
        ("read_function_logs", Environments, read),
        ("diagnose", Environments, Member("", r#"{"path":"template.yaml","content":"Resources: {}"}"#)),
        ("create_target", Environments, Admin),
        ("list_targets", Environments, Admin),
        ("get_target", Environments, Admin),
        ("update_target", Environments, Admin),
        ("delete_target", Environments, Admin),
        ("bind_target", Environments, Member("", r#"{"target":"default"}"#)),
        (
            "create_upload",
            Files,
            Member(
                "",
                r#"{"path":"a","length":1,"content_type":"text/plain","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"#,
            ),
        ),
        ("complete_upload", Files, read),
        ("get_upload", Files, read),
        ("delete_upload", Files, read),
        ("create_upload_parts", Files, Member("", r#"{"numbers":[]}"#)),
        ("list_files", Files, read),
        ("get_stored_file", Files, read),
        ("delete_stored_file", Files, read),
        ("get_stored_file_content", Files, read),
    ]
}

/// Operation id, method and path of every operation in the document.
fn operations() -> Vec<(String, String, String)> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            found.push((id, method.to_uppercase(), path.clone()));
        }
    }
    found
}

fn fill(path: &str, project: &str) -> String {
    path.replace("{project}", project)
        .replace("{environment}", "dev")
        .replace("{function}", "Hello")
        .replace("{branch}", "main")
        .replace("{tag}", "v1")
        .replace("{commit}", "main")
        .replace("{digest}", &"0".repeat(64))
        .replace("{account}", ULID)
        .replace("{token}", ULID)
        .replace("{job}", ULID)
        .replace("{upload}", ULID)
        .replace("{file}", ULID)
        .replace("{oid}", &"0".repeat(64))
        .replace("{target}", "somewhere")
}

fn good(method: &str, path: &str, door: Door) -> Request<Body> {
    let (query, body) = if let Door::Member(query, body) = door { (query, body) } else { ("", "{}") };
    let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let content_type = ("content-type", "application/json");
    let condition = match method {
        "PUT" if body == "bytes" => Some(("if-none-match", "*")),
        "PATCH" | "DELETE" => Some(("if-match", "*")),
        _ => None,
    };
    let headers: Vec<_> = [Some(content_type), condition].into_iter().flatten().collect();
    request(method, &path, &headers, Body::from(body))
}

#[test]
fn every_endpoint_has_an_authorisation_case() {
    let known: BTreeSet<String> = doors().iter().map(|(id, ..)| (*id).to_owned()).collect();
    let documented: BTreeSet<String> = operations().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(known, documented);
    assert_eq!(operations().len(), documented.len(), "operation ids are unique");
    for (_, _, path) in operations() {
        let member = path.starts_with("/projects/{project}");
        let has = doors().iter().any(|(id, _, door)| {
            matches!(door, Door::Member(..)) == member && operations().iter().any(|(o, _, p)| o == id && *p == path)
        });
        assert!(has, "{path}");
    }
}

#[tokio::test]
async fn no_endpoint_but_the_open_ones_answers_without_a_credential() {
    let world = World::new();
    for (id, area, door) in doors().into_iter().filter(|(_, _, door)| *door != Door::Open) {
        let (_, method, path) = operations().into_iter().find(|(o, ..)| o == id).unwrap();
        let answer = send(&world, area, None, good(&method, &fill(&path, "shop"), door)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{id}");
        assert_eq!(answer.problem()["code"], "unauthenticated", "{id}");
    }
}

/// AUTHZ-001 to 014: for an outsider a project of others is, byte for byte, like one that does not exist.
#[tokio::test]
async fn an_outsider_gets_the_same_answer_as_for_what_does_not_exist() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let shop = world.project(&ada, "shop").await;
    world.deploy(&ada, &shop, "dev").await;
    for (id, area, door) in doors().into_iter().filter(|(_, _, door)| matches!(door, Door::Member(..))) {
        let (_, method, path) = operations().into_iter().find(|(o, ..)| o == id).unwrap();
        let theirs = send(&world, area, Some(&eve), good(&method, &fill(&path, "shop"), door)).await;
        let absent = send(&world, area, Some(&eve), good(&method, &fill(&path, "nothing"), door)).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{id}: {:?}", theirs.body);
        assert_eq!(theirs.problem(), absent.problem(), "{id}");
        assert_eq!(theirs.problem()["code"], "not-found", "{id}");
    }
}

#[tokio::test]
async fn what_admins_do_is_forbidden_to_others() {
    let world = World::new();
    let ada = world.person("ada").await;
    for (id, area, _) in doors().into_iter().filter(|(_, _, door)| *door == Door::Admin) {
        let (_, method, path) = operations().into_iter().find(|(o, ..)| o == id).unwrap();
        let body = match id {
            "create_account" => json!({ "email": "x@example.com", "name": "x", "password": world::PASSWORD }),
            "create_target" => json!({
                "name": "x", "role_arn": "x", "region": "x", "permissions_boundary": "x", "bucket": "x",
            }),
            _ => json!({}),
        };
        let path = fill(&path, "");
        let answer = if method == "GET" {
            send(&world, area, Some(&ada), request("GET", &path, &[], Body::empty())).await
        } else {
            send(&world, area, Some(&ada), json_request(&method, &path, &body)).await
        };
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{id}");
    }
}

/// A body that is not exactly what the route takes is refused, and nothing happens.
#[tokio::test]
async fn bodies_and_queries_are_strict() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let before = events(&world, &ada, &shop).await;
    for (area, path, body) in [
        (Area::Jobs, "/projects/shop/builds", r#"{"ref":"main","extra":1}"#),
        (Area::Jobs, "/projects/shop/builds", r#"{"ref":1}"#),
        (Area::Jobs, "/projects/shop/builds", "{"),
        (Area::Jobs, "/projects/shop/builds", ""),
        (Area::Files, "/projects/shop/uploads", r#"{"key":"../../other-team/x"}"#),
        (Area::Repository, "/projects/shop/commits", r#"{"branch":"main","message":"m","author":"x\ncommitter evil"}"#),
        (
            Area::Repository,
            "/projects/shop/commits",
            r#"{"branch":"main","message":"m","changes":[{"action":"put","path":"a","content_base64":"%%%"}]}"#,
        ),
        (
            Area::Repository,
            "/projects/shop/commits",
            r#"{"branch":"main","message":"m","changes":[{"action":"put","path":"a"}]}"#,
        ),
        (
            Area::Repository,
            "/projects/shop/commits",
            r#"{"branch":"main","message":"m","changes":[{"action":"drop","path":"a"}]}"#,
        ),
    ] {
        let answer = send(&world, area, Some(&ada), json_request_raw("POST", path, body)).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{body}: {}", answer.status);
        assert_eq!(answer.problem()["code"], "validation", "{body}");
    }
    for path in
        ["/projects?cursor=eyJwayI6IlRFQU0jb3RoZXIifQ==", "/projects?limit=0", "/projects?limit=x", "/projects?w=1"]
    {
        let answer = send(&world, Area::Projects, Some(&ada), request("GET", path, &[], Body::empty())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(events(&world, &ada, &shop).await, before);
}

fn json_request_raw(method: &str, path: &str, body: &str) -> Request<Body> {
    request(method, path, &[("content-type", "application/json")], Body::from(body.to_owned()))
}

async fn events(world: &World, who: &Caller, project: &Project) -> usize {
    world.domain.events.list(who, project.slug.as_str(), &Default::default()).await.unwrap().items.len()
}

#[tokio::test]
async fn a_project_is_made_edited_and_built_over_rest() {
    let world = World::new();
    let ada = world.person("ada").await;
    let new = json!({ "slug": "shop", "name": "Shop", "starter": "plain" });
    let made = send(&world, Area::Projects, Some(&ada), json_request("POST", "/projects", &new)).await;
    assert_eq!((made.status, made.headers["location"].to_str().unwrap()), (StatusCode::CREATED, "/projects/shop"));
    let etag = made.headers["etag"].clone();
    let read = send(&world, Area::Projects, Some(&ada), request("GET", "/projects/shop", &[], Body::empty())).await;
    assert_eq!((read.status, &read.headers["etag"]), (StatusCode::OK, &etag));
    assert_eq!(read.headers["cache-control"], "no-store");

    let draft = "/projects/shop/draft?branch=main&path=a/b.bin";
    let bytes: Vec<u8> = (0..=255).collect();
    let bare = send(&world, Area::Repository, Some(&ada), request("PUT", draft, &[], Body::from("x"))).await;
    assert_eq!((bare.status.as_u16(), &bare.problem()["code"]), (428, &json!("precondition-required")));
    let absent = [("if-none-match", "*")];
    let saved =
        send(&world, Area::Repository, Some(&ada), request("PUT", draft, &absent, Body::from(bytes.clone()))).await;
    assert_eq!(saved.status, StatusCode::CREATED);
    let stale = [("if-match", "\"old\"")];
    let lost = send(&world, Area::Repository, Some(&ada), request("PUT", draft, &stale, Body::from("x"))).await;
    assert_eq!((lost.status.as_u16(), &lost.problem()["code"]), (412, &json!("precondition-failed")));

    let head =
        send(&world, Area::Repository, Some(&ada), request("GET", "/projects/shop/tree", &[], Body::empty())).await;
    let commit =
        json!({ "branch": "main", "expected_head": head.json()["commit"], "message": "add", "drafts": ["a/b.bin"] });
    let commit =
        send(&world, Area::Repository, Some(&ada), json_request("POST", "/projects/shop/commits", &commit)).await;
    assert_eq!(commit.status, StatusCode::CREATED, "{:?}", commit.body);
    let file = "/projects/shop/file?ref=main&path=a/b.bin";
    let file = send(&world, Area::Downloads, Some(&ada), request("GET", file, &[], Body::empty())).await;
    assert_eq!(&file.body[..], &bytes[..]);
    assert_eq!(
        (&file.headers["content-type"], &file.headers["x-file-mode"]),
        (&"application/octet-stream".parse().unwrap(), &"100644".parse().unwrap())
    );
    assert_eq!(&file.headers["content-disposition"], "attachment");

    let build = json!({ "ref": "main" });
    let job = send(&world, Area::Jobs, Some(&ada), json_request("POST", "/projects/shop/builds", &build)).await;
    assert_eq!(job.status, StatusCode::ACCEPTED);
    assert_eq!((&job.json()["state"], &job.json()["commit"]), (&json!("queued"), &commit.json()["id"]));
    let location = job.headers["location"].to_str().unwrap().to_owned();
    let found = send(&world, Area::Jobs, Some(&ada), request("GET", &location, &[], Body::empty())).await;
    assert_eq!(found.json()["id"], job.json()["id"]);
}

#[tokio::test]
async fn draft_006_007_a_repeated_key_replays_and_another_body_is_refused() {
    let world = World::new();
    let ada = world.person("ada").await;
    let shop = world.project(&ada, "shop").await;
    let head = world.head(&ada, &shop, "main").await;
    let body = |message: &str| {
        let change = json!({ "action": "put", "path": "a", "content": "a" });
        json!({ "branch": "main", "expected_head": head, "message": message, "changes": [change] }).to_string()
    };
    let headers = [("content-type", "application/json"), ("idempotency-key", "key-1")];
    let commit = |message: &str| request("POST", "/projects/shop/commits", &headers, Body::from(body(message)));
    let first = send(&world, Area::Repository, Some(&ada), commit("one")).await;
    let again = send(&world, Area::Repository, Some(&ada), commit("one")).await;
    assert_eq!((first.status, &first.body), (StatusCode::CREATED, &again.body));
    let other = send(&world, Area::Repository, Some(&ada), commit("two")).await;
    assert_eq!((other.status.as_u16(), &other.problem()["code"]), (422, &json!("idempotency-mismatch")));
}

#[tokio::test]
async fn a_branch_with_a_slash_is_removed_by_its_encoded_name() {
    let world = World::new();
    let ada = world.person("ada").await;
    world.project(&ada, "shop").await;
    let new = json!({ "name": "feature/x" });
    let made = send(&world, Area::Repository, Some(&ada), json_request("POST", "/projects/shop/branches", &new)).await;
    let location = made.headers["location"].to_str().unwrap().to_owned();
    let gone = send(&world, Area::Repository, Some(&ada), request("DELETE", &location, &[], Body::empty())).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn authz_006_git_asks_for_a_password_and_hides_what_is_not_yours() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    world.project(&ada, "shop").await;
    let path = "/git/shop.git/info/refs?service=git-upload-pack";
    let bare = send(&world, Area::Git, None, request("GET", path, &[], Body::empty())).await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    assert!(bare.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let token = async |who: &Caller| {
        let new = identity::NewToken {
            name: "t".into(),
            scopes: identity::Scopes::all(),
            project: None,
            expires: world.now().plus(std::time::Duration::from_secs(3600)),
        };
        // Tokens are made by whoever signed in.
        let session = Some(identity::SessionId::generate(&*world.clock, &*world.entropy));
        let principal = identity::Principal { session, ..who.principal.clone() };
        world.identity.create_token(&principal, new).await.unwrap().1.expose().to_owned()
    };
    let (own, other) = (format!("Bearer {}", token(&ada).await), format!("Bearer {}", token(&eve).await));
    let ok = send(&world, Area::Git, None, request("GET", path, &[("authorization", &own)], Body::empty())).await;
    assert_eq!(ok.status, StatusCode::OK);
    assert_eq!(ok.headers["content-type"], "application/x-git-upload-pack-advertisement");
    let theirs = send(&world, Area::Git, None, request("GET", path, &[("authorization", &other)], Body::empty())).await;
    let absent = path.replace("shop", "nothing");
    let absent =
        send(&world, Area::Git, None, request("GET", &absent, &[("authorization", &other)], Body::empty())).await;
    assert_eq!((theirs.status, theirs.problem()), (StatusCode::NOT_FOUND, absent.problem()));
    let dumb = path.replace("?service=git-upload-pack", "");
    let dumb = send(&world, Area::Git, None, request("GET", &dumb, &[("authorization", &own)], Body::empty())).await;
    assert_eq!(dumb.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_public_area_is_open_and_leads_nowhere_else() {
    let world = World::new();
    let health = send(&world, Area::Public, None, request("GET", "/health", &[], Body::empty())).await;
    assert_eq!((health.status, &health.json()["status"]), (StatusCode::OK, &json!("ok")));
    let document = send(&world, Area::Public, None, request("GET", "/openapi.json", &[], Body::empty())).await;
    assert_eq!(document.json()["openapi"], "3.1.0");
    let next = "/sessions?next=//evil.example";
    let body = json!({ "email": "a@example.com", "password": "x", "next": "//evil.example" });
    let refused = send(&world, Area::Identity, None, json_request("POST", next, &body)).await;
    assert!(refused.status.is_client_error() && !refused.headers.contains_key("location"));
}
