//! `Stacks` on CloudFormation and Lambda, in the platform's own account or in a target's.

mod change_set;
mod deploy;
mod events;
mod failure;
#[cfg(feature = "logs")]
mod logs;
mod package;
mod removal;
mod session;
mod site;
mod status;
mod view;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::types::LogType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use cloud::{
    Credentials, DeployStack, Error, EventSink, Invocation, Invoke, Result, Sha256Digest, Stack, StackName, StackRules,
    StackTarget, Stacks,
};

use crate::Aws;
use session::Session;

/// How often CloudFormation is asked while a stack changes. Its API takes few calls a second for a whole account.
const POLL: Duration = Duration::from_secs(2);
/// Stacks of users' apps carry this before their name: the policies of the platform's template end there.
const PREFIX: &str = "workroom-app-";
/// Lambda answers a call within 15 minutes, the gateway in front of us within 29 s.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(28);

#[derive(Clone, Debug)]
pub struct StacksSettings {
    /// The platform's data bucket: packages are read from it, packaged templates are written to it.
    pub bucket: String,
    /// The role that a person's credentials for a stack come from: its policies give what carries the name in the session
    /// tag `workroom:stack`.
    pub role_arn: String,
    /// The permissions boundary of every role that a stack makes in the platform's own account.
    pub boundary_arn: String,
    /// The role that CloudFormation acts with in the platform's own account; the caller's own rights when `None`. It keeps
    /// them for as long as a change takes.
    pub deploy_role_arn: Option<String>,
}

pub struct CloudFormationStacks {
    session: Arc<Session>,
    settings: StacksSettings,
    poll: Duration,
}

impl Aws {
    pub fn stacks(&self, settings: StacksSettings) -> CloudFormationStacks {
        let session = Arc::new(Session::own(self.clone(), &settings.bucket));
        CloudFormationStacks { session, settings, poll: POLL }
    }
}

/// CloudFormation cuts a stack's name where it makes names of resources of it (64 characters for a function). The
/// permissions boundary knows resources by that name, so it must stay whole.
const PHYSICAL_MAX: usize = 24;

/// The stack's name in its account: `workroom-app-` and a digest. All are of one length, so that none begins as another
/// does: policies name resources by what comes before the rest. The tag [`NAME_TAG`] says whose it is.
fn physical(name: &StackName) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256Digest::of(name.as_str().as_bytes()).0;
    let digits = digest.iter().take(PHYSICAL_MAX - PREFIX.len());
    format!("{PREFIX}{}", digits.map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect::<String>())
}

/// The tag with a stack's own name.
const NAME_TAG: &str = "workroom:name";
/// The tag with the release that a stack is.
const RELEASE_TAG: &str = "workroom:release";

impl CloudFormationStacks {
    /// Asks CloudFormation this often while a stack changes.
    pub fn polling(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    async fn pause(&self) {
        tokio::time::sleep(self.poll).await;
    }

    /// The physical name of a function of the stack.
    async fn physical_function(&self, what: &Invoke) -> Result<String> {
        let functions = self.resources(&what.stack).await?.into_iter().filter(|r| r.kind == "AWS::Lambda::Function");
        let mut named = functions.filter(|r| r.logical_id == what.function || r.physical_id == what.function);
        named.next().map(|found| found.physical_id).ok_or_else(|| Error::NotFound(what.function.clone()))
    }
}

#[async_trait]
impl Stacks for CloudFormationStacks {
    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack> {
        deploy::Deployment::new(self, &what, &events)?.run().await?;
        let stack = self.describe(&what.name).await?.ok_or_else(|| Error::NotFound(what.name.to_string()))?;
        if let Some(files) = &what.site {
            let said = match stack.outputs.get(site::BUCKET_OUTPUT) {
                Some(bucket) => {
                    format!("{} files of the front end", site::publish(files, bucket, &self.session).await?)
                }
                None => format!("the front end stays away: no output `{}` names its bucket", site::BUCKET_OUTPUT),
            };
            deploy::say(&what.name, &said, &events);
        }
        // A change set without changes leaves the tags of the release before it.
        Ok(Stack { release: what.release, ..stack })
    }

    async fn describe(&self, name: &StackName) -> Result<Option<Stack>> {
        self.view(name).await
    }

    async fn invoke(&self, what: Invoke) -> Result<Invocation> {
        if what.payload.len() > FUNCTION_PAYLOAD_MAX {
            let (actual, limit) = (what.payload.len() as u64, FUNCTION_PAYLOAD_MAX as u64);
            return Err(Error::TooLarge { what: "an event".into(), actual, limit });
        }
        let function = self.physical_function(&what).await?;
        let clients = self.session.clients().await?;
        // A function may not be safe to run twice: one attempt, and time for it to answer.
        let once = aws_sdk_lambda::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder().read_timeout(INVOKE_TIMEOUT).operation_attempt_timeout(INVOKE_TIMEOUT).build(),
        );
        let answer = clients
            .lambda
            .invoke()
            .function_name(&function)
            .log_type(LogType::Tail)
            .payload(aws_sdk_lambda::primitives::Blob::new(what.payload))
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| crate::failure(format!("invoking `{}`", what.function), error))?;
        let tail = answer.log_result().and_then(|log| STANDARD.decode(log).ok()).unwrap_or_default();
        let log_tail = String::from_utf8_lossy(&tail).into_owned();
        Ok(Invocation {
            report: package::report(&log_tail),
            payload: answer.payload().map(|blob| blob.as_ref().to_vec()).unwrap_or_default().into(),
            function_error: answer.function_error().map(str::to_owned),
            log_tail,
        })
    }

    async fn delete(&self, name: &StackName) -> Result<()> {
        self.remove(name).await
    }

    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials> {
        self.session.keys_for(&physical(name), &self.settings.role_arn, ttl).await
    }

    async fn cancel(&self, name: &StackName, token: &str) -> Result<()> {
        self.stop(name, token).await
    }

    fn at(&self, target: &StackTarget) -> Result<Arc<dyn Stacks>> {
        Ok(Arc::new(Self {
            session: Arc::new(self.session.at(target.clone())),
            settings: StacksSettings {
                bucket: target.bucket.clone(),
                role_arn: target.role_arn.clone(),
                boundary_arn: target.boundary.clone(),
                deploy_role_arn: None,
            },
            poll: self.poll,
        }))
    }

    fn rules(&self, name: &StackName) -> Option<StackRules> {
        Some(StackRules {
            boundary: self.settings.boundary_arn.clone(),
            physical_name: physical(name),
            bucket: self.settings.bucket.clone(),
        })
    }

    #[cfg(feature = "logs")]
    fn logs(&self) -> Option<Arc<dyn cloud::Logs>> {
        self.session.target()?;
        Some(Arc::new(logs::TargetLogs { session: self.session.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_physical_name_is_short_and_no_other_begins_like_it() {
        let of = |name: &str| physical(&StackName::parse(name).unwrap());
        let names =
            ["a--dev", "a--dev-x", "shop--dev", "a-shop-with-a-long-name--dev", "a-shop-with-a-long-name--prod"];
        let all: std::collections::BTreeSet<String> = names.iter().map(|name| of(name)).collect();
        assert_eq!(all.len(), names.len());
        assert!(all.iter().all(|name| name.len() == PHYSICAL_MAX && name.starts_with(PREFIX)), "{all:?}");
        assert_eq!(of("a--dev"), of("a--dev"));
    }
}
