//! Physical names, ARNs and URLs of one stack.

use std::collections::BTreeMap;

use cloud::StackName;
use sam::{AccountNames, App, QueueReference, Resource};

use crate::wire::ACCOUNT_ID;

#[derive(Clone)]
pub struct Naming {
    names: AccountNames,
    site_url: String,
}

impl Naming {
    /// `site_host` is `dev--shop.localhost:4000`, `endpoint` the service endpoint's URL.
    pub fn new(stack: &StackName, region: &str, endpoint: &str, site_host: &str) -> Self {
        let names = AccountNames {
            stack: stack.to_string(),
            region: region.to_owned(),
            account: ACCOUNT_ID.to_owned(),
            queue_endpoint: endpoint.to_owned(),
            site_host: site_host.to_owned(),
            site_scheme: "http".to_owned(),
        };
        Self { names, site_url: format!("http://{site_host}") }
    }

    pub fn resolver(&self) -> &AccountNames {
        &self.names
    }

    pub fn account(&self) -> &str {
        &self.names.account
    }

    pub fn region(&self) -> &str {
        &self.names.region
    }

    pub fn site_url(&self) -> &str {
        &self.site_url
    }

    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.names.region, self.names.account)
    }

    pub fn physical(&self, kind: &str, logical: &str, name: Option<&str>) -> String {
        self.names.physical(Resource { logical, kind, name })
    }

    pub fn function(&self, function: &sam::Function) -> String {
        self.physical("AWS::Serverless::Function", &function.logical_id, function.name.as_deref())
    }

    /// The name of a queue of this stack.
    pub fn queue(&self, app: &App, queue: &QueueReference) -> String {
        match queue {
            QueueReference::Logical(logical) => {
                let name = app.queues.get(logical).and_then(|queue| queue.name.as_deref());
                self.physical("AWS::SQS::Queue", logical, name)
            }
            QueueReference::Arn(arn) => arn.rsplit(':').next().unwrap_or(arn).to_owned(),
        }
    }

    pub fn bucket(&self, app: &App, logical: &str) -> String {
        let name = app.buckets.get(logical).and_then(|bucket| bucket.name.as_deref());
        self.physical("AWS::S3::Bucket", logical, name)
    }

    pub fn table(&self, app: &App, logical: &str) -> String {
        let name = app.tables.get(logical).and_then(|table| table.name.as_deref());
        self.physical("AWS::DynamoDB::Table", logical, name)
    }

    /// Addresses of the stack's APIs on AWS become the site's own: it serves them, with and without the stage.
    pub fn localize(&self, apis: &BTreeMap<String, sam::Api>, text: &str) -> String {
        let mut text = text.to_owned();
        for (logical, api) in apis {
            let kind = match api.kind {
                sam::ApiKind::Rest => "AWS::Serverless::Api",
                sam::ApiKind::Http => "AWS::Serverless::HttpApi",
                sam::ApiKind::WebSocket => continue,
            };
            let host =
                format!("{}.execute-api.{}.amazonaws.com", self.physical(kind, logical, None), self.names.region);
            text = text.replace(&format!("https://{host}"), &self.site_url);
        }
        // A distribution's domain is the site's own host, which speaks HTTP here.
        text.replace(&format!("https://{}", self.names.site_host), &self.site_url)
    }
}
