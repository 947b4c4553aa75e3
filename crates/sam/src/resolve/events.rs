//! The `Events` of a function.

use super::api::Wanted;
use super::{Building, Reading};
use crate::node::Node;
use crate::{Event, Filters, PayloadVersion, QueueReference, StreamTrigger, Target, Trigger};

impl<'a> Building<'a> {
    pub(super) fn events(&mut self, reading: &Reading<'a>) {
        let Some(events) = reading.properties.get("Events") else { return };
        for (name, event) in events.entries() {
            let kind = event.get("Type").and_then(|kind| kind.text()).unwrap_or_default();
            let properties = event.get("Properties");
            let trigger = match (kind.as_str(), properties) {
                ("Api" | "HttpApi", properties) => self.api_event(reading, &event, properties, kind == "Api"),
                ("SQS", Some(properties)) => self.sqs_event(reading, name, &properties),
                ("Schedule" | "ScheduleV2", Some(properties)) => self.schedule_event(reading, name, &properties),
                ("S3", Some(properties)) => self.s3_event(reading, name, &properties),
                ("DynamoDB", Some(properties)) => self.stream_event(reading, name, &properties, "Stream"),
                ("SQS" | "Schedule" | "ScheduleV2" | "S3" | "DynamoDB", None) => {
                    event.problem("the event has no `Properties`");
                    None
                }
                _ => {
                    let reason = format!("events of the type {kind} are not delivered here");
                    self.unsupported(reading, Some(&format!("Events.{name}")), reason);
                    None
                }
            };
            self.add_event(reading.logical, name, trigger);
        }
    }

    pub(super) fn add_event(&mut self, function: &str, name: &str, trigger: Option<Trigger>) {
        if let (Some(trigger), Some(function)) = (trigger, self.app.functions.get_mut(function)) {
            function.events.push(Event { name: name.to_owned(), trigger });
        }
    }

    fn api_event(
        &mut self,
        reading: &Reading<'a>,
        event: &Node<'a>,
        properties: Option<Node<'a>>,
        rest: bool,
    ) -> Option<Trigger> {
        let get = |key: &str| properties.as_ref().and_then(|properties| properties.get(key));
        let (id, implicit) = if rest { ("RestApiId", "ServerlessRestApi") } else { ("ApiId", "ServerlessHttpApi") };
        let api = match get(id) {
            None => implicit.to_owned(),
            Some(node) => node.resource().or_else(|| {
                node.problem("the API is not one of this template");
                None
            })?,
        };
        let path = get("Path").and_then(|path| path.text());
        let method = get("Method").and_then(|method| method.text());
        if rest && (path.is_none() || method.is_none()) {
            event.problem("an `Api` event has a `Path` and a `Method`");
            return None;
        }
        // An HttpApi event without both takes what no other route does.
        let path = path.unwrap_or_else(|| "$default".into());
        let method = super::api::method(&method.unwrap_or_else(|| "ANY".into()));
        let payload = match get("PayloadFormatVersion").and_then(|version| version.text()).as_deref() {
            _ if rest => PayloadVersion::V1,
            Some("1.0" | "1") => PayloadVersion::V1,
            _ => PayloadVersion::V2,
        };
        // SAM's name for it is that of function URLs; API Gateway's own is `STREAM`.
        let mode = get("ResponseTransferMode").and_then(|mode| mode.text());
        let streamed = matches!(mode.as_deref(), Some("RESPONSE_STREAM" | "STREAM"));
        let authorizer = self.wanted_authorizer(reading, get("Auth").as_ref());
        let target = Target::Function { function: reading.logical.to_owned(), payload, streamed };
        let longest = if streamed { 900_000 } else { 300_000 };
        let timeout_ms = get("TimeoutInMillis").and_then(|node| node.number(50..=longest));
        let wanted = Wanted { method: method.clone(), path: path.clone(), target, authorizer, timeout_ms };
        let authorizer = self.add_route(&api, event, wanted)?;
        Some(match rest {
            true => Trigger::Api { api, method, path, authorizer },
            false => Trigger::HttpApi { api, method, path, payload, authorizer },
        })
    }

    pub(super) fn sqs_event(&mut self, reading: &Reading<'a>, name: &str, properties: &Node<'a>) -> Option<Trigger> {
        let queue = properties.get("Queue").or_else(|| properties.get("EventSourceArn"))?;
        let queue = match queue.resource_of(&["AWS::SQS::Queue"]) {
            Some(logical) => QueueReference::Logical(logical),
            None => QueueReference::Arn(queue.text()?),
        };
        if let QueueReference::Arn(arn) = &queue {
            let reason = format!("the queue {arn} is not one of this template");
            self.unsupported(reading, Some(&format!("Events.{name}")), reason);
        }
        if properties.get("FilterCriteria").is_some() {
            let property = format!("Events.{name}.FilterCriteria");
            self.unsupported(reading, Some(&property), "messages are not filtered: the function gets all");
        }
        Some(Trigger::Sqs {
            queue,
            batch_size: properties.get("BatchSize").and_then(|size| size.number(1..=10_000)).unwrap_or(10),
            window_s: window(properties),
            enabled: enabled(properties),
            report_batch_item_failures: reports_failures(properties),
        })
    }

    fn schedule_event(&mut self, reading: &Reading<'a>, name: &str, properties: &Node<'a>) -> Option<Trigger> {
        let expression = properties.get("Schedule").or_else(|| properties.get("ScheduleExpression"))?.text()?;
        let input = properties.get("Input").and_then(|input| input.text());
        let input = input.map(|text| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)));
        for property in ["RetryPolicy", "DeadLetterConfig", "FlexibleTimeWindow", "StartDate", "EndDate"] {
            let off = properties.path(&[property, "Mode"]).and_then(|mode| mode.text()).as_deref() == Some("OFF");
            if properties.get(property).is_some() && !off {
                self.unsupported(
                    reading,
                    Some(&format!("Events.{name}.{property}")),
                    "the property has no effect here",
                );
            }
        }
        let state = properties.get("State").and_then(|state| state.text());
        Some(Trigger::Schedule {
            expression,
            input,
            enabled: enabled(properties) && state.as_deref() != Some("DISABLED"),
            name: properties.get("Name").and_then(|name| name.text()),
            timezone: properties.get("ScheduleExpressionTimezone").and_then(|zone| zone.text()),
        })
    }

    fn s3_event(&mut self, reading: &Reading<'a>, name: &str, properties: &Node<'a>) -> Option<Trigger> {
        let bucket = properties.get("Bucket")?;
        let Some(bucket) = bucket.resource_of(&["AWS::S3::Bucket"]) else {
            self.unsupported(reading, Some(&format!("Events.{name}")), "the bucket is not one of this template");
            return None;
        };
        let (prefix, suffix) = key_rules(properties.path(&["Filter", "S3Key", "Rules"]));
        let events = properties.get("Events").map(|events| events.texts()).unwrap_or_default();
        Some(Trigger::S3 { bucket, events, prefix, suffix })
    }

    pub(super) fn stream_event(
        &mut self,
        reading: &Reading<'a>,
        name: &str,
        properties: &Node<'a>,
        source: &str,
    ) -> Option<Trigger> {
        let table = properties.get(source)?.resource_of(&["AWS::DynamoDB::Table", "AWS::Serverless::SimpleTable"]);
        let Some(table) = table else {
            self.unsupported(reading, Some(&format!("Events.{name}")), "the table is not one of this template");
            return None;
        };
        let number =
            |key: &str, range, default| properties.get(key).and_then(|node| node.number(range)).unwrap_or(default);
        let retries = properties.get("MaximumRetryAttempts").and_then(|node| node.text());
        Some(Trigger::Stream(StreamTrigger {
            table,
            filters: filters(properties),
            batch_size: number("BatchSize", 1..=10_000, 100),
            window_s: window(properties),
            starting_position: properties
                .get("StartingPosition")
                .and_then(|position| position.text())
                .unwrap_or_else(|| "LATEST".into()),
            report_batch_item_failures: reports_failures(properties),
            bisect_batch_on_error: properties.get("BisectBatchOnFunctionError").is_some_and(|flag| flag.flag()),
            maximum_retry_attempts: retries.and_then(|text| text.parse().ok()).unwrap_or(-1),
            on_failure: on_failure(properties),
            enabled: enabled(properties),
        }))
    }
}

fn window(properties: &Node<'_>) -> u32 {
    properties.get("MaximumBatchingWindowInSeconds").and_then(|node| node.number(0..=300)).unwrap_or(0)
}

fn enabled(properties: &Node<'_>) -> bool {
    properties.get("Enabled").is_none_or(|flag| flag.flag())
}

/// The queue of `DestinationConfig`, as SAM writes it or as `AWS::Lambda::EventSourceMapping` does.
fn on_failure(properties: &Node<'_>) -> Option<QueueReference> {
    let target = properties.path(&["DestinationConfig", "OnFailure", "Destination"])?;
    match target.resource_of(&["AWS::SQS::Queue"]) {
        Some(logical) => Some(QueueReference::Logical(logical)),
        None => target.text().filter(|arn| arn.contains(":sqs:")).map(QueueReference::Arn),
    }
}

fn reports_failures(properties: &Node<'_>) -> bool {
    let types = properties.get("FunctionResponseTypes").map(|types| types.texts()).unwrap_or_default();
    types.iter().any(|kind| kind == "ReportBatchItemFailures")
}

/// The patterns of `FilterCriteria`, which are JSON in text.
fn filters(properties: &Node<'_>) -> Vec<serde_json::Value> {
    let Some(list) = properties.path(&["FilterCriteria", "Filters"]) else { return Vec::new() };
    let mut patterns = Vec::new();
    for filter in list.items() {
        let text = filter.get("Pattern").and_then(|pattern| pattern.text()).unwrap_or_default();
        let pattern = serde_json::from_str(&text).map_err(|error| format!("the pattern is not JSON: {error}"));
        match pattern.and_then(|pattern| Filters::parse(std::slice::from_ref(&pattern)).map(|_| pattern)) {
            Ok(pattern) => patterns.push(pattern),
            Err(reason) => filter.problem(reason),
        }
    }
    patterns
}

/// Prefix and suffix of `Filter.S3Key.Rules`.
pub(super) fn key_rules(rules: Option<Node<'_>>) -> (Option<String>, Option<String>) {
    let (mut prefix, mut suffix) = (None, None);
    for rule in rules.iter().flat_map(Node::items) {
        let name = rule.get("Name").and_then(|name| name.text()).unwrap_or_default();
        let value = rule.get("Value").and_then(|value| value.text());
        match name.to_ascii_lowercase().as_str() {
            "prefix" => prefix = value,
            "suffix" => suffix = value,
            _ => rule.problem("a rule is a prefix or a suffix"),
        }
    }
    (prefix, suffix)
}
