//! What clients say.

use domain::TailTarget;
use serde::Deserialize;

/// One message of a client; the text is JSON with an `action`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// Follows a project's events, after the sequence that the client has.
    Subscribe { project: String, after: Option<u64> },
    Unsubscribe { project: String },
    /// Follows the log of a job, or of a function in an environment.
    Tail {
        project: String,
        job: Option<String>,
        environment: Option<String>,
        function: Option<String>,
        cursor: Option<String>,
        /// Only lines from this time on (milliseconds since 1970), when there is no cursor.
        start: Option<i64>,
    },
    Untail { tail: String },
    /// Keeps the connection from being idle.
    Ping {},
}

/// Why a message is not one of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("A message is a JSON object with an `action`: subscribe, unsubscribe, tail, untail or ping.")]
    Unreadable,
    #[error("A tail names a `job`, or an `environment` and a `function`.")]
    NoTarget,
}

impl ClientMessage {
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        serde_json::from_str(text).map_err(|_| MessageError::Unreadable)
    }
}

/// The log that a tail message means.
pub fn target(
    project: String,
    job: Option<String>,
    environment: Option<String>,
    function: Option<String>,
) -> Result<TailTarget, MessageError> {
    match (job, environment, function) {
        (Some(job), None, None) => Ok(TailTarget::Job { project, job }),
        (None, Some(environment), Some(function)) => Ok(TailTarget::Function { project, environment, function }),
        _ => Err(MessageError::NoTarget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_may_have_a_cursor() {
        let parsed = ClientMessage::parse(r#"{"action":"subscribe","project":"shop","after":7}"#).unwrap();
        assert_eq!(parsed, ClientMessage::Subscribe { project: "shop".into(), after: Some(7) });
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        let bad = ["{", "[]", "\"ping\"", "{}", r#"{"action":"fly"}"#, r#"{"action":"ping","x":1}"#, "{\"action\":1}"];
        for text in bad {
            assert_eq!(ClientMessage::parse(text), Err(MessageError::Unreadable), "{text}");
        }
        let nested = "[".repeat(100_000);
        assert_eq!(ClientMessage::parse(&nested), Err(MessageError::Unreadable));
    }

    #[test]
    fn a_tail_has_exactly_one_target() {
        let some = || Some("x".to_owned());
        assert!(target("p".into(), some(), None, None).is_ok());
        assert!(target("p".into(), None, some(), some()).is_ok());
        assert_eq!(target("p".into(), some(), some(), some()), Err(MessageError::NoTarget));
        assert_eq!(target("p".into(), None, some(), None), Err(MessageError::NoTarget));
    }
}
