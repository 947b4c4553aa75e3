//! What CloudWatch Logs refuses, refused before it is sent ("CloudWatch Logs quotas", "PutLogEvents").

use cloud::limits::{LOG_BATCH_EVENTS_MAX, LOG_BATCH_MAX, LOG_EVENT_MAX, LOG_EVENT_OVERHEAD, LOG_PAGE_EVENTS_MAX};
use cloud::{Error, LogEvent, Result};

/// A group's or a stream's name (characters).
const NAME_MAX: usize = 512;

pub(super) fn check_group(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '#');
    match (1..=NAME_MAX).contains(&name.len()) && name.chars().all(fits) {
        true => Ok(()),
        false => Err(Error::Invalid("a log group's name has 1 to 512 of letters, digits and _ - / . #".into())),
    }
}

pub(super) fn check_stream(name: &str) -> Result<()> {
    let refused = |c: char| c.is_control() || matches!(c, ':' | '*');
    match (1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(refused) {
        true => Ok(()),
        false => Err(Error::Invalid("a log stream's name has 1 to 512 characters, none of them `:` or `*`".into())),
    }
}

pub(super) fn check_page(limit: usize) -> Result<()> {
    match (1..=LOG_PAGE_EVENTS_MAX).contains(&limit) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("a page has 1 to {LOG_PAGE_EVENTS_MAX} events, not {limit}"))),
    }
}

pub(super) fn check_batch(events: &[LogEvent]) -> Result<()> {
    if events.len() > LOG_BATCH_EVENTS_MAX {
        return Err(Error::Invalid(format!("one append has at most {LOG_BATCH_EVENTS_MAX} events")));
    }
    let too_large = |what: &str, actual: usize, limit: usize| {
        Err(Error::TooLarge { what: what.into(), actual: actual as u64, limit: limit as u64 })
    };
    let size = |event: &LogEvent| event.message.len() + LOG_EVENT_OVERHEAD;
    if let Some(event) = events.iter().find(|event| size(event) > LOG_EVENT_MAX) {
        return too_large("a log event", size(event), LOG_EVENT_MAX);
    }
    let total = events.iter().map(size).sum::<usize>();
    if total > LOG_BATCH_MAX {
        return too_large("a batch of log events", total, LOG_BATCH_MAX);
    }
    Ok(())
}
