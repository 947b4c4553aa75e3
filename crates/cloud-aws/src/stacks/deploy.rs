//! One deploy, from wherever it is to its end. Every step starts from what CloudFormation says, so that a deploy
//! whose worker went away is gone on with by the next.

use cloud::{Clock, DeployStack, Entropy, Error, EventSink, Result, StackEvent, StackName, SystemClock, SystemEntropy};

use super::change_set::Progress;
use super::events::Own;
use super::status::{Standing, is_changing, is_success, standing};
use super::{CloudFormationStacks, package};

/// Looks at where the deploy is before it counts as going round in circles.
const STEPS_MAX: usize = 20;
/// Polls while one change of a stack runs: 12 hours at one every two seconds, longer than any worker lives.
const POLLS_MAX: usize = 21_600;
/// Looks without an answer, one after the other, before the deploy is left to the next worker.
const SILENT_MAX: usize = 30;
/// The longest token (it is a part of a change set's name).
const TOKEN_MAX: usize = 64;

pub struct Deployment<'a> {
    pub stacks: &'a CloudFormationStacks,
    pub what: &'a DeployStack,
    pub events: &'a EventSink,
    /// The change set's name.
    pub set: String,
    pub own: Own,
}

/// Where the deploy is.
enum Step {
    /// Carried out, or being: to be followed to its end.
    Follow,
    /// Somebody else's change runs.
    Wait,
    /// A change set is to be made, for a new stack or an old one.
    Change { new: bool },
    /// What a failed first deploy left is to be deleted.
    Clear,
}

/// A line of our own among the stack's events.
pub fn say(stack: &StackName, reason: &str, events: &EventSink) {
    let (resource, reason) = (stack.to_string(), Some(reason.to_owned()));
    let (id, at, status) = (String::new(), SystemClock.now(), "NOTE".into());
    let _ = events.unbounded_send(StackEvent { id, at, resource, status, reason, change: None });
}

impl<'a> Deployment<'a> {
    pub fn new(stacks: &'a CloudFormationStacks, what: &'a DeployStack, events: &'a EventSink) -> Result<Self> {
        let entropy: &dyn Entropy = &SystemEntropy;
        let token = match what.run.token.as_str() {
            "" => entropy.ulid(SystemClock.now()),
            token if token.len() <= TOKEN_MAX && token.bytes().all(|b| b.is_ascii_alphanumeric()) => token.to_owned(),
            _ => return Err(Error::Invalid(format!("a deploy's token has 1 to {TOKEN_MAX} letters and digits"))),
        };
        let set = format!("deploy-{token}");
        Ok(Self { stacks, what, events, set, own: Own { token, since: None } })
    }

    pub async fn run(mut self) -> Result<()> {
        for _ in 0..STEPS_MAX {
            match self.step().await? {
                Step::Follow => return self.follow().await,
                Step::Wait => self.settle().await?,
                Step::Clear => {
                    self.say("the first deploy before this one failed: what it left is deleted");
                    self.stacks.remove(&self.what.name).await?;
                }
                Step::Change { new } => {
                    if self.change(new).await? {
                        return Ok(());
                    }
                }
            }
        }
        Err(Error::Unclear(format!("the deploy of `{}`", self.what.name)))
    }

    async fn step(&mut self) -> Result<Step> {
        let Some(stack) = self.stacks.found(&self.what.name).await? else { return Ok(Step::Change { new: true }) };
        let status = stack.stack_status().map_or("", |status| status.as_str());
        let set = self.change_set().await?;
        self.own.since = set.as_ref().and_then(|set| set.created);
        let executed = set.as_ref().is_some_and(|set| set.progress == Progress::Executed);
        // Once it is carried out CloudFormation may forget a change set; the events remember its token.
        if executed || self.stacks.is_newest(&self.what.name, &Own { since: None, ..self.own.clone() }).await? {
            return Ok(if standing(status) == Standing::InReview { Step::Change { new: true } } else { Step::Follow });
        }
        match standing(status) {
            // What the version before leaves behind is still being cleaned up.
            Standing::Serves if is_changing(status) => Ok(Step::Wait),
            Standing::Serves => Ok(Step::Change { new: false }),
            Standing::InReview | Standing::Deleted => Ok(Step::Change { new: true }),
            Standing::Changing => Ok(Step::Wait),
            Standing::Dead => Ok(Step::Clear),
            Standing::Stuck => Err(self.stuck(status)),
        }
    }

    fn stuck(&self, status: &str) -> Error {
        Error::Invalid(format!(
            "the stack `{}` is {status}: mend what its rollback stopped at, run `aws cloudformation \
             continue-update-rollback --stack-name {}`, and deploy again",
            self.what.name,
            super::physical(&self.what.name)
        ))
    }

    fn say(&self, reason: &str) {
        say(&self.what.name, reason, self.events);
    }

    /// Waits until an earlier change of the stack is over.
    async fn settle(&self) -> Result<()> {
        self.say("an earlier change of the stack is still running: waiting for its end");
        for _ in 0..POLLS_MAX {
            match self.stacks.found(&self.what.name).await? {
                Some(stack) if is_changing(stack.stack_status().map_or("", |s| s.as_str())) => {
                    self.stacks.pause().await;
                }
                _ => return Ok(()),
            }
        }
        Err(Error::Unclear(format!("the change of `{}` that runs", self.what.name)))
    }

    /// Makes and starts the change set. The answer is whether there was nothing to change.
    async fn change(&mut self, new: bool) -> Result<bool> {
        let set = match self.worked_out().await? {
            Some(set) => Some(set),
            None => {
                let template = package::upload(self.what, &self.stacks.session, self.stacks.settings.bucket.as_str());
                self.create(&template.await?, new).await?;
                self.worked_out().await?
            }
        };
        let Some(set) = set else {
            self.stacks.pause().await;
            return Ok(false);
        };
        match set.progress {
            Progress::Pending | Progress::Executed => {
                // CloudFormation's word on the stack is a moment older than on its change set.
                self.stacks.pause().await;
                Ok(false)
            }
            Progress::Empty => {
                self.say("nothing to change");
                self.discard().await;
                Ok(true)
            }
            Progress::Unusable => {
                let error = self.unusable(&set);
                self.withdraw(new).await;
                Err(error)
            }
            Progress::Ready => {
                if let Err(error) = self.inspect().await {
                    if matches!(error, Error::Invalid(_)) {
                        self.withdraw(new).await;
                    }
                    return Err(error);
                }
                self.plan().await?;
                self.execute().await?;
                Ok(false)
            }
        }
    }

    /// Leaves nothing behind of a change set that is not carried out.
    async fn withdraw(&self, new: bool) {
        self.discard().await;
        if new && let Err(error) = self.stacks.remove_if_in_review(&self.what.name).await {
            tracing::warn!(%error, stack = %self.what.name, "an empty stack was left behind");
        }
    }

    /// Follows the stack until it rests.
    async fn follow(&mut self) -> Result<()> {
        let name = &self.what.name;
        let (mut told, mut any, mut rests) = (self.what.run.told.clone(), false, None);
        let mut silent = 0;
        for _ in 0..POLLS_MAX {
            let looked = async {
                let look = self.stacks.tell(name, &self.own, &mut told, self.events).await?;
                Ok::<_, Error>((look, self.stacks.found(name).await?))
            };
            let (look, stack) = match looked.await {
                // The stack goes on whether we hear of it or not.
                Err(Error::Unavailable(_) | Error::Unclear(_)) if silent < SILENT_MAX => {
                    silent += 1;
                    self.stacks.pause().await;
                    continue;
                }
                other => other?,
            };
            silent = 0;
            (any, rests) = (any || look.any, look.rests.or(rests));
            let Some(stack) = stack else {
                return Err(Error::Invalid(format!("the stack `{name}` was deleted while it was deployed")));
            };
            let status = stack.stack_status().map_or("", |status| status.as_str()).to_owned();
            // The state of the stack may be older than its events: both must say that it is over.
            let over = !matches!(standing(&status), Standing::Changing | Standing::InReview);
            if over && any && rests.unwrap_or(true) {
                self.stacks.tell(name, &self.own, &mut told, self.events).await?;
                return self.ended(&status, stack.stack_status_reason()).await;
            }
            self.stacks.pause().await;
        }
        Err(Error::Unclear(format!("the deploy of `{name}`")))
    }

    async fn ended(&self, status: &str, reason: Option<&str>) -> Result<()> {
        if is_success(status) {
            return Ok(());
        }
        let cause = self.stacks.first_failure(&self.what.name, &self.own).await?;
        let cause = cause.or_else(|| reason.map(str::to_owned)).unwrap_or_else(|| "no reason was given".into());
        let kept = match status {
            "UPDATE_ROLLBACK_COMPLETE" => "the version before it serves",
            "UPDATE_ROLLBACK_FAILED" => return Err(Error::Invalid(format!("{cause}; {}", self.stuck(status)))),
            _ => "nothing serves",
        };
        Err(Error::Invalid(format!("the deploy failed, the stack is {status} and {kept}: {cause}")))
    }
}
