//! Physical names: a stack in a shared account names its resources after itself.

use super::text::Piece;
use super::{Fence, Looking, ViolationCode};

/// The properties that give a resource a name which the whole account (or the world) shares.
const NAMES: [(&str, &str); 29] = [
    ("AWS::Serverless::Function", "FunctionName"),
    ("AWS::Serverless::LayerVersion", "LayerName"),
    ("AWS::Serverless::SimpleTable", "TableName"),
    ("AWS::Serverless::StateMachine", "Name"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::Lambda::LayerVersion", "LayerName"),
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::SQS::Queue", "QueueName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::Events::EventBus", "Name"),
    ("AWS::Events::Rule", "Name"),
    ("AWS::Scheduler::Schedule", "Name"),
    ("AWS::Scheduler::ScheduleGroup", "Name"),
    ("AWS::StepFunctions::StateMachine", "StateMachineName"),
    ("AWS::Kinesis::Stream", "Name"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
    ("AWS::CloudWatch::Alarm", "AlarmName"),
    ("AWS::CloudWatch::CompositeAlarm", "AlarmName"),
    ("AWS::CloudWatch::Dashboard", "DashboardName"),
    ("AWS::CodeDeploy::Application", "ApplicationName"),
    ("AWS::CloudFront::Function", "Name"),
    ("AWS::CloudFront::OriginAccessControl", "OriginAccessControlConfig"),
    ("AWS::ApiGateway::ApiKey", "Name"),
    ("AWS::ApiGateway::UsagePlan", "UsagePlanName"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::SSM::Parameter", "Name"),
    ("AWS::SecretsManager::Secret", "Name"),
];

impl Fence<'_> {
    pub(super) fn names(&mut self, looking: Looking<'_>) {
        let Some(account) = self.account() else { return };
        let Some((_, property)) = NAMES.iter().find(|(kind, _)| *kind == looking.kind) else { return };
        let value = looking.properties.get(*property);
        let value = if *property == "OriginAccessControlConfig" { value.and_then(|c| c.get("Name")) } else { value };
        let at = format!("Properties.{property}");
        for text in value.map(|value| self.scope.texts(value)).unwrap_or_default() {
            if text.contains(&Piece::Unknown) {
                self.hidden(looking.logical, &at);
                continue;
            }
            let name = self.scope.rendered(&text);
            // A name made of another name of the stack is the stack's own.
            let own = |name: &str| name.starts_with(super::text::OWN) || starts_with(name, &account.stack);
            let path = &self.rules.parameter_path;
            let (fits, rule) = match looking.kind {
                "AWS::SSM::Parameter" | "AWS::SecretsManager::Secret" => {
                    let fits = name.starts_with(path.as_str()) || name.starts_with(path.trim_start_matches('/'));
                    (fits, format!("starts with {path}"))
                }
                "AWS::Logs::LogGroup" => {
                    let last = name.strip_prefix("/aws/").and_then(|rest| rest.split_once('/')).map(|(_, last)| last);
                    (own(&name) || last.is_some_and(own), "starts with ${AWS::StackName}, after /aws/lambda/".into())
                }
                _ => (own(&name), "starts with ${AWS::StackName}".to_owned()),
            };
            if !fits {
                let reason = format!("a physical name {rule}, so that no two stacks of the account meet");
                self.refuse(ViolationCode::Name, looking.logical, &at, reason);
            }
        }
    }
}

/// `stack`, or a name that goes on after it with a separator.
fn starts_with(name: &str, stack: &str) -> bool {
    let rest = name.strip_prefix(stack);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.', '/']))
}
