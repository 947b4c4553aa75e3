//! `Parameters` on SSM Parameter Store.

use async_trait::async_trait;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;
use cloud::{Error, Millis, Parameter, ParameterName, Parameters, Result, Secret};

use crate::{Aws, failure};

/// Parameters in one `GetParametersByPath` page.
const PAGE: i32 = 10;

pub struct SsmParameters {
    client: Client,
    /// Put before every name, so that one account can hold several platforms.
    prefix: String,
}

impl Aws {
    /// `prefix` starts with `/` and does not end with one, or is empty.
    pub fn parameters(&self, prefix: impl Into<String>) -> SsmParameters {
        SsmParameters { client: Client::new(self.config()), prefix: prefix.into() }
    }
}

impl SsmParameters {
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
}

#[async_trait]
impl Parameters for SsmParameters {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
        match self.client.get_parameter().name(self.full(name)).with_decryption(true).send().await {
            Ok(answer) => Ok(answer.parameter().and_then(|found| self.parameter(found))),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => Ok(None),
            Err(error) => Err(failure(format!("reading the parameter `{name}`"), error)),
        }
    }

    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
        let (actual, limit) = (value.expose().len(), cloud::limits::PARAMETER_MAX);
        if actual > limit {
            let what = format!("the parameter `{name}`");
            return Err(Error::TooLarge { what, actual: actual as u64, limit: limit as u64 });
        }
        let kind = if sealed { ParameterType::SecureString } else { ParameterType::String };
        let answer = self
            .client
            .put_parameter()
            .name(self.full(name))
            .value(value.expose())
            .r#type(kind)
            .overwrite(true)
            .send()
            .await
            .map_err(|error| failure(format!("writing the parameter `{name}`"), error))?;
        Ok(u64::try_from(answer.version()).unwrap_or(0))
    }

    async fn delete(&self, name: &ParameterName) -> Result<()> {
        match self.client.delete_parameter().name(self.full(name)).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => Ok(()),
            Err(error) => Err(failure(format!("deleting the parameter `{name}`"), error)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
        // Paths end at a slash; what follows it is filtered here.
        let path = prefix.rsplit_once('/').map_or("/", |(path, _)| path);
        let path = format!("{}{}", self.prefix, if path.is_empty() { "/" } else { path });
        let mut pages = self
            .client
            .get_parameters_by_path()
            .path(path)
            .recursive(true)
            .with_decryption(true)
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure(format!("listing parameters under `{prefix}`"), error))?;
            all.extend(page.parameters().iter().filter_map(|found| self.parameter(found)));
        }
        all.retain(|p| p.name.as_str().starts_with(prefix) && after.is_none_or(|after| p.name > *after));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.truncate(limit);
        Ok(all)
    }
}
