//! Sessions and tokens that end, as the change feed tells it: their sockets are closed.

use serde_json::Value;

/// The session or token that a stream record ends; `None` for any other record. A session ends when it is revoked
/// (signing out, a refresh token that came back) or removed; a token when it is removed.
pub fn holder(record: &Value) -> Option<&str> {
    let change = &record["dynamodb"];
    let (partition, sort) = (change["Keys"]["pk"]["S"].as_str()?, change["Keys"]["sk"]["S"].as_str()?);
    let is_removed = record["eventName"] == "REMOVE";
    match (partition.split_once('#')?, sort) {
        (("session", id), "session") if is_removed || is_revoked(change) => Some(id),
        (("token", id), "token") if is_removed => Some(id),
        _ => None,
    }
}

/// The account that a stream record changes: it may be disabled, or have another password.
pub fn changed_account(record: &Value) -> Option<&str> {
    let keys = &record["dynamodb"]["Keys"];
    let id = keys["pk"]["S"].as_str()?.strip_prefix("account#")?;
    (keys["sk"]["S"] == "account" && record["eventName"] == "MODIFY").then_some(id)
}

fn is_revoked(change: &Value) -> bool {
    let stored = change["NewImage"]["value"]["S"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    stored.is_some_and(|stored| !stored["revoked"].is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{changed_account, holder};

    fn record(name: &str, partition: &str, sort: &str, value: &Value) -> Value {
        json!({ "eventName": name, "dynamodb": {
            "Keys": { "pk": { "S": partition }, "sk": { "S": sort } },
            "NewImage": { "value": { "S": value.to_string() } },
        } })
    }

    #[test]
    fn only_a_change_of_an_account_is_one() {
        let any = json!({});
        assert_eq!(changed_account(&record("MODIFY", "account#a", "account", &any)), Some("a"));
        for (name, partition, sort) in [
            ("INSERT", "account#a", "account"),
            ("MODIFY", "account#a", "password"),
            ("MODIFY", "account#a", "project#b"),
            ("MODIFY", "accounts", "account"),
        ] {
            assert_eq!(changed_account(&record(name, partition, sort, &any)), None, "{name} {partition} {sort}");
        }
    }

    #[test]
    fn only_what_has_ended_is_an_end() {
        let (live, revoked) = (json!({ "revoked": null }), json!({ "revoked": 5 }));
        assert_eq!(holder(&record("MODIFY", "session#a", "session", &revoked)), Some("a"));
        assert_eq!(holder(&record("REMOVE", "session#a", "session", &live)), Some("a"));
        assert_eq!(holder(&record("REMOVE", "token#b", "token", &live)), Some("b"));
        for (name, partition, sort) in [
            ("MODIFY", "session#a", "session"),
            ("INSERT", "session#a", "session"),
            ("MODIFY", "token#b", "token"),
            ("REMOVE", "token#b", "used"),
            ("REMOVE", "project#a", "event#1"),
            ("REMOVE", "odd", "session"),
        ] {
            assert_eq!(holder(&record(name, partition, sort, &live)), None, "{name} {partition} {sort}");
        }
        assert_eq!(holder(&json!({})), None);
    }
}
