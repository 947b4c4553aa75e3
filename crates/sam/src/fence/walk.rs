//! What holds at every place of a template: no macros, no foreign references, no values of other stacks.

use serde_json::Value;

use super::text::function;
use super::{Fence, ViolationCode};

/// Functions that a template may call ("Intrinsic function reference", AWS CloudFormation User Guide).
const FUNCTIONS: [&str; 20] = [
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::GetAZs",
    "Fn::If",
    "Fn::Join",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::And",
    "Fn::Equals",
    "Fn::Not",
    "Fn::Or",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::RefAll",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
];
/// Only with `AWS::LanguageExtensions`.
const EXTENSIONS: [&str; 2] = ["Fn::Length", "Fn::ToJsonString"];
/// Where a stack gives names to the whole account.
const EXPORT: &str = "Export";

impl Fence<'_> {
    pub(super) fn everywhere(&mut self, template: &Value) {
        for (section, value) in template.as_object().into_iter().flatten() {
            match (section.as_str(), value) {
                // Text for people, and what only tools read.
                ("Description" | "AWSTemplateFormatVersion" | "Transform", _) => {}
                ("Resources" | "Globals", Value::Object(entries)) => {
                    for (name, entry) in entries {
                        let name = if section == "Globals" { format!("Globals.{name}") } else { name.clone() };
                        self.key(&name, "", &name.clone());
                        self.walk(entry, &name, "");
                    }
                }
                (section, value) => self.walk(value, section, ""),
            }
        }
        for (name, output) in template.get("Outputs").and_then(Value::as_object).into_iter().flatten() {
            if self.account().is_some() && output.get(EXPORT).is_some() {
                let reason = "an export is seen by every stack of the account";
                self.refuse(ViolationCode::SharedValue, "Outputs", &format!("{name}.{EXPORT}"), reason);
            }
        }
        if self.scope.is_spent() {
            let reason = "the functions of the template make more text than is followed";
            self.refuse(ViolationCode::TooLarge, "", "", reason);
        }
    }

    fn walk(&mut self, value: &Value, resource: &str, path: &str) {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::String(text) => self.references_in(text, resource, path),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.walk(item, resource, &format!("{path}[{at}]"));
                }
            }
            Value::Object(entries) => {
                if let Some((name, argument)) = function(value) {
                    for text in self.scope.texts(value) {
                        let text = self.scope.rendered(&text);
                        self.references_in(&text, resource, path);
                    }
                    self.key(name, resource, path);
                    // The text of `Fn::Sub` is nothing before its variables are put in.
                    match (name, argument) {
                        ("Fn::Sub", Value::String(_)) => {}
                        ("Fn::Sub", Value::Array(items)) => {
                            items.iter().skip(1).for_each(|item| self.walk(item, resource, path));
                        }
                        _ => self.walk(argument, resource, path),
                    }
                    return;
                }
                for (key, inner) in entries {
                    self.key(key, resource, &below(key));
                    self.references_in(key, resource, &below(key));
                    self.walk(inner, resource, &below(key));
                }
            }
            _ => {}
        }
    }

    /// A key that calls for something: macros, loops, other stacks' values, unknown functions.
    fn key(&mut self, key: &str, resource: &str, path: &str) {
        let account = self.account().is_some();
        match key {
            "Fn::Transform" | "AWS::Include" => {
                self.refuse(ViolationCode::Macro, resource, path, "macros and includes from elsewhere are not run");
            }
            "Fn::ImportValue" if account => {
                let reason = "a stack sees no values of other stacks";
                self.refuse(ViolationCode::SharedValue, resource, path, reason);
            }
            "Fn::ImportValue" => {}
            _ if key.starts_with("Fn::") && !FUNCTIONS.contains(&key) && (account || !is_extension(key)) => {
                self.refuse(ViolationCode::Macro, resource, path, format!("`{key}` is not a function of templates"));
            }
            _ => {}
        }
    }
}

fn is_extension(key: &str) -> bool {
    EXTENSIONS.contains(&key) || key.starts_with("Fn::ForEach::") || key == "Fn::GetStackOutput"
}
