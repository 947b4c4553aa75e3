//! A template as written, and the files that it takes in.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::fence::Violation;
use crate::places::{Place, Span};
use crate::{json, yaml};

/// The largest template that CloudFormation takes (from S3), in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 1_000_000;

/// A place in the text, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
}

/// What keeps a text from being a template, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TemplateError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// A template in JSON form, intrinsic functions in their long form.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    value: Value,
    /// `None` when it was given as JSON.
    place: Option<Arc<Place>>,
}

/// A file of the repository that a template takes in (`DefinitionUri`, `AWS::Include`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// As written, relative to the template.
    pub path: String,
    /// The JSON pointer of the object that is replaced or completed.
    pointer: String,
    kind: InclusionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InclusionKind {
    /// `DefinitionUri` becomes `DefinitionBody`.
    Definition,
    /// `Fn::Transform` with `AWS::Include` becomes the file's content.
    Transform,
}

impl Inclusion {
    /// The JSON pointer of what names the file.
    pub(crate) fn written_at(&self) -> String {
        match self.kind {
            InclusionKind::Definition => format!("{}/DefinitionUri", self.pointer),
            InclusionKind::Transform => format!("{}/Fn::Transform", self.pointer),
        }
    }
}

impl Template {
    /// Reads YAML or JSON. Duplicate keys, unknown tags, alias bombs and oversize text are errors.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (value, place) = parse_value(text)?;
        let template = Self { value, place: place.map(Arc::new) };
        match &template.value {
            Value::Object(_) => Ok(template),
            _ => Err(TemplateError { line: 1, column: 1, message: "a template is a map with `Resources`".into() }),
        }
    }

    /// Takes a template in JSON form; nothing is checked before it is resolved.
    pub fn from_json(value: Value) -> Self {
        Self { value, place: None }
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        self.value.clone()
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.value.get(name).and_then(Value::as_object)
    }

    /// Where the key at `pointer`, or the nearest key around it, is written.
    pub fn mark(&self, pointer: &str) -> Option<Mark> {
        let root = self.place.as_deref()?;
        let mut pointer = pointer;
        loop {
            // An item of a list has no key: that of the list counts.
            if let Some(key) = root.find(pointer).0.key {
                return Some(key.start);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    /// What to show of the value at `pointer`, or of the nearest around it; `None` when the template was given as JSON.
    pub fn span(&self, pointer: &str) -> Option<Span> {
        let (found, exact) = self.place.as_deref()?.find(pointer);
        Some(match found.key {
            Some(key) if !exact => key,
            _ => found.shown(),
        })
    }

    /// The pointer of what a fence has found.
    pub fn violation_pointer(&self, violation: &Violation) -> String {
        let property = violation.property.replace("].", "/").replace(['.', '['], "/").replace(']', "");
        let pointer = match violation.resource.strip_prefix("Globals.") {
            Some(section) => format!("/Globals/{section}/{property}"),
            None if self.section("Resources").is_some_and(|all| all.contains_key(&violation.resource)) => {
                format!("/Resources/{}/{property}", violation.resource)
            }
            None => format!("/{}/{property}", violation.resource),
        };
        pointer.trim_end_matches('/').to_owned()
    }

    /// All of the value at `pointer`, or of the nearest around it.
    pub(crate) fn extent(&self, pointer: &str) -> Option<Span> {
        Some(self.place.as_deref()?.find(pointer).0.value)
    }

    /// The value at `pointer`, or the nearest around it.
    pub(crate) fn value_at(&self, pointer: &str) -> &Value {
        let mut pointer = pointer;
        loop {
            match (self.value.pointer(pointer), pointer.rfind('/')) {
                (Some(value), _) => return value,
                (None, Some(cut)) => pointer = &pointer[..cut],
                (None, None) => return &self.value,
            }
        }
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_deref()
    }

    /// The files of the repository that must be put in (see [`Template::include`]) before the template stands alone.
    pub fn inclusions(&self) -> Vec<Inclusion> {
        let mut found = Vec::new();
        for (logical, resource) in self.section("Resources").into_iter().flatten() {
            let pointer = format!("/Resources/{}/Properties", logical.replace('~', "~0").replace('/', "~1"));
            let Some(properties) = resource.get("Properties") else { continue };
            if let Some(path) = properties.get("DefinitionUri").and_then(Value::as_str).filter(|path| is_local(path)) {
                found.push(Inclusion { path: path.into(), pointer: pointer.clone(), kind: InclusionKind::Definition });
            }
            transforms(properties, &pointer, &mut found);
        }
        found
    }

    /// Puts the content of a file in.
    pub fn include(&mut self, inclusion: &Inclusion, text: &str) -> Result<(), TemplateError> {
        let (content, _) = parse_value(text)?;
        let resource = inclusion.pointer.trim_end_matches("/Properties");
        let kind = self.value.pointer(resource).and_then(|resource| resource["Type"].as_str());
        let state_machine = kind == Some("AWS::Serverless::StateMachine");
        let Some(Value::Object(target)) = self.value.pointer_mut(&inclusion.pointer) else {
            return Ok(());
        };
        match inclusion.kind {
            InclusionKind::Definition => {
                target.remove("DefinitionUri");
                target.insert(if state_machine { "Definition" } else { "DefinitionBody" }.into(), content);
            }
            InclusionKind::Transform => {
                target.remove("Fn::Transform");
                let Value::Object(content) = content else {
                    let message = format!("`{}` must be a map", inclusion.path);
                    return Err(TemplateError { line: 1, column: 1, message });
                };
                for (key, value) in content {
                    target.entry(key).or_insert(value);
                }
            }
        }
        Ok(())
    }
}

fn parse_value(text: &str) -> Result<(Value, Option<Place>), TemplateError> {
    let whole = |message: String| TemplateError { line: 1, column: 1, message };
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(whole(format!("the text is larger than {TEMPLATE_BYTES_MAX} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return Err(whole("the text has a NUL character".into()));
    }
    if text.trim_start().starts_with('{') {
        // A YAML flow map also starts so; the JSON error is the better one when neither fits.
        return match json::parse(text) {
            Err(error) if error.message.contains("appears twice") => Err(error),
            Err(error) => located(text).map_err(|_| error),
            // JSON is YAML, almost: where it is, its places are known too.
            Ok(value) => Ok((value, yaml::parse(text).ok().map(|(_, place)| place))),
        };
    }
    located(text)
}

fn located(text: &str) -> Result<(Value, Option<Place>), TemplateError> {
    yaml::parse(text).map(|(value, place)| (value, Some(place)))
}

/// A path into the repository: no URL, not absolute, no `..`.
fn is_local(path: &str) -> bool {
    !path.contains("://") && !path.starts_with('/') && !path.split(['/', '\\']).any(|part| part == "..")
}

fn transforms(value: &Value, pointer: &str, found: &mut Vec<Inclusion>) {
    match value {
        Value::Object(entries) => {
            let include = entries.get("Fn::Transform").filter(|t| t["Name"] == "AWS::Include");
            if let Some(path) = include.and_then(|t| t["Parameters"]["Location"].as_str()).filter(|path| is_local(path))
            {
                found.push(Inclusion { path: path.into(), pointer: pointer.into(), kind: InclusionKind::Transform });
            }
            for (key, value) in entries {
                transforms(value, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                transforms(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}
