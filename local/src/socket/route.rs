//! Which route a message takes (`RouteSelectionExpression`, `$request.body.action` mostly).

use serde_json::Value;

/// The route key of `body`; `$default` when the expression has no value or no route has that key.
pub fn select<'a>(expression: &str, routes: &'a [String], body: &str) -> &'a str {
    const DEFAULT: &str = "$default";
    let chosen = expression.trim_matches(['$', '{', '}']).strip_prefix("request.body.").and_then(|path| {
        let mut value: &Value = &serde_json::from_str(body).ok()?;
        for name in path.split('.') {
            value = value.get(name)?;
        }
        let key = value.as_str()?.to_owned();
        routes.iter().find(|route| **route == key && !route.starts_with('$'))
    });
    chosen.map_or(DEFAULT, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_take_the_route_they_name() {
        let routes = ["$connect".to_owned(), "tail".to_owned()];
        let select = |body| select("$request.body.action", &routes, body);
        assert_eq!(select(r#"{"action":"tail"}"#), "tail");
        for body in [r#"{"action":"other"}"#, r#"{"action":"$connect"}"#, r#"{"action":1}"#, "{", "[]", ""] {
            assert_eq!(select(body), "$default", "{body}");
        }
    }
}
