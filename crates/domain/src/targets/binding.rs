//! Which environment is deployed to which target.

use cloud::{Expect, Write};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ATTEMPTS_MAX, DEFAULT_TARGET, Target, Targets, find, require_admin};
use crate::core::{Core, Stored};
use crate::environments::EnvironmentRecord;
use crate::events::NewEvent;
use crate::jobs::Jobs;
use crate::projects::{Project, etag};
use crate::{Caller, Environment, EnvironmentName, Error, Expected, Result, TargetName, keys};

/// Environments that one target may have.
const USES_MAX: usize = 1_000;

/// The environments that are bound to a target.
#[derive(Default, Serialize, Deserialize)]
struct Uses {
    v: u32,
    environments: Vec<Use>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Use {
    project: ProjectId,
    environment: EnvironmentName,
}

async fn uses(core: &Core, name: &TargetName) -> Result<(Uses, Expect)> {
    Ok(match core.read::<Uses>(&keys::target_uses(name)).await? {
        Some(Stored { value, version }) => (value, Expect::At(version)),
        None => (Uses { v: 1, environments: Vec::new() }, Expect::Absent),
    })
}

/// The write that takes an environment off its target's list; `None` when it is not on it.
pub(crate) async fn release_use(
    core: &Core,
    name: &TargetName,
    project: &ProjectId,
    environment: &EnvironmentName,
) -> Result<Option<Write>> {
    let (mut uses, expect) = uses(core, name).await?;
    let one = Use { project: project.clone(), environment: environment.clone() };
    if !uses.environments.contains(&one) {
        return Ok(None);
    }
    uses.environments.retain(|other| *other != one);
    Ok(Some(Write::put(keys::target_uses(name), json!(uses), expect)))
}

impl Targets {
    /// The write that fails when an environment is bound to the target meanwhile; `Error::Conflict` when one is.
    pub(super) async fn unused(&self, name: &TargetName) -> Result<Write> {
        let (uses, expect) = uses(&self.core, name).await?;
        if !uses.environments.is_empty() {
            let count = uses.environments.len();
            return Err(Error::conflict(format!(
                "{count} environments are bound to this target: remove them or bind them elsewhere first."
            )));
        }
        // Written, not only looked at: who binds at the same moment must lose.
        Ok(Write::put(keys::target_uses(name), json!(uses), expect))
    }

    /// Binds an environment to a target, or back to the platform's own account (`None`). The environment comes into
    /// being with it. One that runs stays where it is: it has to be removed before it can be elsewhere.
    pub async fn bind(
        &self,
        caller: &Caller,
        project: &str,
        environment: &str,
        target: Option<&str>,
        expected: &Expected,
    ) -> Result<Environment> {
        if let Err(refused) = require_admin(caller) {
            // Whoever may not see the project learns nothing of it.
            self.core.project(caller, project, Permission::ReadProject).await?;
            return Err(refused);
        }
        let project = self.core.project(caller, project, Permission::ManageProject).await?;
        let name = EnvironmentName::parse(environment)?;
        let target = match target.filter(|raw| *raw != DEFAULT_TARGET) {
            None => None,
            Some(raw) => Some(self.bindable(raw, &project.id, &name).await?),
        };
        let key = keys::environment(&project.id, &name);
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.core.read::<EnvironmentRecord>(&key).await?;
            let (mut record, expect) = match stored {
                Some(Stored { value, version }) => {
                    expected.check(&etag(&version), "environment")?;
                    (value, Expect::At(version))
                }
                None => {
                    expected.check_absent("environment")?;
                    crate::environments::refuse_too_many(&self.core, &project.id).await?;
                    (EnvironmentRecord::new(name.clone(), self.core.ports.clock.now()), Expect::Absent)
                }
            };
            let now = target.as_ref().map(|target| target.name.clone());
            let mut writes = Vec::new();
            if record.target != now {
                self.refuse_running(&project, &record).await?;
                if let Some(before) = &record.target {
                    writes.extend(release_use(&self.core, before, &project.id, &name).await?);
                }
                if let Some(target) = &target {
                    writes.extend(self.take_use(target, &project.id, &name).await?);
                }
            }
            record.target = now;
            record.updated = self.core.ports.clock.now();
            writes.push(Write::put(key.clone(), json!(record), expect));
            let shown = record.target.as_ref().map_or(DEFAULT_TARGET, TargetName::as_str);
            let detail = json!({ "environment": name, "target": shown });
            let event = NewEvent::new("environment.bound", format!("environment/{name}"), detail);
            match self.core.commit(&project.id, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    let stored = self.core.read::<EnvironmentRecord>(&key).await?;
                    let stored = stored.ok_or(Error::NotFound("environment"))?;
                    return Ok(stored.value.view(&project, &stored.version));
                }
            }
        }
        Err(Error::Unavailable("The environment"))
    }

    async fn bindable(&self, raw: &str, project: &ProjectId, environment: &EnvironmentName) -> Result<Target> {
        let name = TargetName::parse(raw).map_err(|_| Error::invalid("target", "There is no such target."))?;
        let target = match find(&self.core, &name).await {
            Err(Error::NotFound(_)) => return Err(Error::invalid("target", format!("There is no target `{name}`."))),
            other => other?,
        };
        if !target.allows(project, environment) {
            let text = format!("The target `{name}` is not for this project and environment.");
            return Err(Error::invalid("target", text));
        }
        Ok(target)
    }

    /// An environment in which something runs, or is about to, is not moved.
    async fn refuse_running(&self, project: &Project, record: &EnvironmentRecord) -> Result<()> {
        let deployed = || Error::conflict("The environment is deployed: remove it before it is bound elsewhere.");
        if record.release.is_some() {
            return Err(deployed());
        }
        let Some(job) = &record.job else { return Ok(()) };
        let job = Jobs::new(self.core.clone()).find(&project.id, job).await?;
        if !job.state.is_final() {
            return Err(Error::conflict(format!("Job {} is still at this environment.", job.id)));
        }
        // A first deploy that failed may have left a stack, which nobody would find again.
        let Ok(stacks) = crate::environments::stacks_of(&self.core, &project.slug, &project.id, record).await else {
            return Ok(());
        };
        match stacks.describe(&crate::stack::stack_name(&project.slug, &record.name)?).await {
            Ok(Some(_)) => Err(deployed()),
            // The target cannot be reached any more: an admin must be able to leave it.
            Ok(None) | Err(cloud::Error::Invalid(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The writes that enter the environment in the target's list, as long as the target is what it was.
    async fn take_use(
        &self,
        target: &Target,
        project: &ProjectId,
        environment: &EnvironmentName,
    ) -> Result<[Write; 2]> {
        let version = super::stored(&self.core, &target.name).await?.version;
        let still = Write::Check { key: keys::target(&target.name), expect: Expect::At(version) };
        let (mut uses, expect) = uses(&self.core, &target.name).await?;
        let one = Use { project: project.clone(), environment: environment.clone() };
        if !uses.environments.contains(&one) {
            uses.environments.push(one);
        }
        if uses.environments.len() > USES_MAX {
            return Err(Error::Quota(format!("A target has at most {USES_MAX} environments.").into()));
        }
        Ok([still, Write::put(keys::target_uses(&target.name), json!(uses), expect)])
    }
}
