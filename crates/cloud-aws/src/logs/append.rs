//! Writing events.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::Builder;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, RejectedLogEventsInfo};
use cloud::limits::LOG_BATCH_SPAN_MAX;
use cloud::{Clock, Error, LogEvent, Result, SystemClock};

use super::failure::{Kind, failed, kind, pause};
use super::limits::{check_batch, check_stream};

/// How often a batch is sent at most.
const ATTEMPTS_MAX: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How often a batch whose answer was lost is looked for, before it is sent again.
const LOOKS: u32 = 3;
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// Pages that one look reads.
const LOOK_PAGES_MAX: usize = 20;
/// By how much the service's clock may stand behind ours (milliseconds).
const CLOCK_SKEW_MS: i64 = 60_000;

/// Events that the service did not keep, by why.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rejected {
    too_old: usize,
    too_new: usize,
    expired: usize,
}

impl Rejected {
    /// Indexes tell where the kept ones begin and end, in a batch of `count` in order of time (`RejectedLogEventsInfo`).
    fn add(&mut self, info: &RejectedLogEventsInfo, count: usize) {
        let index = |raw: Option<i32>| raw.and_then(|raw| usize::try_from(raw).ok()).map(|raw| raw.min(count));
        let expired = index(info.expired_log_event_end_index()).unwrap_or(0);
        self.expired += expired;
        self.too_old += index(info.too_old_log_event_end_index()).unwrap_or(0).saturating_sub(expired);
        self.too_new += index(info.too_new_log_event_start_index()).map_or(0, |start| count - start);
    }

    fn check(&self, count: usize) -> Result<()> {
        let refused = self.too_old + self.too_new + self.expired;
        if refused == 0 {
            return Ok(());
        }
        let (too_old, too_new, expired) = (self.too_old, self.too_new, self.expired);
        Err(Error::Invalid(format!(
            "{refused} of {count} log events were not kept, the others were: {too_old} are older than 14 days, {expired} \
             older than the group keeps them, {too_new} more than two hours ahead"
        )))
    }
}

/// Appends in order of time. At least once: a batch whose answer was lost is looked for, and sent again when the service
/// does not show it.
pub(super) async fn append(client: &Client, group: &str, stream: &str, mut events: Vec<LogEvent>) -> Result<()> {
    check_stream(stream)?;
    check_batch(&events)?;
    let count = events.len();
    events.sort_by_key(|event| event.at);
    let mut rejected = Rejected::default();
    for part in within_a_day(&events) {
        let writer = Writer { client, group, stream, batch: batch(part)? };
        if let Some(info) = writer.put().await? {
            rejected.add(&info, part.len());
        }
    }
    rejected.check(count)
}

/// Cuts events, in order of time, so that each part spans no more than the service takes at once.
fn within_a_day(events: &[LogEvent]) -> Vec<&[LogEvent]> {
    let mut parts = Vec::new();
    let mut rest = events;
    while let Some(first) = rest.first() {
        let end = rest.partition_point(|event| event.at.since(first.at) < LOG_BATCH_SPAN_MAX);
        let (part, after) = rest.split_at(end.max(1));
        parts.push(part);
        rest = after;
    }
    parts
}

fn batch(events: &[LogEvent]) -> Result<Vec<InputLogEvent>> {
    let input = |event: &LogEvent| {
        // The service takes no empty message; an empty line is one blank.
        let message = if event.message.is_empty() { " " } else { &event.message };
        let built = InputLogEvent::builder().timestamp(event.at.0).message(message).build();
        built.map_err(|error| Error::other("building a log event", error))
    };
    events.iter().map(input).collect()
}

struct Writer<'a> {
    client: &'a Client,
    group: &'a str,
    stream: &'a str,
    batch: Vec<InputLogEvent>,
}

impl Writer<'_> {
    async fn put(&self) -> Result<Option<RejectedLogEventsInfo>> {
        let what = || format!("appending to `{}`", self.group);
        let began = SystemClock.now().0;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = self.client.put_log_events().log_group_name(self.group).log_stream_name(self.stream);
            // A retry by the SDK would write twice what arrived and was not answered.
            let alone = Builder::new().retry_config(RetryConfig::disabled());
            let sent = request.set_log_events(Some(self.batch.clone())).customize().config_override(alone).send().await;
            let error = match sent {
                Ok(answer) => return Ok(answer.rejected_log_events_info),
                Err(error) => error,
            };
            let kind = kind(&error);
            let again = match kind {
                Kind::NotFound => {
                    self.create_stream().await?;
                    true
                }
                Kind::Throttled | Kind::Aborted => true,
                Kind::Unclear => {
                    if self.has_arrived(began).await {
                        return Ok(None);
                    }
                    true
                }
                _ => false,
            };
            if !again || attempt == ATTEMPTS_MAX {
                return Err(match kind {
                    Kind::Unclear => Error::Unclear(what()),
                    _ => failed(what(), self.group, error),
                });
            }
            // A stream that was made a moment ago may not be there yet for whoever writes.
            if kind != Kind::NotFound || attempt > 1 {
                tokio::time::sleep(pause(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
            }
        }
    }

    /// Makes the stream; of two who try, both succeed. `Error::NotFound` when there is no such group.
    async fn create_stream(&self) -> Result<()> {
        let request = self.client.create_log_stream().log_group_name(self.group).log_stream_name(self.stream);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if kind(&error) == Kind::AlreadyExists => Ok(()),
            Err(error) => Err(failed(format!("creating the log stream `{}`", self.stream), self.group, error)),
        }
    }

    /// Whether the service shows a batch like this one that arrived since `began`. Events of one call arrive at one time.
    async fn has_arrived(&self, began: i64) -> bool {
        for look in 1..=LOOKS {
            match self.look(began).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => tracing::warn!(group = self.group, %error, "looking for a batch whose answer was lost"),
            }
            if look < LOOKS {
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        }
        false
    }

    async fn look(&self, began: i64) -> Result<bool> {
        let (Some(first), Some(last)) = (self.batch.first(), self.batch.last()) else { return Ok(true) };
        let mut wanted: HashMap<(i64, &str), usize> = HashMap::new();
        for event in &self.batch {
            *wanted.entry((event.timestamp(), event.message())).or_default() += 1;
        }
        let mut arrived: HashMap<i64, HashMap<(i64, String), usize>> = HashMap::new();
        let mut token = None::<String>;
        for _ in 0..LOOK_PAGES_MAX {
            let request = self.client.get_log_events().log_group_name(self.group).log_stream_name(self.stream);
            let request = request.start_time(first.timestamp()).end_time(last.timestamp() + 1).start_from_head(true);
            let page = request.set_next_token(token.clone()).send().await;
            let page = page.map_err(|error| failed(format!("reading `{}`", self.group), self.group, error))?;
            for event in page.events() {
                let ingested = event.ingestion_time().unwrap_or_default();
                let text = (event.timestamp().unwrap_or_default(), event.message().unwrap_or_default());
                if ingested >= began - CLOCK_SKEW_MS && wanted.contains_key(&text) {
                    *arrived.entry(ingested).or_default().entry((text.0, text.1.to_owned())).or_default() += 1;
                }
            }
            if page.next_forward_token().map(str::to_owned) == token {
                break;
            }
            token = page.next_forward_token().map(str::to_owned);
        }
        let is_whole = |found: &HashMap<(i64, String), usize>| {
            wanted.iter().all(|((at, text), count)| found.get(&(*at, (*text).to_owned())).is_some_and(|n| n >= count))
        };
        Ok(arrived.values().any(is_whole))
    }
}

#[cfg(test)]
mod tests {
    use cloud::Millis;

    use super::*;

    fn events(times: &[i64]) -> Vec<LogEvent> {
        times.iter().map(|at| LogEvent { at: Millis(*at), message: "x".into() }).collect()
    }

    #[test]
    fn a_batch_spans_less_than_a_day() {
        const DAY: i64 = 86_400_000;
        let lengths = |times: &[i64]| within_a_day(&events(times)).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&[5, 5, 6]), [3]);
        assert_eq!(lengths(&[0, DAY - 1, DAY, 2 * DAY - 1, 2 * DAY]), [2, 2, 1]);
        assert_eq!(lengths(&[0, 10 * DAY, 10 * DAY + 1]), [1, 2]);
    }

    #[test]
    fn rejected_events_are_counted_by_their_reason() {
        let info = RejectedLogEventsInfo::builder()
            .expired_log_event_end_index(1)
            .too_old_log_event_end_index(3)
            .too_new_log_event_start_index(8)
            .build();
        let mut rejected = Rejected::default();
        rejected.add(&info, 10);
        assert_eq!(rejected, Rejected { too_old: 2, too_new: 2, expired: 1 });
        let told = rejected.check(10).unwrap_err().to_string();
        assert!(told.starts_with("5 of 10 log events were not kept"), "{told}");
        let mut none = Rejected::default();
        none.add(&RejectedLogEventsInfo::builder().build(), 10);
        assert!(none.check(10).is_ok());
    }
}
