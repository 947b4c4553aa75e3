//! Names and ARNs in the form of an AWS account, for engines that are their own account.

use crate::{Names, Resource};

/// Makes every value from the stack's name; the same stack gets the same values.
#[derive(Clone, Debug)]
pub struct AccountNames {
    pub stack: String,
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The scheme and host of queues: `https://sqs.eu-central-1.amazonaws.com`.
    pub queue_endpoint: String,
    /// The host of the stack's own site (`dev--shop.localhost:8080`): what a distribution's `DomainName` is here.
    pub site_host: String,
    /// `http` or `https`.
    pub site_scheme: String,
}

impl AccountNames {
    /// The physical name of a resource.
    pub fn physical(&self, resource: Resource<'_>) -> String {
        if let Some(name) = resource.name {
            return name.to_owned();
        }
        let made = format!("{}-{}", self.stack, resource.logical);
        match resource.kind {
            "AWS::S3::Bucket" => made.to_ascii_lowercase(),
            kind if is_api(kind) => self.api_id(resource.logical),
            "AWS::ApiGateway::Stage" | "AWS::ApiGatewayV2::Stage" => "$default".into(),
            "AWS::Lambda::Version" => "1".into(),
            _ => made,
        }
    }

    /// Ten letters and digits, as API Gateway's ids have.
    fn api_id(&self, logical: &str) -> String {
        // FNV-1a, 64 bits: an id, not a secret.
        let seed = format!("{}/{logical}", self.stack);
        let mut hash = seed
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut id = String::new();
        for _ in 0..10 {
            id.push(char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[(hash % 36) as usize]));
            hash /= 36;
        }
        id
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }

    fn arn_of(&self, resource: Resource<'_>) -> Option<String> {
        let name = self.physical(resource);
        Some(match resource.kind {
            "AWS::Serverless::Function" | "AWS::Lambda::Function" => self.arn("lambda", &format!("function:{name}")),
            "AWS::Lambda::Version" | "AWS::Lambda::Alias" => {
                let function = Resource { logical: resource.logical, kind: "AWS::Lambda::Function", name: None };
                self.arn("lambda", &format!("function:{}:{name}", self.physical(function)))
            }
            "AWS::Serverless::LayerVersion" | "AWS::Lambda::LayerVersion" => {
                self.arn("lambda", &format!("layer:{name}:1"))
            }
            "AWS::SQS::Queue" => self.arn("sqs", &name),
            "AWS::SNS::Topic" => self.arn("sns", &name),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{name}"),
            "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable" => self.arn("dynamodb", &format!("table/{name}")),
            "AWS::Logs::LogGroup" => self.arn("logs", &format!("log-group:{name}:*")),
            "AWS::IAM::Role" => format!("arn:aws:iam::{}:role/{name}", self.account),
            "AWS::Events::Rule" => self.arn("events", &format!("rule/{name}")),
            "AWS::Events::EventBus" => self.arn("events", &format!("event-bus/{name}")),
            "AWS::Serverless::StateMachine" => self.arn("states", &format!("stateMachine:{name}")),
            _ => return None,
        })
    }
}

fn is_api(kind: &str) -> bool {
    matches!(
        kind,
        "AWS::Serverless::Api"
            | "AWS::Serverless::HttpApi"
            | "AWS::Serverless::WebSocketApi"
            | "AWS::ApiGateway::RestApi"
            | "AWS::ApiGatewayV2::Api"
    )
}

impl Names for AccountNames {
    fn reference(&self, resource: Resource<'_>) -> Option<String> {
        let name = self.physical(resource);
        match resource.kind {
            "AWS::SQS::Queue" => Some(format!("{}/{}/{name}", self.queue_endpoint, self.account)),
            "AWS::SNS::Topic"
            | "AWS::Serverless::LayerVersion"
            | "AWS::Lambda::LayerVersion"
            | "AWS::Lambda::Version"
            | "AWS::Lambda::Alias"
            | "AWS::Serverless::StateMachine" => self.arn_of(resource),
            _ => Some(name),
        }
    }

    fn attribute(&self, resource: Resource<'_>, attribute: &str) -> Option<String> {
        let name = self.physical(resource);
        match (resource.kind, attribute) {
            (_, "Arn" | "LayerVersionArn" | "FunctionArn" | "TopicArn") => self.arn_of(resource),
            ("AWS::Lambda::Version", "Version") => Some(name),
            ("AWS::SQS::Queue", "QueueName") | ("AWS::SNS::Topic", "TopicName") => Some(name),
            ("AWS::SQS::Queue", "QueueUrl") => self.reference(resource),
            ("AWS::DynamoDB::Table", "StreamArn") => {
                Some(self.arn("dynamodb", &format!("table/{name}/stream/2026-01-01T00:00:00.000")))
            }
            ("AWS::S3::Bucket", "DomainName") => Some(format!("{name}.s3.amazonaws.com")),
            ("AWS::S3::Bucket", "RegionalDomainName") => Some(format!("{name}.s3.{}.amazonaws.com", self.region)),
            ("AWS::S3::Bucket", "WebsiteURL") => Some(format!("{}://{}", self.site_scheme, self.site_host)),
            ("AWS::CloudFront::Distribution", "DomainName") => Some(self.site_host.clone()),
            ("AWS::Serverless::Api" | "AWS::ApiGateway::RestApi", "RootResourceId") => Some("root".into()),
            ("AWS::SSM::Parameter", "Type") => Some("String".into()),
            (kind, "ApiEndpoint") if is_api(kind) => {
                let host = format!("{name}.execute-api.{}.amazonaws.com", self.region);
                let socket = kind == "AWS::Serverless::WebSocketApi";
                Some(format!("{}://{host}", if socket { "wss" } else { "https" }))
            }
            (kind, "RestApiId" | "ApiId") if is_api(kind) => Some(name),
            _ => None,
        }
    }

    fn pseudo(&self, name: &str) -> Option<String> {
        Some(match name {
            "AWS::Region" => self.region.clone(),
            "AWS::AccountId" => self.account.clone(),
            "AWS::Partition" => "aws".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::StackName" => self.stack.clone(),
            "AWS::StackId" => self.arn("cloudformation", &format!("stack/{0}/{0}", self.stack)),
            _ => return None,
        })
    }
}
