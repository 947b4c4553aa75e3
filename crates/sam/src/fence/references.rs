//! Dynamic references, and parameters that read the parameter store.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::{SECRET, UNKNOWN};
use super::{Fence, ViolationCode};

impl Fence<'_> {
    /// The declared parameters, and the values that they are given.
    pub(super) fn parameters(&mut self, template: &Value, given: &BTreeMap<String, String>) {
        for (name, parameter) in template.get("Parameters").and_then(Value::as_object).into_iter().flatten() {
            let value = given.get(name).cloned().or_else(|| parameter["Default"].as_str().map(str::to_owned));
            if let Some(value) = &value {
                self.references_in(value, "Parameters", name);
            }
            let Some(kind) = parameter["Type"].as_str() else {
                self.refuse(ViolationCode::Shape, "Parameters", &format!("{name}.Type"), "a parameter has a type");
                continue;
            };
            if !kind.starts_with("AWS::SSM::") {
                continue;
            }
            let path = self.rules.parameter_path.clone();
            if value.is_none_or(|value| !is_below(&value, &path)) {
                let reason = format!("a parameter of type {kind} names an entry below {path}");
                self.refuse(ViolationCode::ParameterType, "Parameters", name, reason);
            }
        }
    }

    /// `{{resolve:service:name…}}` in a text as `Scope::rendered` makes it.
    pub(super) fn references_in(&mut self, text: &str, resource: &str, property: &str) {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("{{") {
            let Some((inner, beyond)) = after.split_once("}}") else {
                if after.contains(UNKNOWN) || after.trim_start().starts_with("resolve:") {
                    self.hidden(resource, property);
                }
                return;
            };
            rest = beyond;
            let inner = inner.trim_start_matches(['{', ' ']);
            match inner.strip_prefix("resolve:") {
                Some(reference) => self.reference(reference, resource, property),
                // Half of it may come from a value that is not known.
                None if inner.contains(UNKNOWN) => self.hidden(resource, property),
                None => {}
            }
        }
        // `{` and `{` may come from two values.
        if rest.contains(UNKNOWN) && (rest.contains("resolve:") || rest.contains("}}")) {
            self.hidden(resource, property);
        }
    }

    fn reference(&mut self, reference: &str, resource: &str, property: &str) {
        let path = self.rules.parameter_path.clone();
        let (service, name) = reference.split_once(':').unwrap_or((reference, ""));
        let fits = match service {
            "ssm" | "ssm-secure" => is_below(name, &path),
            // A secret of the template itself, or one of the project's.
            "secretsmanager" => {
                let (own, rest) = name.split_at(usize::from(name.starts_with(SECRET)));
                !own.is_empty() && (rest.is_empty() || rest.starts_with(':'))
                    || is_below(name, &path)
                    || is_below(name, path.trim_start_matches('/'))
            }
            _ => false,
        };
        if name.contains(UNKNOWN) {
            self.hidden(resource, property);
        } else if !fits {
            let shown: String = reference.chars().filter(|c| !c.is_control()).take(120).collect();
            let reason = format!("`{{{{resolve:{shown}}}}}` is not below {path}, where this environment's values are");
            self.refuse(ViolationCode::DynamicReference, resource, property, reason);
        }
    }
}

/// Whether a name is below a path that ends with a slash, without a way out of it.
fn is_below(name: &str, path: &str) -> bool {
    let Some(rest) = name.strip_prefix(path) else { return false };
    let rest = rest.split(':').next().unwrap_or_default();
    !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'))
        && rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}
