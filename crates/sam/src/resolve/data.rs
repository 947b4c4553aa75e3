//! Queues, buckets, tables, topics, log groups and parameters.

use serde_json::{Value, json};

use super::{Building, Reading};
use crate::{Bucket, LogGroup, QueueReference, QueueResource, Redrive, SsmParameter, Table, Topic, Website};

impl<'a> Building<'a> {
    pub(super) fn queue(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let number =
            |key: &str, range, default| properties.get(key).and_then(|node| node.number(range)).unwrap_or(default);
        let queue = QueueResource {
            logical_id: reading.logical.to_owned(),
            name: properties.get("QueueName").and_then(|name| name.text()),
            fifo: properties.get("FifoQueue").is_some_and(|flag| flag.flag()),
            visibility_timeout_s: number("VisibilityTimeout", 0..=43_200, 30),
            delay_s: number("DelaySeconds", 0..=900, 0),
            retention_s: number("MessageRetentionPeriod", 60..=1_209_600, 345_600),
            redrive: self.redrive(reading),
        };
        if queue.fifo {
            self.unsupported(reading, Some("FifoQueue"), "order and deduplication are not kept");
        }
        self.note_others(
            reading,
            &[
                "QueueName",
                "FifoQueue",
                "VisibilityTimeout",
                "DelaySeconds",
                "MessageRetentionPeriod",
                "RedrivePolicy",
                "RedriveAllowPolicy",
                "SqsManagedSseEnabled",
                "KmsMasterKeyId",
                "ReceiveMessageWaitTimeSeconds",
            ],
        );
        self.app.queues.insert(queue.logical_id.clone(), queue);
    }

    fn redrive(&self, reading: &Reading<'a>) -> Option<Redrive> {
        let policy = reading.properties.get("RedrivePolicy")?;
        let target = policy.get("deadLetterTargetArn")?;
        let dead_letters = match target.resource_of(&["AWS::SQS::Queue"]) {
            Some(logical) => QueueReference::Logical(logical),
            None => QueueReference::Arn(target.text()?),
        };
        let max_receive_count = policy.get("maxReceiveCount")?.number(1..=1000)?;
        Some(Redrive { dead_letters, max_receive_count })
    }

    pub(super) fn bucket(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let website = properties.get("WebsiteConfiguration").map(|website| Website {
            index: website.get("IndexDocument").and_then(|key| key.text()).unwrap_or_else(|| "index.html".into()),
            error: website.get("ErrorDocument").and_then(|key| key.text()),
        });
        let cors = properties.path(&["CorsConfiguration", "CorsRules"]).map(|rules| rules.value());
        let versioning = properties.path(&["VersioningConfiguration", "Status"]).and_then(|status| status.text());
        let bucket = Bucket {
            logical_id: reading.logical.to_owned(),
            name: properties.get("BucketName").and_then(|name| name.text()),
            website,
            cors: cors.and_then(|rules| rules.as_array().cloned()).unwrap_or_default(),
            versioned: versioning.as_deref() == Some("Enabled"),
        };
        if bucket.versioned {
            self.unsupported(reading, Some("VersioningConfiguration"), "only the newest version of an object is kept");
        }
        self.note_others(
            reading,
            &[
                "BucketName",
                "WebsiteConfiguration",
                "CorsConfiguration",
                "VersioningConfiguration",
                "NotificationConfiguration",
                "AccessControl",
                "PublicAccessBlockConfiguration",
                "BucketEncryption",
                "OwnershipControls",
            ],
        );
        self.app.buckets.insert(bucket.logical_id.clone(), bucket);
    }

    /// A SimpleTable has one key, `id` of type String when not said otherwise.
    pub(super) fn simple_table(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let key = |name: &str| properties.path(&["PrimaryKey", name]).and_then(|node| node.text());
        let name = key("Name").unwrap_or_else(|| "id".into());
        let kind = match key("Type").as_deref() {
            None | Some("String" | "S") => "S",
            Some("Number" | "N") => "N",
            Some("Binary" | "B") => "B",
            Some(_) => {
                properties.problem("`PrimaryKey.Type` is String, Number or Binary");
                "S"
            }
        };
        let definition = json!({
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind}],
            "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        self.note_others(reading, &["TableName", "PrimaryKey", "ProvisionedThroughput", "SSESpecification"]);
        self.keep_table(reading, definition);
    }

    pub(super) fn table(&mut self, reading: &Reading<'a>) {
        self.note_others(
            reading,
            &[
                "TableName",
                "AttributeDefinitions",
                "KeySchema",
                "BillingMode",
                "ProvisionedThroughput",
                "OnDemandThroughput",
                "GlobalSecondaryIndexes",
                "LocalSecondaryIndexes",
                "StreamSpecification",
                "TimeToLiveSpecification",
                "SSESpecification",
                "DeletionProtectionEnabled",
                "PointInTimeRecoverySpecification",
                "TableClass",
            ],
        );
        let definition = reading.properties.value();
        if definition["KeySchema"].as_array().is_none_or(Vec::is_empty) {
            reading.properties.problem("a table has a `KeySchema`");
        }
        self.keep_table(reading, definition);
    }

    fn keep_table(&mut self, reading: &Reading<'a>, definition: Value) {
        let ttl = &definition["TimeToLiveSpecification"];
        let enabled = ttl["Enabled"] == true || ttl["Enabled"] == "true";
        let table = Table {
            logical_id: reading.logical.to_owned(),
            name: reading.properties.get("TableName").and_then(|name| name.text()),
            stream_view: definition["StreamSpecification"]["StreamViewType"].as_str().map(str::to_owned),
            ttl_attribute: ttl["AttributeName"].as_str().filter(|_| enabled).map(str::to_owned),
            definition,
        };
        self.app.tables.insert(table.logical_id.clone(), table);
    }

    pub(super) fn topic(&mut self, reading: &Reading<'a>) {
        let name = reading.properties.get("TopicName").and_then(|name| name.text());
        self.unsupported(reading, None, "topics are not delivered here; the topic's name and ARN are given out");
        let topic = Topic { logical_id: reading.logical.to_owned(), name };
        self.app.topics.insert(topic.logical_id.clone(), topic);
    }

    pub(super) fn log_group(&mut self, reading: &Reading<'a>) {
        let group = LogGroup {
            logical_id: reading.logical.to_owned(),
            name: reading.properties.get("LogGroupName").and_then(|name| name.text()),
            retention_days: reading.properties.get("RetentionInDays").and_then(|days| days.number(1..=3653)),
        };
        self.note_others(reading, &["LogGroupName", "RetentionInDays", "KmsKeyId", "LogGroupClass"]);
        self.app.log_groups.insert(group.logical_id.clone(), group);
    }

    pub(super) fn parameter(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let kind = properties.get("Type").and_then(|kind| kind.text()).unwrap_or_default();
        if !matches!(kind.as_str(), "String" | "StringList") {
            properties.problem("CloudFormation makes parameters of the types String and StringList only");
        }
        let Some(value) = properties.get("Value").and_then(|value| value.text()) else {
            properties.problem("a parameter has a `Value`");
            return;
        };
        let name = properties.get("Name").and_then(|name| name.text());
        self.note_others(reading, &["Name", "Type", "Value", "Tier", "DataType", "AllowedPattern"]);
        let parameter = SsmParameter { logical_id: reading.logical.to_owned(), name, kind, value };
        self.app.parameters.insert(parameter.logical_id.clone(), parameter);
    }
}
