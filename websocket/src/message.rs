//! What clients say.

use domain::TailTarget;
use serde::Deserialize;

/// One message, by its `action`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// Follow a project's events, after a sequence or from now.
    Subscribe {
        project: String,
        after: Option<u64>,
    },
    Unsubscribe {
        project: String,
    },
    /// Follow a job's log, or a function's.
    Tail {
        project: String,
        job: Option<String>,
        environment: Option<String>,
        function: Option<String>,
        cursor: Option<String>,
        /// Only lines at or after this (milliseconds), without a cursor.
        start: Option<i64>,
    },
    /// Stop following a log.
    Untail {
        tail: String,
    },
    /// Where the person is; `null` where they are in no branch or file.
    Presence {
        project: String,
        branch: Option<String>,
        path: Option<String>,
    },
    Ping {},
}

/// The log that a tail message names; `None` when it names none or two.
pub fn target(
    project: String,
    job: Option<String>,
    environment: Option<String>,
    function: Option<String>,
) -> Option<TailTarget> {
    match (job, environment, function) {
        (Some(job), None, None) => Some(TailTarget::Job { project, job }),
        (None, Some(environment), Some(function)) => Some(TailTarget::Function { project, environment, function }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ws_012_what_is_not_a_message_is_refused() {
        for bad in [
            "{",
            "",
            "[]",
            "1",
            "null",
            r#"{"action":"drop"}"#,
            r#"{"project":"a"}"#,
            r#"{"action":"subscribe"}"#,
            r#"{"action":"subscribe","project":"a","after":-1}"#,
            r#"{"action":"subscribe","project":"a","extra":1}"#,
            r#"{"action":"subscribe","project":["a"]}"#,
        ] {
            assert!(serde_json::from_str::<Message>(bad).is_err(), "{bad}");
        }
        let said = serde_json::from_str::<Message>(r#"{"action":"subscribe","project":"a","after":7}"#).unwrap();
        assert_eq!(said, Message::Subscribe { project: "a".into(), after: Some(7) });
        assert_eq!(serde_json::from_str::<Message>(r#"{"action":"ping"}"#).unwrap(), Message::Ping {});
    }

    #[test]
    fn a_tail_names_one_log() {
        let some = |text: &str| Some(text.to_owned());
        assert!(target("p".into(), some("j"), None, None).is_some());
        assert!(target("p".into(), None, some("dev"), some("f")).is_some());
        for (job, environment, function) in [
            (None, None, None),
            (some("j"), some("dev"), some("f")),
            (None, some("dev"), None),
            (some("j"), None, some("f")),
        ] {
            assert!(target("p".into(), job, environment, function).is_none());
        }
    }
}
