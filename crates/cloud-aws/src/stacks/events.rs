//! The events of a stack: newest first as CloudFormation pages them, told oldest first, each once.

use aws_sdk_cloudformation::types::StackEvent as Said;
use cloud::{EventSink, Millis, Result, StackEvent, StackName};

use super::failure::Failure;
use super::status::{Standing, standing};
use super::{CloudFormationStacks, physical};

/// Pages of one look (100 events each): a stack of 500 resources has some 2,000 events in a deploy.
const PAGES_MAX: usize = 100;

/// Which events belong to a deploy.
#[derive(Clone, Debug)]
pub struct Own {
    pub token: String,
    /// When its change set was made, by CloudFormation's clock: for events without a token.
    pub since: Option<Millis>,
}

impl Own {
    fn has(&self, event: &Said) -> bool {
        match event.client_request_token() {
            Some(token) => token == self.token,
            None => self.since.is_some_and(|since| at(event) >= since),
        }
    }
}

fn at(event: &Said) -> Millis {
    Millis(event.timestamp().and_then(|at| at.to_millis().ok()).unwrap_or(0))
}

fn status(event: &Said) -> &str {
    event.resource_status().map_or("", |status| status.as_str())
}

/// Whether the event is of the stack itself.
fn is_of_the_stack(event: &Said) -> bool {
    event.resource_type() == Some("AWS::CloudFormation::Stack") && event.physical_resource_id() == event.stack_id()
}

/// What one look at the events found.
#[derive(Debug, Default)]
pub struct Look {
    /// There is any event of this deploy.
    pub any: bool,
    /// The newest of the stack itself says that it rests.
    pub rests: Option<bool>,
}

impl CloudFormationStacks {
    async fn event_page(&self, name: &StackName, next: Option<String>) -> Result<(Vec<Said>, Option<String>), Failure> {
        let (stack, what) = (physical(name), format!("reading the events of `{name}`"));
        self.session
            .call(|clients| {
                let request = clients.formation.describe_stack_events().stack_name(&stack).set_next_token(next.clone());
                let what = what.clone();
                async move {
                    let answer = request.send().await.map_err(|error| Failure::of(&what, error))?;
                    Ok((answer.stack_events.unwrap_or_default(), answer.next_token))
                }
            })
            .await
    }

    /// The deploy's events, newest first, down to the one with this id.
    async fn own_events(&self, name: &StackName, own: &Own, down_to: Option<&str>) -> Result<Vec<Said>> {
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let (page, more) = match self.event_page(name, next).await {
                Err(failure) if failure.is_absent() => return Ok(found),
                other => other?,
            };
            for event in page {
                let told = down_to.is_some() && event.event_id() == down_to;
                if told || !own.has(&event) {
                    return Ok(found);
                }
                found.push(event);
            }
            match more {
                Some(token) => next = Some(token),
                None => break,
            }
        }
        Ok(found)
    }

    /// Tells what is new of the deploy; `told` is the last event that was.
    pub async fn tell(&self, name: &StackName, own: &Own, told: &mut Option<String>, sink: &EventSink) -> Result<Look> {
        let new = self.own_events(name, own, told.as_deref()).await?;
        let newest = new.iter().find(|event| is_of_the_stack(event)).map(status);
        let look = Look {
            any: !new.is_empty() || told.is_some(),
            rests: newest.map(|status| standing(status) != Standing::Changing),
        };
        for event in new.iter().rev() {
            let id = event.event_id().unwrap_or_default().to_owned();
            *told = Some(id.clone());
            let resource = match is_of_the_stack(event) {
                true => name.to_string(),
                false => event.logical_resource_id().unwrap_or_default().to_owned(),
            };
            // A closed receiver means that nobody watches.
            let _ = sink.unbounded_send(StackEvent {
                id,
                at: at(event),
                resource,
                status: status(event).to_owned(),
                reason: event.resource_status_reason().map(str::to_owned),
                change: None,
            });
        }
        Ok(look)
    }

    /// Whether the newest event of the stack belongs to the deploy.
    pub async fn is_newest(&self, name: &StackName, own: &Own) -> Result<bool> {
        match self.event_page(name, None).await {
            Err(failure) if failure.is_absent() => Ok(false),
            other => Ok(other?.0.first().is_some_and(|event| own.has(event))),
        }
    }

    /// What went wrong first: the resource that failed before all others were cancelled or rolled back for it.
    pub async fn first_failure(&self, name: &StackName, own: &Own) -> Result<Option<String>> {
        let all = self.own_events(name, own, None).await?;
        let cause = all.iter().rev().find(|event| {
            let reason = event.resource_status_reason().unwrap_or_default();
            status(event).ends_with("_FAILED")
                && !is_of_the_stack(event)
                && !reason.to_lowercase().contains("cancelled")
        });
        Ok(cause.map(|event| {
            format!(
                "{} ({}) {}: {}",
                event.logical_resource_id().unwrap_or_default(),
                event.resource_type().unwrap_or_default(),
                status(event),
                event.resource_status_reason().unwrap_or("no reason was given")
            )
        }))
    }
}
