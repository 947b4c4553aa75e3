//! `Parameters` on SSM Parameter Store. Memory: the parameters asked for and one page (`PAGE`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Config;
use aws_sdk_ssm::types::ParameterType;
use cloud::{Error, Millis, Parameter, ParameterName, Parameters, Result, Secret};

use crate::attempts::{Attempts, Verdict, verdict};
use crate::{Aws, failure, read_failure};

/// Parameters in one `GetParametersByPath` page.
const PAGE: i32 = 10;
/// Pages of one list: an account holds 10,000 standard parameters.
const PAGES_MAX: usize = 1000;

pub struct SsmParameters {
    config: SdkConfig,
    client: OnceLock<Client>,
    /// Put before every name, so that one account can hold several platforms.
    prefix: String,
}

impl Aws {
    /// `prefix` starts with `/` and does not end with one, or is empty.
    pub fn parameters(&self, prefix: impl Into<String>) -> SsmParameters {
        SsmParameters { config: self.config().clone(), client: OnceLock::new(), prefix: prefix.into() }
    }
}

impl SsmParameters {
    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.config))
    }

    fn full(&self, name: &ParameterName) -> String {
        format!("{}{name}", self.prefix)
    }

    fn parameter(&self, found: &aws_sdk_ssm::types::Parameter) -> Option<Parameter> {
        let name = found.name()?.strip_prefix(&self.prefix)?;
        Some(Parameter {
            name: ParameterName::parse(name).ok()?,
            value: Secret::new(found.value()?),
            sealed: found.r#type() == Some(&ParameterType::SecureString),
            version: u64::try_from(found.version()).unwrap_or(0),
            modified: Millis(found.last_modified_date().and_then(|at| at.to_millis().ok()).unwrap_or(0)),
        })
    }

    /// The version of what is stored, when it is what was to be stored.
    async fn stored(&self, name: &ParameterName, value: &Secret, sealed: bool) -> Option<u64> {
        let found = self.get(name).await.ok()??;
        (found.value.expose() == value.expose() && found.sealed == sealed).then_some(found.version)
    }
}

#[async_trait]
impl Parameters for SsmParameters {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
        match self.client().get_parameter().name(self.full(name)).with_decryption(true).send().await {
            Ok(answer) => Ok(answer.parameter().and_then(|found| self.parameter(found))),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => Ok(None),
            Err(error) => Err(read_failure(format!("reading the parameter `{name}`"), error)),
        }
    }

    /// Every put counts a version up, so the SDK may not repeat one whose answer was lost: what is stored decides.
    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
        let (actual, limit) = (value.expose().len(), cloud::limits::PARAMETER_MAX);
        if actual > limit {
            let what = format!("the parameter `{name}`");
            return Err(Error::TooLarge { what, actual: actual as u64, limit: limit as u64 });
        }
        if actual == 0 {
            return Err(Error::Invalid(format!("the parameter `{name}` has no value")));
        }
        let kind = if sealed { ParameterType::SecureString } else { ParameterType::String };
        let what = || format!("writing the parameter `{name}`");
        let (mut attempts, mut unclear) = (Attempts::default(), false);
        loop {
            let request =
                self.client().put_parameter().name(self.full(name)).value(value.expose()).r#type(kind.clone());
            let once = Config::builder().retry_config(RetryConfig::disabled());
            let error = match request.overwrite(true).customize().config_override(once).send().await {
                Ok(answer) => return Ok(u64::try_from(answer.version()).unwrap_or(0)),
                Err(error) => error,
            };
            match verdict(&error) {
                Verdict::Refused(_) => return Err(failure(what(), error)),
                Verdict::Busy => {}
                Verdict::Unclear => unclear = true,
            }
            if unclear && let Some(version) = self.stored(name, &value, sealed).await {
                return Ok(version);
            }
            if !attempts.again().await {
                return Err(if unclear { Error::Unclear(what()) } else { Error::Unavailable(what()) });
            }
        }
    }

    async fn delete(&self, name: &ParameterName) -> Result<()> {
        match self.client().delete_parameter().name(self.full(name)).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => Ok(()),
            Err(error) => Err(failure(format!("deleting the parameter `{name}`"), error)),
        }
    }

    /// Parameter Store lists a path in no order, so every page of it is read.
    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
        // Paths end at a slash; what follows it is filtered here.
        let path = prefix.rsplit_once('/').map_or("", |(path, _)| path);
        let path = format!("{}{path}", self.prefix);
        let request = self
            .client()
            .get_parameters_by_path()
            .path(if path.is_empty() { "/" } else { &path })
            .recursive(true)
            .with_decryption(true)
            .max_results(PAGE);
        let mut pages = request.into_paginator().send();
        let mut found: BTreeMap<ParameterName, Parameter> = BTreeMap::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { return Ok(found.into_values().collect()) };
            let page = page.map_err(|error| read_failure(format!("listing parameters under `{prefix}`"), error))?;
            for parameter in page.parameters().iter().filter_map(|found| self.parameter(found)) {
                let name = &parameter.name;
                if name.as_str().starts_with(prefix) && after.is_none_or(|after| name > after) {
                    found.insert(name.clone(), parameter);
                }
            }
            while found.len() > limit {
                found.pop_last();
            }
        }
        Err(Error::Invalid(format!("there are more than {} parameters under `{prefix}`", PAGES_MAX * 10)))
    }
}
