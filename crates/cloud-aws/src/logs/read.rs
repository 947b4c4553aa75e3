//! Searching a log from a window on: one stream by `GetLogEvents`, all of a group by `FilterLogEvents`.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
use cloud::limits::{LOG_BATCH_MAX, LOG_PAGE_EVENTS_MAX};
use cloud::{Error, LogRecord, Result};

use super::failure::{Kind, failed, kind};
use super::window::{RawEvent, Taking, Window};

/// Events of one answer (bytes of messages): the page is cut there.
const ANSWER_BYTES_MAX: usize = 8 * LOG_BATCH_MAX;
/// Pages that one search reads; an answer without events says where the next goes on.
const PAGES_MAX: usize = 25;

/// The log that is read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub group: String,
    pub stream: Option<String>,
}

/// What one search brought.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub records: Vec<LogRecord>,
    /// The time from which on there is more that was not taken.
    pub unread: Option<i64>,
    /// Where a search goes on that has read empty pages alone.
    pub token: Option<String>,
}

/// One page of the service.
struct Page {
    events: Vec<RawEvent>,
    next: Option<String>,
}

/// Takes up to `limit` events that the window has not.
pub(super) async fn search(
    client: &Client,
    source: &Source,
    window: &mut Window,
    limit: usize,
    mut token: Option<String>,
) -> Result<Found> {
    let from = window.from;
    let mut taking = Taking::new(window, limit, ANSWER_BYTES_MAX);
    let (mut newest, mut taken) = (None::<i64>, 0);
    for number in 1.. {
        // The service is asked for what was read too, since that comes first.
        let wanted = (limit + taking.read()).saturating_sub(taken).clamp(1, LOG_PAGE_EVENTS_MAX);
        let page = match page(client, source, from, wanted, token.clone()).await {
            Ok(page) => page,
            // What was found goes out; the next search meets the failure again.
            Err(_) if taking.has_some() => return Ok(finish(taking, newest, None)),
            // A token is good for a day. The search begins again.
            Err(Error::Invalid(_)) if number == 1 && token.is_some() => {
                token = None;
                continue;
            }
            Err(error) => return Err(error),
        };
        taken += page.events.len();
        newest = page.events.iter().map(|event| event.at).max().max(newest);
        taking.page(page.events);
        token = page.next;
        if token.is_none() {
            return Ok(finish_whole(taking));
        }
        if taking.is_full() || number >= PAGES_MAX {
            break;
        }
    }
    let token = token.filter(|_| taken == 0);
    Ok(finish(taking, newest, token))
}

fn finish_whole(taking: Taking<'_>) -> Found {
    let (records, unread) = taking.done();
    Found { records, unread, token: None }
}

/// A search that ended before the log did: what is younger than what was seen is unread.
fn finish(taking: Taking<'_>, newest: Option<i64>, token: Option<String>) -> Found {
    let (records, left) = taking.done();
    let unread = [left, newest].into_iter().flatten().min().or(Some(i64::MIN));
    Found { records, unread, token }
}

async fn page(client: &Client, source: &Source, from: i64, limit: usize, token: Option<String>) -> Result<Page> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let what = || format!("reading `{}`", source.group);
    let Some(stream) = &source.stream else {
        let request = client.filter_log_events().log_group_name(&source.group).start_time(from).limit(limit);
        let answer = request.set_next_token(token).send().await;
        return answer.map(of_group).map_err(|error| failed(what(), &source.group, error));
    };
    let request = client.get_log_events().log_group_name(&source.group).log_stream_name(stream);
    let request = request.start_time(from).start_from_head(true).limit(limit).set_next_token(token.clone());
    match request.send().await {
        Ok(answer) => Ok(of_stream(stream, answer, token.as_deref())),
        Err(error) if kind(&error) == Kind::NotFound => missing(client, source, from).await,
        Err(error) => Err(failed(what(), &source.group, error)),
    }
}

/// A stream that is not there yet is empty; a group that is not there is an error. The service says the same of both.
async fn missing(client: &Client, source: &Source, from: i64) -> Result<Page> {
    let of_group = client.filter_log_events().log_group_name(&source.group).start_time(from).limit(1).send().await;
    of_group.map_err(|error| failed(format!("reading `{}`", source.group), &source.group, error))?;
    Ok(Page { events: Vec::new(), next: None })
}

fn of_group(answer: FilterLogEventsOutput) -> Page {
    let next = answer.next_token.filter(|token| !token.is_empty());
    let events = answer.events.unwrap_or_default().into_iter();
    let events = events.map(|event| RawEvent {
        stream: event.log_stream_name.unwrap_or_default(),
        at: event.timestamp.unwrap_or_default(),
        ingested: event.ingestion_time.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
    });
    Page { events: events.collect(), next }
}

/// At the end of a stream the service gives back the token that it was asked with.
fn of_stream(stream: &str, answer: GetLogEventsOutput, asked: Option<&str>) -> Page {
    let next = answer.next_forward_token.filter(|next| Some(next.as_str()) != asked);
    let events = answer.events.unwrap_or_default().into_iter();
    let events = events.map(|event| RawEvent {
        stream: stream.to_owned(),
        at: event.timestamp.unwrap_or_default(),
        ingested: event.ingestion_time.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
    });
    Page { events: events.collect(), next }
}
