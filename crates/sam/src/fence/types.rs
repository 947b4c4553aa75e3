//! Which types of resources a template may have.

use super::{Fence, ViolationCode};

/// Types that apps on SAM are made of: what SAM makes itself, and the serverless services around it. Sources: AWS SAM
/// Developer Guide, "Generated AWS CloudFormation resources"; the starter templates of `sam init`.
const KNOWN: [&str; 78] = [
    "AWS::Serverless::Api",
    "AWS::Serverless::Connector",
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::LayerVersion",
    "AWS::Serverless::SimpleTable",
    "AWS::Serverless::StateMachine",
    "AWS::Serverless::WebSocketApi",
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::ApiKey",
    "AWS::ApiGateway::Authorizer",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGateway::UsagePlanKey",
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Deployment",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::IntegrationResponse",
    "AWS::ApiGatewayV2::Model",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::RouteResponse",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudFront::CachePolicy",
    "AWS::CloudFront::CloudFrontOriginAccessIdentity",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::Function",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::OriginRequestPolicy",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolGroup",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::IAM::RolePolicy",
    "AWS::Kinesis::Stream",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Parameter",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SecretsManager::Secret",
    "AWS::StepFunctions::StateMachine",
];

/// Whether every target allows the type.
pub fn is_known_type(kind: &str) -> bool {
    KNOWN.contains(&kind)
}

/// Whether no target can allow the type.
pub fn is_never_allowed(kind: &str) -> bool {
    never(kind).is_some()
}

/// Never allowed, whatever a target says: they run somebody's code, or carry out another template.
pub(super) fn never(kind: &str) -> Option<(ViolationCode, &'static str)> {
    match kind {
        "AWS::CloudFormation::WaitConditionHandle" | "AWS::CloudFormation::WaitCondition" => None,
        "AWS::CloudFormation::Stack" | "AWS::CloudFormation::StackSet" | "AWS::Serverless::Application" => {
            Some((ViolationCode::NestedStack, "nested stacks are not deployed: put their resources into this template"))
        }
        "AWS::CloudFormation::Macro" => Some((ViolationCode::Macro, "macros are not registered")),
        _ if kind.starts_with("Custom::") || kind == "AWS::CloudFormation::CustomResource" => {
            Some((ViolationCode::CustomResource, "a custom resource runs code while the stack changes"))
        }
        _ if kind.starts_with("AWS::CloudFormation::") || kind.ends_with("::MODULE") => {
            Some((ViolationCode::CustomResource, "a template does not change CloudFormation itself"))
        }
        _ => None,
    }
}

impl Fence<'_> {
    pub(super) fn kind(&mut self, logical: &str, kind: &str) {
        if let Some((code, reason)) = never(kind) {
            self.refuse(code, logical, "Type", format!("{kind}: {reason}"));
            return;
        }
        let Some(account) = self.account() else { return };
        if !is_known_type(kind) && !account.types.iter().any(|allowed| allowed == kind) {
            let reason = format!("the target does not allow {kind}: ask an admin to add the type to the target");
            self.refuse(ViolationCode::ResourceType, logical, "Type", reason);
        }
    }
}
