//! REST: routes, authorizers, gateway responses and limits.

use local::functions::InvokeError;
use serde_json::{Value, json};

use super::world::{World, echo, start};

const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: provided.al2023, Handler: bootstrap, CodeUri: x } }
Resources:
  RestApi:
    Type: AWS::Serverless::Api
    Properties:
      StageName: dev
      BinaryMediaTypes: ['*/*']
      Cors: { AllowOrigin: "'*'", AllowMethods: "'GET,POST'" }
      Auth:
        DefaultAuthorizer: Guard
        AddDefaultAuthorizerToCorsPreflight: false
        Authorizers:
          Guard: { FunctionArn: !GetAtt Guard.Arn, FunctionPayloadType: REQUEST, Identity: { ReauthorizeEvery: 0 } }
          Token: { FunctionArn: !GetAtt Guard.Arn, Identity: { Header: X-Token, ValidationExpression: 'tok-.*', ReauthorizeEvery: 300 } }
      GatewayResponses:
        UNAUTHORIZED:
          StatusCode: 401
          ResponseParameters: { Headers: { WWW-Authenticate: "'Bearer'", Content-Type: "'application/problem+json'" } }
          ResponseTemplates: { application/json: '{"code":"unauthenticated","request_id":"$context.requestId"}' }
        MISSING_AUTHENTICATION_TOKEN:
          StatusCode: 404
          ResponseTemplates: { application/json: '{"code":"not-found"}' }
  Guard: { Type: AWS::Serverless::Function, Properties: {} }
  Open:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Health: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /health, Method: get, Auth: { Authorizer: NONE } } }
        Echo: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: '/echo/{name}', Method: any, Auth: { Authorizer: NONE } } }
        Large: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /large, Method: post, Auth: { Authorizer: NONE } } }
  Broken:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Any: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: '/broken/{how}', Method: get, Auth: { Authorizer: NONE } } }
  Closed:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Me: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /me, Method: any } }
        Token: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /token, Method: get, Auth: { Authorizer: Token } } }
"#;

fn guard(event: &Value) -> Result<Value, InvokeError> {
    let token = event["authorizationToken"].as_str().or(event["headers"]["Authorization"].as_str());
    let effect = match token {
        None => return Err(InvokeError::Unhandled { message: "Unauthorized".into() }),
        Some("broken") => return Err(InvokeError::Unhandled { message: "no database".into() }),
        Some("nonsense") => return Ok(json!({ "hello": 1 })),
        Some("deny") => "Deny",
        Some(_) => "Allow",
    };
    let arn = event["methodArn"].as_str().unwrap();
    let stage = arn.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
    Ok(json!({
        "principalId": "someone",
        "policyDocument": { "Version": "2012-10-17",
            "Statement": [{ "Action": "execute-api:Invoke", "Effect": effect, "Resource": format!("{stage}/*") }] },
        "context": { "account": "01H", "admin": false },
    }))
}

fn broken(event: &Value) -> Result<Value, InvokeError> {
    Ok(match event["pathParameters"]["how"].as_str().unwrap() {
        "failed" => return Err(InvokeError::Unhandled { message: "secret detail".into() }),
        "timeout" => return Err(InvokeError::TimedOut),
        "throttled" => return Err(InvokeError::Throttled),
        "large" => json!({ "statusCode": 200, "body": "x".repeat(7 << 20) }),
        "shape" => json!("text"),
        "header" => json!({ "statusCode": 200, "headers": { "a": "b\r\nc: d" } }),
        "binary" => json!({ "statusCode": 200, "body": "AP8=", "isBase64Encoded": true,
            "headers": { "Content-Type": "image/png", "WWW-Authenticate": "Basic", "Connection": "x" } }),
        _ => json!({ "statusCode": 204 }),
    })
}

async fn world() -> World {
    start(TEMPLATE, &[("Guard", guard), ("Open", echo), ("Broken", broken), ("Closed", echo)]).await
}

#[tokio::test]
async fn a_request_reaches_its_function_as_a_proxy_event() {
    let world = world().await;
    let headers = [("content-type", "application/json"), ("x-forwarded-proto", "evil")];
    let answer = world.send("POST", "/echo/a%20b?q=1&q=2", &headers, r#"{"a":1}"#).await;
    assert_eq!(answer.status, 200);
    let event = answer.json();
    assert_eq!(event["resource"], "/echo/{name}");
    assert_eq!(event["pathParameters"]["name"], "a b");
    assert_eq!(event["multiValueQueryStringParameters"]["q"], json!(["1", "2"]));
    assert_eq!(event["isBase64Encoded"], true);
    assert_eq!(event["headers"]["X-Forwarded-Proto"], "http");
    assert_eq!(event["requestContext"]["stage"], "dev");
    assert_eq!(event["requestContext"]["requestId"], answer.headers["x-amzn-requestid"].to_str().unwrap());
}

#[tokio::test]
async fn the_stage_may_stand_before_the_path() {
    let world = world().await;
    assert_eq!(world.get("/dev/health").await.json()["path"], "/health");
    assert_eq!(world.get("/health/").await.status, 200);
    assert_eq!(world.get("/prod/health").await.status, 404);
}

#[tokio::test]
async fn what_is_not_routed_is_the_gateways_answer() {
    let world = world().await;
    for (method, path) in [("GET", "/"), ("GET", "/nothing"), ("DELETE", "/health"), ("GET", "/echo/a/b")] {
        let answer = world.send(method, path, &[], "").await;
        assert_eq!((answer.status, answer.text()), (404, r#"{"code":"not-found"}"#), "{method} {path}");
    }
    assert_eq!(world.functions.events.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_authorizer_decides_and_its_context_travels() {
    let world = world().await;
    let answer = world.get("/me").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.json()["request_id"], answer.headers["x-amzn-requestid"].to_str().unwrap());
    for (token, status) in [("deny", 403), ("broken", 500), ("nonsense", 500)] {
        let answer = world.send("GET", "/me", &[("authorization", token)], "").await;
        assert_eq!(answer.status, status, "{token}");
        assert!(!answer.text().contains("database"), "{}", answer.text());
    }
    assert_eq!(world.functions.count("Closed"), 0);
    let answer = world.send("GET", "/me", &[("authorization", "good")], "").await;
    let context = answer.json()["requestContext"]["authorizer"].clone();
    assert_eq!((context["account"].as_str(), context["admin"].as_str()), (Some("01H"), Some("false")));
    assert_eq!(context["principalId"], "someone");
}

#[tokio::test]
async fn a_refused_caller_does_not_upload() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world().await;
    let mut stream = tokio::net::TcpStream::connect(world.at).await.unwrap();
    let head = "PUT /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = vec![0; 12];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(text, b"HTTP/1.1 401");
}

#[tokio::test]
async fn token_answers_are_kept_for_their_time() {
    let world = world().await;
    assert_eq!(world.get("/token").await.status, 401);
    assert_eq!(world.send("GET", "/token", &[("x-token", "other")], "").await.status, 401);
    assert_eq!(world.functions.count("Guard"), 0);
    for _ in 0..3 {
        assert_eq!(world.send("GET", "/token", &[("x-token", "tok-1")], "").await.status, 200);
    }
    assert_eq!(world.functions.count("Guard"), 1);
    assert_eq!(world.send("GET", "/token", &[("x-token", "tok-2")], "").await.status, 200);
    assert_eq!(world.functions.count("Guard"), 2);
}

#[tokio::test]
async fn failures_of_functions_are_told_without_their_reasons() {
    let world = world().await;
    for (how, status) in
        [("failed", 502), ("timeout", 502), ("large", 502), ("shape", 502), ("header", 502), ("throttled", 429)]
    {
        let answer = world.get(&format!("/broken/{how}")).await;
        assert_eq!(answer.status, status, "{how}");
        assert!(!answer.text().contains("secret"), "{how}");
    }
    let answer = world.get("/broken/none").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
}

#[tokio::test]
async fn binary_answers_are_decoded_and_headers_are_the_gateways() {
    let world = world().await;
    let answer = world.get("/broken/binary").await;
    assert_eq!(answer.body.as_ref(), [0, 255]);
    assert_eq!(answer.headers["x-amzn-remapped-www-authenticate"], "Basic");
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert_ne!(answer.headers.get("connection").map(|value| value.as_bytes()), Some(b"x".as_slice()));
}

#[tokio::test]
async fn bodies_are_limited_by_the_function_and_the_gateway() {
    let world = world().await;
    // In base64 4 MiB are 5.4 MiB, and 5 MiB are over the function's 6 MiB.
    let answer = world.send("POST", "/large", &[], vec![0; 4 << 20]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.functions.count("Open"), 1);
    let answer = world.send("POST", "/large", &[], vec![0; 5 << 20]).await;
    assert_eq!(answer.status, 413);
    let answer = world
        .send("POST", "/large", &[("content-length", "10485761"), ("expect", "100-continue")], vec![0; 10_485_761])
        .await;
    assert_eq!(answer.status, 413);
    assert_eq!(world.functions.count("Open"), 1);
}

#[tokio::test]
async fn slow_bodies_are_408() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world().await;
    let mut stream = tokio::net::TcpStream::connect(world.at).await.unwrap();
    stream.write_all(b"POST /large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("connection: close"), "{text}");
}

#[tokio::test]
async fn preflights_are_answered_for_paths_that_exist() {
    let world = world().await;
    let headers = [("origin", "http://a.example"), ("access-control-request-method", "GET")];
    let answer = world.send("OPTIONS", "/health", &headers, "").await;
    assert_eq!((answer.status, answer.headers["access-control-allow-origin"].to_str().unwrap()), (200, "*"));
    assert_eq!(world.send("OPTIONS", "/nothing", &headers, "").await.status, 404);
    assert_eq!(world.functions.events.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn other_hosts_are_misdirected() {
    let world = world().await;
    for host in ["evil.example", "dev--demo.localhost:80", "127.0.0.1.evil.example"] {
        let answer = world.send("GET", "/health", &[("host", host)], "").await;
        assert_eq!(answer.status, 421, "{host}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    assert_eq!(world.send("GET", "http://evil.example/health", &[], "").await.status, 421);
}

#[tokio::test]
async fn git_streams_past_the_gateways_limits() {
    let world = world().await;
    let body = vec![7; 12 << 20];
    let answer = world.send("POST", "/git/demo.git/git-receive-pack", &[], body.clone()).await;
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    assert_eq!(world.functions.events.lock().unwrap().len(), 0);
}
