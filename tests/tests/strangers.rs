//! Templates as `sam init` and strangers write them, and those that are refused.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use workroom_tests::{Project, Site, Team};

/// The first lines of every template of `sam init`.
const HEAD: &str = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\n";

/// The Python "Hello World Example" of `sam init`, with its package that is installed.
const HELLO_PYTHON: &str = r#"
Description: >
  sam-app

  Sample SAM Template for sam-app

# More info about Globals: https://github.com/awslabs/serverless-application-model/blob/master/docs/globals.rst
Globals:
  Function:
    Timeout: 3

    # You can add LoggingConfig parameters such as the Logformat, Log Group, and SystemLogLevel or ApplicationLogLevel.
    LoggingConfig:
      LogFormat: JSON
Resources:
  HelloWorldFunction:
    Type: AWS::Serverless::Function # More info about Function Resource
    Properties:
      CodeUri: hello_world/
      Handler: app.lambda_handler
      Runtime: python3.12
      Architectures:
        - x86_64
      Events:
        HelloWorld:
          Type: Api # More info about API Event Source
          Properties:
            Path: /hello
            Method: get

  ApplicationResourceGroup:
    Type: AWS::ResourceGroups::Group
    Properties:
      Name:
        Fn::Sub: ApplicationInsights-SAM-${AWS::StackName}
      ResourceQuery:
        Type: CLOUDFORMATION_STACK_1_0
  ApplicationInsightsMonitoring:
    Type: AWS::ApplicationInsights::Application
    Properties:
      ResourceGroupName:
        Ref: ApplicationResourceGroup
      AutoConfigurationEnabled: 'true'
Outputs:
  # ServerlessRestApi is an implicit API created out of Events key under Serverless::Function
  HelloWorldApi:
    Description: API Gateway endpoint URL for Prod stage for Hello World function
    Value: !Sub "https://${ServerlessRestApi}.execute-api.${AWS::Region}.amazonaws.com/Prod/hello/"
  HelloWorldFunction:
    Description: Hello World Lambda Function ARN
    Value: !GetAtt HelloWorldFunction.Arn
  HelloWorldFunctionIamRole:
    Description: Implicit IAM Role created for Hello World function
    Value: !GetAtt HelloWorldFunctionRole.Arn
"#;

const HELLO_PYTHON_APP: &str = r#"
import json

import requests


def lambda_handler(event, context):
    return {
        "statusCode": 200,
        "body": json.dumps({"message": "hello world", "client": requests.__name__, "stage": event["requestContext"]["stage"]}),
    }
"#;

/// The configuration that `sam init` writes: one environment, `default`.
const SAMCONFIG: &str = r#"
version = 0.1

[default.global.parameters]
stack_name = "sam-app"

[default.build.parameters]
cached = true
parallel = true

[default.validate.parameters]
lint = true

[default.deploy.parameters]
capabilities = "CAPABILITY_IAM"
confirm_changeset = true
resolve_s3 = true

[default.sync.parameters]
watch = true
"#;

fn unsupported(job: &Value) -> Vec<String> {
    let items = job["result"]["unsupported"].as_array().unwrap().iter();
    items.map(|i| format!("{} {}", i["resource"].as_str().unwrap(), i["property"].as_str().unwrap_or(""))).collect()
}

#[test]
fn hello_world_in_python() {
    let team = Team::start();
    let template = format!("{HEAD}{HELLO_PYTHON}");
    let project = team.written(
        "hello",
        &[
            ("template.yaml", &template),
            ("samconfig.toml", SAMCONFIG),
            ("hello_world/__init__.py", ""),
            ("hello_world/app.py", HELLO_PYTHON_APP),
            ("hello_world/requirements.txt", "requests\n"),
        ],
    );
    let job = project.succeeded(project.deploy("dev", "main"));
    let listed = unsupported(&job);
    assert!(listed.iter().any(|item| item == "ApplicationInsightsMonitoring "), "{listed:?}");
    assert!(listed.iter().any(|item| item.starts_with("HelloWorldFunction LoggingConfig")), "{listed:?}");
    let outputs = &job["result"]["outputs"];
    let address = format!("http://dev--hello.localhost:{}", team.platform.port());
    assert_eq!(outputs["HelloWorldApi"], format!("{address}/Prod/hello/"));
    assert!(outputs["HelloWorldFunction"].as_str().unwrap().starts_with("arn:aws:lambda:"), "{outputs:#}");
    let site = Site::of(&team.platform, "dev", "hello");
    for path in ["/Prod/hello/", "/Prod/hello", "/hello"] {
        let said = site.get(path).expect(200).json();
        assert_eq!(said, json!({"message": "hello world", "client": "requests", "stage": "Prod"}), "{path}");
    }
}

const HELLO_NODE: &str = r#"
Globals: { Function: { Timeout: 3 } }
Resources:
  HelloWorldFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: hello-world/
      Handler: app.lambdaHandler
      Runtime: nodejs22.x
      Architectures: [x86_64]
      Events: { HelloWorld: { Type: Api, Properties: { Path: /hello, Method: get } } }
  Inline:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: |
        exports.handler = async (event) => `inline ${event.rawPath}`;
      Handler: index.handler
      Runtime: nodejs20.x
      Events: { Get: { Type: HttpApi, Properties: { Path: /inline, Method: GET } } }
  InlinePython:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: |
        def handler(event, context):
            return {"statusCode": 418, "body": context.function_name}
      Handler: index.handler
      Runtime: python3.12
      FunctionUrlConfig: { AuthType: AWS_IAM }
      Events: { Get: { Type: HttpApi, Properties: { Path: /teapot, Method: GET } } }
Outputs:
  HelloWorldApi:
    Value: !Sub "https://${ServerlessRestApi}.execute-api.${AWS::Region}.amazonaws.com/Prod/hello/"
"#;

#[test]
fn hello_world_in_node_and_inline_code() {
    let team = Team::start();
    let template = format!("{HEAD}{HELLO_NODE}");
    let package = json!({
        "name": "hello_world", "version": "1.0.0", "main": "app.js",
        "scripts": {"unit": "mocha tests/unit/", "test": "npm run unit"},
        "devDependencies": {"chai": "^4.3.6", "mocha": "^10.1.0"},
    });
    let code = "export const lambdaHandler = async (event, context) => {\n  \
        return { statusCode: 200, body: JSON.stringify({ message: 'hello world' }) };\n};\n";
    let project = team.written(
        "hello",
        &[
            ("template.yaml", &template),
            ("samconfig.toml", SAMCONFIG),
            ("hello-world/app.mjs", code),
            ("hello-world/package.json", &package.to_string()),
        ],
    );
    let job = project.succeeded(project.deploy("dev", "main"));
    let listed = unsupported(&job);
    assert!(listed.iter().any(|item| item.starts_with("InlinePython FunctionUrlConfig")), "{listed:?}");
    let site = Site::of(&team.platform, "dev", "hello");
    assert_eq!(site.get("/Prod/hello/").expect(200).json(), json!({"message": "hello world"}));
    assert_eq!(site.get("/inline").expect(200).text(), "inline /inline");
    assert!(site.get("/teapot").expect(418).text().contains("InlinePython"));
}

const EXPRESS: &str = r#"
Resources:
  Server:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: lambda.handler
      Runtime: nodejs20.x
      MemorySize: 1024
      Timeout: 30
      Events:
        Root: { Type: Api, Properties: { Path: /, Method: ANY } }
        Proxy: { Type: Api, Properties: { Path: '/{proxy+}', Method: ANY } }
"#;

const EXPRESS_APP: &str = r#"
const express = require('express');
const app = express();
app.use(express.json());
app.get('/', (req, res) => res.send('<h1>Express</h1>'));
app.get('/users/:id', (req, res) => res.cookie('seen', req.params.id).json({ id: req.params.id, query: req.query }));
app.post('/users', (req, res) => res.status(201).json(req.body));
app.get('/logo.png', (req, res) => res.type('png').send(Buffer.from([137, 80, 78, 71, 0, 255])));
app.get('/away', (req, res) => res.redirect('/users/1'));
app.use((req, res) => res.status(404).json({ missing: req.originalUrl }));
module.exports = app;
"#;

#[test]
fn an_express_app_behind_a_proxy_route() {
    let team = Team::start();
    let template = format!("{HEAD}{EXPRESS}");
    let package = json!({
        "name": "server", "version": "1.0.0", "private": true,
        "dependencies": {"@vendia/serverless-express": "4.12.6", "express": "^4.19.2"},
    });
    let lambda = "const serverlessExpress = require('@vendia/serverless-express');\n\
        exports.handler = serverlessExpress({ app: require('./app') });\n";
    let project = team.written(
        "server",
        &[
            ("template.yaml", &template),
            ("package.json", &package.to_string()),
            ("lambda.js", lambda),
            ("app.js", EXPRESS_APP),
        ],
    );
    project.succeeded(project.deploy("dev", "main"));
    let site = Site::of(&team.platform, "dev", "server");
    let page = site.get("/").expect(200);
    assert_eq!(page.text(), "<h1>Express</h1>");
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    let user = site.get("/users/7?tag=a&tag=b").expect(200);
    assert_eq!(user.json(), json!({"id": "7", "query": {"tag": ["a", "b"]}}));
    assert_eq!(user.header("set-cookie"), Some("seen=7; Path=/"));
    assert_eq!(site.post("/users", &json!({"name": "Ada"})).expect(201).json(), json!({"name": "Ada"}));
    assert_eq!(site.get("/away").expect(302).header("location"), Some("/users/1"));
    assert_eq!(site.get("/nothing/here").expect(404).json(), json!({"missing": "/nothing/here"}));
    assert_eq!(site.get("/Prod/users/8").expect(200).json()["id"], "8");
}

/// Deploys a template that must not go through; the answer is what its author reads.
fn refused(project: &Project, resources: &str) -> String {
    project
        .commit(&[("template.yaml", &format!("{HEAD}Resources:\n{resources}")), ("src/app.py", "def h(e, c): pass\n")]);
    let job = project.deploy("dev", "main");
    assert_eq!(job["state"], "failed", "{job:#}");
    job["error"].as_str().unwrap().to_owned()
}

#[test]
fn what_cannot_run_here_is_refused_by_name() {
    let team = Team::start();
    let project = team.project("refused", "empty");
    let function = |properties: &str| {
        format!("  Mine:\n    Type: AWS::Serverless::Function\n    Properties: {{ {properties} }}\n")
    };
    for (resources, wanted) in [
        (function("Runtime: java21, Handler: a.B::c, CodeUri: src"), ["Mine", "java21"]),
        (function("Runtime: dotnet8, Handler: A::B::C, CodeUri: src"), ["Mine", "dotnet8"]),
        (function("Runtime: ruby3.3, Handler: app.h, CodeUri: src"), ["Mine", "ruby3.3"]),
        (function("PackageType: Image"), ["Mine", "images need a container engine"]),
        (
            function("Runtime: python3.12, Handler: app.h, CodeUri: s3://bucket/key"),
            ["Mine", "folder of the repository"],
        ),
        (function("Runtime: python3.12, Handler: app.h, CodeUri: absent"), ["absent", "not in the repository"]),
        (
            function("Runtime: python3.12, Handler: app.h, CodeUri: src, FunctionUrlConfig: { AuthType: NONE }"),
            ["Mine", "FunctionUrlConfig"],
        ),
        (function("Runtime: python3.12, Handler: app.h, CodeUri: src, MemorySize: !Ref Absent"), ["Absent", "Mine"]),
        (
            "  Inner: { Type: AWS::Serverless::Application, Properties: { Location: x.yaml } }\n".to_owned(),
            ["Inner", "nested"],
        ),
    ] {
        let said = refused(&project, &resources);
        assert!(wanted.iter().all(|word| said.contains(word)), "{wanted:?} in: {said}");
    }
    let environment = project.client.get(&project.path("/environments/dev")).expect(200).json();
    assert!(environment["release"].is_null(), "{environment:#}");
}
