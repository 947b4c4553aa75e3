//! The fences around a deploy: what its target does not allow is refused, with the resource and the property.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::{BlobKey, Inspect, StackRules};
use domain::{DeployTarget, EnvironmentName};
use sam::fence::{AccountRules, FencePlace, FenceRules, PackagedCode, Violation, check, enforce};
use serde_json::{Value, json};

use crate::source::AppSource;
use crate::worker::Stop;

/// What the templates of one environment have to keep to.
pub(crate) struct Fences {
    rules: FenceRules,
    /// `None` on one machine, where each stack is an account of its own.
    account: Option<StackRules>,
}

impl Fences {
    pub fn around(target: &DeployTarget, environment: &EnvironmentName) -> Self {
        let account = target.stacks.rules(&target.stack);
        let place = match &account {
            None => FencePlace::Machine,
            Some(rules) => {
                let allowed = target.target.as_ref().map(|target| target.settings.clone()).unwrap_or_default();
                FencePlace::Account(AccountRules {
                    boundary: rules.boundary.clone(),
                    stack: rules.physical_name.clone(),
                    types: allowed.resource_types,
                    managed_policies: allowed.managed_policies,
                    layers: allowed.layers,
                    packaged: None,
                })
            }
        };
        let parameter_path = format!("/workroom/apps/{}/{environment}/", target.project_slug);
        Self { rules: FenceRules { parameter_path, place }, account }
    }

    /// Tags of the stack, and by it of every role: the boundary names what is the app's own by them.
    pub fn tags(&self, target: &DeployTarget, environment: &EnvironmentName) -> BTreeMap<String, String> {
        let Some(account) = &self.account else { return BTreeMap::new() };
        BTreeMap::from([
            ("workroom:project".into(), target.project_slug.clone()),
            ("workroom:environment".into(), environment.to_string()),
            ("workroom:stack".into(), account.physical_name.clone()),
        ])
    }

    /// The template as it may be deployed: every role has its boundary.
    pub fn checked(&self, source: &AppSource) -> Result<Value, Stop> {
        let (mut template, parameters) = (source.template.to_json(), &source.settings.parameter_overrides);
        let found = check(&template, parameters, &self.rules);
        if !found.is_empty() {
            let place = |violation: &Violation| source.at(&source.template.violation_pointer(violation));
            return Err(Stop::Failed { error: told(&found, place), result: json!({ "violations": found }) });
        }
        if let Some(account) = &self.account {
            enforce(&mut template, &account.boundary);
        }
        Ok(template)
    }

    /// Looks at what CloudFormation made of the template.
    pub fn inspect(&self, parameters: &BTreeMap<String, String>, packages: &BTreeMap<String, BlobKey>) -> Inspect {
        let (Some(account), FencePlace::Account(rules)) = (&self.account, &self.rules.place) else {
            return Inspect::default();
        };
        let keys = packages.values().map(ToString::to_string).collect();
        let packaged = Some(PackagedCode { bucket: account.bucket.clone(), keys });
        let rules = FenceRules {
            parameter_path: self.rules.parameter_path.clone(),
            place: FencePlace::Account(AccountRules { packaged, ..rules.clone() }),
        };
        let parameters = parameters.clone();
        Inspect::by(Arc::new(move |template| match check(template, &parameters, &rules) {
            found if found.is_empty() => Ok(()),
            // CloudFormation's own text: it has no lines of the repository.
            found => Err(told(&found, |_| String::new())),
        }))
    }
}

fn told(found: &[Violation], place: impl Fn(&Violation) -> String) -> String {
    let lines: Vec<String> = found.iter().map(|violation| format!("  {}{violation}", place(violation))).collect();
    format!("the template asks for what may not be deployed:\n{}", lines.join("\n"))
}
