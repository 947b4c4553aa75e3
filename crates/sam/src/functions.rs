//! The intrinsic functions that make values from values.

use base64::Engine;
use serde_json::{Value, json};

use crate::evaluate::Evaluator;

/// Most subnets that `Fn::Cidr` makes.
const SUBNETS_MAX: u32 = 256;

pub(crate) fn call(scope: &Evaluator<'_>, name: &str, argument: &Value, at: &str) -> Option<Value> {
    let items = argument.as_array().map_or(&[][..], Vec::as_slice);
    match (name, items) {
        ("Fn::Sub", _) => substitute(scope, argument, at),
        ("Fn::Join", [delimiter, list]) => join(scope, delimiter, list, at),
        ("Fn::Select", [index, list]) => select(scope, index, list, at),
        ("Fn::Split", [delimiter, text]) => split(scope, delimiter, text, at),
        ("Fn::FindInMap", [map, first, second, rest @ ..]) => {
            find_in_map(scope, [map, first, second], rest.first(), at)
        }
        ("Fn::Base64", _) => {
            let text = scope.text(argument, at)?;
            scope.made(base64::engine::general_purpose::STANDARD.encode(text), at)
        }
        ("Fn::Cidr", [block, count, rest @ ..]) => cidr(scope, block, count, rest.first(), at),
        ("Fn::GetAZs", _) => {
            let region = scope.text(argument, at).filter(|region| !region.is_empty());
            let region = region.or_else(|| scope.names.pseudo("AWS::Region")).unwrap_or_default();
            Some(json!([format!("{region}a"), format!("{region}b"), format!("{region}c")]))
        }
        ("Fn::Length", _) => match scope.value(argument, at)? {
            Value::Array(items) => Some(json!(items.len())),
            _ => scope.fail(at, "`Fn::Length` takes a list"),
        },
        ("Fn::ToJsonString", _) => {
            let value = scope.value(argument, at)?;
            scope.made(value.to_string(), at)
        }
        ("Fn::ImportValue", _) => {
            scope.fail(at, "`Fn::ImportValue` reads another stack's exports, and a stack here sees no other")
        }
        ("Fn::Transform", _) => scope.fail(at, "macros and `AWS::Include` from another place are not run"),
        _ => scope.fail(at, format!("`{name}` is not known, or its arguments do not fit")),
    }
}

fn substitute(scope: &Evaluator<'_>, argument: &Value, at: &str) -> Option<Value> {
    let (template, own) = match argument {
        Value::String(text) => (text.as_str(), None),
        Value::Array(items) => match items.as_slice() {
            [Value::String(text), Value::Object(own)] => (text.as_str(), Some(own)),
            _ => return scope.fail(at, "`Fn::Sub` takes text, or text and a map"),
        },
        _ => return scope.fail(at, "`Fn::Sub` takes text, or text and a map"),
    };
    let mut made = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        made.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return scope.fail(at, "`${` is not closed");
        };
        rest = after;
        if let Some(literal) = name.strip_prefix('!') {
            made.push_str(&format!("${{{literal}}}"));
            continue;
        }
        let name = name.trim();
        let value = match own.and_then(|own| own.get(name)) {
            Some(value) => scope.value(value, at),
            None => variable(scope, name, at),
        };
        made.push_str(&written(scope, value, at));
        if !scope.has_room() {
            return None;
        }
    }
    made.push_str(rest);
    scope.made(made, at)
}

/// `${A}` is `Ref`, `${A.B}` is `Fn::GetAtt`; SAM's `${Function.Alias}` is a `Ref`.
fn variable(scope: &Evaluator<'_>, name: &str, at: &str) -> Option<Value> {
    match name.split_once('.') {
        Some((logical, attribute)) if !scope.declared.contains_key(name) => scope.attribute(logical, attribute, at),
        _ => scope.reference(name, at),
    }
}

fn written(scope: &Evaluator<'_>, value: Option<Value>, at: &str) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Null) | None => String::new(),
        Some(Value::Array(items)) => {
            items.into_iter().map(|item| written(scope, Some(item), at)).collect::<Vec<_>>().join(",")
        }
        Some(Value::Object(_)) => {
            scope.problem(at, "a map cannot be put into text");
            String::new()
        }
    }
}

/// A list argument: a list, or a function that gives one.
fn list(scope: &Evaluator<'_>, value: &Value, at: &str) -> Option<Vec<Value>> {
    match scope.value(value, at)? {
        Value::Array(items) => Some(items),
        Value::Null => None,
        _ => {
            scope.problem(at, "a list is expected here");
            None
        }
    }
}

fn join(scope: &Evaluator<'_>, delimiter: &Value, items: &Value, at: &str) -> Option<Value> {
    let delimiter = scope.text(delimiter, at)?;
    let items = list(scope, items, at)?;
    let parts: Vec<String> = items.into_iter().map(|item| written(scope, Some(item), at)).collect();
    scope.made(parts.join(&delimiter), at)
}

fn select(scope: &Evaluator<'_>, index: &Value, items: &Value, at: &str) -> Option<Value> {
    let index = scope.text(index, at)?;
    let items = list(scope, items, at)?;
    match index.parse::<usize>().ok().and_then(|index| items.into_iter().nth(index)) {
        Some(item) => Some(item),
        None => scope.fail(at, format!("`Fn::Select` finds no item {index}")),
    }
}

fn split(scope: &Evaluator<'_>, delimiter: &Value, text: &Value, at: &str) -> Option<Value> {
    let delimiter = scope.text(delimiter, at)?;
    let text = scope.text(text, at)?;
    if delimiter.is_empty() {
        return scope.fail(at, "`Fn::Split` takes a delimiter");
    }
    Some(Value::Array(text.split(&delimiter).map(Value::from).collect()))
}

fn find_in_map(scope: &Evaluator<'_>, keys: [&Value; 3], rest: Option<&Value>, at: &str) -> Option<Value> {
    let [map, first, second] = keys;
    let (map, first, second) = (scope.text(map, at)?, scope.text(first, at)?, scope.text(second, at)?);
    let mappings = scope.template.section("Mappings");
    let found = mappings.and_then(|all| all.get(&map)?.get(&first)?.get(&second));
    if let Some(found) = found {
        return Some(found.clone());
    }
    match rest.and_then(|rest| rest.get("DefaultValue")) {
        Some(default) => scope.value(default, at),
        None => scope.fail(at, format!("the mapping `{map}` has no `{first}` with `{second}`")),
    }
}

/// `Fn::Cidr` for IPv4: `count` blocks that leave `bits` bits to the host.
fn cidr(scope: &Evaluator<'_>, block: &Value, count: &Value, bits: Option<&Value>, at: &str) -> Option<Value> {
    let (block, count) = (scope.text(block, at)?, scope.text(count, at)?);
    let bits = bits.map_or(Some("8".into()), |bits| scope.text(bits, at))?;
    let parsed = || {
        let (address, prefix) = block.split_once('/')?;
        let address = u32::from(address.parse::<std::net::Ipv4Addr>().ok()?);
        let (prefix, count, bits) =
            (prefix.parse::<u32>().ok()?, count.parse::<u32>().ok()?, bits.parse::<u32>().ok()?);
        let fits = (1..=SUBNETS_MAX).contains(&count) && (1..=31).contains(&bits) && prefix <= 32 - bits;
        let room = 1u64 << (32 - bits - prefix.min(32 - bits));
        (fits && u64::from(count) <= room).then_some((address, count, bits))
    };
    match parsed() {
        Some((address, count, bits)) => {
            let blocks = (0..count).map(|i| {
                let start = std::net::Ipv4Addr::from(address.wrapping_add(i << bits));
                json!(format!("{start}/{}", 32 - bits))
            });
            Some(Value::Array(blocks.collect()))
        }
        None => scope.fail(at, "`Fn::Cidr` takes an IPv4 block, a count of 1 to 256 and host bits that fit"),
    }
}
