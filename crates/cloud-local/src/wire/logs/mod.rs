//! CloudWatch Logs: groups of a scope, their streams and events (JSON 1.1).

mod events;
mod filter;

use cloud::limits::LOG_BATCH_EVENTS_MAX;
use cloud::{Error, LogEvent, LogStream, Logs, Millis};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ACCOUNT_ID;
use super::dispatch::{Call, Endpoint};
use super::reply::{Answer, Failure, read};

const ABSENT: &str = "ResourceNotFoundException";
/// Groups and streams in one page.
const DESCRIBE_MAX: usize = 50;
/// Streams that are looked at to order them by their last event.
const STREAMS_SORTED_MAX: usize = 10_000;

struct Scoped {
    logs: Box<dyn Logs>,
    region: String,
}

pub(super) async fn answer(endpoint: &Endpoint, call: &Call) -> Answer {
    let logs = Box::new(endpoint.settings.store.logs_in(&call.key.scope.namespace()));
    let scoped = Scoped { logs, region: call.region.clone() };
    match call.operation("Logs_20140328.")? {
        "DescribeLogGroups" => scoped.groups(read(&call.body)?).await,
        "DescribeLogStreams" => scoped.streams(read(&call.body)?).await,
        "CreateLogGroup" => scoped.create_group(read(&call.body)?).await,
        "DeleteLogGroup" => scoped.delete_group(read(&call.body)?).await,
        "CreateLogStream" => scoped.create_stream(read(&call.body)?).await,
        "PutLogEvents" => scoped.put(read(&call.body)?).await,
        "GetLogEvents" => scoped.get_events(read(&call.body)?).await,
        "FilterLogEvents" => scoped.filter_events(read(&call.body)?).await,
        other => Err(Failure::unknown_operation(other, "CloudWatch Logs")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    #[serde(default)]
    log_group_name_prefix: String,
    #[serde(default)]
    log_group_name_pattern: String,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Streams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    #[serde(default)]
    log_stream_name_prefix: String,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Put {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
}

#[derive(Deserialize)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

impl Scoped {
    async fn groups(&self, asked: Groups) -> Answer {
        let limit = asked.limit.unwrap_or(DESCRIBE_MAX).clamp(1, DESCRIBE_MAX);
        let mut after = asked.next_token;
        let mut found = Vec::new();
        loop {
            let page = self.logs.groups(&asked.log_group_name_prefix, after.as_deref(), DESCRIBE_MAX).await;
            let page = page.map_err(port)?;
            let Some(last) = page.last().cloned() else { return Ok(json!({"logGroups": found})) };
            for name in page {
                if !name.contains(&asked.log_group_name_pattern) {
                    continue;
                }
                found.push(json!({
                    "logGroupName": name,
                    "arn": format!("{}:*", self.arn(&name)),
                    "logGroupArn": self.arn(&name),
                    "metricFilterCount": 0,
                    "storedBytes": 0,
                }));
                if found.len() == limit {
                    return Ok(json!({"logGroups": found, "nextToken": name}));
                }
            }
            after = Some(last);
        }
    }

    async fn streams(&self, asked: Streams) -> Answer {
        let group = group_name(asked.log_group_name.as_deref(), asked.log_group_identifier.as_deref())?;
        let limit = asked.limit.unwrap_or(DESCRIBE_MAX).clamp(1, DESCRIBE_MAX);
        let mut all = self.all_streams(group, &asked.log_stream_name_prefix).await?;
        match asked.order_by.as_deref() {
            None | Some("LogStreamName") => {}
            Some("LastEventTime") => all.sort_by_key(|stream| stream.last),
            Some(other) => return Err(invalid(format!("orderBy is `{other}`"))),
        }
        if asked.descending {
            all.reverse();
        }
        let from = match asked.next_token {
            None => 0,
            Some(token) => {
                let found = all.iter().position(|stream| stream.name == token);
                found.ok_or_else(|| invalid("the nextToken is not valid"))? + 1
            }
        };
        let page: Vec<&LogStream> = all.iter().skip(from).take(limit).collect();
        let more = from + page.len() < all.len();
        let views: Vec<Value> = page.iter().map(|stream| self.stream_view(group, stream)).collect();
        let mut answer = json!({"logStreams": views});
        if let (true, Some(last)) = (more, page.last()) {
            answer["nextToken"] = Value::String(last.name.clone());
        }
        Ok(answer)
    }

    async fn all_streams(&self, group: &str, prefix: &str) -> Answer<Vec<LogStream>> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        while all.len() < STREAMS_SORTED_MAX {
            let page = self.logs.streams(group, after.as_deref(), 1000).await.map_err(port)?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            all.extend(page.into_iter().filter(|stream| stream.name.starts_with(prefix)));
        }
        Ok(all)
    }

    fn stream_view(&self, group: &str, stream: &LogStream) -> Value {
        let mut view = json!({
            "logStreamName": stream.name,
            "arn": format!("{}:log-stream:{}", self.arn(group), stream.name),
            "storedBytes": 0,
        });
        for (name, at) in [("firstEventTimestamp", stream.first), ("lastEventTimestamp", stream.last)] {
            if let Some(at) = at {
                view[name] = json!(at.0);
            }
        }
        view
    }

    async fn create_group(&self, asked: Group) -> Answer {
        check_name(&asked.log_group_name)?;
        if self.has_group(&asked.log_group_name).await? {
            return Err(exists("the log group exists"));
        }
        self.logs.ensure_group(&asked.log_group_name, None).await.map_err(port)?;
        Ok(json!({}))
    }

    async fn delete_group(&self, asked: Group) -> Answer {
        self.needs_group(&asked.log_group_name).await?;
        self.logs.delete_group(&asked.log_group_name).await.map_err(port)?;
        Ok(json!({}))
    }

    /// A stream is there from its first event on; creating it only says that the name is free.
    async fn create_stream(&self, asked: Stream) -> Answer {
        check_name(&asked.log_stream_name)?;
        self.needs_group(&asked.log_group_name).await?;
        let same = self.all_streams(&asked.log_group_name, &asked.log_stream_name).await?;
        if same.iter().any(|stream| stream.name == asked.log_stream_name) {
            return Err(exists("the log stream exists"));
        }
        Ok(json!({}))
    }

    async fn put(&self, asked: Put) -> Answer {
        if asked.log_events.is_empty() || asked.log_events.len() > LOG_BATCH_EVENTS_MAX {
            return Err(invalid(format!("a batch has 1 to {LOG_BATCH_EVENTS_MAX} events")));
        }
        if asked.log_events.windows(2).any(|pair| pair[0].timestamp > pair[1].timestamp) {
            return Err(invalid("log events in a batch are in time order"));
        }
        check_name(&asked.log_stream_name)?;
        self.needs_group(&asked.log_group_name).await?;
        let events = asked.log_events.into_iter();
        let events = events.map(|event| LogEvent { at: Millis(event.timestamp), message: event.message }).collect();
        self.logs.append(&asked.log_group_name, &asked.log_stream_name, events).await.map_err(port)?;
        Ok(json!({"nextSequenceToken": "0"}))
    }

    async fn has_group(&self, name: &str) -> Answer<bool> {
        let groups = self.logs.groups(name, None, 1).await.map_err(port)?;
        Ok(groups.first().is_some_and(|first| first == name))
    }

    async fn needs_group(&self, name: &str) -> Answer<()> {
        match self.has_group(name).await? {
            true => Ok(()),
            false => Err(Failure::new(ABSENT, "the specified log group does not exist")),
        }
    }

    fn arn(&self, group: &str) -> String {
        format!("arn:aws:logs:{}:{ACCOUNT_ID}:log-group:{group}", self.region)
    }
}

/// The group, by its name or by an ARN. Whatever account an ARN names, the group is looked for in the caller's scope.
fn group_name<'a>(name: Option<&'a str>, identifier: Option<&'a str>) -> Answer<&'a str> {
    let given = name.or(identifier).ok_or_else(|| invalid("logGroupName or logGroupIdentifier is needed"))?;
    let name = match given.split_once(":log-group:") {
        Some((_, rest)) => rest.trim_end_matches(":*"),
        None => given,
    };
    Ok(name)
}

/// Names of groups and streams: 1 to 512 characters without control characters and `*`; `:` parts an ARN.
fn check_name(name: &str) -> Answer<()> {
    let fits = (1..=512).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c == '*' || c == ':');
    if fits {
        Ok(())
    } else {
        Err(invalid("a name has 1 to 512 characters, none of them `:`, `*` or a control character"))
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("InvalidParameterException", message)
}

fn exists(message: &str) -> Failure {
    Failure::new("ResourceAlreadyExistsException", message)
}

fn port(error: Error) -> Failure {
    match error {
        Error::NotFound(_) => Failure::new(ABSENT, "the specified log group does not exist"),
        Error::Stale(_) => invalid("the nextToken is not valid"),
        other => Failure::from_port(other, ABSENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_plainly_or_by_arn() {
        let arn = "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/hello";
        for given in ["/aws/lambda/hello", arn, &format!("{arn}:*")] {
            assert_eq!(group_name(None, Some(given)).unwrap(), "/aws/lambda/hello");
        }
        assert!(group_name(None, None).is_err());
    }
}
