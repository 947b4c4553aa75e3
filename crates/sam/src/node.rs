//! A value of the template with its place: read by type, functions called on the way.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluate::Evaluator;
use crate::globals::is_intrinsic;

/// One value; `Fn::If` has already chosen its branch.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    scope: &'a Evaluator<'a>,
    raw: &'a Value,
    pub at: String,
}

impl<'a> Node<'a> {
    /// `None` for an absent value (`Null`, `AWS::NoValue`).
    pub fn new(scope: &'a Evaluator<'a>, raw: &'a Value, at: String) -> Option<Self> {
        let mut raw = raw;
        loop {
            match raw.as_object().filter(|map| is_intrinsic(map)).and_then(|map| map.iter().next()) {
                Some((name, argument)) if name == "Fn::If" => raw = scope.branch(argument, &at)?,
                Some((name, Value::String(target))) if name == "Ref" && target == "AWS::NoValue" => return None,
                _ => break,
            }
        }
        (!raw.is_null()).then_some(Self { scope, raw, at })
    }

    pub fn problem(&self, message: impl Into<String>) {
        self.scope.problem(&self.at, message);
    }

    pub fn get(&self, key: &str) -> Option<Self> {
        Self::new(self.scope, self.raw.get(key)?, format!("{}/{key}", self.at))
    }

    /// Follows several keys.
    pub fn path(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self.clone(), |node, key| node.get(key))
    }

    /// The entries, when this is a map that is not a function call.
    pub fn entries(&self) -> Vec<(&'a str, Self)> {
        let map = self.raw.as_object().filter(|map| !is_intrinsic(map));
        map.into_iter()
            .flatten()
            .filter_map(|(key, value)| {
                let node = Self::new(self.scope, value, format!("{}/{key}", self.at))?;
                Some((key.as_str(), node))
            })
            .collect()
    }

    pub fn is_map(&self) -> bool {
        self.raw.as_object().is_some_and(|map| !is_intrinsic(map))
    }

    /// The items of a list; a single value counts as a list of one.
    pub fn items(&self) -> Vec<Self> {
        match self.raw {
            Value::Array(items) => {
                let nodes = items.iter().enumerate();
                nodes.filter_map(|(i, item)| Self::new(self.scope, item, format!("{}/{i}", self.at))).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// The value with every function called.
    pub fn value(&self) -> Value {
        self.scope.value(self.raw, &self.at).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> Option<String> {
        self.scope.text(self.raw, &self.at)
    }

    pub fn texts(&self) -> Vec<String> {
        match self.value() {
            Value::Array(items) => items.iter().filter_map(plain).collect(),
            Value::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            _ => {
                self.problem("a list of texts is expected here");
                Vec::new()
            }
        }
    }

    /// A map of plain values as texts.
    pub fn text_map(&self) -> BTreeMap<String, String> {
        match self.value() {
            Value::Object(map) => map.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect(),
            _ => {
                self.problem("a map is expected here");
                BTreeMap::new()
            }
        }
    }

    /// A whole number from `range`.
    pub fn number(&self, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let text = self.text()?;
        let number = text.parse::<u32>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.problem(format!("`{text}` is not a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    pub fn flag(&self) -> bool {
        match self.value() {
            Value::Bool(flag) => flag,
            Value::String(text) if text.eq_ignore_ascii_case("true") => true,
            Value::String(text) if text.eq_ignore_ascii_case("false") => false,
            _ => {
                self.problem("true or false is expected here");
                false
            }
        }
    }

    /// The resource of the template that the value speaks of: `!Ref A`, `!GetAtt A.Arn`, `!Sub ${A.Arn}…`, or text with
    /// the physical name that the template gives `A`.
    pub fn resource(&self) -> Option<String> {
        referred(self.scope, self.raw).or_else(|| {
            let text = self.raw.as_str()?;
            let last = text.rsplit([':', '/']).next()?;
            let named = |logical: &&String| self.scope.physical_name(logical).is_some_and(|name| name == last);
            self.scope.declared.keys().find(named).cloned()
        })
    }

    /// `resource`, when it has one of the types.
    pub fn resource_of(&self, kinds: &[&str]) -> Option<String> {
        let logical = self.resource()?;
        let kind = &self.scope.declared.get(&logical)?.kind;
        kinds.contains(&kind.as_str()).then_some(logical)
    }
}

fn referred(scope: &Evaluator<'_>, raw: &Value) -> Option<String> {
    let known = |target: &str| {
        let logical = target.split('.').next().unwrap_or(target);
        scope.declared.contains_key(logical).then(|| logical.to_owned())
    };
    let (name, argument) = raw.as_object().filter(|map| is_intrinsic(map))?.iter().next()?;
    match (name.as_str(), argument) {
        ("Ref", Value::String(target)) => known(target),
        ("Fn::GetAtt", Value::String(text)) => known(text),
        ("Fn::GetAtt", Value::Array(items)) => known(items.first()?.as_str()?),
        ("Fn::Sub", Value::String(text)) => variables(text).find_map(known),
        ("Fn::Sub", Value::Array(items)) => {
            let own = items.get(1).and_then(Value::as_object);
            variables(items.first()?.as_str()?).find_map(|name| match own.and_then(|own| own.get(name)) {
                Some(value) => referred(scope, value),
                None => known(name),
            })
        }
        ("Fn::Join", Value::Array(items)) => items.get(1)?.as_array()?.iter().find_map(|item| referred(scope, item)),
        ("Fn::If", argument) => referred(scope, scope.branch(argument, "")?),
        _ => None,
    }
}

fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name.trim()))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}
