//! What must not be deployed, and what is only noted.

use serde_json::Value;

use super::{Building, Reading};
use crate::{Refusal, Template};

/// Types that only give permissions: the keys of a stack reach that stack's own resources and nothing else.
const PERMISSIONS: [&str; 9] = [
    "AWS::IAM::Role",
    "AWS::IAM::Policy",
    "AWS::IAM::RolePolicy",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Permission",
    "AWS::Serverless::Connector",
    "AWS::SQS::QueuePolicy",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
];

/// Types that are parts of others, or without a meaning of their own.
const PARTS: [&str; 13] = [
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Account",
    "AWS::ApiGatewayV2::Stage",
    "AWS::ApiGatewayV2::Deployment",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Integration",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Version",
    "AWS::Lambda::Alias",
    "AWS::CloudFormation::WaitConditionHandle",
];

impl<'a> Building<'a> {
    /// `Transform` may name SAM and the language extensions: a macro would run foreign code over the template.
    pub(super) fn transforms(&mut self, template: &Template) {
        let json = template.to_json();
        let named = match json.get("Transform") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
        };
        for transform in named {
            if !matches!(transform.as_str(), Some("AWS::Serverless-2016-10-31" | "AWS::LanguageExtensions")) {
                self.app.refused.push(Refusal {
                    resource: String::new(),
                    kind: "Transform".into(),
                    property: None,
                    reason: format!("the macro {transform} is not run"),
                });
            }
        }
    }

    pub(super) fn refusals(&mut self, reading: &Reading<'a>) {
        match reading.kind {
            "AWS::CloudFormation::Stack" | "AWS::Serverless::Application" => {
                self.refuse(reading, None, "nested stacks are not deployed: put their resources into this template");
            }
            "AWS::CloudFormation::Macro" => self.refuse(reading, None, "macros are not registered"),
            "AWS::Lambda::Permission" | "AWS::Lambda::LayerVersionPermission" => {
                let principal = reading.properties.get("Principal").and_then(|principal| principal.text());
                if principal.as_deref() == Some("*") {
                    self.refuse(reading, Some("Principal"), "everybody may call the function");
                }
            }
            "AWS::Lambda::Url" => self.function_url(reading, "AuthType"),
            "AWS::S3::BucketPolicy" | "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy" => {
                let document = reading.properties.get("PolicyDocument").map(|node| node.value());
                if document.as_ref().is_some_and(is_public) {
                    self.refuse(reading, Some("PolicyDocument"), "a statement allows everybody");
                }
            }
            "AWS::S3::Bucket" => {
                let acl = reading.properties.get("AccessControl").and_then(|acl| acl.text());
                if acl.is_some_and(|acl| acl.starts_with("PublicRead")) {
                    self.refuse(reading, Some("AccessControl"), "the bucket is public");
                }
            }
            _ => {}
        }
    }

    /// `FunctionUrlConfig` and `AWS::Lambda::Url`.
    pub(super) fn function_url(&mut self, reading: &Reading<'a>, property: &str) {
        let node = reading.properties.path(&property.split('.').collect::<Vec<_>>());
        match node.and_then(|node| node.text()).as_deref() {
            Some("NONE") => self.refuse(reading, Some(property), "the function's address is open to everybody"),
            _ => self.unsupported(reading, Some(property), "functions have no address of their own here: use an API"),
        }
    }

    pub(super) fn other(&mut self, reading: &Reading<'a>, kind: &str) {
        if PARTS.contains(&kind) || kind.starts_with("AWS::CloudFormation::") && self.is_refused(reading) {
            return;
        }
        let reason = match kind {
            _ if PERMISSIONS.contains(&kind) => {
                "permissions are not evaluated here: the keys of a stack reach all of that stack and nothing else"
            }
            "AWS::Events::Rule" => "only rules with a schedule are run",
            "AWS::CloudFront::Distribution" => {
                "not needed here: the site and its APIs answer on one host of their own, without a cache in front"
            }
            "AWS::Serverless::Application" => return,
            _ => {
                "the type is not known here: nothing is made for it, and values that refer to it hold a name or ARN that leads nowhere"
            }
        };
        let scheduled = kind == "AWS::Events::Rule" && reading.properties.get("ScheduleExpression").is_some();
        if !scheduled && !self.is_refused(reading) {
            self.unsupported(reading, None, reason);
        }
    }

    fn is_refused(&self, reading: &Reading<'_>) -> bool {
        self.app.refused.iter().any(|refusal| refusal.resource == reading.logical)
    }
}

/// Whether a policy document allows every principal without a condition.
fn is_public(document: &Value) -> bool {
    let statements = match &document["Statement"] {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    let everybody = |principal: &Value| match principal {
        Value::String(text) => text == "*",
        Value::Object(map) => map.values().any(|value| match value {
            Value::Array(items) => items.iter().any(|item| item == "*"),
            one => one == "*",
        }),
        _ => false,
    };
    statements.iter().any(|statement| {
        statement["Effect"] == "Allow" && everybody(&statement["Principal"]) && statement.get("Condition").is_none()
    })
}
