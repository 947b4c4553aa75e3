//! The S3 integration of `/static/{proxy+}`, as the platform's template writes it.

use cloud::PutOptions;

use super::world::{World, start};

const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Resources:
  RestApi:
    Type: AWS::Serverless::Api
    Properties:
      StageName: dev
      BinaryMediaTypes: ['*/*']
      DefinitionBody:
        openapi: 3.0.1
        info: { title: t, version: '1' }
        paths:
          /static/{proxy+}:
            get:
              x-amazon-apigateway-integration:
                type: aws
                httpMethod: GET
                uri: !Sub arn:${AWS::Partition}:apigateway:${AWS::Region}:s3:path/${StaticBucket}/{key}
                requestParameters:
                  integration.request.path.key: method.request.path.proxy
                  integration.request.header.Range: method.request.header.Range
                  integration.request.header.If-None-Match: method.request.header.If-None-Match
                responses:
                  '200':
                    statusCode: '200'
                    responseParameters: &headers
                      method.response.header.Content-Type: integration.response.header.Content-Type
                      method.response.header.Content-Encoding: integration.response.header.Content-Encoding
                      method.response.header.Content-Length: integration.response.header.Content-Length
                      method.response.header.Content-Range: integration.response.header.Content-Range
                      method.response.header.Accept-Ranges: integration.response.header.Accept-Ranges
                      method.response.header.Cache-Control: integration.response.header.Cache-Control
                      method.response.header.ETag: integration.response.header.ETag
                  '206': { statusCode: '206', responseParameters: *headers }
                  '304': { statusCode: '304', responseParameters: *headers }
                  '404': { statusCode: '404', responseTemplates: { application/json: '{"code":"not-found"}' } }
                  '416': { statusCode: '416' }
          /fixed:
            get:
              x-amazon-apigateway-integration:
                type: mock
                requestTemplates: { application/json: '{"statusCode": 200}' }
                responses:
                  default: { statusCode: '200', responseTemplates: { application/json: '{"mock":true}' } }
  StaticBucket: { Type: AWS::S3::Bucket, Properties: { BucketName: static } }
"#;

async fn world() -> World {
    let world = start(TEMPLATE, &[]).await;
    let options = PutOptions {
        content_type: Some("text/javascript".into()),
        content_encoding: Some("br".into()),
        cache_control: Some("public, max-age=31536000, immutable".into()),
        ..PutOptions::default()
    };
    world.put("static", "assets/app.js", "0123456789", options).await;
    world.put("static", "plain", "x", PutOptions::default()).await;
    world
}

#[tokio::test]
async fn an_object_comes_with_its_stored_headers() {
    let world = world().await;
    let answer = world.get("/static/assets/app.js").await;
    assert_eq!((answer.status, answer.text()), (200, "0123456789"));
    assert_eq!(answer.headers["content-type"], "text/javascript");
    assert_eq!(answer.headers["content-encoding"], "br");
    assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(answer.headers["content-length"], "10");
    assert_eq!(world.get("/dev/static/assets%2Fapp.js").await.status, 200);
    assert_eq!(world.get("/static/plain").await.headers["content-type"], "binary/octet-stream");
}

#[tokio::test]
async fn an_etag_saves_the_body() {
    let world = world().await;
    let etag = world.get("/static/assets/app.js").await.headers["etag"].to_str().unwrap().to_owned();
    let answer = world.send("GET", "/static/assets/app.js", &[("if-none-match", &etag)], "").await;
    assert_eq!((answer.status, answer.body.len(), &answer.headers["etag"]), (304, 0, &etag.parse().unwrap()));
    let answer = world.send("GET", "/static/assets/app.js", &[("if-none-match", "\"other\"")], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn ranges_are_served_as_s3_does() {
    let world = world().await;
    let many = format!("bytes={}", vec!["0-1"; 1_000].join(","));
    for (range, status, text, content) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=8-", 206, "89", Some("bytes 8-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=0-99999999999999999999", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=10-", 416, "", None),
        ("bytes=99999999999999999999-", 416, "", None),
        ("bytes=4-2", 200, "0123456789", None),
        (many.as_str(), 200, "0123456789", None),
    ] {
        let answer = world.send("GET", "/static/assets/app.js", &[("range", range)], "").await;
        let short = &range[..range.len().min(40)];
        assert_eq!((answer.status, answer.text()), (status, text), "{short}");
        assert_eq!(answer.headers.get("content-range").map(|v| v.to_str().unwrap()), content, "{short}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let world = world().await;
    for path in ["/static/nothing", "/static/assets/", "/static/%00", "/static/assets/app.js/x"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.text()), (404, r#"{"code":"not-found"}"#), "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert_eq!(world.get("/static/../secret").await.status, 400);
}

#[tokio::test]
async fn an_object_over_ten_megabytes_is_not_served() {
    let world = world().await;
    world.put("static", "large", vec![0; (10 << 20) + 1], PutOptions::default()).await;
    world.put("static", "full", vec![0; 10 << 20], PutOptions::default()).await;
    assert_eq!(world.get("/static/large").await.status, 500);
    assert_eq!(world.get("/static/full").await.body.len(), 10 << 20);
    assert_eq!(world.send("GET", "/static/large", &[("range", "bytes=0-9")], "").await.status, 206);
}

#[tokio::test]
async fn mocks_answer_by_themselves() {
    let world = world().await;
    let answer = world.get("/fixed").await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"mock":true}"#));
}
