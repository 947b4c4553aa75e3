//! Who calls CloudFormation: the platform's own role, or a target's role that is assumed for an hour at most.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use aws_config::Region;
use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_sts::Client as Sts;
use aws_sdk_sts::types::Tag;
use cloud::{Clock, Credentials, Error, Millis, Result, Secret, StackTarget, SystemClock};
use serde_json::json;
use tokio::sync::Mutex;

use super::failure::Failure;
use crate::{Aws, S3Blobs};

/// A role that is assumed by a role lives an hour at most ("Role chaining", AWS IAM User Guide).
const SESSION: Duration = Duration::from_secs(60 * 60);
/// A session is renewed when less than this is left of it.
const RENEW: Duration = Duration::from_secs(5 * 60);
/// The longest session tag value and session name (AWS STS API Reference, AssumeRole).
const NAME_MAX: usize = 64;
const TAG_MAX: usize = 256;

/// The clients of one place.
#[derive(Clone)]
pub struct Clients {
    pub formation: CloudFormation,
    pub lambda: Lambda,
    /// The bucket of packages of this place.
    pub blobs: S3Blobs,
    pub aws: Aws,
}

impl Clients {
    fn new(aws: Aws, bucket: &str) -> Self {
        Self {
            formation: CloudFormation::new(aws.config()),
            lambda: Lambda::new(aws.config()),
            blobs: aws.blobs(bucket),
            aws,
        }
    }
}

struct Held {
    clients: Clients,
    expires: Option<Millis>,
}

pub struct Session {
    platform: Aws,
    platform_bucket: String,
    target: Option<StackTarget>,
    held: Mutex<Option<Held>>,
}

impl Session {
    pub fn own(platform: Aws, bucket: &str) -> Self {
        Self { platform, platform_bucket: bucket.to_owned(), target: None, held: Mutex::new(None) }
    }

    pub fn at(&self, target: StackTarget) -> Self {
        let (platform, platform_bucket) = (self.platform.clone(), self.platform_bucket.clone());
        Self { platform, platform_bucket, target: Some(target), held: Mutex::new(None) }
    }

    pub fn target(&self) -> Option<&StackTarget> {
        self.target.as_ref()
    }

    /// The platform's own bucket, where builds put their packages.
    pub fn platform_blobs(&self) -> S3Blobs {
        self.platform.blobs(&self.platform_bucket)
    }

    pub fn region(&self) -> String {
        match &self.target {
            Some(target) => target.region.clone(),
            None => self.platform.config().region().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Clients whose credentials are good for a while.
    pub async fn clients(&self) -> Result<Clients> {
        let mut held = self.held.lock().await;
        let soon = SystemClock.now().plus(RENEW);
        if let Some(held) = held.as_ref().filter(|held| held.expires.is_none_or(|expires| expires > soon)) {
            return Ok(held.clients.clone());
        }
        let made = match &self.target {
            None => Held { clients: Clients::new(self.platform.clone(), &self.platform_bucket), expires: None },
            Some(target) => {
                let keys = self.assume(target).await?;
                Held {
                    clients: Clients::new(self.acting_as(target, &keys), &target.bucket),
                    expires: Some(keys.expires),
                }
            }
        };
        Ok(held.insert(made).clients.clone())
    }

    /// Makes a call; once more with a new session when the service says that this one is over.
    pub async fn call<T, F, Fut>(&self, call: F) -> Result<T, Failure>
    where
        F: Fn(Clients) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let clients = self.clients().await.map_err(Failure::plain)?;
        match call(clients).await {
            Err(failure) if failure.is_expired() && self.target.is_some() => {
                *self.held.lock().await = None;
                call(self.clients().await.map_err(Failure::plain)?).await
            }
            Err(failure) if failure.is_denied() => Err(self.denied(failure)),
            other => other,
        }
    }

    /// A role of somebody's that lacks a permission is theirs to mend.
    fn denied(&self, failure: Failure) -> Failure {
        match &self.target {
            Some(target) => Failure::plain(Error::Invalid(format!(
                "the role {} of the target `{}` lacks a permission: {}",
                target.role_arn, target.name, failure.message
            ))),
            None => failure,
        }
    }

    fn acting_as(&self, target: &StackTarget, keys: &Credentials) -> Aws {
        let credentials = aws_sdk_sts::config::Credentials::new(
            &keys.access_key_id,
            keys.secret_access_key.expose(),
            keys.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "target",
        );
        let config = self.platform.config().clone().into_builder();
        let config = config
            .region(Region::new(target.region.clone()))
            .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(credentials));
        Aws::with(config.build())
    }

    async fn assume(&self, target: &StackTarget) -> Result<Credentials> {
        let tags = target.session_tags.iter().map(|(key, value)| {
            Tag::builder().key(key).value(cut(value, TAG_MAX)).build().map_err(|e| Error::other("a session tag", e))
        });
        let request = Sts::new(self.platform.config())
            .assume_role()
            .role_arn(&target.role_arn)
            .external_id(&target.external_id)
            .role_session_name(session_name(&target.session_tags))
            .duration_seconds(i32::try_from(SESSION.as_secs()).unwrap_or(3600))
            .set_tags(Some(tags.collect::<Result<_>>()?));
        let answer = request.send().await.map_err(|error| refused(target, Failure::of("assuming the role", error)))?;
        keys(answer.credentials(), &target.region)
    }

    /// Keys for a person: of the role, and of nothing but what carries the stack's name.
    pub async fn keys_for(&self, stack: &str, role: &str, ttl: Duration) -> Result<Credentials> {
        let seconds = i32::try_from(ttl.as_secs().clamp(900, SESSION.as_secs())).unwrap_or(3600);
        let mut request = Sts::new(self.platform.config())
            .assume_role()
            .role_arn(role)
            .role_session_name(cut(stack, NAME_MAX))
            .policy(stack_policy(stack))
            .duration_seconds(seconds);
        match &self.target {
            Some(target) => request = request.external_id(&target.external_id),
            // The platform's own role for people gives nothing but what this tag names.
            None => {
                let tag = Tag::builder().key(STACK_TAG).value(stack).build();
                request = request.tags(tag.map_err(|error| Error::other("a session tag", error))?);
            }
        }
        let answer = request.send().await.map_err(|error| {
            let failure = Failure::of(&format!("assuming the role of `{stack}`"), error);
            match &self.target {
                Some(target) => refused(target, failure),
                None => failure.into(),
            }
        })?;
        keys(answer.credentials(), &self.region())
    }
}

fn keys(given: Option<&aws_sdk_sts::types::Credentials>, region: &str) -> Result<Credentials> {
    let given = given.ok_or_else(|| Error::Unavailable("the security token service".into()))?;
    Ok(Credentials {
        access_key_id: given.access_key_id().to_owned(),
        secret_access_key: Secret::new(given.secret_access_key()),
        session_token: Some(Secret::new(given.session_token())),
        expires: Millis(given.expiration().to_millis().unwrap_or(0)),
        region: region.to_owned(),
        endpoint: None,
    })
}

/// What an admin has to mend when the role cannot be assumed.
fn refused(target: &StackTarget, failure: Failure) -> Error {
    if failure.is_unclear() {
        return failure.into();
    }
    let said = if failure.message.is_empty() { failure.code.clone() } else { failure.message.clone() };
    Error::Invalid(format!(
        "the role {} of the target `{}` cannot be assumed: {said}. Its trust policy must let the platform's account \
         do sts:AssumeRole and sts:TagSession under the condition sts:ExternalId = {}",
        target.role_arn, target.name, target.external_id
    ))
}

/// `workroom-{project}-{environment}`, in the characters that STS takes.
fn session_name(tags: &BTreeMap<String, String>) -> String {
    let part = |key: &str| tags.get(key).map_or("unknown", String::as_str);
    let name = format!("workroom-{}-{}", part("project"), part("environment"));
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_=,.@-".contains(c) { c } else { '-' };
    name.chars().map(plain).take(NAME_MAX).collect()
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// The session tag with a stack's physical name, as the platform's template reads it.
const STACK_TAG: &str = "workroom:stack";

/// Lets a session use what carries the stack's name, as far as the role may.
fn stack_policy(stack: &str) -> String {
    let arn = |service: &str, rest: &str| format!("arn:*:{service}:{rest}{stack}-*");
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["s3:*", "sqs:*", "sns:*", "dynamodb:*", "logs:*", "lambda:InvokeFunction", "lambda:GetFunction*",
                "states:*", "events:PutEvents", "kinesis:*"],
            "Resource": [arn("s3", "::"), arn("sqs", "*:*:"), arn("sns", "*:*:"), arn("dynamodb", "*:*:table/"),
                arn("logs", "*:*:log-group:/aws/lambda/"), arn("lambda", "*:*:function:"), arn("states", "*:*:*:"),
                arn("events", "*:*:event-bus/"), arn("kinesis", "*:*:stream/")],
        }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_project_and_environment() {
        let tags = [("project", "shop"), ("environment", "prod")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(session_name(&tags), "workroom-shop-prod");
        let odd = [("project", "ä/b"), ("environment", &*"x".repeat(99))].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let name = session_name(&odd.into());
        assert!(name.starts_with("workroom---b-x") && name.len() == 64, "{name}");
    }

    #[test]
    fn a_persons_keys_are_for_one_stack_alone() {
        let policy: serde_json::Value = serde_json::from_str(&stack_policy("workroom-app-shop--dev")).unwrap();
        for resource in policy["Statement"][0]["Resource"].as_array().unwrap() {
            assert!(resource.as_str().unwrap().ends_with("workroom-app-shop--dev-*"), "{resource}");
        }
        // The session policy of AssumeRole (AWS STS API Reference).
        assert!(policy.to_string().len() <= 2_048);
    }
}
