//! The form of a template: size, depth, sections and transforms.

use serde_json::Value;

use super::{Fence, ViolationCode};
use crate::TEMPLATE_BYTES_MAX;

/// Sections of a template ("Template sections", AWS CloudFormation User Guide) but `Hooks`, which run transforms.
const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Rules",
    "Transform",
    "Globals",
    "Resources",
    "Outputs",
];
/// CloudFormation quotas.
const RESOURCES_MAX: usize = 500;
const PARAMETERS_MAX: usize = 200;
/// Deeper than any template of an app, and shallow enough to walk.
pub(super) const DEPTH_MAX: usize = 64;

const SAM: &str = "AWS::Serverless-2016-10-31";

impl Fence<'_> {
    /// Whether the template can be looked at any further.
    pub(super) fn shape(&mut self, template: &Value) -> bool {
        let Some(sections) = template.as_object() else {
            self.refuse(ViolationCode::Shape, "", "", "a template is a map with `Resources`");
            return false;
        };
        let bytes = measured(template, 0);
        if bytes.is_none_or(|bytes| bytes > TEMPLATE_BYTES_MAX) {
            let reason = format!("a template has at most {TEMPLATE_BYTES_MAX} bytes and {DEPTH_MAX} levels");
            self.refuse(ViolationCode::TooLarge, "", "", reason);
            return false;
        }
        for (section, most) in [("Resources", RESOURCES_MAX), ("Parameters", PARAMETERS_MAX)] {
            let count = sections.get(section).and_then(Value::as_object).map_or(0, serde_json::Map::len);
            if count > most {
                self.refuse(ViolationCode::TooLarge, section, "", format!("there are at most {most}"));
                return false;
            }
        }
        for section in sections.keys().filter(|section| !SECTIONS.contains(&section.as_str())) {
            self.refuse(ViolationCode::Shape, section, "", "a template has no such section here");
        }
        if sections.get("Resources").is_some_and(|resources| !resources.is_object()) {
            self.refuse(ViolationCode::Shape, "Resources", "", "the resources are a map");
            return false;
        }
        self.transforms(template);
        true
    }

    fn transforms(&mut self, template: &Value) {
        let named = match template.get("Transform") {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
        };
        for transform in named {
            let extensions = transform == "AWS::LanguageExtensions" && self.account().is_none();
            if transform != SAM && !extensions {
                let reason = format!("the only transform is {SAM}: {transform} is not run");
                self.refuse(ViolationCode::Macro, "Transform", "", reason);
            }
        }
    }
}

/// The bytes of all keys and texts, or `None` when the value is too deep.
fn measured(value: &Value, depth: usize) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    match value {
        Value::String(text) => Some(text.len() + 2),
        Value::Array(items) => items.iter().try_fold(2, |sum, item| Some(sum + 1 + measured(item, depth + 1)?)),
        Value::Object(map) => {
            map.iter().try_fold(2, |sum, (key, value)| Some(sum + key.len() + 4 + measured(value, depth + 1)?))
        }
        _ => Some(4),
    }
}
