//! A commit as a SAM app: its template and its settings.

use cloud::StackName;
use domain::{Domain, Error, InvalidCode};
use git_store::Oid;
use identity::ProjectId;
use sam::{AccountNames, App, DeploySettings, Resolve, SamConfig, Template};

/// Names that a template may have when `samconfig.toml` names none (`sam` looks for them in this order).
const TEMPLATE_NAMES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];
/// Files that a template may take in.
const INCLUSIONS_MAX: usize = 20;

/// Why a commit is not an app that can be built or deployed; the text is for its author.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("there is no template: the repository has none of {}", TEMPLATE_NAMES.join(", "))]
    NoTemplate,
    #[error("{file}:{line}:{column}: {message}")]
    Template { file: String, line: usize, column: usize, message: String },
    #[error("{0}")]
    Settings(#[from] sam::SamConfigError),
    #[error("`{file}` takes in `{path}`, which is not a file of the repository")]
    Inclusion { file: String, path: String },
    #[error("the template cannot be resolved:\n{0}")]
    Unresolved(String),
    #[error("the template asks for what may not be deployed:\n{0}")]
    Refused(String),
    #[error("reading the repository")]
    Repository(#[source] Error),
}

/// A template with the settings of one environment.
pub struct AppSource {
    pub template: Template,
    /// The template's path in the repository.
    pub file: String,
    pub settings: DeploySettings,
    config: SamConfig,
    /// The folder of the template within the repository, without a slash at its end; empty for the root.
    pub folder: String,
}

/// Reads files of one commit.
pub struct Commit<'a> {
    pub domain: &'a Domain,
    pub project: &'a ProjectId,
    pub oid: Oid,
}

impl Commit<'_> {
    /// A file's text, or `None` when the commit has no such file.
    async fn text(&self, path: &str) -> Result<Option<String>, SourceError> {
        match self.domain.repository.read(self.project, self.oid, path).await {
            Ok(file) => Ok(Some(String::from_utf8_lossy(&file.bytes).into_owned())),
            Err(Error::NotFound(_) | Error::Invalid { code: InvalidCode::Path, .. }) => Ok(None),
            Err(error) => Err(SourceError::Repository(error)),
        }
    }

    /// The app as `sam deploy --config-env environment` would read it.
    pub async fn app(&self, environment: Option<&str>) -> Result<AppSource, SourceError> {
        let config = match self.text("samconfig.toml").await? {
            Some(text) => SamConfig::parse(&text)?,
            None => SamConfig::default(),
        };
        let mut settings = config.deploy(environment.unwrap_or("default"))?;
        if environment.is_none() && settings.template_file.is_none() {
            settings.template_file = config.environments().find_map(|name| config.deploy(name).ok()?.template_file);
        }
        // `sam build` leaves its result there; what is deployed here is built anew.
        settings.template_file.take_if(|file| file.starts_with(".aws-sam/"));
        let named: Vec<String> = match &settings.template_file {
            Some(file) => vec![file.trim_start_matches("./").to_owned()],
            None => TEMPLATE_NAMES.map(str::to_owned).into(),
        };
        for file in named {
            if let Some(text) = self.text(&file).await? {
                let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                let template = self.template(&file, &folder, &text).await?;
                name_environment(&mut settings, &template, &config, environment);
                keep_declared(&mut settings, &template);
                return Ok(AppSource { template, file, settings, config, folder });
            }
        }
        Err(SourceError::NoTemplate)
    }

    async fn template(&self, file: &str, folder: &str, text: &str) -> Result<Template, SourceError> {
        let wrong = |name: &str, error: sam::TemplateError| SourceError::Template {
            file: name.to_owned(),
            line: error.line,
            column: error.column,
            message: error.message,
        };
        let mut template = Template::parse(text).map_err(|error| wrong(file, error))?;
        for inclusion in template.inclusions().into_iter().take(INCLUSIONS_MAX) {
            let path = inclusion.path.trim_start_matches("./");
            let path = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
            let Some(included) = self.text(&path).await? else {
                return Err(SourceError::Inclusion { file: file.to_owned(), path: inclusion.path });
            };
            template.include(&inclusion, &included).map_err(|error| wrong(&path, error))?;
        }
        Ok(template)
    }
}

/// An environment that `samconfig.toml` does not name still gets its name as the parameter `Environment`, when the
/// template has one.
fn name_environment(settings: &mut DeploySettings, template: &Template, config: &SamConfig, environment: Option<&str>) {
    let Some(environment) = environment.filter(|name| config.environments().all(|named| named != *name)) else {
        return;
    };
    if template.to_json()["Parameters"]["Environment"].is_object() {
        settings.parameter_overrides.entry("Environment".into()).or_insert_with(|| environment.to_owned());
    }
}

/// Settings may name parameters that the template has not (yet, or any more): `sam deploy` passes over them.
fn keep_declared(settings: &mut DeploySettings, template: &Template) {
    let declared = &template.to_json()["Parameters"];
    settings.parameter_overrides.retain(|name, _| declared.get(name).is_some());
}

impl AppSource {
    /// The app with the functions and layers of all environments that `samconfig.toml` names: a condition may leave
    /// some out in one of them, and a build serves them all. What does not resolve for another environment is a note.
    pub fn resolve_all(&self, stack: &StackName) -> Result<(App, Vec<String>), SourceError> {
        let (own, mut notes) = (self.resolve(stack), Vec::new());
        let mut all: Option<App> = own.as_ref().ok().cloned();
        for name in self.config.environments() {
            let mut settings = self.settings.clone();
            settings.parameter_overrides = self.config.deploy(name)?.parameter_overrides;
            keep_declared(&mut settings, &self.template);
            let (template, file) = (self.template.clone(), self.file.clone());
            let other = Self { settings, template, file, config: SamConfig::default(), folder: String::new() };
            match (other.resolve(stack), &mut all) {
                (Ok(app), None) => all = Some(app),
                (Ok(app), Some(all)) => {
                    for (id, function) in app.functions {
                        all.functions.entry(id).or_insert(function);
                    }
                    for (id, layer) in app.layers {
                        all.layers.entry(id).or_insert(layer);
                    }
                }
                (Err(error), _) => notes.push(format!("not built for {name}: {error}")),
            }
        }
        match all {
            Some(app) => Ok((app, notes)),
            None => own.map(|app| (app, notes)),
        }
    }

    /// The model of the app, with names as an account of its own would give them. What must not be deployed is an error.
    pub fn resolve(&self, stack: &StackName) -> Result<App, SourceError> {
        let names = AccountNames {
            stack: stack.to_string(),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            queue_endpoint: "https://sqs.us-east-1.amazonaws.com".into(),
            site_host: format!("{stack}.invalid"),
            site_scheme: "https".into(),
        };
        let parameters = self.settings.parameter_overrides.clone();
        let app = sam::resolve(&self.template, &Resolve { parameters, names: &names })
            .map_err(|problems| SourceError::Unresolved(lines(problems.iter().map(|one| self.told(one)))))?;
        if app.refused.is_empty() {
            return Ok(app);
        }
        Err(SourceError::Refused(lines(app.refused.iter().map(|refused| {
            let property = refused.property.as_ref().map(|p| format!(".{p}")).unwrap_or_default();
            let pointer = sam::pointer_of(&refused.resource, refused.property.as_deref());
            format!("{}{}{property} ({}): {}", self.at(&pointer), refused.resource, refused.kind, refused.reason)
        }))))
    }

    fn told(&self, problem: &sam::Problem) -> String {
        format!("{}{}: {}", self.at(&problem.pointer), problem.pointer, problem.message)
    }

    /// `template.yaml:12:5: `, where the value at `pointer` is written; nothing where that is not known.
    pub fn at(&self, pointer: &str) -> String {
        let span = self.template.span(pointer);
        span.map(|span| format!("{}:{}:{}: ", self.file, span.start.line, span.start.column)).unwrap_or_default()
    }
}

fn lines(items: impl Iterator<Item = impl std::fmt::Display>) -> String {
    items.map(|item| format!("  {item}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "Parameters: {Environment: {Type: String, Default: dev, AllowedValues: [dev, prod, staging]}}\n\
        Conditions: {IsProd: !Equals [!Ref Environment, prod]}\n\
        Resources:\n  \
          Always: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12}}\n  \
          Prod: {Type: AWS::Serverless::Function, Condition: IsProd, Properties: {Handler: a.b, Runtime: python3.12}}\n";

    fn source(samconfig: &str, environment: Option<&str>) -> AppSource {
        let (config, template) = (SamConfig::parse(samconfig).unwrap(), Template::parse(TEMPLATE).unwrap());
        let mut settings = config.deploy(environment.unwrap_or("default")).unwrap();
        name_environment(&mut settings, &template, &config, environment);
        AppSource { template, file: "template.yaml".into(), settings, config, folder: String::new() }
    }

    fn stack() -> StackName {
        StackName::parse("build").unwrap()
    }

    #[test]
    fn a_build_has_the_functions_of_every_environment() {
        let config = "[dev.deploy.parameters]\nparameter_overrides = \"Environment=dev\"\n\
                      [prod.deploy.parameters]\nparameter_overrides = \"Environment=prod\"\n\
                      [odd.deploy.parameters]\nparameter_overrides = \"Environment=nowhere\"\n";
        let source = source(config, None);
        assert_eq!(source.resolve(&stack()).unwrap().functions.len(), 1);
        let (app, notes) = source.resolve_all(&stack()).unwrap();
        assert_eq!(app.functions.keys().collect::<Vec<_>>(), ["Always", "Prod"]);
        assert!(notes.len() == 1 && notes[0].contains("not built for odd"), "{notes:?}");
    }

    #[test]
    fn what_does_not_resolve_is_told_with_its_place() {
        let mut source = source("", None);
        source.template = Template::parse(&TEMPLATE.replacen("a.b", "!Ref Gone", 1)).unwrap();
        let error = source.resolve(&stack()).unwrap_err().to_string();
        assert!(error.contains("  template.yaml:4:67: /Resources/Always/Properties/Handler: `Gone` is"), "{error}");
        let nested = "  Odd: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: x}}\n";
        source.template = Template::parse(&format!("{TEMPLATE}{nested}")).unwrap();
        let error = source.resolve(&stack()).unwrap_err().to_string();
        assert!(error.contains("  template.yaml:6:8: Odd (AWS::CloudFormation::Stack): nested"), "{error}");
    }

    #[test]
    fn settings_of_parameters_that_the_template_lacks_are_passed_over() {
        let mut source =
            source("[dev.deploy.parameters]\nparameter_overrides = \"Nobody=x Environment=dev\"\n", Some("dev"));
        keep_declared(&mut source.settings, &source.template);
        assert_eq!(source.settings.parameter_overrides.keys().collect::<Vec<_>>(), ["Environment"]);
        assert_eq!(source.resolve(&stack()).unwrap().functions.len(), 1);
    }

    #[test]
    fn an_environment_that_is_not_named_names_itself() {
        let named = "[prod.deploy.parameters]\nstack_name = \"x\"\n";
        assert_eq!(source(named, Some("staging")).settings.parameter_overrides["Environment"], "staging");
        assert!(source(named, Some("prod")).settings.parameter_overrides.is_empty());
    }
}
