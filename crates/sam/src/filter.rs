//! Event filtering of event source mappings (Lambda Developer Guide, "Control which events Lambda sends to your
//! function", filter rule syntax).

use serde_json::{Map, Value};

/// Depth of a pattern that is still read.
const DEPTH_MAX: usize = 32;

/// One pattern of `FilterCriteria`.
#[derive(Clone, Debug)]
struct Pattern(Node);

/// All patterns of a source: a record passes when one of them matches, or when there is none.
#[derive(Clone, Debug, Default)]
pub struct Filters(Vec<Pattern>);

#[derive(Clone, Debug)]
enum Node {
    /// Every field must match; each `$or` needs one of its branches.
    Fields(Vec<(String, Node)>, Vec<Vec<Node>>),
    /// One of these must match.
    Rules(Vec<Rule>),
}

#[derive(Clone, Debug)]
enum Rule {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    Suffix(String),
    AnythingBut(Vec<Rule>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    Greater,
    GreaterOrEqual,
}

impl Filters {
    /// Reads the decoded patterns; the error names what is not part of the language.
    pub fn parse(patterns: &[Value]) -> Result<Self, String> {
        patterns.iter().map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the record goes to the function.
    pub fn pass(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(record))
    }
}

impl Pattern {
    fn parse(pattern: &Value) -> Result<Self, String> {
        let fields = pattern.as_object().ok_or("a filter pattern is an object")?;
        Node::fields(fields, 0).map(Self)
    }

    fn matches(&self, record: &Value) -> bool {
        self.0.matches(Some(record))
    }
}

impl Node {
    fn fields(fields: &Map<String, Value>, depth: usize) -> Result<Self, String> {
        if depth > DEPTH_MAX {
            return Err("a filter pattern is nested too deeply".into());
        }
        let mut named = Vec::new();
        let mut either = Vec::new();
        for (name, value) in fields {
            match value {
                Value::Array(branches) if name == "$or" && branches.iter().all(Value::is_object) => {
                    let branches = branches.iter().filter_map(Value::as_object);
                    either.push(branches.map(|branch| Self::fields(branch, depth + 1)).collect::<Result<_, _>>()?);
                }
                Value::Array(rules) => {
                    let rules = rules.iter().map(Rule::parse).collect::<Result<_, _>>()?;
                    named.push((name.clone(), Self::Rules(rules)));
                }
                Value::Object(inner) => named.push((name.clone(), Self::fields(inner, depth + 1)?)),
                _ => return Err(format!("`{name}` of a filter pattern needs a list of rules")),
            }
        }
        Ok(Self::Fields(named, either))
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Fields(named, either) => {
                named.iter().all(|(name, node)| node.matches(value.and_then(|value| value.get(name))))
                    && either.iter().all(|branches| branches.iter().any(|branch| branch.matches(value)))
            }
            Self::Rules(rules) => match value {
                // A list matches when one of its elements does.
                Some(Value::Array(elements)) if !elements.is_empty() => {
                    elements.iter().any(|element| rules.iter().any(|rule| rule.matches(Some(element))))
                }
                _ => rules.iter().any(|rule| rule.matches(value)),
            },
        }
    }
}

impl Rule {
    fn parse(rule: &Value) -> Result<Self, String> {
        let Some(named) = rule.as_object() else { return Ok(Self::Equals(rule.clone())) };
        let mut entries = named.iter();
        let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
            return Err("a filter rule has one operator".into());
        };
        let text = || operand.as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` needs text"));
        Ok(match name.as_str() {
            "prefix" => Self::Prefix(text()?),
            "suffix" => Self::Suffix(text()?),
            "equals-ignore-case" => Self::EqualsIgnoreCase(text()?),
            "exists" => Self::Exists(operand.as_bool().ok_or("`exists` needs true or false")?),
            "anything-but" => Self::AnythingBut(match operand {
                Value::Array(values) => values.iter().map(Self::parse).collect::<Result<_, _>>()?,
                other => vec![Self::parse(other)?],
            }),
            "numeric" => Self::Numeric(comparisons(operand)?),
            _ => return Err(format!("`{name}` is no filter operator")),
        })
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        if let Self::Exists(wanted) = self {
            return value.is_some_and(|value| !value.is_object()) == *wanted;
        }
        let Some(value) = value else { return false };
        match self {
            Self::Equals(wanted) => match (wanted.as_f64(), value.as_f64()) {
                (Some(wanted), Some(value)) => wanted == value,
                _ => wanted == value,
            },
            Self::EqualsIgnoreCase(wanted) => {
                value.as_str().is_some_and(|text| text.to_lowercase() == wanted.to_lowercase())
            }
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix.as_str())),
            Self::Suffix(suffix) => value.as_str().is_some_and(|text| text.ends_with(suffix.as_str())),
            Self::AnythingBut(rules) => !value.is_object() && !rules.iter().any(|rule| rule.matches(Some(value))),
            Self::Numeric(comparisons) => number(value)
                .is_some_and(|number| comparisons.iter().all(|(comparison, bound)| comparison.holds(number, *bound))),
            Self::Exists(_) => false,
        }
    }
}

/// A number, or text that is one: so stream records carry numbers.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn comparisons(operand: &Value) -> Result<Vec<(Comparison, f64)>, String> {
    let parts = operand.as_array().filter(|parts| parts.len() == 2 || parts.len() == 4);
    parts
        .ok_or("`numeric` needs one or two comparisons")?
        .chunks(2)
        .map(|pair| {
            let comparison = match pair[0].as_str() {
                Some("<") => Comparison::Less,
                Some("<=") => Comparison::LessOrEqual,
                Some("=") => Comparison::Equal,
                Some(">") => Comparison::Greater,
                Some(">=") => Comparison::GreaterOrEqual,
                _ => return Err(format!("`{}` is no comparison", pair[0])),
            };
            Ok((comparison, pair[1].as_f64().ok_or("`numeric` compares with numbers")?))
        })
        .collect()
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Equal => number == bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(pattern: Value, record: Value) -> bool {
        Pattern::parse(&pattern).unwrap().matches(&record)
    }

    #[test]
    fn the_platforms_own_filter_selects_events() {
        let pattern = json!({ "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": "event#" }] } } } });
        let record = |sort: &str| json!({ "dynamodb": { "Keys": { "pk": { "S": "p" }, "sk": { "S": sort } } } });
        assert!(matches(pattern.clone(), record("event#0001")));
        assert!(!matches(pattern, record("event-head")));
    }

    #[test]
    fn records_of_a_stream_are_chosen_by_name_keys_and_numbers() {
        let record = json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "project#1"}, "n": {"N": "42"}}}});
        let yes = [
            json!({}),
            json!({"eventName": ["INSERT", "MODIFY"]}),
            json!({"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "project#"}]}}}}),
            json!({"dynamodb": {"Keys": {"n": {"N": [{"numeric": [">", 41, "<=", 42]}]}}}}),
            json!({"dynamodb": {"OldImage": [{"exists": false}]}}),
            json!({"eventName": [{"anything-but": ["REMOVE"]}]}),
        ];
        let no = [
            json!({"eventName": ["REMOVE"]}),
            json!({"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "account#"}]}}}}),
            json!({"dynamodb": {"Keys": {"n": {"N": [{"numeric": [">", 42]}]}}}}),
            json!({"dynamodb": {"OldImage": [{"exists": true}]}}),
        ];
        for pattern in yes {
            assert!(matches(pattern.clone(), record.clone()), "{pattern}");
        }
        for pattern in no {
            assert!(!matches(pattern.clone(), record.clone()), "{pattern}");
        }
        assert!(Filters::parse(&[]).unwrap().pass(&record));
    }

    #[test]
    fn every_field_must_match_and_one_rule_of_each() {
        let pattern = json!({ "a": ["x", "y"], "b": { "c": [1, null, true] } });
        assert!(matches(pattern.clone(), json!({ "a": "y", "b": { "c": 1.0 } })));
        assert!(matches(pattern.clone(), json!({ "a": "y", "b": { "c": null } })));
        assert!(!matches(pattern.clone(), json!({ "a": "z", "b": { "c": 1 } })));
        assert!(!matches(pattern, json!({ "a": "y" })));
    }

    #[test]
    fn operators_hold_as_documented() {
        assert!(matches(json!({ "n": [{ "numeric": [">", 0, "<=", 5] }] }), json!({ "n": 5 })));
        assert!(!matches(json!({ "n": [{ "numeric": [">", 0, "<=", 5] }] }), json!({ "n": 0 })));
        assert!(matches(json!({ "s": [{ "anything-but": ["a", "b"] }] }), json!({ "s": "c" })));
        assert!(!matches(json!({ "s": [{ "anything-but": "a" }] }), json!({ "s": "a" })));
        assert!(!matches(json!({ "s": [{ "anything-but": "a" }] }), json!({})));
        assert!(matches(json!({ "s": [{ "exists": false }] }), json!({})));
        assert!(matches(json!({ "s": [{ "suffix": ".png" }] }), json!({ "s": "a.png" })));
        assert!(matches(json!({ "s": [{ "equals-ignore-case": "GET" }] }), json!({ "s": "get" })));
        assert!(matches(json!({ "l": ["b"] }), json!({ "l": ["a", "b"] })));
        let either = json!({ "$or": [{ "a": [1] }, { "b": [2] }], "c": [3] });
        assert!(matches(either.clone(), json!({ "b": 2, "c": 3 })));
        assert!(!matches(either, json!({ "c": 3 })));
    }

    #[test]
    fn what_is_not_in_the_language_is_refused() {
        for pattern in
            [json!([]), json!({ "a": 1 }), json!({ "a": [{ "like": "x" }] }), json!({ "a": [{ "numeric": [">"] }] })]
        {
            assert!(Pattern::parse(&pattern).is_err(), "{pattern}");
        }
        let deep = (0..100).fold(json!(["x"]), |inner, _| json!({ "a": inner }));
        assert!(Pattern::parse(&deep).is_err());
    }
}
