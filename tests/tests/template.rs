//! The platform's template against the code: routes, areas, environment variables.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use sam::{AccountNames, App, Resolve, Target, Template, Trigger};
use serde_json::Value;

fn text() -> String {
    std::fs::read_to_string(workroom_tests::root().join("template.yaml")).unwrap()
}

fn app(environment: &str) -> App {
    let names = AccountNames {
        stack: format!("workroom-{environment}"),
        region: "eu-central-1".into(),
        account: "123456789012".into(),
        queue_endpoint: "https://sqs.eu-central-1.amazonaws.com".into(),
        site_host: "workroom.invalid".into(),
        site_scheme: "https".into(),
    };
    let parameters = BTreeMap::from([("Environment".to_owned(), environment.to_owned())]);
    sam::resolve(&Template::parse(&text()).unwrap(), &Resolve { parameters, names: &names }).unwrap()
}

/// Method and path of every route that a function answers, with the function.
fn function_routes(app: &App) -> BTreeMap<(String, String), String> {
    let routes = app.apis["RestApi"].routes.iter();
    let functions = routes.filter_map(|route| match &route.target {
        Target::Function { function, .. } => Some(((route.method.clone(), route.path.clone()), function.clone())),
        _ => None,
    });
    functions.collect()
}

fn documented() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::to_value(api::openapi()).unwrap();
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| !["parameters", "summary"].contains(&key.as_str()))
        {
            all.insert((method.to_uppercase(), path.clone()));
        }
    }
    all
}

#[test]
fn the_template_has_exactly_the_routes_of_the_api_document() {
    let routes = function_routes(&app("dev"));
    // Git speaks its own protocol: a greedy route, not a part of the document.
    let in_template: BTreeSet<_> = routes.keys().filter(|(_, path)| !path.starts_with("/git/")).cloned().collect();
    let documented: BTreeSet<_> = documented().into_iter().filter(|(_, path)| !path.starts_with("/git/")).collect();
    assert_eq!(in_template, documented);
    for method in ["GET", "POST"] {
        assert!(routes.contains_key(&(method.into(), "/git/{proxy+}".into())), "git says {method}");
    }
}

#[test]
fn each_route_is_at_the_function_whose_area_serves_it() {
    let app = app("dev");
    let document: Value = serde_json::to_value(api::openapi()).unwrap();
    for ((method, path), function) in function_routes(&app) {
        let area = &app.functions[&function].environment["AREA"];
        let area: api::Area = area.parse().unwrap_or_else(|_| panic!("`{area}` of {function} is no area"));
        if path.starts_with("/git/") {
            assert_eq!(area, api::Area::Git);
            continue;
        }
        let operation = &document["paths"][&path][method.to_lowercase()];
        assert_eq!(operation["tags"][0], area.as_str(), "{method} {path} is at {function}");
    }
}

#[test]
fn only_public_routes_need_no_caller() {
    let app = app("dev");
    let open: BTreeSet<String> = app.apis["RestApi"]
        .routes
        .iter()
        .filter(|route| route.authorizer.is_none())
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let expected = [
        "GET /",
        "GET /git/{proxy+}",
        "GET /health",
        "GET /openapi.json",
        "GET /static/{proxy+}",
        "POST /git/{proxy+}",
        "POST /password-resets",
        "POST /sessions",
        "POST /sessions/refresh",
    ];
    assert_eq!(open, expected.map(str::to_owned).into());
}

#[test]
fn every_function_gets_exactly_what_its_config_reads() {
    for environment in ["dev", "prod"] {
        for function in app(environment).functions.values() {
            let names = function.environment.keys().map(String::as_str);
            // Read by Lambda itself.
            let given: BTreeSet<&str> = names.filter(|name| !name.starts_with("AWS_LAMBDA_")).collect();
            let read: BTreeSet<&str> = function::Config::VARIABLES.into_iter().collect();
            assert!(given.is_subset(&read), "{}: {:?}", function.logical_id, given.difference(&read));
            let config = function::Config::read(|name| function.environment.get(name).cloned());
            assert!(config.is_ok(), "{} in {environment}: {}", function.logical_id, config.unwrap_err());
        }
    }
}

#[test]
fn what_the_gateway_streams_is_what_its_function_streams_for_as_long() {
    let app = app("dev");
    let mut streamed = BTreeSet::new();
    for route in &app.apis["RestApi"].routes {
        let Target::Function { function, streamed: by_route, .. } = &route.target else { continue };
        let function = &app.functions[function];
        let config = function::Config::read(|name| function.environment.get(name).cloned()).unwrap();
        // One answer has one form: a function that streams does so for every route of its own.
        assert_eq!(*by_route, config.response_stream, "{} {}", route.method, route.path);
        if *by_route {
            assert_eq!((route.timeout_ms, function.timeout_s), (Some(900_000), 900), "{}", route.path);
            streamed.insert(function.logical_id.as_str());
        } else {
            assert!(function.timeout_s <= 29, "{} outlives the gateway", function.logical_id);
        }
    }
    assert_eq!(streamed, ["DownloadsFunction", "GitFunction"].into());
}

#[test]
fn what_waits_in_a_queue_stays_hidden_longer_than_its_function_runs() {
    let app = app("prod");
    let mut seen = 0;
    for function in app.functions.values() {
        for event in &function.events {
            if let Trigger::Sqs { queue: sam::QueueReference::Logical(queue), .. } = &event.trigger {
                seen += 1;
                assert!(app.queues[queue].visibility_timeout_s > function.timeout_s, "{queue}");
                assert!(app.queues[queue].redrive.is_some(), "{queue} has no dead letters");
            }
        }
    }
    assert_eq!(seen, 2, "the job queue and the tail queue");
}

#[test]
fn the_committed_api_document_is_what_the_code_says() {
    let committed = std::fs::read_to_string(workroom_tests::root().join("docs/openapi.json")).unwrap();
    let committed: Value = serde_json::from_str(&committed).unwrap();
    assert_eq!(committed, serde_json::to_value(api::openapi()).unwrap(), "run `cargo xtask openapi`");
}
