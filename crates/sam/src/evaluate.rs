//! Intrinsic functions: values in, values out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::globals::is_intrinsic;
use crate::{Names, Problem, Resource, Template, functions};

/// Most bytes of text that all function calls of one template may make.
const MADE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest chain of conditions, or of names, that depend on each other.
const CHAIN_MAX: usize = 32;
/// Most problems that are reported.
const PROBLEMS_MAX: usize = 100;

/// The property that gives a resource its physical name.
const NAME_PROPERTIES: [(&str, &str); 22] = [
    ("AWS::Serverless::Function", "FunctionName"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::Serverless::LayerVersion", "LayerName"),
    ("AWS::Lambda::LayerVersion", "LayerName"),
    ("AWS::Serverless::SimpleTable", "TableName"),
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::Serverless::Api", "Name"),
    ("AWS::Serverless::HttpApi", "Name"),
    ("AWS::Serverless::WebSocketApi", "Name"),
    ("AWS::ApiGateway::RestApi", "Name"),
    ("AWS::ApiGateway::Stage", "StageName"),
    ("AWS::ApiGatewayV2::Api", "Name"),
    ("AWS::ApiGatewayV2::Stage", "StageName"),
    ("AWS::SQS::Queue", "QueueName"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::SSM::Parameter", "Name"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::Events::Rule", "Name"),
    ("AWS::Events::EventBus", "Name"),
    ("AWS::Serverless::StateMachine", "Name"),
];

/// A resource as `Ref` sees it.
pub(crate) struct Declared<'a> {
    pub kind: String,
    /// The `Properties`; `Null` when absent or generated.
    pub properties: &'a Value,
    /// Its condition holds.
    pub kept: bool,
    /// The engine honours resources of this type, so that each of its values must be known.
    pub honoured: bool,
    /// A physical name that is known without asking (a generated stage).
    pub fixed_name: Option<String>,
}

pub(crate) struct Evaluator<'a> {
    pub template: &'a Template,
    pub names: &'a dyn Names,
    pub parameters: BTreeMap<String, Value>,
    pub declared: BTreeMap<String, Declared<'a>>,
    /// `None` while a condition is being worked out.
    conditions: RefCell<BTreeMap<String, Option<bool>>>,
    problems: RefCell<Vec<Problem>>,
    /// How many conditions are being worked out.
    chain: Cell<usize>,
    made: Cell<usize>,
    /// The resources whose name is being worked out.
    naming: RefCell<Vec<String>>,
}

impl<'a> Evaluator<'a> {
    pub fn new(template: &'a Template, names: &'a dyn Names) -> Self {
        Self {
            template,
            names,
            parameters: BTreeMap::new(),
            declared: BTreeMap::new(),
            conditions: RefCell::default(),
            problems: RefCell::default(),
            chain: Cell::new(0),
            made: Cell::new(0),
            naming: RefCell::default(),
        }
    }

    pub fn problem(&self, at: &str, message: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS_MAX {
            let problem = Problem { pointer: at.to_owned(), mark: self.template.mark(at), message: message.into() };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// The value with every function called; `None` for `AWS::NoValue`.
    pub fn value(&self, value: &Value, at: &str) -> Option<Value> {
        match value {
            Value::Object(map) if is_intrinsic(map) => {
                let (name, argument) = map.iter().next()?;
                self.call(name, argument, at)
            }
            Value::Object(map) => {
                let entries = map.iter().filter_map(|(key, value)| {
                    let value = self.value(value, &format!("{at}/{key}"))?;
                    Some((key.clone(), value))
                });
                Some(Value::Object(entries.collect::<Map<_, _>>()))
            }
            Value::Array(items) => {
                let items = items.iter().enumerate().filter_map(|(i, item)| self.value(item, &format!("{at}/{i}")));
                Some(Value::Array(items.collect()))
            }
            Value::String(text) if text.contains("{{resolve:") => Some(Value::String(self.dynamic(text, at))),
            plain => Some(plain.clone()),
        }
    }

    /// The value as text; numbers and flags are written out.
    pub fn text(&self, value: &Value, at: &str) -> Option<String> {
        match self.value(value, at)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null => Some(String::new()),
            Value::Array(_) | Value::Object(_) => {
                self.problem(at, "text is expected here");
                None
            }
        }
    }

    /// Accounts for text that a function has made.
    pub fn made(&self, text: String, at: &str) -> Option<Value> {
        self.made.set(self.made.get().saturating_add(text.len()));
        if self.made.get() > MADE_BYTES_MAX {
            self.problem(at, format!("the functions of the template make more than {MADE_BYTES_MAX} bytes"));
            return None;
        }
        Some(Value::String(text))
    }

    /// Whether there is still room to make text.
    pub fn has_room(&self) -> bool {
        self.made.get() <= MADE_BYTES_MAX
    }

    fn call(&self, name: &str, argument: &Value, at: &str) -> Option<Value> {
        match name {
            "Ref" => match argument.as_str() {
                Some(target) => self.reference(target, at),
                None => self.fail(at, "`Ref` takes a name"),
            },
            "Fn::GetAtt" => self.get_attribute(argument, at),
            "Fn::If" => self.value(self.branch(argument, at)?, at),
            "Condition" => argument.as_str().map(|name| Value::Bool(self.condition(name, at))),
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => Some(Value::Bool(self.holds_call(name, argument, at))),
            _ => functions::call(self, name, argument, at),
        }
    }

    /// Records a problem; the value is then unknown.
    pub fn fail(&self, at: &str, message: impl Into<String>) -> Option<Value> {
        self.problem(at, message);
        Some(Value::Null)
    }

    /// The chosen branch of `Fn::If`.
    pub fn branch<'v>(&self, argument: &'v Value, at: &str) -> Option<&'v Value> {
        let Some([Value::String(condition), yes, no]) = argument.as_array().map(Vec::as_slice) else {
            self.problem(at, "`Fn::If` takes a condition's name and two values");
            return None;
        };
        Some(if self.condition(condition, at) { yes } else { no })
    }

    /// `Ref`; `None` for `AWS::NoValue`.
    pub fn reference(&self, target: &str, at: &str) -> Option<Value> {
        if target == "AWS::NoValue" {
            return None;
        }
        if let Some(value) = self.parameters.get(target) {
            return match value {
                Value::String(text) => self.made(text.clone(), at),
                list => Some(list.clone()),
            };
        }
        if target.starts_with("AWS::") {
            return match self.names.pseudo(target) {
                Some(text) => self.made(text, at),
                None => self.fail(at, format!("`{target}` is not known here")),
            };
        }
        let Some(declared) = self.kept(target, at) else { return Some(Value::Null) };
        let name = self.physical_name(target);
        let logical = target.split('.').next().unwrap_or(target);
        let resource = Resource { logical, kind: &declared.kind, name: name.as_deref() };
        match self.names.reference(resource) {
            Some(text) => self.made(text, at),
            None if !declared.honoured => self.made(target.to_owned(), at),
            None => self.fail(at, format!("`Ref` of `{target}` ({}) is not known here", declared.kind)),
        }
    }

    fn kept(&self, target: &str, at: &str) -> Option<&Declared<'a>> {
        match self.declared.get(target) {
            Some(declared) if declared.kept => Some(declared),
            Some(_) => {
                self.problem(at, format!("`{target}` is left out by its condition"));
                None
            }
            None => {
                self.problem(at, format!("`{target}` is neither a parameter nor a resource of the template"));
                None
            }
        }
    }

    fn get_attribute(&self, argument: &Value, at: &str) -> Option<Value> {
        let parts = match argument {
            Value::String(text) => text.split_once('.').map(|(logical, name)| (logical.to_owned(), name.to_owned())),
            Value::Array(items) => match items.as_slice() {
                [Value::String(logical), attribute] => self.text(attribute, at).map(|name| (logical.clone(), name)),
                _ => None,
            },
            _ => None,
        };
        match parts {
            Some((logical, attribute)) => self.attribute(&logical, &attribute, at),
            None => self.fail(at, "`Fn::GetAtt` takes a logical id and an attribute"),
        }
    }

    pub fn attribute(&self, logical: &str, attribute: &str, at: &str) -> Option<Value> {
        let Some(declared) = self.kept(logical, at) else { return Some(Value::Null) };
        let name = self.physical_name(logical);
        let resource = Resource { logical, kind: &declared.kind, name: name.as_deref() };
        match self.names.attribute(resource, attribute) {
            Some(text) => self.made(text, at),
            None if !declared.honoured => self.made(format!("{logical}.{attribute}"), at),
            None => self.fail(at, format!("`{logical}` ({}) has no attribute `{attribute}`", declared.kind)),
        }
    }

    /// The name that the template gives a resource.
    pub fn physical_name(&self, logical: &str) -> Option<String> {
        let declared = self.declared.get(logical)?;
        if declared.fixed_name.is_some() {
            return declared.fixed_name.clone();
        }
        let (_, property) = NAME_PROPERTIES.iter().find(|(kind, _)| *kind == declared.kind)?;
        let value = declared.properties.get(property)?;
        let at = format!("/Resources/{logical}/Properties/{property}");
        if self.naming.borrow().len() > CHAIN_MAX || self.naming.borrow().iter().any(|other| other == logical) {
            self.problem(&at, "the name depends on itself, or on too many others");
            return None;
        }
        self.naming.borrow_mut().push(logical.to_owned());
        let name = self.text(value, &at);
        self.naming.borrow_mut().pop();
        name
    }

    /// Whether the named condition holds.
    pub fn condition(&self, name: &str, at: &str) -> bool {
        let known = self.conditions.borrow().get(name).copied();
        match known {
            Some(Some(holds)) => return holds,
            Some(None) => {
                self.problem(at, format!("the condition `{name}` depends on itself"));
                return false;
            }
            None => {}
        }
        let Some(expression) = self.template.section("Conditions").and_then(|all| all.get(name)) else {
            self.problem(at, format!("there is no condition `{name}`"));
            return false;
        };
        if self.chain.get() > CHAIN_MAX {
            self.problem(at, format!("more than {CHAIN_MAX} conditions depend on each other"));
            return false;
        }
        self.conditions.borrow_mut().insert(name.to_owned(), None);
        self.chain.set(self.chain.get() + 1);
        let holds = self.holds(expression, &format!("/Conditions/{name}"));
        self.chain.set(self.chain.get() - 1);
        self.conditions.borrow_mut().insert(name.to_owned(), Some(holds));
        holds
    }

    fn holds(&self, expression: &Value, at: &str) -> bool {
        match expression.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next()) {
            Some((name, argument)) if name == "Condition" => {
                argument.as_str().is_some_and(|name| self.condition(name, at))
            }
            Some((name, argument)) => self.holds_call(name, argument, at),
            None => {
                self.problem(at, "a condition is `Fn::Equals`, `Fn::And`, `Fn::Or`, `Fn::Not` or `Condition`");
                false
            }
        }
    }

    fn holds_call(&self, name: &str, argument: &Value, at: &str) -> bool {
        let items = argument.as_array().map_or(&[][..], Vec::as_slice);
        match (name, items) {
            ("Fn::Equals", [left, right]) => self.comparable(left, at) == self.comparable(right, at),
            ("Fn::And", [_, ..]) => items.iter().all(|item| self.holds(item, at)),
            ("Fn::Or", [_, ..]) => items.iter().any(|item| self.holds(item, at)),
            ("Fn::Not", [item]) => !self.holds(item, at),
            _ => {
                self.problem(at, format!("`{name}` is no condition, or its arguments do not fit"));
                false
            }
        }
    }

    fn comparable(&self, value: &Value, at: &str) -> Option<Value> {
        match self.value(value, at)? {
            Value::Number(number) => Some(Value::String(number.to_string())),
            Value::Bool(flag) => Some(Value::String(flag.to_string())),
            other => Some(other),
        }
    }

    fn dynamic(&self, text: &str, at: &str) -> String {
        let mut made = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((reference, after)) = after.split_once("}}") else { break };
            made.push_str(before);
            match self.names.dynamic(reference) {
                Some(value) => made.push_str(&value),
                None => self.problem(at, format!("the dynamic reference `{{{{{reference}}}}}` is not known here")),
            }
            rest = after;
        }
        made + rest
    }
}
