//! S3 event notifications (Amazon S3 User Guide, "Event message structure").

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{Target, records};
use crate::stacks::calendar::Civil;
use crate::{ObjectEvent, ObjectEventKind};

/// Keys are URL-encoded in notifications, with `+` for a space.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

pub(super) struct Filter {
    /// `s3:ObjectCreated:*`, `s3:ObjectRemoved:Delete`, …
    pub events: Vec<String>,
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

impl Filter {
    fn takes(&self, event: &ObjectEvent) -> bool {
        let name = format!("s3:{}", event_name(event.kind));
        let named = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *wanted == name,
        };
        let key = event.key.as_str();
        self.events.iter().any(named)
            && self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
            && self.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix.as_str()))
    }
}

fn event_name(kind: ObjectEventKind) -> &'static str {
    match kind {
        ObjectEventKind::Created => "ObjectCreated:Put",
        ObjectEventKind::Removed => "ObjectRemoved:Delete",
    }
}

pub(super) struct Source {
    objects: broadcast::Receiver<ObjectEvent>,
    /// The bucket's name in its stack, and in the store.
    bucket: String,
    stored: String,
    configuration: String,
    filter: Filter,
    target: Target,
}

impl Source {
    pub fn new(bucket: String, configuration: String, filter: Filter, target: Target) -> Self {
        let stored = target.scope().bucket(&bucket);
        Self { objects: target.around.store.object_events(), bucket, stored, configuration, filter, target }
    }

    pub async fn run(mut self) {
        loop {
            match self.objects.recv().await {
                Ok(event) if event.bucket == self.stored && self.filter.takes(&event) => {
                    self.target.send(self.event(&event));
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, bucket = self.bucket, "object notifications were missed");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn event(&self, event: &ObjectEvent) -> Value {
        let mut object = json!({
            "key": utf8_percent_encode(event.key.as_str(), KEY).to_string().replace(' ', "+"),
            "sequencer": format!("{:016X}", event.sequence),
        });
        if event.kind == ObjectEventKind::Created {
            object["size"] = event.length.into();
            object["eTag"] = event.etag.0.clone().into();
        }
        let naming = &self.target.around.naming;
        records(vec![json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": naming.region(),
            "eventTime": Civil::at(event.at).rfc3339_millis(),
            "eventName": event_name(event.kind),
            "userIdentity": {"principalId": naming.account()},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": format!("{:016X}", event.sequence), "x-amz-id-2": ""},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": self.configuration,
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": {"principalId": naming.account()},
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        })])
    }
}
