//! `Parameters`: defaults, overrides and what they must be.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::evaluate::Evaluator;

/// CloudFormation's longest parameter value, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// The value of every parameter: text, or a list of texts for the list types.
pub(crate) fn values(scope: &Evaluator<'_>, given: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let empty = Map::new();
    let declared = scope.template.section("Parameters").unwrap_or(&empty);
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        scope.problem("/Parameters", format!("the template has no parameter `{name}`"));
    }
    let mut values = BTreeMap::new();
    for (name, parameter) in declared {
        let at = format!("/Parameters/{name}");
        let Some(text) = given.get(name).cloned().or_else(|| plain(parameter.get("Default")?)) else {
            scope.problem(&at, format!("the parameter `{name}` has no default and no value is given"));
            continue;
        };
        if let Err(message) = check(parameter, &text) {
            scope.problem(&at, message);
        }
        let kind = parameter["Type"].as_str().unwrap_or_default();
        let value = match stored(kind) {
            None => Some(text),
            // `AWS::SSM::Parameter::Value<String>`: the text names an entry of the parameter store.
            Some(_) => scope.names.dynamic(&format!("resolve:ssm:{text}")).or_else(|| {
                scope.problem(&at, format!("`{text}` is not in the parameter store here"));
                None
            }),
        };
        let Some(value) = value else { continue };
        let list = matches!(stored(kind).unwrap_or(kind), "CommaDelimitedList" | "List<String>")
            || stored(kind).unwrap_or(kind).starts_with("List<");
        let value = match list {
            true => Value::Array(value.split(',').map(|item| Value::from(item.trim())).collect()),
            false => Value::String(value),
        };
        values.insert(name.clone(), value);
    }
    values
}

/// Which of the declared parameters get no value, or one that they do not take.
pub(crate) fn misfits(declared: &Map<String, Value>, given: &BTreeMap<String, String>) -> Vec<String> {
    let misfit = |(name, parameter): (&String, &Value)| match given.get(name) {
        Some(text) => check(parameter, text).err().map(|message| format!("`{name}`: {message}")),
        None if parameter.get("Default").is_none() => {
            Some(format!("the parameter `{name}` has no default and no value is given"))
        }
        None => None,
    };
    declared.iter().filter_map(misfit).collect()
}

fn stored(kind: &str) -> Option<&str> {
    kind.strip_prefix("AWS::SSM::Parameter::Value<")?.strip_suffix('>')
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn check(parameter: &Value, text: &str) -> Result<(), String> {
    let number = |key: &str| parameter.get(key).and_then(plain).and_then(|text| text.parse::<f64>().ok());
    let described = |message: String| parameter["ConstraintDescription"].as_str().map_or(message, str::to_owned);
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!("a value has at most {VALUE_BYTES_MAX} bytes"));
    }
    if let Some(allowed) = parameter["AllowedValues"].as_array() {
        let allowed: Vec<String> = allowed.iter().filter_map(plain).collect();
        if !allowed.iter().any(|one| one == text) {
            return Err(described(format!("`{text}` is none of {}", allowed.join(", "))));
        }
    }
    if let Some(pattern) = parameter["AllowedPattern"].as_str() {
        let whole = regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 20).build();
        match whole {
            Ok(whole) if !whole.is_match(text) => {
                return Err(described(format!("`{text}` does not match `{pattern}`")));
            }
            Ok(_) => {}
            Err(_) => return Err(format!("the pattern `{pattern}` cannot be checked here")),
        }
    }
    let length = text.chars().count() as f64;
    if number("MinLength").is_some_and(|least| length < least) || number("MaxLength").is_some_and(|most| length > most)
    {
        return Err(described(format!("`{text}` is too short or too long")));
    }
    if parameter["Type"] == "Number" {
        let Ok(value) = text.parse::<f64>() else { return Err(format!("`{text}` is not a number")) };
        if number("MinValue").is_some_and(|least| value < least) || number("MaxValue").is_some_and(|most| value > most)
        {
            return Err(described(format!("{text} is too small or too large")));
        }
    }
    Ok(())
}
