//! Route precedence: a literal, then `{name}`, then `{name+}`; the method, then ANY.
#![allow(clippy::unwrap_used)]

use sam::{Match, PayloadVersion, Route, RouteTable, Target};

fn route(method: &str, path: &str) -> Route {
    Route {
        method: method.into(),
        path: path.into(),
        target: Target::Function { function: "F".into(), payload: PayloadVersion::V1, streamed: false },
        authorizer: None,
        scopes: Vec::new(),
        api_key_required: false,
        timeout_ms: None,
    }
}

fn table() -> RouteTable {
    RouteTable::new(&[
        route("ANY", "/{proxy+}"),
        route("GET", "/pets"),
        route("GET", "/pets/{id}"),
        route("GET", "/pets/{pet}/toys/{toy}"),
        route("GET", "/pets/mine"),
        route("ANY", "/pets/mine"),
        route("GET", "/shops/{shop}/{rest+}"),
        route("GET", "/"),
        route("POST", "/only"),
    ])
}

fn found(method: &str, path: &str) -> (String, String, Vec<(String, String)>) {
    match table().find(method, path) {
        Match::Found { route, path_parameters } => {
            (route.method.clone(), route.path.clone(), path_parameters.into_iter().collect())
        }
        other => panic!("{method} {path}: {other:?}"),
    }
}

#[test]
fn the_most_specific_path_wins() {
    assert_eq!(found("GET", "/pets").1, "/pets");
    assert_eq!(found("GET", "/pets/mine").1, "/pets/mine");
    assert_eq!(found("GET", "/pets/7"), ("GET".into(), "/pets/{id}".into(), vec![("id".into(), "7".into())]));
    let toys = vec![("pet".into(), "7".into()), ("toy".into(), "ball".into())];
    assert_eq!(found("GET", "/pets/7/toys/ball"), ("GET".into(), "/pets/{pet}/toys/{toy}".into(), toys));
    assert_eq!(found("GET", "/a/b/c"), ("ANY".into(), "/{proxy+}".into(), vec![("proxy".into(), "a/b/c".into())]));
    assert_eq!(found("GET", "/shops/x/a/b").2, vec![("rest".into(), "a/b".into()), ("shop".into(), "x".into())]);
    assert_eq!(found("GET", "/").1, "/");
    assert_eq!(found("GET", "/pets/").1, "/pets");
}

#[test]
fn the_exact_method_wins_over_any() {
    assert_eq!(found("GET", "/pets/mine").0, "GET");
    assert_eq!(found("PUT", "/pets/mine").0, "ANY");
}

#[test]
fn a_path_without_the_method_falls_to_a_wider_route_or_names_the_methods() {
    assert_eq!(found("PUT", "/pets").1, "/{proxy+}");
    let narrow = RouteTable::new(&[route("GET", "/a"), route("PUT", "/a")]);
    assert_eq!(narrow.find("POST", "/a"), Match::MethodNotAllowed { allowed: vec!["GET", "PUT"] });
    assert_eq!(narrow.find("GET", "/b"), Match::NotFound);
    assert_eq!(narrow.find("GET", "/a/b"), Match::NotFound);
}

#[test]
fn the_default_route_takes_the_rest() {
    let table = RouteTable::new(&[route("ANY", "$default"), route("GET", "/a")]);
    assert!(matches!(table.find("GET", "/zzz"), Match::Found { route, .. } if route.path == "$default"));
    assert!(matches!(table.find("POST", "/a"), Match::Found { route, .. } if route.path == "$default"));
    assert!(matches!(table.find("GET", "/a"), Match::Found { route, .. } if route.path == "/a"));
}

#[test]
fn a_greedy_part_needs_at_least_one_segment() {
    let table = RouteTable::new(&[route("GET", "/static/{key+}")]);
    assert_eq!(table.find("GET", "/static"), Match::NotFound);
    assert!(matches!(table.find("GET", "/static/a"), Match::Found { .. }));
}
