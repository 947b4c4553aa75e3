//! What one machine serves is what `template.yaml` declares: no route more, none less, each with its authorizer, and
//! no event source that the template does not have. The template is read here line by line, apart from `crates/sam`,
//! which `local` reads it with.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Value, json};
use workroom_tests::{Answer, Client, Platform, root};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Served beside the template: a long-running copy of the git routes (docs/adr/0007-wide-door.md).
const WIDE_DOOR: &str = "/git/";

fn template() -> String {
    std::fs::read_to_string(root().join("template.yaml")).unwrap()
}

/// Path -> method -> whether a caller must prove who they are.
type Routes = BTreeMap<String, BTreeMap<String, bool>>;

fn declared() -> Routes {
    let event = Regex::new(r"Type: Api, Properties: \{.*Path: '([^']+)', Method: (\w+)(.*)").unwrap();
    let mut routes = Routes::new();
    for found in event.captures_iter(&template()) {
        let open = found[3].contains("Authorizer: NONE");
        routes.entry(found[1].to_owned()).or_default().insert(found[2].to_uppercase(), !open);
    }
    // The one route that is written out in the template's OpenAPI body.
    routes.entry("/static/{proxy+}".to_owned()).or_default().insert("GET".to_owned(), false);
    routes
}

/// A path of the route: every parameter is a name that nothing has.
fn path_of(route: &str) -> String {
    let route = route.replace("/git/{proxy+}", "/git/{project}.git/info/refs");
    Regex::new(r"\{[^}]+\}").unwrap().replace_all(&route, "nothing-has-this-name").into_owned()
}

/// Whether the gateway itself says that there is no such route.
fn without_route(answer: &Answer) -> bool {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status == 404
        && problem["detail"].as_str().is_some_and(|detail| detail.starts_with("There is no such route"))
}

fn ask(client: &Client, method: &str, path: &str) -> Answer {
    let body = matches!(method, "POST" | "PUT" | "PATCH").then_some(&b"{}"[..]);
    client.send(method, path, &[("Content-Type", "application/json")], body)
}

#[test]
fn this_reading_of_the_template_misses_no_route() {
    let read: usize = declared().values().map(BTreeMap::len).sum();
    let written = template().matches("Type: Api,").count() + 1;
    assert_eq!(read, written);
    assert!(read > 60, "{read} routes");
}

#[test]
fn every_declared_route_is_served_with_its_authorizer() {
    let platform = Platform::start();
    let (anonymous, admin) = (platform.anonymous(), platform.admin());
    for (route, methods) in declared() {
        let path = path_of(&route);
        for (method, needs_caller) in methods {
            let answer = ask(&anonymous, &method, &path);
            assert!(!without_route(&answer), "{method} {route} has no route");
            // Git asks for credentials itself, with a scheme of its own.
            let refused_by_authorizer = answer.status == 401
                && answer.header("WWW-Authenticate").is_some_and(|scheme| scheme.starts_with("Bearer"));
            assert_eq!(refused_by_authorizer, needs_caller, "{method} {route}: {} {}", answer.status, answer.text());
            if needs_caller && (method.as_str(), route.as_str()) != ("DELETE", "/sessions/current") {
                let answer = ask(&admin, &method, &path);
                assert!(!without_route(&answer) && answer.status != 401, "{method} {route}: {}", answer.status);
                assert!(answer.status < 500, "{method} {route}: {} {}", answer.status, answer.text());
            }
        }
    }
}

#[test]
fn what_is_not_declared_is_not_served() {
    let platform = Platform::start();
    let (anonymous, admin) = (platform.anonymous(), platform.admin());
    let routes = declared();
    let is_declared = |method: &str, path: &str| {
        routes.iter().any(|(route, methods)| {
            let pattern = route.replace("{proxy+}", ".+");
            let pattern = Regex::new(r"\{[^}]+\}").unwrap().replace_all(&pattern, "[^/]+").into_owned();
            methods.contains_key(method) && Regex::new(&format!("^{pattern}$")).unwrap().is_match(path)
        })
    };
    let mut probes = BTreeSet::new();
    for route in routes.keys() {
        let path = path_of(route);
        let cut = path.rsplit_once('/').map(|(before, _)| before.to_owned()).unwrap_or_default();
        for probe in [path.clone(), format!("{path}/more"), format!("/v1{path}"), cut] {
            probes.extend(METHODS.map(|method| (method, probe.clone())));
        }
    }
    let mut refused = 0;
    for (method, path) in probes {
        if path.is_empty() || path.starts_with(WIDE_DOOR) || is_declared(method, &path) {
            continue;
        }
        for client in [&admin, &anonymous] {
            let answer = ask(client, method, &path);
            assert!(without_route(&answer), "{method} {path} is served: {} {}", answer.status, answer.text());
        }
        refused += 1;
    }
    assert!(refused > 300, "only {refused} requests were tried");
}

/// A platform on the template with `from` replaced, once.
fn altered(from: &str, to: &str) -> (Platform, tempfile::TempDir) {
    let text = template();
    assert_eq!(text.matches(from).count(), 1, "`{from}` is in the template once");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    (Platform::start_with(&["--template", path.to_str().unwrap()]), folder)
}

#[test]
fn a_route_that_leaves_the_template_is_gone() {
    let (platform, _folder) = altered("Path: '/starters', Method: get", "Path: '/renamed', Method: get");
    let admin = platform.admin();
    assert!(without_route(&admin.get("/starters")));
    // Only a declared route asks who is calling.
    platform.anonymous().get("/renamed").expect(401);
}

#[test]
fn an_authorizer_that_leaves_the_template_is_gone() {
    let (platform, _folder) =
        altered("Path: '/starters', Method: get }", "Path: '/starters', Method: get, Auth: { Authorizer: NONE } }");
    // The function still asks who is calling: the gateway has let the request through.
    let answer = platform.anonymous().get("/starters");
    assert!(
        answer.header("WWW-Authenticate").is_none_or(|scheme| !scheme.contains("realm=\"workroom\"")),
        "{answer:?}"
    );
}

#[test]
fn a_queue_without_its_event_source_is_read_by_nobody() {
    let (platform, _folder) = altered(
        "Queue: !GetAtt JobQueue.Arn, BatchSize: 1,",
        "Queue: !GetAtt JobQueue.Arn, Enabled: false, BatchSize: 1,",
    );
    let admin = platform.admin();
    let body = json!({"slug": "waiting", "name": "Waiting", "starter": "empty"});
    admin.post("/projects", &body).expect(201);
    let job = admin.post("/projects/waiting/builds", &json!({})).expect(202).json();
    let path = format!("/projects/waiting/jobs/{}", job["id"].as_str().unwrap());
    // A second job behind it makes sure that there was time to take the first.
    admin.post("/projects/waiting/builds", &json!({})).expect(202);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(admin.get(&path).expect(200).json()["state"], "queued");
}
