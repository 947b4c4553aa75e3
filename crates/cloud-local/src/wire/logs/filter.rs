//! Filter patterns (CloudWatch Logs user guide, "Filter pattern syntax"): terms, and single comparisons on JSON.
//!
//! Every plain term must occur, `-term` must not, and one of the `?term`s must. Terms are case-sensitive; quotes
//! hold a phrase together. `{ $.path.to = value }` compares a field of a JSON message. What is not understood
//! is refused rather than ignored.

use serde_json::Value;

const PATTERN_MAX: usize = 1024;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
    field: Option<Comparison>,
}

#[derive(Debug, PartialEq)]
struct Comparison {
    path: Vec<String>,
    operator: Operator,
    value: String,
    quoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Pattern {
    pub fn parse(raw: &str) -> Result<Self, String> {
        let raw = raw.trim();
        if raw.len() > PATTERN_MAX {
            return Err(format!("a filter pattern has at most {PATTERN_MAX} characters"));
        }
        if let Some(inner) = raw.strip_prefix('{') {
            let inner = inner.strip_suffix('}').ok_or("the filter pattern lacks its `}`")?;
            return Ok(Self { field: Some(Comparison::parse(inner.trim())?), ..Self::default() });
        }
        if raw.starts_with('[') || raw.starts_with('%') {
            return Err("patterns of columns and regular expressions are not offered on this machine".into());
        }
        let mut pattern = Self::default();
        let mut rest = raw;
        while !rest.is_empty() {
            let (into, after) = match rest.as_bytes()[0] {
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = term(after)?;
            into.push(term);
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub fn matches(&self, message: &str) -> bool {
        if let Some(field) = &self.field {
            return field.holds(message);
        }
        self.all.iter().all(|term| message.contains(term))
            && !self.none.iter().any(|term| message.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| message.contains(term)))
    }
}

/// One term from the start of `raw`, and what follows it.
fn term(raw: &str) -> Result<(String, &str), String> {
    let Some(quoted) = raw.strip_prefix('"') else {
        let end = raw.find(char::is_whitespace).unwrap_or(raw.len());
        let (term, rest) = raw.split_at(end);
        return if term.is_empty() { Err("a term is empty".into()) } else { Ok((term.to_owned(), rest)) };
    };
    let mut term = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((term, &quoted[at + 1..])),
            '\\' => term.extend(chars.next().map(|(_, escaped)| escaped)),
            other => term.push(other),
        }
    }
    Err("a quoted term lacks its closing quote".into())
}

impl Comparison {
    fn parse(inner: &str) -> Result<Self, String> {
        let refused = || "a JSON pattern is `{ $.field = value }` with one of = != < <= > >=".to_owned();
        if inner.contains("&&") || inner.contains("||") || inner.starts_with('(') {
            return Err("JSON patterns of several comparisons are not offered on this machine".into());
        }
        let selector = inner.strip_prefix("$.").ok_or_else(refused)?;
        let end = selector.find([' ', '=', '!', '<', '>']).ok_or_else(refused)?;
        let (path, rest) = selector.split_at(end);
        let rest = rest.trim_start();
        let found = OPERATORS.iter().find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)));
        let (value, operator) = found.ok_or_else(refused)?;
        let value = value.trim();
        let quoted = value.starts_with('"');
        let (value, after) = term(value)?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if !after.trim().is_empty() || path.iter().any(String::is_empty) {
            return Err(refused());
        }
        Ok(Self { path, operator, value, quoted })
    }

    fn holds(&self, message: &str) -> bool {
        let Ok(parsed) = serde_json::from_str::<Value>(message) else { return false };
        let Some(field) = self.path.iter().try_fold(&parsed, |value, name| value.get(name)) else { return false };
        let number = (!self.quoted).then(|| self.value.parse::<f64>().ok()).flatten();
        match (field.as_f64(), number) {
            (Some(left), Some(right)) => self.compares(left.partial_cmp(&right)),
            _ => match self.operator {
                Operator::Equal => self.same_text(field),
                Operator::NotEqual => !self.same_text(field),
                _ => false,
            },
        }
    }

    fn compares(&self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Text with `*` at either end standing for anything.
    fn same_text(&self, field: &Value) -> bool {
        let text = match field {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match (self.value.strip_prefix('*'), self.value.strip_suffix('*')) {
            (Some(_), Some(_)) => text.contains(self.value.trim_matches('*')),
            (Some(end), None) => text.ends_with(end),
            (None, Some(start)) => text.starts_with(start),
            (None, None) => text == self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(message)
    }

    #[test]
    fn terms_match_as_documented() {
        let line = "[ERROR] 404 page \"not found\" in checkout";
        for (pattern, hit) in [
            ("", true),
            ("ERROR", true),
            ("error", false),
            ("ERROR checkout", true),
            ("ERROR cart", false),
            ("ERROR -checkout", false),
            ("?cart ?checkout", true),
            ("?cart ?basket", false),
            ("\"404 page\"", true),
            ("\"page 404\"", false),
            (r#""\"not found\"""#, true),
        ] {
            assert_eq!(matches(pattern, line), hit, "{pattern}");
        }
    }

    #[test]
    fn fields_of_json_messages_are_compared() {
        let line = r#"{"level":"ERROR","http":{"status":503},"ok":false}"#;
        for (pattern, hit) in [
            (r#"{ $.level = "ERROR" }"#, true),
            (r#"{ $.level = ERR* }"#, true),
            (r#"{ $.level != "ERROR" }"#, false),
            ("{ $.http.status >= 500 }", true),
            ("{$.http.status<500}", false),
            ("{ $.ok = false }", true),
            ("{ $.missing = 1 }", false),
        ] {
            assert_eq!(matches(pattern, line), hit, "{pattern}");
        }
        assert!(!matches("{ $.level = ERROR }", "ERROR"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for pattern in ["[ip, user]", "%ERR.*%", "\"open", "{ $.a = 1", "{ $.a = 1 && $.b = 2 }", "{ a = 1 }", "? x"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
