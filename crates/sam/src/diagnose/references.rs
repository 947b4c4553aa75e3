//! Names that nothing has and functions that do not exist, in all of a template.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Finding, Severity};
use crate::globals::{self, is_intrinsic};
use crate::places::Place;
use crate::resolve::generated;
use crate::yaml::FUNCTIONS;
use crate::{Span, Template};

/// Most findings of one walk.
const FINDINGS_MAX: usize = 100;
/// "Pseudo parameters reference", AWS CloudFormation User Guide.
const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// What is wrong wherever it is written, whatever the parameters are.
pub(super) fn check(template: &Template) -> Vec<Finding> {
    let Some(root) = template.place() else { return Vec::new() };
    let mut walk = Walk {
        parameters: keys(template, "Parameters"),
        conditions: keys(template, "Conditions"),
        mappings: keys(template, "Mappings"),
        resources: resources(template),
        found: Vec::new(),
    };
    for section in ["Conditions", "Globals", "Outputs", "Resources"] {
        let Some(place) = root.child(section) else { continue };
        for (name, value) in template.section(section).into_iter().flatten() {
            let Some(place) = place.child(name) else { continue };
            match section {
                "Resources" => walk.resource(value, place),
                "Outputs" => walk.output(value, place),
                _ => walk.value(value, place),
            }
        }
    }
    walk.found
}

fn keys(template: &Template, section: &str) -> BTreeSet<String> {
    template.section(section).into_iter().flat_map(Map::keys).cloned().collect()
}

/// Every id that `Ref` may name: the resources, and what SAM makes of them.
fn resources(template: &Template) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let absent = Value::Object(Map::new());
    for (logical, resource) in globals::resources(template) {
        let properties = resource.get("Properties").unwrap_or(&absent);
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        all.extend(generated(&logical, kind, properties).into_iter().map(|(id, ..)| id));
        all.insert(logical);
    }
    all
}

struct Walk {
    parameters: BTreeSet<String>,
    conditions: BTreeSet<String>,
    mappings: BTreeSet<String>,
    resources: BTreeSet<String>,
    found: Vec<Finding>,
}

impl Walk {
    fn tell(&mut self, span: Span, code: &str, message: impl Into<String>) {
        if self.found.len() < FINDINGS_MAX {
            let (severity, message) = (Severity::Error, message.into());
            self.found.push(Finding { span: Some(span), severity, code: code.to_owned(), message });
        }
    }

    fn resource(&mut self, resource: &Value, place: &Place) {
        self.named_condition(resource, place);
        for part in ["Properties", "UpdatePolicy", "CreationPolicy"] {
            if let (Some(value), Some(place)) = (resource.get(part), place.child(part)) {
                self.value(value, place);
            }
        }
    }

    fn output(&mut self, output: &Value, place: &Place) {
        self.named_condition(output, place);
        if let (Some(value), Some(place)) = (output.get("Value"), place.child("Value")) {
            self.value(value, place);
        }
    }

    fn named_condition(&mut self, owner: &Value, place: &Place) {
        if let (Some(Value::String(name)), Some(place)) = (owner.get("Condition"), place.child("Condition")) {
            self.condition(name, place.shown());
        }
    }

    fn value(&mut self, value: &Value, place: &Place) {
        match value {
            Value::Object(map) if is_intrinsic(map) => {
                for (name, argument) in map {
                    self.call(name, argument, place.child(name).unwrap_or(place));
                }
            }
            Value::Object(map) => {
                // What stands in a loop may name the loop's own variable.
                for (key, value) in map.iter().filter(|(key, _)| !key.starts_with("Fn::ForEach::")) {
                    if let Some(place) = place.child(key) {
                        self.value(value, place);
                    }
                }
            }
            Value::Array(items) => self.items(items, place),
            _ => {}
        }
    }

    fn items(&mut self, items: &[Value], place: &Place) {
        for (index, item) in items.iter().enumerate() {
            self.value(item, place.child(&index.to_string()).unwrap_or(place));
        }
    }

    fn call(&mut self, name: &str, argument: &Value, place: &Place) {
        let items = argument.as_array().map_or(&[][..], Vec::as_slice);
        let span = place.shown();
        let malformed = match (name, items) {
            ("Ref", _) => return self.reference(argument, span),
            ("Fn::GetAtt", _) => return self.attribute(argument, place),
            ("Fn::Sub", _) => return self.substitution(argument, place),
            ("Condition", _) => match argument {
                Value::String(name) => return self.condition(name, span),
                // A policy's own `Condition`, alone in its map.
                other => return self.value(other, place),
            },
            ("Fn::If", [Value::String(condition), _, _]) => {
                let at = place.child("0").map_or(span, Place::shown);
                self.condition(condition, at);
                return self.items(items, place);
            }
            ("Fn::If", _) => "`Fn::If` takes a condition's name and two values",
            ("Fn::FindInMap", [map, _, _] | [map, _, _, _]) => {
                if let Value::String(map) = map
                    && !self.mappings.contains(map)
                {
                    let at = place.child("0").map_or(span, Place::shown);
                    self.tell(at, "unresolved-reference", format!("there is no mapping `{map}`"));
                }
                return self.items(items, place);
            }
            ("Fn::FindInMap", _) => "`Fn::FindInMap` takes a mapping, a first and a second key",
            ("Fn::Join", [_, _]) | ("Fn::Select", [_, _]) | ("Fn::Split", [_, _]) => return self.items(items, place),
            ("Fn::Join", _) => "`Fn::Join` takes a delimiter and a list",
            ("Fn::Select", _) => "`Fn::Select` takes an index and a list",
            ("Fn::Split", _) => "`Fn::Split` takes a delimiter and text",
            ("Fn::Equals", [_, _]) | ("Fn::Not", [_]) => return self.items(items, place),
            ("Fn::And" | "Fn::Or", [_, ..]) if items.len() <= 10 => return self.items(items, place),
            ("Fn::Equals", _) => "`Fn::Equals` takes two values",
            ("Fn::Not", _) => "`Fn::Not` takes a list of one condition",
            ("Fn::And" | "Fn::Or", _) => "`Fn::And` and `Fn::Or` take a list of 2 to 10 conditions",
            (other, _) if other.starts_with("Fn::ForEach::") => return,
            (other, _) if is_function(other) => return self.value(argument, place),
            (other, _) => {
                return self.tell(span, "unknown-function", format!("`{other}` is not a function of templates"));
            }
        };
        self.tell(span, "malformed-function", malformed);
    }

    fn reference(&mut self, argument: &Value, span: Span) {
        match argument {
            Value::String(name) => self.name(name, span),
            _ => self.tell(span, "malformed-function", "`Ref` takes a name"),
        }
    }

    fn name(&mut self, name: &str, span: Span) {
        if name.starts_with("AWS::") {
            if !PSEUDO.contains(&name) {
                self.tell(span, "unresolved-reference", format!("`{name}` is not a pseudo parameter"));
            }
        } else if !self.parameters.contains(name) && !self.resources.contains(name) {
            let message = format!("`{name}` is neither a parameter nor a resource of the template");
            self.tell(span, "unresolved-reference", message);
        }
    }

    fn attribute(&mut self, argument: &Value, place: &Place) {
        let (logical, at) = match argument {
            Value::String(text) if text.contains('.') => (text.split('.').next().unwrap_or_default(), place.shown()),
            Value::Array(items) => match items.as_slice() {
                [Value::String(logical), attribute] => {
                    self.value(attribute, place.child("1").unwrap_or(place));
                    (logical.as_str(), place.child("0").map_or(place.shown(), Place::shown))
                }
                _ => return self.tell(place.shown(), "malformed-function", GET_ATT),
            },
            _ => return self.tell(place.shown(), "malformed-function", GET_ATT),
        };
        if !self.resources.contains(logical) {
            let message = format!("`{logical}` is neither a parameter nor a resource of the template");
            self.tell(at, "unresolved-reference", message);
        }
    }

    fn substitution(&mut self, argument: &Value, place: &Place) {
        let (text, own, at) = match argument {
            Value::String(text) => (text, None, place),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text), Value::Object(own)] => {
                    let inner = place.child("1").unwrap_or(place);
                    for (key, value) in own {
                        self.value(value, inner.child(key).unwrap_or(inner));
                    }
                    (text, Some(own), place.child("0").unwrap_or(place))
                }
                _ => return self.tell(place.shown(), "malformed-function", SUB),
            },
            _ => return self.tell(place.shown(), "malformed-function", SUB),
        };
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return self.tell(at.shown(), "malformed-function", "`${` is not closed");
            };
            rest = after;
            let name = name.trim();
            if name.starts_with('!') || own.is_some_and(|own| own.contains_key(name)) {
                continue;
            }
            match name.split_once('.') {
                Some((logical, _)) if !self.resources.contains(name) => self.name_of_resource(logical, at.shown()),
                _ => self.name(name, at.shown()),
            }
        }
    }

    fn name_of_resource(&mut self, logical: &str, span: Span) {
        if !self.resources.contains(logical) {
            let message = format!("`{logical}` is neither a parameter nor a resource of the template");
            self.tell(span, "unresolved-reference", message);
        }
    }

    fn condition(&mut self, name: &str, span: Span) {
        if !self.conditions.contains(name) {
            self.tell(span, "unresolved-reference", format!("there is no condition `{name}`"));
        }
    }
}

const GET_ATT: &str = "`Fn::GetAtt` takes a logical id and an attribute";
const SUB: &str = "`Fn::Sub` takes text, or text and a map";

fn is_function(name: &str) -> bool {
    name.strip_prefix("Fn::").is_some_and(|short| FUNCTIONS.contains(&short))
}
