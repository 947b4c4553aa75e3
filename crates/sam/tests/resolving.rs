//! What a template means. Expected values are from the AWS SAM and CloudFormation guides.
#![allow(clippy::unwrap_used)]

mod common;

use common::{app, try_app};
use sam::{ApiKind, AuthorizerKind, Code, PayloadVersion, QueueReference, Target, Trigger};
use serde_json::json;

const HEAD: &str = "Transform: AWS::Serverless-2016-10-31\n";

fn outputs(parameters: &str, conditions: &str, value: &str) -> Result<String, Vec<sam::Problem>> {
    let text = format!(
        "{HEAD}Parameters:\n  Unused: {{Type: String, Default: x}}\n{parameters}\nMappings:\n  Sizes: {{dev: {{Memory: 128}}, prod: {{Memory: 512}}}}\n\
         Conditions:\n  IsDev: !Equals [!Ref AWS::Region, eu-central-1]\n{conditions}\nResources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: jobs}}}}\n  \
         B: {{Type: AWS::S3::Bucket}}\nOutputs:\n  O: {{Value: {value}}}\n"
    );
    try_app(&text, &[]).map(|app| app.outputs["O"].clone())
}

#[test]
fn functions_give_the_documented_values() {
    for (value, expected) in [
        ("!Ref Q", "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs"),
        ("!GetAtt Q.Arn", "arn:aws:sqs:eu-central-1:123456789012:jobs"),
        ("!Ref B", "shop-dev-b"),
        ("!Sub 'arn:${AWS::Partition}:s3:::${B}/${!literal}/*'", "arn:aws:s3:::shop-dev-b/${literal}/*"),
        ("!Sub ['${Name}.${Q.Arn}', {Name: !Ref B}]", "shop-dev-b.arn:aws:sqs:eu-central-1:123456789012:jobs"),
        ("!Join [':', [a, b, !Ref AWS::NoValue, c]]", "a:b:c"),
        ("!Select [1, !Split ['|', 'a||c']]", ""),
        ("!Select [2, !Split ['|', 'a||c|']]", "c"),
        ("!FindInMap [Sizes, prod, Memory]", "512"),
        ("!If [IsDev, yes-it-is, no-it-is-not]", "yes-it-is"),
        ("!Base64 'hello'", "aGVsbG8="),
        ("!Select [1, !Cidr ['192.168.0.0/24', 6, 5]]", "192.168.0.32/27"),
        ("!Select [0, !GetAZs '']", "eu-central-1a"),
        ("{'Fn::ToJsonString': {a: [1, !Ref B]}}", r#"{"a":[1,"shop-dev-b"]}"#),
        ("{'Fn::Length': [a, b]}", "2"),
    ] {
        assert_eq!(outputs("", "", value).unwrap(), expected, "{value}");
    }
}

#[test]
fn wrong_arguments_are_problems_with_their_place() {
    for value in [
        "!Ref Nobody",
        "!GetAtt Q.Nothing",
        "!GetAtt Nobody.Arn",
        "!Select [9, [a]]",
        "!ImportValue other",
        "!FindInMap [Sizes, x, y]",
        "!If [Unknown, 1, 2]",
        "!Sub '${Nobody}'",
        "!Sub '${open'",
        "!Cidr ['x', 1, 1]",
        "!Join [a]",
        "!Split ['', a]",
        "{'Fn::Transform': {Name: AWS::Include}}",
        "'{{resolve:secretsmanager:x}}'",
    ] {
        let problems = outputs("", "", value).unwrap_err();
        assert!(
            problems.iter().any(|one| one.pointer.starts_with("/Outputs/O") && one.mark.is_some()),
            "{value}: {problems:?}"
        );
    }
}

#[test]
fn conditions_that_go_in_circles_or_too_deep_are_problems() {
    assert!(outputs("", "  A: !Not [!Condition B]\n  B: !Not [!Condition A]\n", "!If [A, 1, 2]").is_err());
    let chain: String = (0..5_000).map(|i| format!("  C{i}: !Not [!Condition C{}]\n", i + 1)).collect();
    assert!(outputs("", &format!("{chain}  C5000: !Equals [a, a]\n"), "!If [C0, 1, 2]").is_err());
    assert_eq!(
        outputs(
            "",
            "  A: !And [!Condition IsDev, !Not [!Equals [1, '2']]]\n  Z: !Or [!Equals [a, b], !Condition A]\n",
            "!If [Z, 1, 2]"
        )
        .unwrap(),
        "1"
    );
}

#[test]
fn text_that_doubles_is_bounded() {
    let long = "x".repeat(4_000);
    let many = "${Long}".repeat(20_000);
    let problems =
        outputs(&format!("  Long: {{Type: String, Default: {long}}}"), "", &format!("!Sub '{many}'")).unwrap_err();
    assert!(problems[0].message.contains("more than"));
}

#[test]
fn parameters_are_checked() {
    let text = format!(
        "{HEAD}Parameters:\n  Environment: {{Type: String, AllowedValues: [dev, prod]}}\n  Size: {{Type: Number, Default: 5, MinValue: 1, MaxValue: 9}}\n  \
         Zones: {{Type: CommaDelimitedList, Default: 'a, b'}}\n  Code: {{Type: String, Default: ab, AllowedPattern: '[a-z]+'}}\n\
         Resources:\n  B: {{Type: AWS::S3::Bucket}}\nOutputs:\n  O: {{Value: !Join ['+', !Ref Zones]}}\n"
    );
    assert_eq!(try_app(&text, &[("Environment", "dev")]).unwrap().outputs["O"], "a+b");
    for wrong in [
        &[][..],
        &[("Environment", "stage")],
        &[("Environment", "dev"), ("Size", "10")],
        &[("Environment", "dev"), ("Size", "x")],
        &[("Environment", "dev"), ("Code", "a1")],
        &[("Environment", "dev"), ("Nobody", "1")],
    ] {
        assert!(try_app(&text, wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn globals_merge_into_functions_and_defaults_fill_the_rest() {
    let app = app(&format!(
        "{HEAD}Globals:\n  Function:\n    Runtime: python3.12\n    Timeout: 10\n    Environment: {{Variables: {{AA: '1', BB: '2'}}}}\n    Layers: [!Ref Shared]\n\
         Resources:\n  Shared: {{Type: AWS::Serverless::LayerVersion, Properties: {{ContentUri: layer}}, Metadata: {{BuildMethod: python3.12}}}}\n  \
         One:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: app.handler\n      CodeUri: src/\n      Timeout: 20\n      Environment: {{Variables: {{BB: '3', TT: !Ref Two}}}}\n  \
         Two: {{Type: AWS::Serverless::Function, Properties: {{Handler: a.b, InlineCode: 'x', FunctionName: two-fn, MemorySize: 256}}}}\n"
    ));
    let one = &app.functions["One"];
    assert_eq!((one.timeout_s, one.memory_mb, one.runtime.as_str()), (20, 128, "python3.12"));
    assert_eq!(one.code, Code::Path("src/".into()));
    assert_eq!(json!(one.environment), json!({"AA": "1", "BB": "3", "TT": "two-fn"}));
    assert_eq!(one.layers, [sam::LayerReference::Logical("Shared".into())]);
    let two = &app.functions["Two"];
    assert_eq!((two.timeout_s, two.memory_mb, two.name.as_deref()), (10, 256, Some("two-fn")));
    assert_eq!(two.code, Code::Inline("x".into()));
    assert_eq!(app.layers["Shared"].build.method.as_deref(), Some("python3.12"));
}

#[test]
fn events_without_an_api_make_the_implicit_ones() {
    let app = app(&format!(
        "{HEAD}Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: nodejs20.x\n      Events:\n        \
         R: {{Type: Api, Properties: {{Path: '/items/{{id}}', Method: get}}}}\n        H: {{Type: HttpApi, Properties: {{Path: /h, Method: any, PayloadFormatVersion: '1.0'}}}}\n        \
         D: {{Type: HttpApi}}\nOutputs:\n  Url: {{Value: !Sub 'https://${{ServerlessRestApi}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/Prod/'}}\n"
    ));
    let rest = &app.apis["ServerlessRestApi"];
    assert_eq!((rest.kind, rest.stage.as_str()), (ApiKind::Rest, "Prod"));
    assert_eq!((rest.routes[0].method.as_str(), rest.routes[0].path.as_str()), ("GET", "/items/{id}"));
    let http = &app.apis["ServerlessHttpApi"];
    assert_eq!((http.kind, http.stage.as_str(), http.routes.len()), (ApiKind::Http, "$default", 2));
    let default = http.routes.iter().find(|route| route.path == "$default").unwrap();
    assert!(matches!(default.target, Target::Function { payload: PayloadVersion::V2, .. }));
    assert!(app.outputs["Url"].ends_with(".execute-api.eu-central-1.amazonaws.com/Prod/"));
    assert_eq!(app.functions["F"].events.len(), 3);
}

#[test]
fn authorizers_apply_by_default_and_not_to_none() {
    let app = app(&format!(
        "{HEAD}Resources:\n  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: live\n      Cors: {{AllowOrigin: \"'*'\", AllowMethods: \"'GET,POST'\"}}\n      \
         Auth: {{DefaultAuthorizer: Who, Authorizers: {{Who: {{FunctionArn: !GetAtt Check.Arn, FunctionPayloadType: REQUEST, Identity: {{Headers: [X-Key], ReauthorizeEvery: 0}}}}}}}}\n  \
         Check: {{Type: AWS::Serverless::Function, Properties: {{Handler: a.b, Runtime: python3.12}}}}\n  \
         F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.12\n      Events:\n        \
         A: {{Type: Api, Properties: {{RestApiId: !Ref Api, Path: /a, Method: get}}}}\n        B: {{Type: Api, Properties: {{RestApiId: !Ref Api, Path: /b, Method: get, Auth: {{Authorizer: NONE}}}}}}\n"
    ));
    let api = &app.apis["Api"];
    let by = |path: &str| api.routes.iter().find(|route| route.path == path).unwrap().authorizer.clone();
    assert_eq!((by("/a"), by("/b")), (Some("Who".into()), None));
    let who = &api.authorizers["Who"];
    assert_eq!((&who.kind, who.function.as_deref(), who.ttl_s), (&AuthorizerKind::Request, Some("Check"), 0));
    assert_eq!(who.identity_sources, ["method.request.header.X-Key"]);
    assert_eq!(api.cors.as_ref().unwrap().allow_methods, ["GET", "POST"]);
    assert!(app.refused.is_empty());
}

#[test]
fn protection_that_cannot_be_honoured_is_refused() {
    let refused = |auth: &str| {
        let text = format!(
            "{HEAD}Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.12\n      Events:\n        \
             A: {{Type: Api, Properties: {{Path: /a, Method: get, Auth: {auth}}}}}\n"
        );
        app(&text).refused
    };
    assert!(refused("{Authorizer: AWS_IAM}")[0].reason.contains("AWS_IAM"));
    assert!(refused("{ApiKeyRequired: true}")[0].reason.contains("API keys"));
}

#[test]
fn sources_are_read_with_their_settings() {
    let app = app(&format!(
        "{HEAD}Resources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{VisibilityTimeout: 60, RedrivePolicy: {{deadLetterTargetArn: !GetAtt D.Arn, maxReceiveCount: 3}}}}}}\n  D: {{Type: AWS::SQS::Queue}}\n  \
         B: {{Type: AWS::S3::Bucket}}\n  T: {{Type: AWS::Serverless::SimpleTable, Properties: {{PrimaryKey: {{Name: key, Type: Number}}}}}}\n  \
         F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.12\n      Events:\n        \
         Q: {{Type: SQS, Properties: {{Queue: !GetAtt Q.Arn, BatchSize: 5, FunctionResponseTypes: [ReportBatchItemFailures]}}}}\n        \
         S: {{Type: Schedule, Properties: {{Schedule: 'rate(5 minutes)', Input: '{{\"a\": 1}}', Enabled: false}}}}\n        \
         B: {{Type: S3, Properties: {{Bucket: !Ref B, Events: 's3:ObjectCreated:*', Filter: {{S3Key: {{Rules: [{{Name: prefix, Value: in/}}]}}}}}}}}\n        \
         N: {{Type: SNS, Properties: {{Topic: 'arn:aws:sns:x:1:t'}}}}\n"
    ));
    let triggers: Vec<&Trigger> = app.functions["F"].events.iter().map(|event| &event.trigger).collect();
    assert_eq!(triggers.len(), 3);
    assert!(
        matches!(triggers[0], Trigger::S3 { bucket, prefix: Some(prefix), events, .. } if bucket == "B" && prefix == "in/" && events == &["s3:ObjectCreated:*"])
    );
    assert!(
        matches!(triggers[1], Trigger::Sqs { queue: QueueReference::Logical(q), batch_size: 5, report_batch_item_failures: true, .. } if q == "Q")
    );
    assert!(
        matches!(triggers[2], Trigger::Schedule { enabled: false, input: Some(input), .. } if *input == json!({"a": 1}))
    );
    assert_eq!(app.queues["Q"].redrive.as_ref().unwrap().dead_letters, QueueReference::Logical("D".into()));
    assert_eq!(app.queues["Q"].visibility_timeout_s, 60);
    assert_eq!(
        app.tables["T"].definition["AttributeDefinitions"],
        json!([{"AttributeName": "key", "AttributeType": "N"}])
    );
    assert!(app.unsupported.iter().any(|one| one.property.as_deref() == Some("Events.N")));
}

#[test]
fn resources_without_their_condition_are_left_out() {
    let text = format!(
        "{HEAD}Parameters: {{Environment: {{Type: String, Default: dev}}}}\nConditions: {{IsProd: !Equals [!Ref Environment, prod]}}\n\
         Resources:\n  A: {{Type: AWS::S3::Bucket}}\n  B: {{Type: AWS::S3::Bucket, Condition: IsProd}}\nOutputs:\n  O: {{Condition: IsProd, Value: !Ref B}}\n"
    );
    assert_eq!(try_app(&text, &[]).unwrap().buckets.keys().collect::<Vec<_>>(), ["A"]);
    assert_eq!(try_app(&text, &[("Environment", "prod")]).unwrap().outputs["O"], "shop-dev-b");
}

#[test]
fn what_is_not_known_is_listed() {
    let app = app(&format!(
        "{HEAD}Resources:\n  M: {{Type: AWS::Serverless::StateMachine, Properties: {{DefinitionUri: x.json}}}}\n  B: {{Type: AWS::S3::Bucket, Properties: {{LifecycleConfiguration: {{}}}}}}\nOutputs:\n  O: {{Value: !GetAtt M.Name}}\n"
    ));
    let listed: Vec<_> = app.unsupported.iter().map(|one| (one.resource.as_str(), one.property.as_deref())).collect();
    assert!(listed.contains(&("M", None)) && listed.contains(&("B", Some("LifecycleConfiguration"))), "{listed:?}");
}
