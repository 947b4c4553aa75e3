//! Users' systems by host: REST and HTTP APIs, static files beside them, new versions.

use std::sync::Arc;

use local::functions::InvokeError;
use local::sites::Hosted;
use serde_json::{Value, json};

use super::world::{Answer, Closures, TestSite, World, app, echo, start};

const PLATFORM: &str = r#"
Transform: AWS::Serverless-2016-10-31
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      { Runtime: nodejs20.x, Handler: a.b, CodeUri: x, Events: { E: { Type: Api, Properties: { Path: /health, Method: get } } } }
"#;

const SITE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: nodejs20.x, Handler: a.b, CodeUri: x } }
Resources:
  Rest:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Hello: { Type: Api, Properties: { Path: /hello, Method: get } }
        Root: { Type: Api, Properties: { Path: /, Method: get } }
  Web:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: { AllowOrigins: ['https://a.example'], AllowMethods: [GET] }
      Auth:
        Authorizers:
          Simple:
            FunctionArn: !GetAtt Guard.Arn
            AuthorizerPayloadFormatVersion: '2.0'
            EnableSimpleResponses: true
            Identity: { Headers: [X-Key] }
  Http:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Items: { Type: HttpApi, Properties: { ApiId: !Ref Web, Path: '/items/{item}', Method: get } }
        Rest: { Type: HttpApi, Properties: { ApiId: !Ref Web, Path: '/{proxy+}', Method: post } }
        Closed: { Type: HttpApi, Properties: { ApiId: !Ref Web, Path: /closed, Method: get, Auth: { Authorizer: Simple } } }
  Guard: { Type: AWS::Serverless::Function, Properties: {} }
"#;

fn guard(event: &Value) -> Result<Value, InvokeError> {
    Ok(json!({ "isAuthorized": event["identitySource"][0] == "good", "context": { "who": { "deep": 1 } } }))
}

async fn world(files: bool) -> World {
    let world = start(PLATFORM, &[("Fn", echo)]).await;
    deploy(&world, SITE, files).await;
    world
}

async fn deploy(world: &World, template: &str, files: bool) {
    let functions = Closures {
        handlers: [("Rest", echo as _), ("Http", echo as _), ("Guard", guard as _)].into(),
        ..Closures::default()
    };
    let files = files.then(|| {
        [("index.html", "home"), ("docs/index.html", "docs"), ("404.html", "lost"), ("hello", "shadowed")].into()
    });
    let site: Arc<dyn Hosted> = Arc::new(TestSite { app: app(template), functions: Arc::new(functions), files });
    world.hosts.0.lock().unwrap().insert("dev--demo".into(), site);
}

async fn send(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("host", "dev--demo.localhost:8080")];
    all.extend_from_slice(headers);
    world.send(method, path, &all, if method == "POST" { "body" } else { "" }).await
}

#[tokio::test]
async fn routes_answer_with_the_event_of_their_api() {
    let world = world(true).await;
    let rest = send(&world, "GET", "/hello", &[]).await.json();
    assert_eq!((rest["resource"].as_str(), rest["requestContext"]["stage"].as_str()), (Some("/hello"), Some("Prod")));
    let http = send(&world, "GET", "/items/7?a=1&a=2", &[]).await.json();
    assert_eq!((http["version"].as_str(), http["rawPath"].as_str()), (Some("2.0"), Some("/items/7")));
    assert_eq!(http["queryStringParameters"]["a"], "1,2");
    assert_eq!(send(&world, "GET", "/Prod/hello", &[]).await.json()["path"], "/hello");
}

#[tokio::test]
async fn files_stand_beside_routes() {
    let world = world(true).await;
    let home = send(&world, "GET", "/", &[]).await;
    assert_eq!((home.status, home.text(), &home.headers["cache-control"]), (200, "home", &"no-cache".parse().unwrap()));
    assert_eq!(send(&world, "GET", "/docs/", &[]).await.text(), "docs");
    let range = send(&world, "GET", "/docs/", &[("range", "bytes=1-2")]).await;
    assert_eq!(
        (range.status, range.text(), &range.headers["content-range"]),
        (206, "oc", &"bytes 1-2/4".parse().unwrap())
    );
    assert_eq!(send(&world, "GET", "/docs/", &[("range", "bytes=9-")]).await.status, 416);
    assert_eq!(send(&world, "GET", "/docs/", &[("if-none-match", "W/\"e-docs\"")]).await.status, 304);
    let head = send(&world, "HEAD", "/index.html", &[]).await;
    assert_eq!((head.status, head.headers["content-length"].to_str().unwrap()), (200, "4"));
    // With the stage before it, the path is the API's.
    assert_eq!(send(&world, "GET", "/Prod/", &[]).await.json()["resource"], "/");
    let lost = send(&world, "GET", "/nowhere", &[]).await;
    assert_eq!((lost.status, lost.text()), (404, "lost"));
    assert_eq!(send(&world, "POST", "/anything", &[]).await.json()["routeKey"], "POST /{proxy+}");
    assert_eq!(send(&world, "GET", "/%2e%2e/secret", &[]).await.status, 400);
}

#[tokio::test]
async fn without_files_the_api_has_every_path() {
    let world = world(false).await;
    assert_eq!(send(&world, "GET", "/", &[]).await.json()["resource"], "/");
    assert!(matches!(send(&world, "GET", "/nowhere", &[]).await.status, 403 | 404));
}

#[tokio::test]
async fn an_http_apis_authorizer_is_honoured() {
    let world = world(true).await;
    let none = send(&world, "GET", "/closed", &[]).await;
    assert_eq!((none.status, none.text()), (401, r#"{"message":"Unauthorized"}"#));
    let bad = send(&world, "GET", "/closed", &[("x-key", "bad")]).await;
    assert_eq!((bad.status, bad.text()), (403, r#"{"message":"Forbidden"}"#));
    let good = send(&world, "GET", "/closed", &[("x-key", "good")]).await.json();
    assert_eq!(good["requestContext"]["authorizer"]["lambda"], json!({ "who": { "deep": 1 } }));
}

#[tokio::test]
async fn an_http_api_adds_its_cross_origin_headers() {
    let world = world(true).await;
    let headers = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    let preflight = send(&world, "OPTIONS", "/items/1", &headers).await;
    assert_eq!((preflight.status, preflight.headers["access-control-allow-methods"].to_str().unwrap()), (204, "GET"));
    let answer = send(&world, "GET", "/items/1", &headers[..1]).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://a.example");
    let other = send(&world, "GET", "/items/1", &[("origin", "https://b.example")]).await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_new_version_answers_at_once() {
    let world = world(true).await;
    assert_eq!(send(&world, "GET", "/hello", &[]).await.status, 200);
    deploy(&world, &SITE.replace("Path: /hello", "Path: /hi"), true).await;
    assert_eq!(send(&world, "GET", "/hi", &[]).await.json()["resource"], "/hi");
    assert_eq!(send(&world, "GET", "/hello", &[]).await.text(), "shadowed");
    world.hosts.0.lock().unwrap().clear();
    assert_eq!(send(&world, "GET", "/hello", &[]).await.status, 421);
}

#[tokio::test]
async fn an_authorizer_that_is_not_run_here_closes_its_routes() {
    let world = world(true).await;
    let pool = SITE.replace(
        "Simple:\n            FunctionArn: !GetAtt Guard.Arn\n            AuthorizerPayloadFormatVersion: '2.0'\n            EnableSimpleResponses: true\n            Identity: { Headers: [X-Key] }",
        "Simple:\n            JwtConfiguration: { issuer: 'https://issuer.example', audience: [a] }\n            IdentitySource: '$request.header.Authorization'",
    );
    deploy(&world, &pool, true).await;
    let answer = send(&world, "GET", "/closed", &[]).await;
    assert_eq!((answer.status, answer.text()), (500, r#"{"message":"Internal Server Error"}"#));
    assert_eq!(send(&world, "GET", "/items/1", &[]).await.status, 200);
}
