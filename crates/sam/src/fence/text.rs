//! What a value can be: every text that a template's functions may make of it.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{FencePlace, FenceRules};

/// Most texts that one value is followed into.
const POSSIBLE_MAX: usize = 64;
/// Most bytes of text that one look makes.
const WORK_BYTES_MAX: usize = 8 * 1024 * 1024;
const DEPTH_MAX: usize = 24;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// A name or attribute of this resource of the same template.
    Own(String),
    Unknown,
}

/// One text that a value can be.
pub type Text = Vec<Piece>;

/// The function that a map calls, with its argument.
pub fn function(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (name, argument) = map.iter().next()?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

/// The text when all of it is known.
pub fn plain(text: &Text) -> Option<String> {
    let part = |piece: &Piece| if let Piece::Text(text) = piece { Some(text.clone()) } else { None };
    text.iter().map(part).collect()
}

/// What stands in a rendered text for a value that is not known, for a secret of the template, and for any other
/// resource of it.
pub const UNKNOWN: char = '\0';
pub const SECRET: char = '\u{1}';
pub const OWN: char = '\u{2}';

/// The values that a list may have, each choice of `Fn::If`. A function that is not one stands for what it gives.
pub fn items(value: &Value) -> Vec<&Value> {
    let mut all = Vec::new();
    for branch in branches(value) {
        match branch {
            Value::Array(items) => all.extend(items.iter().flat_map(branches)),
            one => all.push(one),
        }
    }
    all
}

/// Every choice of `Fn::If`; none for `AWS::NoValue`.
pub fn branches(value: &Value) -> Vec<&Value> {
    match function(value) {
        Some(("Ref", name)) if name == "AWS::NoValue" => Vec::new(),
        Some(("Fn::If", Value::Array(items))) if items.len() == 3 => items.iter().skip(1).flat_map(branches).collect(),
        _ => vec![value],
    }
}

/// What names mean in one template.
pub struct Scope<'a> {
    template: &'a Value,
    given: &'a BTreeMap<String, String>,
    stack: Option<&'a str>,
    account: Option<&'a str>,
    partition: &'a str,
    made: Cell<usize>,
}

impl<'a> Scope<'a> {
    pub fn new(template: &'a Value, given: &'a BTreeMap<String, String>, rules: &'a FenceRules) -> Self {
        let (mut stack, mut account, mut partition) = (None, None, "aws");
        if let FencePlace::Account(rules) = &rules.place {
            stack = Some(rules.stack.as_str());
            let mut parts = rules.boundary.split(':').skip(1);
            partition = parts.next().unwrap_or("aws");
            account = parts.nth(2);
        }
        Self { template, given, stack, account, partition, made: Cell::new(0) }
    }

    /// The template makes more text than is followed: whatever was not looked at may be anything.
    pub fn is_spent(&self) -> bool {
        self.made.get() > WORK_BYTES_MAX
    }

    /// The account that the stack is in, when that is known.
    pub fn account(&self) -> Option<&str> {
        self.account
    }

    pub fn kind_of(&self, logical: &str) -> Option<&str> {
        self.template.get("Resources")?.get(logical)?.get("Type")?.as_str()
    }

    /// The partition that the stack is in: `aws`, `aws-cn`, …
    pub fn partition(&self) -> &str {
        self.partition
    }

    pub fn rendered(&self, text: &Text) -> String {
        let mut made = String::new();
        for piece in text {
            match piece {
                Piece::Text(text) => made.extend(text.chars().filter(|c| !matches!(*c, UNKNOWN | SECRET | OWN))),
                Piece::Own(name) if self.kind_of(name) == Some("AWS::SecretsManager::Secret") => made.push(SECRET),
                Piece::Own(_) => made.push(OWN),
                Piece::Unknown => made.push(UNKNOWN),
            }
        }
        made
    }

    /// Every text that the value can be; none for `AWS::NoValue`.
    pub fn texts(&self, value: &Value) -> Vec<Text> {
        self.follow(value, 0)
    }

    fn follow(&self, value: &Value, depth: usize) -> Vec<Text> {
        if depth > DEPTH_MAX || self.is_spent() {
            return unknown();
        }
        match value {
            Value::String(text) => one(self.made(text)),
            Value::Number(number) => one(Piece::Text(number.to_string())),
            Value::Bool(flag) => one(Piece::Text(flag.to_string())),
            Value::Object(_) => match function(value) {
                Some((name, argument)) => self.call(name, argument, depth + 1),
                None => unknown(),
            },
            Value::Array(_) | Value::Null => unknown(),
        }
    }

    fn made(&self, text: &str) -> Piece {
        self.made.set(self.made.get().saturating_add(text.len() + 1));
        Piece::Text(text.to_owned())
    }

    fn call(&self, name: &str, argument: &Value, depth: usize) -> Vec<Text> {
        let items = argument.as_array().map_or(&[][..], Vec::as_slice);
        match (name, items) {
            ("Ref", _) => argument.as_str().map_or_else(unknown, |name| self.reference(name, depth)),
            ("Fn::GetAtt", _) => match (argument, items) {
                (Value::String(name), _) => self.own(name, depth),
                (_, [Value::String(logical), Value::String(attribute)]) => {
                    self.own(&format!("{logical}.{attribute}"), depth)
                }
                _ => unknown(),
            },
            ("Fn::Sub", _) => self.substituted(argument, depth),
            ("Fn::If", [_, yes, no]) => self.either(&[yes, no], depth),
            ("Fn::Join", [Value::String(delimiter), list]) => {
                let lists = self.lists(list, depth);
                lists.map_or_else(unknown, |lists| self.joined(delimiter, &lists, depth))
            }
            ("Fn::Select", [index, list]) => self.selected(index, list, depth),
            ("Fn::FindInMap", [map, first, second, rest @ ..]) => self.found(map, [first, second], rest.first(), depth),
            _ => unknown(),
        }
    }

    fn either(&self, values: &[&Value], depth: usize) -> Vec<Text> {
        let all: Vec<Text> = values.iter().flat_map(|value| self.follow(value, depth)).collect();
        if all.len() > POSSIBLE_MAX { unknown() } else { all }
    }

    fn reference(&self, name: &str, depth: usize) -> Vec<Text> {
        let pseudo = match name {
            "AWS::NoValue" => return Vec::new(),
            "AWS::Partition" => Some(self.partition),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            "AWS::Region" => Some("${AWS::Region}"),
            "AWS::AccountId" => Some(self.account.unwrap_or("${AWS::AccountId}")),
            "AWS::StackName" => Some(self.stack.unwrap_or("${AWS::StackName}")),
            _ => None,
        };
        if let Some(text) = pseudo {
            return one(self.made(text));
        }
        match self.parameter(name) {
            Some(Some(text)) => one(self.made(&text)),
            Some(None) => unknown(),
            None => self.own(name, depth),
        }
    }

    /// The value of a parameter: the outer `None` when there is no such parameter, the inner when it is not known.
    fn parameter(&self, name: &str) -> Option<Option<String>> {
        let declared = self.template.get("Parameters")?.get(name)?;
        if declared["Type"].as_str().is_none_or(|kind| kind.starts_with("AWS::SSM::")) {
            return Some(None);
        }
        let default = match declared.get("Default") {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(flag)) => Some(flag.to_string()),
            _ => None,
        };
        Some(self.given.get(name).cloned().or(default))
    }

    /// A resource of the template, or one that SAM generates beside it (`FunctionRole`, `Function.Version`).
    fn own(&self, name: &str, depth: usize) -> Vec<Text> {
        let logical = name.split('.').next().unwrap_or_default();
        // The one attribute whose text the template chooses freely.
        if name.ends_with(".Value") && self.kind_of(logical) == Some("AWS::SSM::Parameter") {
            let value = self.template.pointer(&format!("/Resources/{logical}/Properties/Value"));
            return value.map_or_else(unknown, |value| self.follow(value, depth + 1));
        }
        let resources = self.template.get("Resources").and_then(Value::as_object);
        let declared = resources.is_some_and(|all| {
            all.contains_key(logical) || all.keys().any(|id| !id.is_empty() && logical.starts_with(id.as_str()))
        });
        let generated = ["ServerlessRestApi", "ServerlessHttpApi", "ServerlessDeploymentApplication"];
        if declared || generated.iter().any(|id| logical.starts_with(id)) {
            one(Piece::Own(logical.to_owned()))
        } else {
            unknown()
        }
    }

    fn substituted(&self, argument: &Value, depth: usize) -> Vec<Text> {
        let (template, own) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text), Value::Object(own)] => (text.as_str(), Some(own)),
                _ => return unknown(),
            },
            _ => return unknown(),
        };
        let mut parts: Vec<Vec<Text>> = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            parts.push(one(self.made(before)));
            let Some((name, after)) = after.split_once('}') else { return unknown() };
            rest = after;
            parts.push(match (name.strip_prefix('!'), own.and_then(|own| own.get(name.trim()))) {
                (Some(literal), _) => one(self.made(&format!("${{{literal}}}"))),
                (None, Some(value)) => self.follow(value, depth),
                (None, None) => self.reference(name.trim(), depth),
            });
        }
        parts.push(one(self.made(rest)));
        self.product(&parts)
    }

    /// Every way to put one possibility of each part behind the other.
    fn product(&self, parts: &[Vec<Text>]) -> Vec<Text> {
        let mut all: Vec<Text> = vec![Vec::new()];
        for part in parts {
            if all.len().saturating_mul(part.len()) > POSSIBLE_MAX || self.is_spent() {
                self.made.set(usize::MAX);
                return unknown();
            }
            if part.is_empty() {
                continue;
            }
            let mut next = Vec::with_capacity(all.len() * part.len());
            for before in &all {
                for after in part {
                    let text: Text = before.iter().chain(after).cloned().collect();
                    self.made.set(self.made.get().saturating_add(bytes(&text)));
                    next.push(text);
                }
            }
            all = next;
        }
        all.into_iter().map(joined).collect()
    }

    /// Every list that the value can be; `None` when that is not known.
    fn lists(&self, value: &Value, depth: usize) -> Option<Vec<Vec<Value>>> {
        if depth > DEPTH_MAX || self.is_spent() {
            return None;
        }
        if let Value::Array(items) = value {
            return Some(vec![items.clone()]);
        }
        let (name, argument) = function(value)?;
        match (name, argument.as_array().map_or(&[][..], Vec::as_slice)) {
            ("Ref", _) => {
                let text = self.parameter(argument.as_str()?)??;
                Some(vec![text.split(',').map(|item| Value::from(item.trim())).collect()])
            }
            ("Fn::If", [_, yes, no]) => {
                let (mut yes, no) = (self.lists(yes, depth + 1)?, self.lists(no, depth + 1)?);
                yes.extend(no);
                (yes.len() <= POSSIBLE_MAX).then_some(yes)
            }
            ("Fn::Split", [Value::String(delimiter), text]) if !delimiter.is_empty() => {
                let texts: Option<Vec<String>> = self.follow(text, depth + 1).iter().map(plain).collect();
                let split = |text: String| text.split(delimiter.as_str()).map(Value::from).collect();
                Some(texts?.into_iter().map(split).collect())
            }
            ("Fn::FindInMap", [Value::String(map), first, second, ..]) => {
                let leaves = self.leaves(map, [first, second], depth)?;
                leaves.into_iter().map(|leaf| leaf.as_array().cloned()).collect()
            }
            _ => None,
        }
    }

    fn joined(&self, delimiter: &str, lists: &[Vec<Value>], depth: usize) -> Vec<Text> {
        let mut all = Vec::new();
        for list in lists {
            let mut parts = Vec::new();
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    parts.push(one(self.made(delimiter)));
                }
                parts.push(self.follow(item, depth));
            }
            all.extend(self.product(&parts));
        }
        if all.len() > POSSIBLE_MAX { unknown() } else { all }
    }

    fn selected(&self, index: &Value, list: &Value, depth: usize) -> Vec<Text> {
        let Some(lists) = self.lists(list, depth) else { return unknown() };
        let index = match index {
            Value::Number(number) => number.as_u64().and_then(|index| usize::try_from(index).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let items: Vec<&Value> = match index {
            Some(index) => lists.iter().filter_map(|list| list.get(index)).collect(),
            None => lists.iter().flatten().collect(),
        };
        if items.is_empty() { unknown() } else { self.either(&items, depth) }
    }

    fn found(&self, map: &Value, keys: [&Value; 2], rest: Option<&Value>, depth: usize) -> Vec<Text> {
        let default = rest.and_then(|rest| rest.get("DefaultValue"));
        let leaves = map.as_str().and_then(|map| self.leaves(map, keys, depth));
        match (leaves, default) {
            (Some(mut leaves), default) => {
                leaves.extend(default);
                self.either(&leaves, depth)
            }
            (None, Some(default)) => self.follow(default, depth),
            (None, None) => unknown(),
        }
    }

    /// What `Fn::FindInMap` can find; all of the mapping where a key is not known.
    fn leaves(&self, map: &str, keys: [&Value; 2], depth: usize) -> Option<Vec<&'a Value>> {
        let mut found: Vec<&Value> = vec![self.template.get("Mappings")?.get(map)?];
        for key in keys {
            let wanted: Option<Vec<String>> = self.follow(key, depth + 1).iter().map(plain).collect();
            let wanted = wanted.filter(|keys| keys.iter().all(|key| !key.contains("${")));
            let mut next = Vec::new();
            for level in found {
                let level = level.as_object()?;
                match &wanted {
                    Some(keys) => next.extend(keys.iter().filter_map(|key| level.get(key))),
                    None => next.extend(level.values()),
                }
            }
            found = next;
        }
        (found.len() <= POSSIBLE_MAX).then_some(found)
    }
}

/// The same text, its known parts in one piece each.
fn joined(text: Text) -> Text {
    let mut made: Text = Vec::with_capacity(text.len());
    for piece in text {
        match (made.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => made.push(piece),
        }
    }
    made
}

fn bytes(text: &Text) -> usize {
    text.iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 1 }).sum()
}

fn one(piece: Piece) -> Vec<Text> {
    vec![vec![piece]]
}

fn unknown() -> Vec<Text> {
    one(Piece::Unknown)
}
