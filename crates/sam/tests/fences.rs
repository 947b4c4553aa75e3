//! What a template may not ask for, wherever it is carried out.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use sam::Template;
use sam::fence::{AccountRules, FencePlace, FenceRules, PackagedCode, Violation, ViolationCode, check, enforce};
use serde_json::{Value, json};

const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/apps";
const STACK: &str = "workroom-app-shop--dev";

fn rules() -> FenceRules {
    let account = AccountRules { boundary: BOUNDARY.into(), stack: STACK.into(), ..AccountRules::default() };
    FenceRules { parameter_path: "/workroom/apps/shop/dev/".into(), place: FencePlace::Account(account) }
}

fn machine() -> FenceRules {
    FenceRules { place: FencePlace::Machine, ..rules() }
}

fn processed() -> FenceRules {
    let mut rules = rules();
    if let FencePlace::Account(account) = &mut rules.place {
        let keys = BTreeSet::from(["projects/1/artifacts/a.zip".to_owned()]);
        account.packaged = Some(PackagedCode { bucket: "data".into(), keys });
    }
    rules
}

fn found(text: &str, rules: &FenceRules) -> Vec<Violation> {
    check(&Template::parse(text).unwrap().to_json(), &BTreeMap::new(), rules)
}

fn codes(text: &str, rules: &FenceRules) -> Vec<ViolationCode> {
    let mut codes: Vec<ViolationCode> = found(text, rules).into_iter().map(|violation| violation.code).collect();
    codes.dedup();
    codes
}

/// The resource `X` beside a function, a role and a queue that it may refer to.
fn with(resource: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Word: {{Type: String, Default: x}}\nResources:\n  \
         F: {{Type: AWS::Serverless::Function, Properties: {{Handler: a.b, Runtime: python3.12, CodeUri: src}}}}\n  \
         R: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {{Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: sts:AssumeRole}}]}}}}}}\n  \
         Q: {{Type: AWS::SQS::Queue}}\n  X: {resource}\n"
    )
}

#[track_caller]
fn refused(resource: &str, code: ViolationCode, property: &str) {
    let found = found(&with(resource), &rules());
    let named = found.iter().any(|v| v.code == code && v.resource == "X" && v.property.starts_with(property));
    assert!(named, "{resource}: {found:#?}");
}

#[track_caller]
fn allowed(resource: &str) {
    let found = found(&with(resource), &rules());
    assert!(found.is_empty(), "{resource}: {found:#?}");
}

fn starter(name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

#[test]
fn the_starters_and_the_platforms_own_apps_pass() {
    for name in [
        "starters/python/template.yaml",
        "starters/node/template.yaml",
        "tests/apps/orders/template.yaml",
        "tests/apps/counter/template.yaml",
        "tests/apps/workshop/service/template.yaml",
    ] {
        for rules in [machine(), rules()] {
            let found: Vec<Violation> = found(&starter(name), &rules);
            let merely: Vec<&Violation> = found.iter().filter(|v| !matches!(v.code, ViolationCode::Name)).collect();
            assert!(merely.is_empty(), "{name}: {merely:#?}");
        }
    }
}

#[test]
fn types_are_on_a_list_and_a_target_may_add_to_it() {
    refused("{Type: AWS::EC2::Instance}", ViolationCode::ResourceType, "Type");
    refused("{Type: AWS::IAM::User}", ViolationCode::ResourceType, "Type");
    let mut rules = rules();
    if let FencePlace::Account(account) = &mut rules.place {
        account.types = vec!["AWS::EC2::Instance".into(), "Custom::Thing".into(), "AWS::CloudFormation::Stack".into()];
    }
    assert!(found(&with("{Type: AWS::EC2::Instance}"), &rules).is_empty());
    // Some things no list allows, and not on one machine either.
    for place in [&rules, &machine()] {
        assert_eq!(codes(&with("{Type: Custom::Thing}"), place), [ViolationCode::CustomResource]);
        assert_eq!(codes(&with("{Type: AWS::CloudFormation::CustomResource}"), place), [ViolationCode::CustomResource]);
        assert_eq!(codes(&with("{Type: AWS::CloudFormation::Macro}"), place), [ViolationCode::Macro]);
    }
    // On one machine a type that is merely unknown is the engine's matter.
    assert!(found(&with("{Type: AWS::EC2::Instance}"), &machine()).is_empty());
    assert_eq!(codes("Resources: {X: {Type: {Ref: Word}}}", &machine()), [ViolationCode::Shape]);
}

#[test]
fn deploy_002_no_role_is_without_the_mandatory_boundary() {
    let text = with("{Type: AWS::Serverless::StateMachine, Properties: {Definition: {}}}");
    assert!(found(&text, &rules()).is_empty(), "what its author leaves out is put in");
    let mut template = Template::parse(&text).unwrap().to_json();
    enforce(&mut template, BOUNDARY);
    for id in ["F", "R", "X"] {
        assert_eq!(template["Resources"][id]["Properties"]["PermissionsBoundary"], BOUNDARY, "{id}");
    }
    // After the transforms a role without it, wherever it came from, is refused.
    let role = json!({"Resources": {"CodeDeployServiceRole": {"Type": "AWS::IAM::Role", "Properties": {}}}});
    let found = check(&role, &BTreeMap::new(), &processed());
    assert_eq!(found[0].code, ViolationCode::PermissionsBoundary);
    assert_eq!(
        (found[0].resource.as_str(), found[0].property.as_str()),
        ("CodeDeployServiceRole", "Properties.PermissionsBoundary")
    );
}

#[test]
fn another_boundary_is_refused_however_it_is_written() {
    let at = "Properties.PermissionsBoundary";
    for boundary in [
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "!Sub 'arn:aws:iam::${AWS::AccountId}:policy/other'",
        "!If [C, 'arn:aws:iam::123456789012:policy/apps', 'arn:aws:iam::aws:policy/AdministratorAccess']",
        "!Join [':', [arn, aws, iam, '', '123456789012', policy/other]]",
        "!Ref Word",
    ] {
        let role = format!("{{Type: AWS::IAM::Role, Properties: {{PermissionsBoundary: {boundary}}}}}");
        refused(&role, ViolationCode::PermissionsBoundary, at);
    }
    refused(
        "{Type: AWS::IAM::Role, Properties: {PermissionsBoundary: !GetAtt Nobody.Arn}}",
        ViolationCode::HiddenValue,
        at,
    );
    allowed(
        "{Type: AWS::IAM::Role, Properties: {PermissionsBoundary: !Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/apps'}}",
    );
    // By `Globals` as well.
    let text = "Globals: {Function: {PermissionsBoundary: 'arn:aws:iam::aws:policy/ReadOnlyAccess'}}\n".to_owned()
        + &with("{Type: AWS::SNS::Topic}");
    assert_eq!(codes(&text, &rules()), [ViolationCode::PermissionsBoundary]);
    let text = "Globals: {StateMachine: {PermissionsBoundary: 'arn:aws:iam::aws:policy/ReadOnlyAccess'}}\n".to_owned()
        + &with("{Type: AWS::SNS::Topic}");
    assert_eq!(codes(&text, &rules()), [ViolationCode::PermissionsBoundary]);
    // A choice that may leave it out does not count as one, once nobody can put it in any more.
    let role = json!({"Resources": {"R": {"Type": "AWS::IAM::Role",
        "Properties": {"PermissionsBoundary": {"Fn::If": ["C", BOUNDARY, {"Ref": "AWS::NoValue"}]}}}}});
    assert_eq!(check(&role, &BTreeMap::new(), &processed())[0].code, ViolationCode::PermissionsBoundary);
}

#[test]
fn a_role_for_shifting_traffic_is_made_with_the_boundary() {
    let text = with(
        "{Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, CodeUri: src, \
        AutoPublishAlias: live, DeploymentPreference: {Type: Canary10Percent5Minutes}}}",
    );
    let mut template = Template::parse(&text).unwrap().to_json();
    assert!(found(&text, &rules()).is_empty());
    enforce(&mut template, BOUNDARY);
    let role = &template["Resources"]["X"]["Properties"]["DeploymentPreference"]["Role"]["Fn::GetAtt"][0];
    let role = &template["Resources"][role.as_str().unwrap()];
    assert_eq!(role["Properties"]["PermissionsBoundary"], BOUNDARY);
    // What is put in passes the second look; nobody else may set such a tag.
    let second = check(&template, &BTreeMap::new(), &processed());
    assert!(second.iter().all(|v| v.resource != "DeploymentPreferenceRole"), "{second:#?}");
    let first = check(&template, &BTreeMap::new(), &rules());
    assert!(first.iter().any(|v| v.code == ViolationCode::Name && v.property == "Properties.Tags"), "{first:#?}");
}

#[test]
fn the_platforms_tags_are_set_by_nobody_else() {
    for tags in [
        "[{Key: 'workroom:stack', Value: x}]",
        "[{Key: !Sub 'workroom:${Word}', Value: x}]",
        "!If [C, [{Key: 'Workroom:project', Value: x}], []]",
    ] {
        refused(
            &format!("{{Type: AWS::IAM::Role, Properties: {{Tags: {tags}}}}}"),
            ViolationCode::Name,
            "Properties.Tags",
        );
    }
    refused(
        "{Type: AWS::Serverless::Function, Properties: {Tags: {'workroom:stack': x}}}",
        ViolationCode::Name,
        "Properties.Tags",
    );
    refused(
        "{Type: AWS::IAM::Role, Properties: {Tags: !FindInMap [M, a, b]}}",
        ViolationCode::HiddenValue,
        "Properties.Tags",
    );
    allowed("{Type: AWS::IAM::Role, Properties: {Tags: [{Key: team, Value: !Ref Word}]}}");
}

#[test]
fn deploy_004_macros_and_includes_are_refused_at_any_depth() {
    for text in [
        "Transform: [AWS::Serverless-2016-10-31, MyMacro]\nResources: {Q: {Type: AWS::SQS::Queue}}",
        "Transform: {Name: AWS::Include, Parameters: {Location: 's3://other/x.yaml'}}\nResources: {Q: {Type: AWS::SQS::Queue}}",
        "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: {'Fn::Transform': {Name: M}}}]}}}",
        "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: {'Fn::Transform': {Name: M}}}}",
        "Resources: {'Fn::Transform': {Type: AWS::SQS::Queue}}",
        "Mappings: {M: {a: {b: {'Fn::Transform': {Name: M}}}}}\nResources: {Q: {Type: AWS::SQS::Queue}}",
        "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: {'Fn::Custom': x}}}}",
    ] {
        for rules in [rules(), machine()] {
            assert!(codes(text, &rules).contains(&ViolationCode::Macro), "{text}: {:?}", found(text, &rules));
        }
    }
    let extensions =
        "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\nResources: {Q: {Type: AWS::SQS::Queue}}";
    assert!(found(extensions, &machine()).is_empty());
    assert_eq!(codes(extensions, &rules()), [ViolationCode::Macro]);
    let hooks = "Hooks: {H: {Type: AWS::CodeDeploy::BlueGreen}}\nResources: {Q: {Type: AWS::SQS::Queue}}";
    assert_eq!(codes(hooks, &rules()), [ViolationCode::Shape]);
}

#[test]
fn deploy_006_nested_stacks_are_refused() {
    for kind in ["AWS::CloudFormation::Stack", "AWS::Serverless::Application", "AWS::CloudFormation::StackSet"] {
        let resource =
            format!("{{Type: {kind}, Properties: {{TemplateURL: 'https://s3.amazonaws.com/other/t.yaml'}}}}");
        refused(&resource, ViolationCode::NestedStack, "Type");
        assert!(codes(&with(&resource), &machine()).contains(&ViolationCode::NestedStack));
    }
}

#[test]
fn deploy_007_code_is_what_the_platform_packaged() {
    for (resource, property) in [
        (
            "{Type: AWS::Serverless::Function, Properties: {CodeUri: 's3://platform-bucket/other-tenant/x.zip'}}",
            "CodeUri",
        ),
        ("{Type: AWS::Serverless::Function, Properties: {CodeUri: {Bucket: b, Key: k}}}", "CodeUri"),
        ("{Type: AWS::Serverless::Function, Properties: {CodeUri: !Sub 's3://${Word}/x.zip'}}", "CodeUri"),
        ("{Type: AWS::Serverless::Function, Properties: {CodeUri: !If [C, src, 's3://b/k']}}", "CodeUri"),
        ("{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: 123.dkr.ecr/x}}", "ImageUri"),
        ("{Type: AWS::Lambda::Function, Properties: {Code: {S3Bucket: b, S3Key: k}}}", "Code"),
        ("{Type: AWS::Lambda::Function, Properties: {Code: {ZipFile: x, ImageUri: y}}}", "Code"),
        ("{Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: b, S3Key: k}}}", "Content"),
        ("{Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: 'https://example.com/x.zip'}}", "ContentUri"),
        ("{Type: AWS::Serverless::Api, Properties: {DefinitionUri: 's3://b/api.yaml'}}", "DefinitionUri"),
        ("{Type: AWS::ApiGateway::RestApi, Properties: {BodyS3Location: {Bucket: b, Key: k}}}", "BodyS3Location"),
        (
            "{Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionS3Location: {Bucket: b, Key: k}}}",
            "DefinitionS3Location",
        ),
    ] {
        refused(resource, ViolationCode::ForeignCode, &format!("Properties.{property}"));
        assert!(codes(&with(resource), &machine()).contains(&ViolationCode::ForeignCode), "{resource}");
    }
    allowed("{Type: AWS::Lambda::Function, Properties: {Role: !GetAtt R.Arn, Code: {ZipFile: 'exports.handler = 1'}}}");
    let own = |bucket: &str, key: &str| {
        json!({"Resources": {"F": {"Type": "AWS::Lambda::Function",
        "Properties": {"Role": {"Fn::GetAtt": ["FRole", "Arn"]}, "Code": {"S3Bucket": bucket, "S3Key": key}}}}})
    };
    let look = |template: &Value| check(template, &BTreeMap::new(), &processed());
    assert!(look(&own("data", "projects/1/artifacts/a.zip")).is_empty());
    for (bucket, key) in [("data", "projects/2/artifacts/a.zip"), ("other", "projects/1/artifacts/a.zip"), ("", "")] {
        assert_eq!(look(&own(bucket, key))[0].code, ViolationCode::ForeignCode, "{bucket}/{key}");
    }
}

#[test]
fn deploy_009_physical_names_are_the_stacks_own() {
    for (kind, property) in [
        ("AWS::Serverless::Function", "FunctionName"),
        ("AWS::IAM::Role", "RoleName"),
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::S3::Bucket", "BucketName"),
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::Logs::LogGroup", "LogGroupName"),
    ] {
        let resource = |name: &str| format!("{{Type: {kind}, Properties: {{{property}: {name}}}}}");
        let at = format!("Properties.{property}");
        for name in [
            "workroom-table",
            "workroom-app-other--dev-x",
            "workroom-app-shop--devil",
            "!Ref Word",
            "!Sub '${Word}${AWS::StackName}'",
        ] {
            refused(&resource(name), ViolationCode::Name, &at);
        }
        allowed(&resource("!Sub '${AWS::StackName}-x'"));
        allowed(&resource("!Join ['-', [!Ref AWS::StackName, x]]"));
        refused(&resource("!ImportValue x"), ViolationCode::HiddenValue, &at);
    }
    allowed("{Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub '/aws/lambda/${F}'}}");
    refused(
        "{Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /aws/lambda/other}}",
        ViolationCode::Name,
        "Properties",
    );
    refused(
        "{Type: AWS::SSM::Parameter, Properties: {Name: /other, Value: x}}",
        ViolationCode::Name,
        "Properties.Name",
    );
    allowed("{Type: AWS::SSM::Parameter, Properties: {Name: /workroom/apps/shop/dev/x, Value: x}}");
}

#[test]
fn deploy_010_nothing_is_open_to_everybody() {
    let code = ViolationCode::Principal;
    for resource in [
        "{Type: AWS::Lambda::Permission, Properties: {Principal: '*', FunctionName: !Ref F}}",
        "{Type: AWS::Lambda::Permission, Properties: {Principal: '999999999999', FunctionName: !Ref F}}",
        "{Type: AWS::Lambda::Permission, Properties: {Principal: !Sub '*', FunctionName: !Ref F}}",
        "{Type: AWS::Lambda::Permission, Properties: {Principal: !If [C, apigateway.amazonaws.com, '*'], FunctionName: !Ref F}}",
        "{Type: AWS::Lambda::Url, Properties: {AuthType: NONE, TargetFunctionArn: !GetAtt F.Arn}}",
        "{Type: AWS::Serverless::Function, Properties: {FunctionUrlConfig: {AuthType: NONE}}}",
        "{Type: AWS::S3::Bucket, Properties: {AccessControl: PublicReadWrite}}",
        "{Type: AWS::SQS::QueuePolicy, Properties: {PolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: ['*']}}]}}}",
        "{Type: AWS::SNS::TopicPolicy, Properties: {PolicyDocument: {Statement: {Effect: Allow, Principal: !Sub '*'}}}}",
        "{Type: AWS::S3::BucketPolicy, Properties: {PolicyDocument: {Statement: [{Effect: Allow, NotPrincipal: {AWS: x}}]}}}",
        "{Type: AWS::S3::BucketPolicy, Properties: {PolicyDocument: {Statement: [{Effect: Allow, Principal: '*', Condition: {}}]}}}",
        "{Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: 'arn:aws:iam::999999999999:root'}}]}}}",
        "{Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: '*'}, Condition: {StringEquals: {x: y}}}]}}}",
        "{Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Federated: evil.example.com}}]}}}",
    ] {
        refused(resource, code, "Properties.");
    }
    for resource in [
        "{Type: AWS::Lambda::Permission, Properties: {Principal: !Sub 'apigateway.${AWS::URLSuffix}', FunctionName: !Ref F}}",
        "{Type: AWS::Lambda::Permission, Properties: {Principal: apigateway.amazonaws.com, FunctionName: !Ref F}}",
        "{Type: AWS::SQS::QueuePolicy, Properties: {PolicyDocument: {Statement: [{Effect: Allow, Principal: '*', Condition: {ArnEquals: {aws:SourceArn: x}}}]}}}",
        "{Type: AWS::SQS::QueuePolicy, Properties: {PolicyDocument: {Statement: [{Effect: Deny, Principal: '*'}]}}}",
        "{Type: AWS::Serverless::Function, Properties: {FunctionUrlConfig: {AuthType: AWS_IAM}}}",
    ] {
        allowed(resource);
    }
    refused(
        "{Type: AWS::SQS::QueuePolicy, Properties: {PolicyDocument: !Ref Word}}",
        ViolationCode::HiddenValue,
        "Properties.",
    );
}

#[test]
fn roles_are_those_of_the_template() {
    let code = ViolationCode::ForeignRole;
    for resource in [
        "{Type: AWS::Serverless::Function, Properties: {Role: 'arn:aws:iam::123456789012:role/platform'}}",
        "{Type: AWS::Lambda::Function, Properties: {Role: !Sub 'arn:aws:iam::${AWS::AccountId}:role/x'}}",
        "{Type: AWS::Lambda::Function, Properties: {Role: !GetAtt Q.Arn}}",
        "{Type: AWS::StepFunctions::StateMachine, Properties: {RoleArn: 'arn:aws:iam::123456789012:role/x'}}",
        "{Type: AWS::Events::Rule, Properties: {Targets: [{Id: a, Arn: b, RoleArn: 'arn:aws:iam::123456789012:role/x'}]}}",
        "{Type: AWS::IAM::Policy, Properties: {PolicyName: p, PolicyDocument: {}, Roles: [platform-role]}}",
        "{Type: AWS::IAM::Policy, Properties: {PolicyName: p, PolicyDocument: {}, Users: [ada]}}",
        "{Type: AWS::IAM::RolePolicy, Properties: {PolicyName: p, RoleName: platform-role}}",
    ] {
        refused(resource, code, "Properties.");
    }
    for resource in [
        "{Type: AWS::Lambda::Function, Properties: {Role: !GetAtt R.Arn, Code: {ZipFile: x}}}",
        "{Type: AWS::Lambda::Function, Properties: {Role: !Sub '${R.Arn}', Code: {ZipFile: x}}}",
        "{Type: AWS::IAM::Policy, Properties: {PolicyName: p, PolicyDocument: {}, Roles: [!Ref R]}}",
        "{Type: AWS::Serverless::Function, Properties: {Role: !GetAtt FRole.Arn}}",
    ] {
        allowed(resource);
    }
    // The one attribute that says what the template wants it to is followed to what it says.
    let text = with("{Type: AWS::SSM::Parameter, Properties: {Value: 'arn:aws:iam::123456789012:role/admin'}}")
        + "  Y: {Type: AWS::Lambda::Function, Properties: {Role: !GetAtt X.Value, Code: {ZipFile: x}}}\n";
    assert_eq!(codes(&text, &rules()), [code]);
}

#[test]
fn managed_policies_and_layers_are_on_a_list() {
    let policies = "Properties.";
    for policy in
        ["arn:aws:iam::aws:policy/AdministratorAccess", "AdministratorAccess", "!Sub 'arn:aws:iam::aws:policy/${Word}'"]
    {
        let role = format!("{{Type: AWS::IAM::Role, Properties: {{ManagedPolicyArns: [{policy}]}}}}");
        refused(&role, ViolationCode::ManagedPolicy, policies);
        let function = format!("{{Type: AWS::Serverless::Function, Properties: {{Policies: {policy}}}}}");
        refused(&function, ViolationCode::ManagedPolicy, policies);
    }
    refused(
        "{Type: AWS::IAM::Role, Properties: {ManagedPolicyArns: !Split [',', !Ref Word]}}",
        ViolationCode::HiddenValue,
        policies,
    );
    allowed(
        "{Type: AWS::Serverless::Function, Properties: {Policies: [AWSLambdaBasicExecutionRole, {SQSPollerPolicy: {QueueName: !Ref Q}}, {Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}]}}",
    );
    allowed(
        "{Type: AWS::IAM::Role, Properties: {ManagedPolicyArns: [!Sub 'arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole']}}",
    );
    refused(
        "{Type: AWS::Serverless::Function, Properties: {Layers: ['arn:aws:lambda:eu-central-1:999999999999:layer:evil:1']}}",
        ViolationCode::Layer,
        "Properties.Layers",
    );
    refused(
        "{Type: AWS::Serverless::Function, Properties: {Layers: [!Sub 'arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:layer:x:1']}}",
        ViolationCode::Layer,
        "Properties.Layers",
    );
    allowed(
        "{Type: AWS::Serverless::Function, Properties: {Layers: [!Sub 'arn:aws:lambda:${AWS::Region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python312-x86_64:7']}}",
    );
    let mut more = rules();
    if let FencePlace::Account(account) = &mut more.place {
        account.managed_policies = vec!["arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess".into()];
        account.layers = vec!["arn:aws:lambda:*:999999999999:layer:good:*".into()];
    }
    let text = with(
        "{Type: AWS::Serverless::Function, Properties: {Policies: [AmazonDynamoDBReadOnlyAccess], Layers: ['arn:aws:lambda:eu-central-1:999999999999:layer:good:3']}}",
    );
    assert!(found(&text, &more).is_empty(), "{:?}", found(&text, &more));
}

#[test]
fn dynamic_references_stay_below_the_projects_path() {
    let property =
        |value: &str| with(&format!("{{Type: AWS::SQS::Queue, Properties: {{Tags: [{{Key: k, Value: {value}}}]}}}}"));
    for good in [
        "'{{resolve:ssm:/workroom/apps/shop/dev/key:1}}'",
        "'{{resolve:ssm-secure:/workroom/apps/shop/dev/key}}'",
        "'{{resolve:secretsmanager:/workroom/apps/shop/dev/db:SecretString:password}}'",
        "!Sub '{{resolve:ssm:/workroom/apps/shop/${Stage}/key}}'",
        "'{{ mustache }}'",
    ] {
        for rules in [rules(), machine()] {
            let text = property(good).replace("Parameters:", "Parameters:\n  Stage: {Type: String, Default: dev}");
            assert!(found(&text, &rules).is_empty(), "{good}: {:?}", found(&text, &rules));
        }
    }
    for bad in [
        "'{{resolve:ssm:/workroom/apps/shop/prod/key}}'",
        "'{{resolve:ssm:/workroom/apps/other/dev/key}}'",
        "'{{resolve:ssm:/workroom/dev/signing-key}}'",
        "'{{resolve:ssm-secure:/workroom/apps/shop/dev/../../x}}'",
        "'{{resolve:ssm:/workroom/apps/shop/dev/}}'",
        "'x{{resolve:secretsmanager:MySecret}}y'",
        "'{{resolve:secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:x}}'",
        "'{{resolve:unknown:x}}'",
        "!Join ['', ['{{res', 'olve:ssm:/x}}']]",
        "!Join ['', !Split ['|', '{|{resolve:s|sm:/x}|}']]",
        "!Sub ['${A}${B}', {A: '{{resolve:', B: 'ssm:/x}}'}]",
        "!Sub '{{resolve:ssm:${Word}}}'",
        "!Join [':', ['{{resolve', ssm, !Select [0, [/x]], '1}}']]",
        "!FindInMap [M, a, b]",
        "!Sub '{{resolve:ssm:/workroom/apps/shop/dev/${Q}}}'",
    ] {
        let text = format!("Mappings: {{M: {{a: {{b: '{{{{resolve:ssm:/x}}}}'}}}}}}\n{}", property(bad));
        for rules in [rules(), machine()] {
            let codes = codes(&text, &rules);
            assert!(codes.contains(&ViolationCode::DynamicReference), "{bad}: {codes:?}");
        }
    }
    let text = property("!Ref Word");
    let given = BTreeMap::from([("Word".to_owned(), "{{resolve:ssm:/x}}".to_owned())]);
    let found = check(&Template::parse(&text).unwrap().to_json(), &given, &machine());
    assert!(found.iter().any(|v| v.code == ViolationCode::DynamicReference && v.resource == "Parameters"), "{found:?}");
    // A secret of the template itself is the project's own.
    let own = with("{Type: AWS::SecretsManager::Secret}")
        + "  Y: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: k, Value: !Sub '{{resolve:secretsmanager:${X}:SecretString:p}}'}]}}\n";
    assert!(self::found(&own, &rules()).is_empty(), "{:?}", self::found(&own, &rules()));
    let other = own.replace("${X}", "${Q}");
    assert_eq!(codes(&other, &rules()), [ViolationCode::DynamicReference]);
}

#[test]
fn parameters_that_read_the_store_stay_below_the_projects_path() {
    let text = |kind: &str, default: &str| {
        format!(
            "Parameters: {{P: {{Type: '{kind}', Default: {default}}}}}\nResources: {{Q: {{Type: AWS::SQS::Queue}}}}"
        )
    };
    let kind = "AWS::SSM::Parameter::Value<String>";
    assert!(found(&text(kind, "/workroom/apps/shop/dev/x"), &rules()).is_empty());
    for (kind, default) in [
        (kind, "/x"),
        ("AWS::SSM::Parameter::Name", "/workroom/dev/key"),
        ("AWS::SSM::Parameter::Value<List<String>>", "/workroom/apps/shop/prod/x"),
    ] {
        assert_eq!(codes(&text(kind, default), &machine()), [ViolationCode::ParameterType], "{kind} {default}");
    }
    let none = "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>'}}\nResources: {Q: {Type: AWS::SQS::Queue}}";
    assert_eq!(codes(none, &rules()), [ViolationCode::ParameterType]);
}

#[test]
fn other_stacks_values_are_neither_read_nor_given() {
    assert!(
        codes(&with("{Type: AWS::SQS::Queue, Properties: {Tags: [{Key: k, Value: !ImportValue x}]}}"), &rules())
            .contains(&ViolationCode::SharedValue)
    );
    let export = with("{Type: AWS::SNS::Topic}") + "Outputs: {O: {Value: x, Export: {Name: x}}}\n";
    assert_eq!(codes(&export, &rules()), [ViolationCode::SharedValue]);
}

#[test]
fn size_depth_and_work_are_bounded() {
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let too_large = |template: &Value| {
        let found = check(template, &BTreeMap::new(), &rules());
        assert!(found.iter().any(|v| v.code == ViolationCode::TooLarge), "{found:?}");
    };
    too_large(&json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"Tags": deep}}}}));
    too_large(&json!({"Metadata": "x".repeat(1_100_000), "Resources": {}}));
    let many: serde_json::Map<String, Value> =
        (0..501).map(|n| (format!("Q{n}"), json!({"Type": "AWS::SQS::Queue"}))).collect();
    too_large(&json!({"Resources": many}));
    // Each choice doubles what a text may be.
    let choice = json!({"Fn::If": ["C", "a", "b"]});
    let doubled = json!({"Fn::Join": ["", vec![choice; 40]]});
    too_large(&json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": doubled}}}}));
    let mut nested = json!("x".repeat(1_000));
    for _ in 0..20 {
        nested = json!({"Fn::Join": ["", [nested.clone(), nested]]});
        if nested.to_string().len() > 400_000 {
            break;
        }
    }
    check(
        &json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": nested}}}}),
        &BTreeMap::new(),
        &rules(),
    );
}

#[test]
fn odd_shapes_neither_pass_nor_panic() {
    for template in [
        json!(null),
        json!([]),
        json!("x"),
        json!({"Resources": []}),
        json!({"Resources": {"A": 1}}),
        json!({"Resources": {"A": {"Type": ["x"]}}}),
        json!({"Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": []}}}),
        json!({"Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": {"Fn::If": ["C", {}, {}]}}}}),
        json!({"Transform": {"x": 1}}),
        json!({"Transform": [[]]}),
        json!({"Parameters": {"P": 1}}),
        json!({"Parameters": {"P": {"Type": 1}}}),
    ] {
        assert!(!check(&template, &BTreeMap::new(), &rules()).is_empty(), "{template}");
    }
    for template in [
        json!({"Globals": 1, "Outputs": 2, "Resources": {"F": {"Type": "AWS::Serverless::Function"}}}),
        json!({"Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {"Policies": 1, "Layers": {"a": 1}, "Events": 3}}}}),
        json!({"Resources": {"F": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [1, {"Principal": 3}]}}}}}),
        json!({"Resources": {"F": {"Type": "AWS::SQS::Queue", "Properties": {"Tags": {"Fn::Sub": [1, 2, 3]}}}}}),
        json!({"Resources": {"F": {"Type": "AWS::SQS::Queue", "Properties": {"Tags": {"Fn::Sub": "${a"}}}}}),
    ] {
        let mut template = template;
        check(&template, &BTreeMap::new(), &rules());
        enforce(&mut template, BOUNDARY);
    }
}

#[test]
fn deploy_012_hostile_yaml_is_no_template() {
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        let before = n - 1;
        text + &format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}]\n")
    });
    for text in [
        "Resources: {A: {Type: AWS::SQS::Queue}, A: {Type: Custom::X}}",
        "Resources: {A: {Type: AWS::SQS::Queue}}\nResources: {}",
        "Resources: !!python/object/apply:os.system ['id']",
        "{\"Resources\": {}, \"Resources\": {\"A\": {\"Type\": \"Custom::X\"}}}",
        &bomb,
    ] {
        assert!(Template::parse(text).is_err(), "{}", text.chars().take(80).collect::<String>());
    }
}
