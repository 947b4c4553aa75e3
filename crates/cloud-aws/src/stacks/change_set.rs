//! Change sets: made, planned, looked at, carried out.

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Capability, Change, ChangeSetStatus, ChangeSetType, ExecutionStatus, Parameter, Tag, TemplateStage,
};
use cloud::{Error, Millis, PlannedChange, Result, StackEvent};
use serde_json::Value;

use super::deploy::Deployment;
use super::failure::Failure;
use super::package::Packaged;
use super::{NAME_TAG, RELEASE_TAG, physical};

/// Pages of one plan: 500 resources, 100 a page, with room.
const PAGES_MAX: usize = 20;
/// How often a change set is asked for before it counts as stuck: 20 minutes at one poll every two seconds.
const POLLS_MAX: usize = 600;

/// How far a change set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Still being worked out.
    Pending,
    /// Can be carried out.
    Ready,
    /// Was carried out, or is being.
    Executed,
    /// Nothing would change.
    Empty,
    /// The template cannot be carried out, or the stack has changed since.
    Unusable,
}

#[derive(Debug)]
pub struct ChangeSet {
    pub progress: Progress,
    pub created: Option<Millis>,
    reason: String,
}

impl ChangeSet {
    fn of(said: &DescribeChangeSetOutput) -> Self {
        let reason = said.status_reason().unwrap_or_default().to_owned();
        let unchanged = reason.contains("didn't contain changes") || reason.contains("No updates are to be performed");
        let progress = match (said.execution_status(), said.status()) {
            (
                Some(
                    ExecutionStatus::ExecuteInProgress
                    | ExecutionStatus::ExecuteComplete
                    | ExecutionStatus::ExecuteFailed,
                ),
                _,
            ) => Progress::Executed,
            (Some(ExecutionStatus::Obsolete), _) => Progress::Unusable,
            (_, Some(ChangeSetStatus::Failed)) if unchanged => Progress::Empty,
            (_, Some(ChangeSetStatus::Failed)) => Progress::Unusable,
            (_, Some(ChangeSetStatus::CreateComplete)) => Progress::Ready,
            (_, Some(ChangeSetStatus::CreatePending | ChangeSetStatus::CreateInProgress) | None) => Progress::Pending,
            _ => Progress::Unusable,
        };
        let created = said.creation_time().and_then(|at| at.to_millis().ok()).map(Millis);
        Self { progress, created, reason }
    }
}

impl Deployment<'_> {
    /// The change set of this deploy, if it was made.
    pub async fn change_set(&self) -> Result<Option<ChangeSet>> {
        match self.describe(None).await {
            Ok(said) => Ok(Some(ChangeSet::of(&said))),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn describe(&self, next: Option<String>) -> Result<DescribeChangeSetOutput, Failure> {
        let (stack, set) = (physical(&self.what.name), self.set.clone());
        let call = self.stacks.session.call(|clients| {
            let request = clients.formation.describe_change_set().stack_name(&stack).change_set_name(&set);
            let request = request.set_next_token(next.clone());
            async move { request.send().await.map_err(|error| Failure::of("reading the change set", error)) }
        });
        call.await
    }

    /// Makes the change set. One with this name is this one, whose answer was lost.
    pub async fn create(&self, template: &Packaged, new: bool) -> Result<()> {
        let parameters: Vec<Parameter> = (self.what.parameters.iter())
            .map(|(name, value)| Parameter::builder().parameter_key(name).parameter_value(value).build())
            .collect();
        let own = [(NAME_TAG, self.what.name.as_str()), (RELEASE_TAG, self.what.release.as_str())];
        let tags = self.what.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let tags = tags.filter(|(name, _)| own.iter().all(|(own, _)| own != name)).chain(own);
        let tags: Vec<Tag> = tags.map(|(name, value)| Tag::builder().key(name).value(value).build()).collect();
        let (stack, what) = (physical(&self.what.name), format!("creating a change set for `{}`", self.what.name));
        let kind = if new { ChangeSetType::Create } else { ChangeSetType::Update };
        let made = self.stacks.session.call(|clients| {
            let request = clients
                .formation
                .create_change_set()
                .stack_name(&stack)
                .change_set_name(&self.set)
                .client_token(&self.set)
                .change_set_type(kind.clone())
                .set_template_body(template.body.clone())
                .set_template_url(template.url.clone())
                .set_role_arn(self.stacks.settings.deploy_role_arn.clone())
                .set_parameters(Some(parameters.clone()))
                .set_tags(Some(tags.clone()))
                .capabilities(Capability::CapabilityIam)
                .capabilities(Capability::CapabilityNamedIam)
                .capabilities(Capability::CapabilityAutoExpand);
            let what = what.clone();
            async move { request.send().await.map_err(|error| Failure::of(&what, error)) }
        });
        match made.await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code == "AlreadyExistsException" => Ok(()),
            Err(failure) if failure.is_refusal() => {
                Err(Error::Invalid(format!("CloudFormation refuses the template: {}", failure.message)))
            }
            // Whether it was made, the next look tells.
            Err(failure) if failure.is_unclear() => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Waits until the change set is worked out; `None` when it was not made after all.
    pub async fn worked_out(&self) -> Result<Option<ChangeSet>> {
        for _ in 0..POLLS_MAX {
            match self.change_set().await? {
                Some(set) if set.progress == Progress::Pending => self.stacks.pause().await,
                other => return Ok(other),
            }
        }
        Err(Error::Unclear(format!("the change set of `{}`", self.what.name)))
    }

    /// Tells the plan.
    pub async fn plan(&self) -> Result<()> {
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let said = self.describe(next).await.map_err(Error::from)?;
            let at = Millis(said.creation_time().and_then(|at| at.to_millis().ok()).unwrap_or(0));
            for change in said.changes().iter().filter_map(planned) {
                let _ = self.events.unbounded_send(StackEvent {
                    id: String::new(),
                    at,
                    resource: change.resource.clone(),
                    status: "PLANNED".into(),
                    reason: None,
                    change: Some(change),
                });
            }
            next = said.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(());
            }
        }
        Err(Error::Invalid(format!("the plan of `{}` has more pages than a stack has resources", self.what.name)))
    }

    /// Lets the caller look at the template after its transforms.
    pub async fn inspect(&self) -> Result<()> {
        let (stack, set) = (physical(&self.what.name), self.set.clone());
        let call = self.stacks.session.call(|clients| {
            let request = clients.formation.get_template().stack_name(&stack).change_set_name(&set);
            let request = request.template_stage(TemplateStage::Processed);
            async move { request.send().await.map_err(|error| Failure::of("reading the template", error)) }
        });
        let answer = call.await?;
        let body = answer.template_body().unwrap_or_default();
        let template = serde_json::from_str::<Value>(body).map_err(|_| {
            Error::Invalid("CloudFormation's template after its transforms is not JSON: it cannot be checked".into())
        })?;
        self.what.run.inspect.look(&template)
    }

    /// Why the change set cannot be carried out.
    pub fn unusable(&self, set: &ChangeSet) -> Error {
        let reason = if set.reason.is_empty() { "the stack has changed since" } else { &set.reason };
        Error::Invalid(format!("CloudFormation cannot carry the template out: {reason}"))
    }

    /// Starts to carry the change set out. Whether it did when no answer came, the next look tells.
    pub async fn execute(&self) -> Result<()> {
        let (stack, what) = (physical(&self.what.name), format!("executing the change set of `{}`", self.what.name));
        let call = self.stacks.session.call(|clients| {
            let request = clients
                .formation
                .execute_change_set()
                .stack_name(&stack)
                .change_set_name(&self.set)
                .client_request_token(&self.own.token);
            let what = what.clone();
            async move { request.send().await.map_err(|error| Failure::of(&what, error)) }
        });
        match call.await {
            Ok(_) => Ok(()),
            Err(failure)
                if failure.is_unclear()
                    || failure.is_absent()
                    || failure.code.starts_with("InvalidChangeSetStatus") =>
            {
                Ok(())
            }
            Err(failure) if failure.is_refusal() => Err(Error::Invalid(failure.message)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Removes the change set, and the empty stack that it was made for.
    pub async fn discard(&self) {
        let (stack, set) = (physical(&self.what.name), self.set.clone());
        let call = self.stacks.session.call(|clients| {
            let request = clients.formation.delete_change_set().stack_name(&stack).change_set_name(&set);
            async move { request.send().await.map_err(|error| Failure::of("deleting the change set", error)) }
        });
        if let Err(failure) = call.await {
            tracing::warn!(error = %Error::from(failure), set = self.set, "a change set was left behind");
        }
    }
}

fn planned(change: &Change) -> Option<PlannedChange> {
    let change = change.resource_change()?;
    Some(PlannedChange {
        action: change.action()?.as_str().to_owned(),
        resource: change.logical_resource_id()?.to_owned(),
        kind: change.resource_type().unwrap_or_default().to_owned(),
        replacement: change.replacement().map(|replacement| replacement.as_str().to_owned()),
    })
}
