//! From a template to an [`App`]: conditions, functions and SAM's short forms worked out.

mod api;
mod authorizers;
mod bodies;
mod code;
mod data;
mod events;
mod functions;
mod gateway_v2;
mod refusals;
mod sources;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::evaluate::{Declared, Evaluator};
use crate::node::Node;
use crate::{App, Names, Problem, Refusal, Template, Unsupported, globals, parameters};

/// What a template is resolved with.
pub struct Resolve<'a> {
    pub parameters: BTreeMap<String, String>,
    pub names: &'a dyn Names,
}

/// Most resources of one template (CloudFormation quota).
const RESOURCES_MAX: usize = 500;

/// Types whose every value the engine must know.
const HONOURED: [&str; 19] = [
    "AWS::Serverless::Function",
    "AWS::Lambda::Function",
    "AWS::Serverless::LayerVersion",
    "AWS::Lambda::LayerVersion",
    "AWS::Serverless::Api",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::WebSocketApi",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGatewayV2::Api",
    "AWS::Serverless::SimpleTable",
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::Logs::LogGroup",
    "AWS::SSM::Parameter",
    "AWS::Lambda::Version",
    "AWS::Lambda::Alias",
    "AWS::ApiGateway::Stage",
];

/// One resource being read.
pub(crate) struct Reading<'a> {
    pub logical: &'a str,
    pub kind: &'a str,
    /// `Properties`; an empty map when absent.
    pub properties: Node<'a>,
    /// The whole resource: `Metadata`, `DependsOn`, …
    pub resource: &'a Value,
}

/// What reading fills in.
pub(crate) struct Building<'a> {
    pub scope: &'a Evaluator<'a>,
    pub app: App,
    /// By the API's logical id.
    api_defaults: BTreeMap<String, api::ApiDefaults>,
}

/// Works a template out. Everything wrong is reported, at most 100 problems; what is merely not honoured is in
/// `App::unsupported`, what must not be deployed in `App::refused`.
pub fn resolve(template: &Template, what: &Resolve<'_>) -> Result<App, Vec<Problem>> {
    let resources = globals::resources(template);
    let absent = Value::Object(Map::new());
    let mut scope = Evaluator::new(template, what.names);
    if resources.is_empty() {
        scope.problem("", "a template has `Resources`");
    }
    if resources.len() > RESOURCES_MAX {
        scope.problem("/Resources", format!("there are more than {RESOURCES_MAX} resources"));
        return Err(scope.into_problems());
    }
    scope.parameters = parameters::values(&scope, &what.parameters);
    declare(&mut scope, &resources, &absent);
    let app = {
        let mut building = Building { scope: &scope, app: App::default(), api_defaults: BTreeMap::new() };
        building.sections(template);
        building.resources(&resources, &absent);
        building.outputs(template);
        building.app
    };
    let problems = scope.into_problems();
    if problems.is_empty() { Ok(app) } else { Err(problems) }
}

/// Enters every resource, and those that SAM generates, so that `Ref` finds them.
fn declare<'a>(scope: &mut Evaluator<'a>, resources: &'a Map<String, Value>, absent: &'a Value) {
    for (logical, resource) in resources {
        let at = format!("/Resources/{logical}");
        let Some(kind) = resource.get("Type").and_then(Value::as_str) else {
            scope.problem(&at, "a resource has a `Type`");
            continue;
        };
        if logical.is_empty() || !logical.bytes().all(|b| b.is_ascii_alphanumeric()) {
            scope.problem(&at, "a logical id has letters and digits only");
            continue;
        }
        let kept = match resource.get("Condition") {
            None => true,
            Some(Value::String(name)) => scope.condition(name, &at),
            Some(_) => {
                scope.problem(&at, "`Condition` is the name of a condition");
                false
            }
        };
        let properties = resource.get("Properties").unwrap_or(absent);
        let honoured = HONOURED.contains(&kind);
        let declared = Declared { kind: kind.to_owned(), properties, kept, honoured, fixed_name: None };
        scope.declared.insert(logical.clone(), declared);
        for (generated, kind, fixed_name) in generated(logical, kind, properties) {
            let honoured = HONOURED.contains(&kind);
            let declared = Declared { kind: kind.to_owned(), properties: absent, kept, honoured, fixed_name };
            scope.declared.entry(generated).or_insert(declared);
        }
    }
}

/// The ids of what SAM generates for a resource ("Generated CloudFormation resources", AWS SAM Developer Guide).
pub(crate) fn generated(logical: &str, kind: &str, properties: &Value) -> Vec<(String, &'static str, Option<String>)> {
    let stage_name = || properties.get("StageName").and_then(Value::as_str).map(str::to_owned);
    match kind {
        "AWS::Serverless::Function" => {
            let mut all = vec![
                (format!("{logical}Role"), "AWS::IAM::Role", None),
                (format!("{logical}.Version"), "AWS::Lambda::Version", None),
            ];
            if let Some(alias) = properties.get("AutoPublishAlias") {
                let name = alias.as_str().map(str::to_owned);
                all.extend(
                    name.as_ref()
                        .map(|name| (format!("{logical}Alias{name}"), "AWS::Lambda::Alias", Some(name.clone()))),
                );
                all.push((format!("{logical}.Alias"), "AWS::Lambda::Alias", name));
            }
            all
        }
        "AWS::Serverless::Api" => {
            let name = stage_name();
            let mut all = vec![(format!("{logical}.Stage"), "AWS::ApiGateway::Stage", name.clone())];
            all.extend(name.map(|name| (format!("{logical}{name}Stage"), "AWS::ApiGateway::Stage", Some(name))));
            all.push((format!("{logical}Stage"), "AWS::ApiGateway::Stage", stage_name()));
            all
        }
        "AWS::Serverless::HttpApi" | "AWS::Serverless::WebSocketApi" => {
            let name = stage_name().or_else(|| (kind == "AWS::Serverless::HttpApi").then(|| "$default".to_owned()));
            vec![
                (format!("{logical}.Stage"), "AWS::ApiGatewayV2::Stage", name.clone()),
                (format!("{logical}ApiGatewayDefaultStage"), "AWS::ApiGatewayV2::Stage", name),
            ]
        }
        _ => Vec::new(),
    }
}

impl<'a> Building<'a> {
    /// Notes a part that is not honoured.
    pub fn unsupported(&mut self, reading: &Reading<'_>, property: Option<&str>, reason: impl Into<String>) {
        self.app.unsupported.push(Unsupported {
            resource: reading.logical.to_owned(),
            kind: reading.kind.to_owned(),
            property: property.map(str::to_owned),
            reason: reason.into(),
        });
    }

    /// Notes a reason against deploying.
    pub fn refuse(&mut self, reading: &Reading<'_>, property: Option<&str>, reason: impl Into<String>) {
        self.app.refused.push(Refusal {
            resource: reading.logical.to_owned(),
            kind: reading.kind.to_owned(),
            property: property.map(str::to_owned),
            reason: reason.into(),
        });
    }

    /// Notes every property that is neither read nor without effect.
    pub fn note_others(&mut self, reading: &Reading<'_>, read: &[&str]) {
        const WITHOUT_EFFECT: [&str; 4] = ["Tags", "Description", "PropagateTags", "PermissionsBoundary"];
        for (name, _) in reading.properties.entries() {
            if !read.contains(&name) && !WITHOUT_EFFECT.contains(&name) {
                self.unsupported(reading, Some(name), "the property has no effect here");
            }
        }
    }

    fn sections(&mut self, template: &Template) {
        for section in globals::unknown_sections(template) {
            self.scope.problem(&format!("/Globals/{section}"), format!("`Globals` has no section `{section}`"));
        }
        self.transforms(template);
    }

    fn resources(&mut self, resources: &'a Map<String, Value>, absent: &'a Value) {
        let mut readings = Vec::new();
        for (logical, resource) in resources {
            let Some(declared) = self.scope.declared.get(logical).filter(|declared| declared.kept) else { continue };
            self.dependencies(logical, resource);
            self.app.kinds.insert(logical.clone(), declared.kind.clone());
            let at = format!("/Resources/{logical}/Properties");
            let properties = Node::new(self.scope, declared.properties, at.clone());
            let Some(properties) = properties.or_else(|| Node::new(self.scope, absent, at)) else { continue };
            if !properties.is_map() {
                properties.problem("`Properties` is a map");
                continue;
            }
            readings.push(Reading {
                logical,
                kind: resource["Type"].as_str().unwrap_or_default(),
                properties,
                resource,
            });
        }
        // Authorizers name functions.
        readings.sort_by_key(|reading| !reading.kind.ends_with("::Function"));
        // Routes and sources of functions are added to APIs, and other resources to functions: hence in this order.
        for reading in &readings {
            self.first(reading);
        }
        for reading in &readings {
            self.second(reading);
        }
        for reading in &readings {
            self.third(reading);
        }
        self.finish_apis();
    }

    fn dependencies(&self, logical: &str, resource: &Value) {
        let at = format!("/Resources/{logical}/DependsOn");
        let names = match resource.get("DependsOn") {
            None => return,
            Some(Value::Array(names)) => names.iter().collect(),
            Some(one) => vec![one],
        };
        for name in names {
            match name.as_str() {
                Some(name) if self.scope.declared.contains_key(name) => {}
                _ => self.scope.problem(&at, format!("{name} is not a resource of the template")),
            }
        }
    }

    /// What stands on its own.
    fn first(&mut self, reading: &Reading<'a>) {
        self.refusals(reading);
        match reading.kind {
            "AWS::Serverless::Function" | "AWS::Lambda::Function" => self.function(reading),
            "AWS::Serverless::LayerVersion" | "AWS::Lambda::LayerVersion" => self.layer(reading),
            "AWS::Serverless::Api" | "AWS::ApiGateway::RestApi" => self.rest_api(reading),
            "AWS::Serverless::HttpApi" => self.http_api(reading),
            "AWS::Serverless::WebSocketApi" => self.web_socket_api(reading),
            "AWS::ApiGatewayV2::Api" => self.gateway_v2_api(reading),
            "AWS::SQS::Queue" => self.queue(reading),
            "AWS::S3::Bucket" => self.bucket(reading),
            "AWS::Serverless::SimpleTable" => self.simple_table(reading),
            "AWS::DynamoDB::Table" => self.table(reading),
            "AWS::SNS::Topic" => self.topic(reading),
            "AWS::Logs::LogGroup" => self.log_group(reading),
            "AWS::SSM::Parameter" => self.parameter(reading),
            kind => self.other(reading, kind),
        }
    }

    /// What belongs to an API.
    fn second(&mut self, reading: &Reading<'a>) {
        match reading.kind {
            "AWS::Serverless::Api"
            | "AWS::ApiGateway::RestApi"
            | "AWS::Serverless::HttpApi"
            | "AWS::ApiGatewayV2::Api" => self.definition(reading),
            "AWS::ApiGateway::Stage" | "AWS::ApiGateway::Deployment" | "AWS::ApiGateway::GatewayResponse" => {
                self.rest_part(reading);
            }
            "AWS::ApiGatewayV2::Stage" | "AWS::ApiGatewayV2::Authorizer" => self.gateway_v2_part(reading),
            _ => {}
        }
    }

    /// What refers to functions and APIs.
    fn third(&mut self, reading: &Reading<'a>) {
        match reading.kind {
            "AWS::Serverless::Function" => self.events(reading),
            "AWS::Serverless::WebSocketApi" => self.web_socket_routes(reading),
            "AWS::ApiGatewayV2::Route" => self.gateway_v2_route(reading),
            "AWS::Lambda::EventSourceMapping" => self.event_source_mapping(reading),
            "AWS::Events::Rule" => self.rule(reading),
            "AWS::S3::Bucket" => self.notifications(reading),
            _ => {}
        }
    }

    fn outputs(&mut self, template: &'a Template) {
        for (name, output) in template.section("Outputs").into_iter().flatten() {
            let at = format!("/Outputs/{name}");
            if output.get("Condition").and_then(Value::as_str).is_some_and(|name| !self.scope.condition(name, &at)) {
                continue;
            }
            let Some(value) = output.get("Value") else {
                self.scope.problem(&at, "an output has a `Value`");
                continue;
            };
            if let Some(text) = self.scope.text(value, &format!("{at}/Value")) {
                self.app.outputs.insert(name.clone(), text);
            }
        }
    }
}
