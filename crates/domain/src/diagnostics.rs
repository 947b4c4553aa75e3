//! What is wrong with a template or its settings while they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use git_store::{BranchName, Oid};
use identity::Permission;
use sam::fence::{AccountRules, FencePlace, FenceRules};
use sam::{
    AccountNames, Diagnose, DiagnosedEnvironment, SAMCONFIG_BYTES_MAX, SamConfig, TEMPLATE_BYTES_MAX, Template,
    diagnose_settings, diagnose_template,
};

use crate::core::Core;
use crate::environments::{EnvironmentRecord, stacks_of};
use crate::projects::Project;
use crate::repository::{parse_branch, parse_path, resolve};
use crate::{Caller, EnvironmentName, Error, Result, drafts, keys, stack, targets};

pub use sam::{Diagnostic, Severity};

const SETTINGS: &str = "samconfig.toml";
/// Templates that are looked for when the settings name none.
const TEMPLATES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];
/// Files that one template takes in.
const INCLUSIONS_MAX: usize = 20;
/// Environments that one template is looked at for.
const ENVIRONMENTS_MAX: usize = 8;

/// A text to be looked at.
#[derive(Clone, Debug, Default)]
pub struct NewDiagnosis {
    /// Where it is, or will be, in the repository: a `samconfig.toml` or a template.
    pub path: String,
    pub content: String,
    /// The environment that it is meant for; all that the settings name when `None`.
    pub environment: Option<String>,
    /// Where the files beside it are read; the default branch when `None`. The caller's drafts come first.
    pub branch: Option<String>,
}

/// Looks at templates and settings with the platform's own resolver.
#[derive(Clone)]
pub struct Diagnostics {
    core: Arc<Core>,
}

/// Where the files beside the text are read.
struct Beside<'a> {
    core: &'a Core,
    caller: &'a Caller,
    project: &'a Project,
    branch: BranchName,
    /// `None` while the branch has no commit.
    head: Option<Oid>,
}

impl Diagnostics {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What is wrong with `asked.content`, by line. Nothing is kept of it.
    pub async fn check(&self, caller: &Caller, project: &str, asked: NewDiagnosis) -> Result<Vec<Diagnostic>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let path = parse_path("path", &asked.path)?;
        let environment = asked.environment.as_deref().map(EnvironmentName::parse).transpose()?;
        let branch = match &asked.branch {
            Some(raw) => parse_branch("branch", raw)?,
            None => project.default_branch.clone(),
        };
        let head = match resolve(&self.core, &project.id, branch.to_ref().as_str()).await {
            Ok(head) => Some(head),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let beside = Beside { core: &self.core, caller, project: &project, branch, head };
        let name = path.parts().last().unwrap_or_default();
        if name == SETTINGS {
            refuse_too_long(&asked.content, SAMCONFIG_BYTES_MAX)?;
            self.settings(&beside, asked.content, environment).await
        } else if [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
            refuse_too_long(&asked.content, TEMPLATE_BYTES_MAX)?;
            let folder = path.as_str().strip_suffix(name).unwrap_or_default().to_owned();
            self.template(&beside, &folder, asked.content, environment).await
        } else {
            Err(Error::invalid("path", "Templates (.yaml, .yml, .json) and samconfig.toml are looked at."))
        }
    }

    async fn settings(
        &self,
        beside: &Beside<'_>,
        text: String,
        environment: Option<EnvironmentName>,
    ) -> Result<Vec<Diagnostic>> {
        let named = SamConfig::parse(&text)
            .ok()
            .and_then(|config| config.environments().find_map(|name| config.deploy(name).ok()?.template_file));
        let named = named.filter(|file| !file.starts_with(".aws-sam/"));
        let names = named.map_or_else(|| TEMPLATES.map(str::to_owned).into(), |file| vec![file]);
        let mut template = None;
        for name in names {
            template = template.or(beside.text(name.trim_start_matches("./")).await?);
        }
        let look = move || {
            let template = template.and_then(|text| Template::parse(&text).ok());
            diagnose_settings(&text, template.as_ref(), environment.as_ref().map(EnvironmentName::as_str))
        };
        blocking(look).await
    }

    async fn template(
        &self,
        beside: &Beside<'_>,
        folder: &str,
        text: String,
        environment: Option<EnvironmentName>,
    ) -> Result<Vec<Diagnostic>> {
        let settings = beside.text(SETTINGS).await?.and_then(|text| SamConfig::parse(&text).ok()).unwrap_or_default();
        let template = Template::parse(&text).ok();
        let mut files = BTreeMap::new();
        for inclusion in template.iter().flat_map(Template::inclusions).take(INCLUSIONS_MAX) {
            let path = format!("{folder}{}", inclusion.path.trim_start_matches("./"));
            if let Some(text) = beside.text(&path).await? {
                files.insert(inclusion.path, text);
            }
        }
        let names: Vec<String> = match &environment {
            Some(one) => vec![one.to_string()],
            None => {
                let named: Vec<String> = settings.environments().take(ENVIRONMENTS_MAX).map(str::to_owned).collect();
                if named.is_empty() { vec!["default".into()] } else { named }
            }
        };
        let mut environments = Vec::with_capacity(names.len());
        for name in names {
            environments.push(self.environment(beside.project, &settings, template.as_ref(), name).await?);
        }
        let names = account_names();
        blocking(move || diagnose_template(&text, &Diagnose { environments, names: &names, files })).await
    }

    /// The parameters and the fence of one environment, as its deploy would have them.
    async fn environment(
        &self,
        project: &Project,
        settings: &SamConfig,
        template: Option<&Template>,
        name: String,
    ) -> Result<DiagnosedEnvironment> {
        let declared = template.map(|template| template.to_json()["Parameters"].clone()).unwrap_or_default();
        // What is wrong with the settings is told of them, not of the template.
        let mut parameters = settings.deploy(&name).map(|own| own.parameter_overrides).unwrap_or_default();
        parameters.retain(|parameter, _| declared.get(parameter).is_some());
        if declared["Environment"].is_object() && settings.environments().all(|named| named != name) {
            parameters.entry("Environment".into()).or_insert_with(|| name.clone());
        }
        let parameter_path = format!("/workroom/apps/{}/{name}/", project.slug);
        let place = match EnvironmentName::parse(name.as_str()) {
            Ok(name) => self.place(project, &name).await?,
            Err(_) => FencePlace::Machine,
        };
        Ok(DiagnosedEnvironment { name, parameters, fence: Some(FenceRules { parameter_path, place }) })
    }

    async fn place(&self, project: &Project, name: &EnvironmentName) -> Result<FencePlace> {
        let stored = self.core.read::<EnvironmentRecord>(&keys::environment(&project.id, name)).await?;
        let stack = stack::stack_name(&project.slug, name)?;
        let (stacks, allowed) = match stored.map(|stored| stored.value).filter(|record| record.target.is_some()) {
            None => (self.core.ports.stacks.clone(), None),
            Some(record) => {
                let settings = match &record.target {
                    Some(target) => Some(targets::find(&self.core, target).await?.settings),
                    None => None,
                };
                (stacks_of(&self.core, &project.slug, &project.id, &record).await?, settings)
            }
        };
        let allowed = allowed.unwrap_or_default();
        Ok(match stacks.rules(&stack) {
            None => FencePlace::Machine,
            Some(rules) => FencePlace::Account(AccountRules {
                boundary: rules.boundary,
                stack: rules.physical_name,
                types: allowed.resource_types,
                managed_policies: allowed.managed_policies,
                layers: allowed.layers,
                packaged: None,
            }),
        })
    }
}

impl Beside<'_> {
    /// The text of a file: the caller's draft of it, or what the branch has. `None` when there is none, or it is none
    /// that could be read as a template.
    async fn text(&self, path: &str) -> Result<Option<String>> {
        let Ok(path) = parse_path("path", path) else { return Ok(None) };
        let account = &self.caller.principal.account;
        let bytes = match drafts::find(self.core, &self.project.id, account, &self.branch, &path).await? {
            Some(draft) if draft.value.deleted => return Ok(None),
            Some(draft) => drafts::content(self.core, &self.project.id, &draft.value).await?,
            None => {
                let Some(head) = self.head else { return Ok(None) };
                match self.core.git.file(&self.project.repository()?, head, &path).await {
                    Ok(file) => file.bytes,
                    Err(git_store::Error::NotFound(_)) => return Ok(None),
                    Err(error) => return Err(Error::git(error, "file", "path")),
                }
            }
        };
        Ok((bytes.len() <= TEMPLATE_BYTES_MAX).then(|| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Names as an account of its own would give them: what a build resolves with.
fn account_names() -> AccountNames {
    AccountNames {
        stack: "build".into(),
        region: "us-east-1".into(),
        account: "000000000000".into(),
        queue_endpoint: "https://sqs.us-east-1.amazonaws.com".into(),
        site_host: "build.invalid".into(),
        site_scheme: "https".into(),
    }
}

fn refuse_too_long(text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        return Err(Error::TooLarge(format!("The file has at most {most} bytes.").into()));
    }
    Ok(())
}

/// Off the async threads: a large template takes a while.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal("looking at a template", error))
}
