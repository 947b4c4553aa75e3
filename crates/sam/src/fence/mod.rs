//! The fences: what a template may not ask for, wherever it is carried out.
//!
//! A template is looked at twice: as its author wrote it, and as it is after every transform. Values behind
//! `Fn::Sub`, `Fn::Join`, `Fn::If` and the like are worked out to all that they can be; what cannot be worked out where
//! it matters is refused, never waved through.
//!
//! **Invariant**: bounded in size, depth and work on any input.

mod access;
mod code;
mod enforce;
mod names;
mod references;
mod roles;
mod shape;
mod text;
mod types;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use enforce::enforce;
pub use types::{is_known_type, is_never_allowed};

use text::Scope;

/// Most violations that are told.
const VIOLATIONS_MAX: usize = 100;

/// What a template has to keep to.
#[derive(Clone, Debug)]
pub struct FenceRules {
    /// Parameters and secrets that the template may refer to start with this: `/workroom/apps/{project}/{environment}/`.
    pub parameter_path: String,
    pub place: FencePlace,
}

/// Where the template is carried out.
#[derive(Clone, Debug)]
pub enum FencePlace {
    /// One machine: each stack is an account of its own, so only what would let foreign code or values in is refused.
    Machine,
    /// An account on AWS that others use too.
    Account(AccountRules),
}

/// What an account on AWS allows.
#[derive(Clone, Debug, Default)]
pub struct AccountRules {
    /// The ARN of the permissions boundary of every role.
    pub boundary: String,
    /// The physical name of the stack: physical names start with it.
    pub stack: String,
    /// Resource types beyond [`is_known_type`].
    pub types: Vec<String>,
    /// ARNs of managed policies beyond the usual ones of Lambda; `*` stands for any text.
    pub managed_policies: Vec<String>,
    /// ARNs of published layers beyond AWS's own; `*` stands for any text.
    pub layers: Vec<String>,
    /// Set for the template after its transforms: the only code that it may name.
    pub packaged: Option<PackagedCode>,
}

/// Packages that the platform itself has put into a bucket.
#[derive(Clone, Debug, Default)]
pub struct PackagedCode {
    pub bucket: String,
    pub keys: BTreeSet<String>,
}

/// Why a part of a template is refused; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationCode {
    /// Larger or deeper than any template of an app.
    TooLarge,
    /// A section, or the form of a value, that templates do not have.
    Shape,
    /// A `Transform` other than SAM, `Fn::Transform`, `AWS::Include` or a macro.
    Macro,
    /// A type that the target does not allow.
    ResourceType,
    /// `Custom::*` and what else runs somebody's code while a stack changes.
    CustomResource,
    /// A stack or application within the stack.
    NestedStack,
    /// Code or a definition that the platform did not package.
    ForeignCode,
    /// A role without the target's permissions boundary, or with another.
    PermissionsBoundary,
    /// A role, or what a policy is attached to, that is not of this template.
    ForeignRole,
    /// A managed policy that is not on the list.
    ManagedPolicy,
    /// Somebody outside may use it.
    Principal,
    /// `{{resolve:…}}` outside the project's own path.
    DynamicReference,
    /// A parameter that reads the parameter store outside the project's own path.
    ParameterType,
    /// A published layer that is not on the list.
    Layer,
    /// A physical name that is not the stack's own.
    Name,
    /// `Fn::ImportValue` or `Export`: what other stacks in the account share.
    SharedValue,
    /// A value that matters here and cannot be worked out.
    HiddenValue,
}

/// One thing that a template may not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub code: ViolationCode,
    /// The logical id; a section's name outside `Resources`.
    pub resource: String,
    /// The path of the property, `Properties.Code.S3Bucket`; empty for all of the resource.
    pub property: String,
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.property.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}: {}", self.resource, self.property, self.reason)
    }
}

/// Looks at a template in JSON form (long intrinsic functions). `given` has the values of its parameters.
pub fn check(template: &Value, given: &BTreeMap<String, String>, rules: &FenceRules) -> Vec<Violation> {
    let mut fence = Fence { scope: Scope::new(template, given, rules), rules, found: Vec::new() };
    if fence.shape(template) {
        fence.parameters(template, given);
        fence.everywhere(template);
        fence.resources(template);
    }
    fence.found
}

/// One look at one template.
pub(crate) struct Fence<'a> {
    scope: Scope<'a>,
    rules: &'a FenceRules,
    found: Vec<Violation>,
}

/// A resource being looked at, `Globals` merged in.
#[derive(Clone, Copy)]
pub(crate) struct Looking<'a> {
    logical: &'a str,
    kind: &'a str,
    properties: &'a Value,
}

impl<'a> Fence<'a> {
    fn account(&self) -> Option<&'a AccountRules> {
        match &self.rules.place {
            FencePlace::Account(rules) => Some(rules),
            FencePlace::Machine => None,
        }
    }

    fn refuse(&mut self, code: ViolationCode, resource: &str, property: &str, reason: impl Into<String>) {
        let violation =
            Violation { code, resource: resource.to_owned(), property: property.to_owned(), reason: reason.into() };
        if self.found.len() < VIOLATIONS_MAX && !self.found.contains(&violation) {
            self.found.push(violation);
        }
    }

    /// A value that matters at this place and cannot be worked out.
    fn hidden(&mut self, resource: &str, property: &str) {
        let reason = "the value cannot be worked out from the template and its parameters: write it out";
        self.refuse(ViolationCode::HiddenValue, resource, property, reason);
    }

    fn resources(&mut self, template: &Value) {
        let merged = crate::globals::resources(&crate::Template::from_json(template.clone()));
        for (logical, resource) in &merged {
            let Some(kind) = resource.get("Type").and_then(Value::as_str) else {
                self.refuse(ViolationCode::Shape, logical, "Type", "a resource has a type, as plain text");
                continue;
            };
            self.kind(logical, kind);
            let properties = resource.get("Properties").unwrap_or(&Value::Null);
            if !properties.is_null() && (!properties.is_object() || text::function(properties).is_some()) {
                self.refuse(ViolationCode::Shape, logical, "Properties", "the properties are a plain map");
                continue;
            }
            self.resource(Looking { logical, kind, properties });
        }
        // Sections that SAM merges and the engine does not know.
        if let Some(global) = template.pointer("/Globals/StateMachine") {
            let logical = "Globals.StateMachine";
            self.resource(Looking { logical, kind: "AWS::Serverless::StateMachine", properties: global });
        }
    }

    fn resource(&mut self, looking: Looking<'_>) {
        self.code(looking);
        self.roles(looking);
        self.access(looking);
        self.layers(looking);
        self.names(looking);
    }
}
