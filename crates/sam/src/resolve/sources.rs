//! Event sources written as resources of their own.

use super::events::key_rules;
use super::{Building, Reading};
use crate::Trigger;

/// The types that a rule or mapping can call.
const FUNCTIONS: [&str; 2] = ["AWS::Serverless::Function", "AWS::Lambda::Function"];

impl<'a> Building<'a> {
    pub(super) fn event_source_mapping(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let function = properties.get("FunctionName").and_then(|name| name.resource_of(&FUNCTIONS));
        let Some(function) = function else {
            self.unsupported(reading, Some("FunctionName"), "the function is not one of this template");
            return;
        };
        let source = properties.get("EventSourceArn").and_then(|source| source.resource());
        let kind = source.and_then(|logical| self.scope.declared.get(&logical)).map(|declared| declared.kind.as_str());
        let trigger = match kind {
            Some("AWS::SQS::Queue") => self.sqs_event(reading, reading.logical, properties),
            Some("AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable") => {
                self.stream_event(reading, reading.logical, properties, "EventSourceArn")
            }
            _ => {
                self.unsupported(reading, Some("EventSourceArn"), "only queues and tables of this template are read");
                None
            }
        };
        self.add_event(&function, reading.logical, trigger);
    }

    /// A rule with a schedule calls its functions.
    pub(super) fn rule(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let Some(expression) = properties.get("ScheduleExpression").and_then(|node| node.text()) else { return };
        let state = properties.get("State").and_then(|state| state.text());
        for target in properties.get("Targets").iter().flat_map(|targets| targets.items()) {
            let Some(function) = target.get("Arn").and_then(|arn| arn.resource_of(&FUNCTIONS)) else {
                self.unsupported(reading, Some("Targets"), "only functions of this template are called");
                continue;
            };
            let input = target.get("Input").and_then(|input| input.text());
            let trigger = Trigger::Schedule {
                expression: expression.clone(),
                input: input.map(|text| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))),
                enabled: state.as_deref() != Some("DISABLED"),
                name: properties.get("Name").and_then(|name| name.text()),
                timezone: None,
            };
            self.add_event(&function, reading.logical, Some(trigger));
        }
    }

    /// `NotificationConfiguration` of a bucket.
    pub(super) fn notifications(&mut self, reading: &Reading<'a>) {
        let Some(notifications) = reading.properties.get("NotificationConfiguration") else { return };
        for (name, list) in notifications.entries() {
            if name != "LambdaConfigurations" {
                let property = format!("NotificationConfiguration.{name}");
                self.unsupported(reading, Some(&property), "only functions are told of objects");
                continue;
            }
            for (index, item) in list.items().into_iter().enumerate() {
                let Some(function) = item.get("Function").and_then(|arn| arn.resource_of(&FUNCTIONS)) else { continue };
                let (prefix, suffix) = key_rules(item.path(&["Filter", "S3Key", "Rules"]));
                let events = item.get("Event").and_then(|event| event.text()).into_iter().collect();
                let trigger = Trigger::S3 { bucket: reading.logical.to_owned(), events, prefix, suffix };
                self.add_event(&function, &format!("{}{index}", reading.logical), Some(trigger));
            }
        }
    }
}
