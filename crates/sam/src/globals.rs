//! `Globals`: what every function, API or table of a template has in common.

use serde_json::{Map, Value};

use crate::Template;

/// The sections of `Globals`, and the type that each is for.
const SECTIONS: [(&str, &str); 6] = [
    ("Function", "AWS::Serverless::Function"),
    ("Api", "AWS::Serverless::Api"),
    ("HttpApi", "AWS::Serverless::HttpApi"),
    ("SimpleTable", "AWS::Serverless::SimpleTable"),
    ("LayerVersion", "AWS::Serverless::LayerVersion"),
    ("WebSocketApi", "AWS::Serverless::WebSocketApi"),
];

/// Sections that SAM knows and whose types are not honoured here anyway.
const OTHERS: [&str; 2] = ["StateMachine", "CapacityProvider"];

/// The resources with `Globals` merged in, and the implicit APIs that function events call for.
pub fn resources(template: &Template) -> Map<String, Value> {
    let mut resources = template.section("Resources").cloned().unwrap_or_default();
    for implicit in implicit_apis(&resources) {
        resources.entry(implicit.0).or_insert(implicit.1);
    }
    let Some(globals) = template.section("Globals") else { return resources };
    for (section, kind) in SECTIONS {
        let Some(global) = globals.get(section) else { continue };
        for resource in resources.values_mut().filter(|resource| resource["Type"] == kind) {
            let Some(resource) = resource.as_object_mut() else { continue };
            let local = resource.remove("Properties").unwrap_or_else(|| Value::Object(Map::new()));
            resource.insert("Properties".into(), merge(global, local));
        }
    }
    resources
}

/// Sections of `Globals` that SAM does not know.
pub fn unknown_sections(template: &Template) -> Vec<String> {
    let known = |name: &str| SECTIONS.iter().any(|(section, _)| *section == name) || OTHERS.contains(&name);
    template.section("Globals").into_iter().flat_map(Map::keys).filter(|name| !known(name)).cloned().collect()
}

/// Maps merge key by key, lists are joined (global first), anything else is overridden
/// ("Globals section", AWS SAM Developer Guide).
fn merge(global: &Value, local: Value) -> Value {
    match (global, local) {
        (Value::Object(global), Value::Object(local)) if !is_intrinsic(global) && !is_intrinsic(&local) => {
            let mut merged = global.clone();
            for (key, value) in local {
                let value = match global.get(&key) {
                    Some(global) => merge(global, value),
                    None => value,
                };
                merged.insert(key, value);
            }
            Value::Object(merged)
        }
        (Value::Array(global), Value::Array(local)) => Value::Array(global.iter().cloned().chain(local).collect()),
        (_, local) => local,
    }
}

/// Whether a map is a function call (`{"Ref": …}`).
pub fn is_intrinsic(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.keys().all(|key| key == "Ref" || key == "Condition" || key.starts_with("Fn::"))
}

fn implicit_apis(resources: &Map<String, Value>) -> Vec<(String, Value)> {
    let events = || {
        let functions = resources.values().filter(|resource| resource["Type"] == "AWS::Serverless::Function");
        functions.filter_map(|function| function["Properties"]["Events"].as_object()).flat_map(Map::values)
    };
    let wanted =
        |kind: &str, id: &str| events().any(|event| event["Type"] == kind && event["Properties"].get(id).is_none());
    let mut found = Vec::new();
    if wanted("Api", "RestApiId") {
        found.push((
            "ServerlessRestApi".to_owned(),
            serde_json::json!({"Type": "AWS::Serverless::Api", "Properties": {"StageName": "Prod"}}),
        ));
    }
    if wanted("HttpApi", "ApiId") {
        found.push((
            "ServerlessHttpApi".to_owned(),
            serde_json::json!({"Type": "AWS::Serverless::HttpApi", "Properties": {}}),
        ));
    }
    found
}
