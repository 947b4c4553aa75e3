//! Deploy targets: accounts on AWS, besides the platform's own, that environments are deployed to.

mod binding;
mod checks;

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::{Expect, Millis, RangeQuery, StackTarget, Write};
use identity::ProjectId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use binding::release_use;

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::projects::etag;
use crate::{Caller, EnvironmentName, Error, Expected, Page, PageQuery, Result, TargetName, keys};

/// The name of the platform's own account; no target can have it.
pub const DEFAULT_TARGET: &str = "default";
/// Random bytes of an external id.
const EXTERNAL_ID_BYTES: usize = 16;
/// How often a change is tried again when another came between.
const ATTEMPTS_MAX: usize = 16;

/// Where and how an environment may be deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub name: TargetName,
    pub settings: TargetSettings,
    /// What the role's trust policy must ask for; made by us, never by a caller.
    pub external_id: String,
    pub created: Millis,
    pub created_by: String,
    pub updated: Millis,
    pub etag: String,
}

/// What an admin says of a target. Lists that are empty say "all" for projects and environments, and "none beyond the
/// usual ones" for the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetSettings {
    /// The role that is assumed for a deploy.
    pub role_arn: String,
    pub region: String,
    /// The policy that bounds every role of a deployed app.
    pub permissions_boundary: String,
    /// A bucket in that region and account, for packages.
    pub bucket: String,
    /// Ids of the projects that may use it; a caller may name them by slug.
    pub projects: Vec<String>,
    pub environments: Vec<String>,
    /// Resource types beyond the usual ones.
    pub resource_types: Vec<String>,
    /// ARNs of managed policies, with `*`.
    pub managed_policies: Vec<String>,
    /// ARNs of published layers, with `*`.
    pub layers: Vec<String>,
}

/// Changes to a target; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct TargetUpdate {
    pub role_arn: Option<String>,
    pub region: Option<String>,
    pub permissions_boundary: Option<String>,
    pub bucket: Option<String>,
    pub projects: Option<Vec<String>>,
    pub environments: Option<Vec<String>>,
    pub resource_types: Option<Vec<String>>,
    pub managed_policies: Option<Vec<String>>,
    pub layers: Option<Vec<String>>,
}

impl TargetUpdate {
    fn apply(self, settings: &mut TargetSettings) {
        let Self { role_arn, region, permissions_boundary, bucket, .. } = self;
        for (new, old) in [
            (role_arn, &mut settings.role_arn),
            (region, &mut settings.region),
            (permissions_boundary, &mut settings.permissions_boundary),
            (bucket, &mut settings.bucket),
        ] {
            *old = new.unwrap_or_else(|| std::mem::take(old));
        }
        let Self { projects, environments, resource_types, managed_policies, layers, .. } =
            Self { role_arn: None, region: None, permissions_boundary: None, bucket: None, ..self };
        for (new, old) in [
            (projects, &mut settings.projects),
            (environments, &mut settings.environments),
            (resource_types, &mut settings.resource_types),
            (managed_policies, &mut settings.managed_policies),
            (layers, &mut settings.layers),
        ] {
            *old = new.unwrap_or_else(|| std::mem::take(old));
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetRecord {
    v: u32,
    name: TargetName,
    #[serde(flatten)]
    settings: TargetSettings,
    external_id: String,
    created: Millis,
    created_by: String,
    updated: Millis,
}

impl TargetRecord {
    fn view(self, version: &cloud::Version) -> Target {
        Target {
            name: self.name,
            settings: self.settings,
            external_id: self.external_id,
            created: self.created,
            created_by: self.created_by,
            updated: self.updated,
            etag: etag(version),
        }
    }

    /// What an event tells; the external id is no secret, but nobody's business either.
    fn told(&self) -> Value {
        let TargetSettings { role_arn, region, permissions_boundary, .. } = &self.settings;
        json!({ "target": self.name, "role_arn": role_arn, "region": region, "permissions_boundary": permissions_boundary })
    }
}

impl Target {
    /// As the port takes it. The role's session says for which project and environment it is.
    pub(crate) fn stack_target(&self, slug: &str, project: &ProjectId, environment: &EnvironmentName) -> StackTarget {
        StackTarget {
            name: self.name.to_string(),
            role_arn: self.settings.role_arn.clone(),
            external_id: self.external_id.clone(),
            region: self.settings.region.clone(),
            boundary: self.settings.permissions_boundary.clone(),
            bucket: self.settings.bucket.clone(),
            session_tags: BTreeMap::from([
                ("project".into(), slug.to_owned()),
                ("project-id".into(), project.to_string()),
                ("environment".into(), environment.to_string()),
            ]),
        }
    }

    /// Whether the environment of the project may be deployed there.
    pub(crate) fn allows(&self, project: &ProjectId, environment: &EnvironmentName) -> bool {
        let within = |list: &[String], one: &str| list.is_empty() || list.iter().any(|listed| listed == one);
        within(&self.settings.projects, project.as_str()) && within(&self.settings.environments, environment.as_str())
    }
}

/// Defines targets. For platform admins alone.
#[derive(Clone)]
pub struct Targets {
    core: Arc<Core>,
}

pub(crate) fn require_admin(caller: &Caller) -> Result<()> {
    let denied = |_| Error::Forbidden("Only a platform admin defines targets and what is deployed to them.".into());
    caller.principal.require_admin().map_err(denied)
}

pub(crate) async fn stored(core: &Core, name: &TargetName) -> Result<Stored<TargetRecord>> {
    core.read(&keys::target(name)).await?.ok_or(Error::NotFound("target"))
}

/// A target by its name; for the platform itself.
pub(crate) async fn find(core: &Core, name: &TargetName) -> Result<Target> {
    stored(core, name).await.map(|found| found.value.view(&found.version))
}

impl Targets {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub async fn list(&self, caller: &Caller, query: &PageQuery) -> Result<Page<Target>> {
        require_admin(caller)?;
        let range = RangeQuery {
            partition: keys::TARGETS.into(),
            prefix: keys::TARGET.into(),
            after: query.after(keys::TARGET, |raw| TargetName::parse(raw).is_ok())?,
            descending: false,
            limit: query.limit(),
        };
        let page = self.core.ports.records.query(range).await?;
        let view = |record: &cloud::Record| {
            crate::core::decode::<TargetRecord>(record).map(|value| value.view(&record.version))
        };
        let items = page.records.iter().map(view).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::TARGET).to_owned()) })
    }

    pub async fn get(&self, caller: &Caller, name: &str) -> Result<Target> {
        require_admin(caller)?;
        find(&self.core, &named(name)?).await
    }

    /// Defines a target; the answer has the external id that its role's trust policy must ask for.
    pub async fn create(&self, caller: &Caller, name: &str, settings: TargetSettings) -> Result<Target> {
        require_admin(caller)?;
        let name = TargetName::parse(name)?;
        let settings = self.checked(settings).await?;
        let random = self.core.ports.entropy.bytes::<EXTERNAL_ID_BYTES>();
        let now = self.core.ports.clock.now();
        let record = TargetRecord {
            v: 1,
            name: name.clone(),
            settings,
            external_id: format!("workroom-{}", hex::encode(random)),
            created: now,
            created_by: caller.principal.account.to_string(),
            updated: now,
        };
        let write = Write::put(keys::target(&name), json!(record), Expect::Absent);
        match self.told(caller, "target.created", &record, vec![write]).await {
            Err(error) if error.is_condition_failed() => {
                Err(Error::conflict(format!("There is a target `{name}` already.")))
            }
            Err(error) => Err(error.into()),
            Ok(()) => find(&self.core, &name).await,
        }
    }

    /// Changes a target. Its account and region stay as long as an environment is bound to it: a stack that is there
    /// would be lost.
    pub async fn update(
        &self,
        caller: &Caller,
        name: &str,
        change: TargetUpdate,
        expected: &Expected,
    ) -> Result<Target> {
        require_admin(caller)?;
        let name = named(name)?;
        let Stored { value: mut record, version } = stored(&self.core, &name).await?;
        expected.check(&etag(&version), "target")?;
        let before = record.settings.clone();
        change.apply(&mut record.settings);
        record.settings = self.checked(record.settings).await?;
        record.updated = self.core.ports.clock.now();
        let mut writes = vec![Write::put(keys::target(&name), json!(record), Expect::At(version))];
        if checks::place(&before) != checks::place(&record.settings) {
            writes.push(self.unused(&name).await?);
        }
        match self.told(caller, "target.updated", &record, writes).await {
            Err(error) if error.is_condition_failed() => Err(Error::PreconditionFailed("The target")),
            Err(error) => Err(error.into()),
            Ok(()) => find(&self.core, &name).await,
        }
    }

    /// Removes a target that no environment is bound to.
    pub async fn delete(&self, caller: &Caller, name: &str, expected: &Expected) -> Result<()> {
        require_admin(caller)?;
        let name = named(name)?;
        let Stored { value: record, version } = stored(&self.core, &name).await?;
        expected.check(&etag(&version), "target")?;
        let remove = Write::Delete { key: keys::target(&name), expect: Expect::At(version) };
        let writes = vec![remove, self.unused(&name).await?];
        match self.told(caller, "target.deleted", &record, writes).await {
            Err(error) if error.is_condition_failed() => Err(Error::PreconditionFailed("The target")),
            other => Ok(other?),
        }
    }

    /// The change with its event and audit entry, in the platform's own journal.
    async fn told(
        &self,
        caller: &Caller,
        kind: &'static str,
        record: &TargetRecord,
        writes: Vec<Write>,
    ) -> cloud::Result<()> {
        let event = NewEvent::new(kind, format!("target/{}", record.name), record.told());
        self.core.commit(&keys::platform(), caller, &[event], writes).await.map(drop)
    }

    async fn checked(&self, mut settings: TargetSettings) -> Result<TargetSettings> {
        checks::check(&settings)?;
        for project in &mut settings.projects {
            let found = self.core.named_project(project).await?;
            let known = match &found {
                Some(id) => self.core.ports.records.get(&keys::project(id)).await?.is_some(),
                None => false,
            };
            match found.filter(|_| known) {
                Some(id) => *project = id.to_string(),
                None => return Err(Error::invalid("projects", format!("There is no project `{project}`."))),
            }
        }
        Ok(settings)
    }
}

/// A name in an address: what is none names nothing.
fn named(raw: &str) -> Result<TargetName> {
    TargetName::parse(raw).map_err(|_| Error::NotFound("target"))
}
