//! One deploy: from a template and packages to a version that can serve.

use std::collections::BTreeMap;

use cloud::limits::{FUNCTION_ENVIRONMENT_MAX, FUNCTION_TIMEOUT_MAX};
use cloud::{
    DeployStack, Error, EventSink, FunctionView, Logs, Parameters, ResourceView, Result, Secret, Stack, StackEvent,
    StackStatus, UnsupportedItem,
};
use sam::{App, Code, LayerReference, Resolve, Template, Trigger};

use super::executor::{FunctionSpec, Pool};
use super::naming::Naming;
use super::site::{Site, Website};
use super::sources::cron::Schedule;
use super::{Inner, honoured};
use crate::access_keys::Scope;
use crate::wire::{QueueSpec, Queues, parameter_name};

/// Reasons that one refusal lists.
const PROBLEMS_SHOWN: usize = 20;

pub struct Deploy<'a> {
    pub inner: &'a Inner,
    pub what: &'a DeployStack,
    pub naming: Naming,
    pub serial: u64,
    pub is_new: bool,
    pub events: Option<EventSink>,
}

/// A version ready to take over.
pub struct Prepared {
    pub view: Stack,
    pub site: Site,
}

impl Deploy<'_> {
    /// Resolves, checks, unpacks and provisions. Nothing of the running version is touched.
    pub async fn prepare(&self) -> Result<Prepared> {
        self.tell(self.what.name.as_str(), self.status("IN_PROGRESS"), None);
        let mut app = self.resolve()?;
        self.check(&app)?;
        let App { functions, apis, .. } = &mut app;
        for value in functions.values_mut().flat_map(|function| function.environment.values_mut()) {
            *value = self.naming.localize(apis, value);
        }
        let mut pools = BTreeMap::new();
        let mut functions = Vec::new();
        for function in app.functions.values() {
            let spec = self.function(&app, function).await?;
            functions.push(FunctionView {
                logical_id: function.logical_id.clone(),
                name: spec.name.clone(),
                runtime: function.runtime.clone(),
                handler: function.handler.clone(),
                memory_mb: spec.memory_mb,
                timeout_s: spec.timeout_s,
                log_group: spec.log_group.clone(),
                note: spec.runtime.note.clone(),
            });
            pools.insert(function.logical_id.clone(), Pool::new(self.inner.host.clone(), spec));
        }
        self.provision(&app, &functions).await?;
        let files = match &self.what.site {
            Some(key) => Some(self.inner.sites.folder(std::slice::from_ref(key)).await?),
            None => None,
        };
        let site = Site {
            stack: self.what.name.clone(),
            host_label: self.what.host_label.clone(),
            release: self.what.release.clone(),
            function_arns: pools.iter().map(|(id, pool)| (id.clone(), pool.spec().arn.clone())).collect(),
            website: self.website(&app),
            app,
            pools,
            files,
        };
        let view = self.view(&site, functions);
        Ok(Prepared { view, site })
    }

    fn status(&self, end: &str) -> String {
        format!("{}_{end}", if self.is_new { "CREATE" } else { "UPDATE" })
    }

    /// Work on a resource begins.
    fn begin(&self, resource: &str) {
        self.tell(resource, self.status("IN_PROGRESS"), None);
    }

    pub fn tell(&self, resource: &str, status: String, reason: Option<String>) {
        if let Some(events) = &self.events {
            let at = self.inner.host.clock.now();
            // Nobody has to listen.
            let id = String::new();
            let event = StackEvent { id, at, resource: resource.to_owned(), status, reason, change: None };
            let _ = events.unbounded_send(event);
        }
    }

    pub fn tell_end(&self, error: Option<&Error>) {
        let status = match error {
            None => self.status("COMPLETE"),
            Some(_) if self.is_new => "ROLLBACK_COMPLETE".to_owned(),
            Some(_) => "UPDATE_ROLLBACK_COMPLETE".to_owned(),
        };
        self.tell(self.what.name.as_str(), status, error.map(ToString::to_string));
    }

    fn resolve(&self) -> Result<App> {
        let template = Template::from_json(self.what.template.clone());
        let resolve = Resolve { parameters: self.what.parameters.clone(), names: self.naming.resolver() };
        let app =
            sam::resolve(&template, &resolve).map_err(|problems| refused(problems.iter().map(ToString::to_string)))?;
        if !app.refused.is_empty() {
            return Err(refused(app.refused.iter().map(|refusal| {
                let property = refusal.property.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
                format!("{}{property}: {}", refusal.resource, refusal.reason)
            })));
        }
        Ok(app)
    }

    /// What would run otherwise than the template says, to somebody's harm, or not at all.
    fn check(&self, app: &App) -> Result<()> {
        let mut problems = Vec::new();
        for (id, function) in &app.functions {
            if let Err(why) = self.inner.runtimes.resolve(&function.runtime) {
                problems.push(format!("{id}: {why}"));
            }
            if !(128..=10_240).contains(&function.memory_mb)
                || !(1..=FUNCTION_TIMEOUT_MAX.as_secs()).contains(&u64::from(function.timeout_s))
            {
                problems.push(format!("{id}: memory is 128 to 10,240 MB and the timeout 1 to 900 s"));
            }
            let size: usize = function.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
            if size > FUNCTION_ENVIRONMENT_MAX {
                problems
                    .push(format!("{id}: the environment is {size} bytes, the limit is {FUNCTION_ENVIRONMENT_MAX}"));
            }
            for event in &function.events {
                if let Trigger::Schedule { expression, .. } = &event.trigger
                    && let Err(why) = Schedule::parse(expression)
                {
                    problems.push(format!("{id}.{}: `{expression}`: {why}", event.name));
                }
            }
        }
        problems.extend(honoured::unsafe_routes(app));
        if !app.functions.is_empty()
            && let Err(error) = self.inner.host.sandbox()
        {
            problems.push(error.to_string());
        }
        if problems.is_empty() { Ok(()) } else { Err(refused(problems.into_iter())) }
    }

    async fn function(&self, app: &App, function: &sam::Function) -> Result<FunctionSpec> {
        let id = &function.logical_id;
        self.begin(id);
        let name = self.naming.function(function);
        let runtime = self.inner.runtimes.resolve(&function.runtime).map_err(Error::Invalid)?;
        let package = match (self.what.packages.get(id), &function.code) {
            (Some(key), _) => self.inner.packages.folder(std::slice::from_ref(key)).await?,
            (None, Code::Inline(text)) => {
                let file = if function.runtime.starts_with("python") { "index.py" } else { "index.js" };
                self.inner.packages.inline(file, text).await?
            }
            (None, Code::Path(path)) => return Err(Error::Invalid(format!("{id}: `{path}` has not been built"))),
        };
        let mut layers = Vec::new();
        for layer in &function.layers {
            match layer {
                LayerReference::Logical(layer) => match self.what.packages.get(layer) {
                    Some(key) => layers.push(key.clone()),
                    None => return Err(Error::Invalid(format!("{id}: layer `{layer}` has not been built"))),
                },
                // The resolver has listed it as unsupported.
                LayerReference::Arn(_) => {}
            }
        }
        let layers = if layers.is_empty() { None } else { Some(self.inner.packages.folder(&layers).await?) };
        self.tell(id, self.status("COMPLETE"), runtime.note.clone());
        Ok(FunctionSpec {
            stack: self.what.name.clone(),
            arn: self.naming.arn("lambda", &format!("function:{name}")),
            version: if function.alias.is_some() { self.serial.to_string() } else { "$LATEST".to_owned() },
            log_group: log_group(app, function, &name, &self.naming),
            name,
            runtime,
            handler: function.handler.clone(),
            memory_mb: function.memory_mb,
            timeout_s: function.timeout_s,
            storage_mb: function.ephemeral_storage_mb,
            concurrency: function.reserved_concurrency,
            environment: function.environment.clone(),
            package,
            layers,
        })
    }

    /// Makes what the functions use; doing it again changes nothing. Data of resources that left the template stays.
    async fn provision(&self, app: &App, functions: &[FunctionView]) -> Result<()> {
        let (store, scope) = (&self.inner.host.store, Scope::Stack(self.what.name.clone()));
        for id in app.buckets.keys() {
            self.begin(id);
            store.ensure_bucket(&scope.bucket(&self.naming.bucket(app, id))).await?;
            self.tell(id, self.status("COMPLETE"), None);
        }
        let queues = Queues::new(store.clone());
        for (id, queue) in &app.queues {
            self.begin(id);
            let name = self.naming.physical("AWS::SQS::Queue", id, queue.name.as_deref());
            let redrive = queue.redrive.as_ref().map(|redrive| crate::wire::RedriveSpec {
                dead_letters: self.naming.queue(app, &redrive.dead_letters),
                receives_max: redrive.max_receive_count,
            });
            let spec = QueueSpec {
                visibility_s: queue.visibility_timeout_s,
                delay_s: queue.delay_s,
                redrive,
                ..QueueSpec::new(name)
            };
            queues.define(&scope, &spec).await?;
            self.tell(id, self.status("COMPLETE"), None);
        }
        for (id, table) in &app.tables {
            self.begin(id);
            let Some(dynamodb) = &self.inner.dynamodb else {
                return Err(Error::Invalid(format!(
                    "{id}: there is no DynamoDB companion here: run `cargo xtask companions`"
                )));
            };
            dynamodb.ensure_table(&self.what.name, &self.naming.table(app, id), table).await?;
            self.tell(id, self.status("COMPLETE"), None);
        }
        let parameters = store.parameters_in(&scope.namespace());
        for (id, parameter) in &app.parameters {
            self.begin(id);
            let name = self.naming.physical("AWS::SSM::Parameter", id, parameter.name.as_deref());
            parameters.put(&parameter_name(&name)?, Secret::new(parameter.value.clone()), false).await?;
            self.tell(id, self.status("COMPLETE"), None);
        }
        let logs = store.logs_in(&scope.namespace());
        for function in functions {
            let retention = app.log_groups.values().find(|group| group.name.as_ref() == Some(&function.log_group));
            logs.ensure_group(&function.log_group, retention.and_then(|group| group.retention_days)).await?;
        }
        for (id, group) in &app.log_groups {
            self.begin(id);
            let name = self.naming.physical("AWS::Logs::LogGroup", id, group.name.as_deref());
            logs.ensure_group(&name, group.retention_days).await?;
            self.tell(id, self.status("COMPLETE"), None);
        }
        Ok(())
    }

    fn website(&self, app: &App) -> Option<Website> {
        let (id, website) = app.buckets.iter().find_map(|(id, bucket)| Some((id, bucket.website.as_ref()?)))?;
        let name = Scope::Stack(self.what.name.clone()).bucket(&self.naming.bucket(app, id));
        let bucket = self.inner.host.store.blobs(&name);
        Some(Website { bucket, index: website.index.clone(), error: website.error.clone() })
    }

    fn view(&self, site: &Site, functions: Vec<FunctionView>) -> Stack {
        let app = &site.app;
        let names = ResourceNames { app, naming: &self.naming };
        let resources = app.kinds.iter().map(|(id, kind)| ResourceView {
            logical_id: id.clone(),
            kind: kind.clone(),
            physical_id: names.of(id, kind),
        });
        let mut unsupported: Vec<UnsupportedItem> = app
            .unsupported
            .iter()
            .map(|item| UnsupportedItem {
                resource: item.resource.clone(),
                kind: item.kind.clone(),
                property: item.property.clone(),
                reason: item.reason.clone(),
            })
            .collect();
        unsupported.extend(honoured::left_out(app));
        Stack {
            name: self.what.name.clone(),
            status: StackStatus::Ready,
            release: self.what.release.clone(),
            url: (site.has_files() || !app.apis.is_empty()).then(|| format!("{}/", self.naming.site_url())),
            outputs: app.outputs.iter().map(|(k, v)| (k.clone(), self.naming.localize(&app.apis, v))).collect(),
            functions,
            resources: resources.collect(),
            unsupported,
            updated: self.inner.host.clock.now(),
        }
    }
}

struct ResourceNames<'a> {
    app: &'a App,
    naming: &'a Naming,
}

impl ResourceNames<'_> {
    fn of(&self, id: &str, kind: &str) -> String {
        let app = self.app;
        let name = app.functions.get(id).and_then(|f| f.name.as_deref());
        let name = name.or_else(|| app.queues.get(id).and_then(|queue| queue.name.as_deref()));
        let name = name.or_else(|| app.buckets.get(id).and_then(|bucket| bucket.name.as_deref()));
        let name = name.or_else(|| app.tables.get(id).and_then(|table| table.name.as_deref()));
        let name = name.or_else(|| app.log_groups.get(id).and_then(|group| group.name.as_deref()));
        let name = name.or_else(|| app.parameters.get(id).and_then(|parameter| parameter.name.as_deref()));
        self.naming.physical(kind, id, name)
    }
}

fn log_group(app: &App, function: &sam::Function, name: &str, naming: &Naming) -> String {
    match &function.log_group {
        Some(group) => match app.log_groups.get(group) {
            Some(of_template) => naming.physical("AWS::Logs::LogGroup", group, of_template.name.as_deref()),
            None => group.clone(),
        },
        None => format!("/aws/lambda/{name}"),
    }
}

fn refused(problems: impl Iterator<Item = String>) -> Error {
    let mut all: Vec<String> = problems.collect();
    let more = all.len().saturating_sub(PROBLEMS_SHOWN);
    all.truncate(PROBLEMS_SHOWN);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    Error::Invalid(format!("the template is refused: {}", all.join("; ")))
}
