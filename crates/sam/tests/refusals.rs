//! Templates that must not be deployed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{app, try_app};

fn refused(resource: &str) -> Vec<sam::Refusal> {
    app(&format!("Resources:\n  B: {{Type: AWS::S3::Bucket}}\n  X: {resource}\n")).refused
}

#[test]
fn macros_and_foreign_includes_are_refused() {
    let found =
        app("Transform: [AWS::Serverless-2016-10-31, MyMacro]\nResources:\n  B: {Type: AWS::S3::Bucket}\n").refused;
    assert!(found[0].reason.contains("MyMacro"));
    let include = "Transform: {Name: AWS::Include, Parameters: {Location: 's3://other/x.yaml'}}\nResources:\n  B: {Type: AWS::S3::Bucket}\n";
    assert_eq!(app(include).refused.len(), 1);
    let inner = "Resources:\n  B:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: {'Fn::Transform': {Name: AWS::Include, Parameters: {Location: 's3://other/x.yaml'}}}\n";
    assert!(try_app(inner, &[]).is_err());
}

#[test]
fn nested_stacks_and_foreign_code_are_refused() {
    for resource in [
        "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: 'https://s3.amazonaws.com/other/t.yaml'}}",
        "{Type: AWS::Serverless::Application, Properties: {Location: 's3://other/t.yaml'}}",
        "{Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, CodeUri: 's3://platform/other-tenant/x.zip'}}",
        "{Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, CodeUri: {Bucket: platform, Key: x.zip}}}",
        "{Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, CodeUri: /etc}}",
        "{Type: AWS::Lambda::Function, Properties: {Handler: a.b, Runtime: python3.12, Code: {S3Bucket: platform, S3Key: x.zip}}}",
        "{Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: 'https://example.com/x.zip'}}",
        "{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: x}}",
        "{Type: AWS::Serverless::Api, Properties: {StageName: x, DefinitionUri: 's3://other/api.yaml'}}",
    ] {
        assert_eq!(refused(resource).len(), 1, "{resource}");
    }
}

#[test]
fn what_is_open_to_everybody_is_refused() {
    for resource in [
        "{Type: AWS::Lambda::Permission, Properties: {Principal: '*', Action: lambda:InvokeFunction, FunctionName: f}}",
        "{Type: AWS::S3::Bucket, Properties: {AccessControl: PublicRead}}",
        "{Type: AWS::S3::BucketPolicy, Properties: {Bucket: !Ref B, PolicyDocument: {Statement: [{Effect: Allow, Principal: '*', Action: s3:GetObject, Resource: '*'}]}}}",
        "{Type: AWS::S3::BucketPolicy, Properties: {Bucket: !Ref B, PolicyDocument: {Statement: {Effect: Allow, Principal: {AWS: ['*']}, Action: s3:GetObject, Resource: '*'}}}}",
        "{Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, FunctionUrlConfig: {AuthType: NONE}}}",
        "{Type: AWS::Lambda::Url, Properties: {AuthType: NONE, TargetFunctionArn: x}}",
    ] {
        assert_eq!(refused(resource).len(), 1, "{resource}: {:?}", refused(resource));
    }
    let closed = "{Type: AWS::S3::BucketPolicy, Properties: {Bucket: !Ref B, PolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: cloudfront.amazonaws.com}, Action: s3:GetObject, Resource: '*'}]}}}";
    assert!(refused(closed).is_empty());
}

#[test]
fn properties_out_of_range_are_problems() {
    for properties in [
        "MemorySize: 64",
        "MemorySize: 20000",
        "Timeout: 901",
        "Timeout: 0",
        "Timeout: soon",
        "Environment: {Variables: {AWS_REGION: x}}",
        "Environment: {Variables: {'1x': x}}",
        "Handler: ''",
    ] {
        let text = format!(
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {{Handler: a.b, Runtime: python3.12, {properties}}}\n"
        );
        let text = if properties.starts_with("Handler") { text.replace("Handler: a.b, ", "") } else { text };
        assert!(try_app(&text, &[]).is_err(), "{properties}");
    }
    let large = format!("Environment: {{Variables: {{AB: '{}'}}}}", "x".repeat(4_100));
    assert!(try_app(&format!("Resources:\n  F: {{Type: AWS::Serverless::Function, Properties: {{Handler: a.b, Runtime: python3.12, {large}}}}}\n"), &[]).is_err());
}

#[test]
fn odd_shapes_are_problems_and_never_panics() {
    for text in [
        "Resources: 1",
        "Resources: {A: 1}",
        "Resources: {A: {Type: [x]}}",
        "Resources: {'a-b': {Type: AWS::S3::Bucket}}",
        "Resources: {A: {Type: AWS::S3::Bucket, Properties: []}}",
        "Resources: {A: {Type: AWS::S3::Bucket, DependsOn: Nobody}}",
        "Resources: {A: {Type: AWS::S3::Bucket, Condition: Nobody}}",
        "Resources: {A: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: 1}}}",
        "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Events: [1], Handler: [], Runtime: {}}}}",
        "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: x, Events: {E: {Type: Api, Properties: {Path: x, Method: get}}}}}}",
        "Globals: {Functions: {}}\nResources: {A: {Type: AWS::S3::Bucket}}",
        "Resources: {A: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref A}}}\nOutputs: {O: {Value: !Ref A}}",
    ] {
        assert!(try_app(text, &[]).is_err(), "{text}");
    }
}
