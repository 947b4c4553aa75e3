//! SSM Parameter Store: parameters of a scope.

use cloud::{Error, Parameter, ParameterName, Parameters, Result, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ACCOUNT_ID;
use super::dispatch::{Call, Endpoint};
use super::reply::{Answer, Failure, read};
use crate::access_keys::Scope;

const ABSENT: &str = "ParameterNotFound";
/// What the platform keeps for itself; nobody reads it over the wire.
const HIDDEN: &str = "/workroom/";
const PATH_PAGE: usize = 10;
const NAMES_MAX: usize = 10;

/// The store's name of a parameter that a template or a caller names: `name`, `/path/name`, or an ARN.
pub fn parameter_name(raw: &str) -> Result<ParameterName> {
    let name = match raw.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":parameter/").map_or("", |(_, name)| name),
        None => raw,
    };
    if name.starts_with('/') { ParameterName::parse(name) } else { ParameterName::parse(format!("/{name}")) }
}

struct Scoped<'a> {
    parameters: Box<dyn Parameters>,
    call: &'a Call,
}

pub(super) async fn answer(endpoint: &Endpoint, call: &Call) -> Answer {
    let parameters = Box::new(endpoint.settings.store.parameters_in(&call.key.scope.namespace()));
    let scoped = Scoped { parameters, call };
    match call.operation("AmazonSSM.")? {
        "GetParameter" => scoped.get(read(&call.body)?).await,
        "GetParameters" => scoped.get_many(read(&call.body)?).await,
        "GetParametersByPath" => scoped.by_path(read(&call.body)?).await,
        "PutParameter" => scoped.put(read(&call.body)?).await,
        "DeleteParameter" => scoped.delete(read(&call.body)?).await,
        other => Err(Failure::unknown_operation(other, "SSM")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetMany {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByPath {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    with_decryption: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    name: String,
    value: String,
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(default)]
    overwrite: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    name: String,
}

impl Scoped<'_> {
    async fn get(&self, asked: Get) -> Answer {
        match self.find(&asked.name).await? {
            Some(found) => Ok(json!({"Parameter": self.view(&found, Some(&asked.name), asked.with_decryption)})),
            None => Err(Failure::new(ABSENT, format!("parameter `{}` not found", asked.name))),
        }
    }

    async fn get_many(&self, asked: GetMany) -> Answer {
        if asked.names.len() > NAMES_MAX {
            return Err(Failure::new("ValidationException", "at most 10 names a call"));
        }
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in &asked.names {
            match self.find(name).await? {
                Some(parameter) => found.push(self.view(&parameter, Some(name), asked.with_decryption)),
                None => invalid.push(name),
            }
        }
        Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
    }

    async fn by_path(&self, asked: ByPath) -> Answer {
        let prefix = format!("{}/", asked.path.trim_end_matches('/'));
        let max = asked.max_results.unwrap_or(PATH_PAGE).clamp(1, PATH_PAGE);
        let token = asked.next_token.map(ParameterName::parse).transpose();
        let mut after = token.map_err(|_| Failure::new("InvalidNextToken", "the token is not valid"))?;
        let mut views = Vec::new();
        loop {
            let page = self.parameters.list(&prefix, after.as_ref(), max).await.map_err(port)?;
            let Some(last) = page.last() else { return Ok(json!({"Parameters": views})) };
            after = Some(last.name.clone());
            for parameter in page {
                let below = parameter.name.as_str().strip_prefix(&prefix).unwrap_or_default();
                if (!asked.recursive && below.contains('/')) || self.hides(&parameter.name) {
                    continue;
                }
                views.push(self.view(&parameter, None, asked.with_decryption));
                if views.len() == max {
                    return Ok(json!({"Parameters": views, "NextToken": parameter.name.to_string()}));
                }
            }
        }
    }

    async fn put(&self, asked: Put) -> Answer {
        let name = self.name(&asked.name)?;
        let known = self.parameters.get(&name).await.map_err(port)?;
        if known.is_some() && !asked.overwrite {
            return Err(Failure::new("ParameterAlreadyExists", "the parameter exists; set Overwrite to change it"));
        }
        let sealed = match asked.kind.as_deref() {
            Some("String" | "StringList") => false,
            Some("SecureString") => true,
            Some(other) => return Err(Failure::new("UnsupportedParameterType", format!("`{other}` is no type"))),
            None => known.is_some_and(|known| known.sealed),
        };
        let version = self.parameters.put(&name, Secret::new(asked.value), sealed).await.map_err(port)?;
        Ok(json!({"Version": version, "Tier": "Standard"}))
    }

    async fn delete(&self, asked: Delete) -> Answer {
        if self.find(&asked.name).await?.is_none() {
            return Err(Failure::new(ABSENT, format!("parameter `{}` not found", asked.name)));
        }
        self.parameters.delete(&self.name(&asked.name)?).await.map_err(port)?;
        Ok(json!({}))
    }

    /// The parameter; a name that nothing can have is a name that nothing has.
    async fn find(&self, raw: &str) -> Answer<Option<Parameter>> {
        let Ok(name) = self.name(raw) else { return Ok(None) };
        self.parameters.get(&name).await.map_err(port)
    }

    fn name(&self, raw: &str) -> Answer<ParameterName> {
        let name = parameter_name(raw).map_err(|error| Failure::new("ValidationException", error.to_string()))?;
        if self.hides(&name) {
            return Err(Failure::new("AccessDeniedException", "the platform keeps this parameter to itself"));
        }
        Ok(name)
    }

    fn hides(&self, name: &ParameterName) -> bool {
        self.call.key.scope == Scope::Platform && name.as_str().starts_with(HIDDEN)
    }

    fn view(&self, parameter: &Parameter, asked: Option<&str>, decrypt: bool) -> Value {
        let name = asked.filter(|asked| !asked.starts_with("arn:")).unwrap_or(parameter.name.as_str());
        let region = &self.call.region;
        let shown = !parameter.sealed || decrypt;
        json!({
            "Name": name,
            "Type": if parameter.sealed { "SecureString" } else { "String" },
            // Without decryption a sealed value stays what nobody can read.
            "Value": if shown { parameter.value.expose() } else { "[sealed]" },
            "Version": parameter.version,
            "LastModifiedDate": parameter.modified.as_secs(),
            "ARN": format!("arn:aws:ssm:{region}:{ACCOUNT_ID}:parameter{}", parameter.name),
            "DataType": "text",
        })
    }
}

fn port(error: Error) -> Failure {
    match error {
        Error::Invalid(_) | Error::TooLarge { .. } => Failure::new("ValidationException", error.to_string()),
        other => Failure::from_port(other, ABSENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_named_plainly_by_path_or_by_arn() {
        let arn = "arn:aws:ssm:eu-central-1:000000000000:parameter/a/b";
        for (raw, stored) in [("name", "/name"), ("/a/b", "/a/b"), (arn, "/a/b")] {
            assert_eq!(parameter_name(raw).unwrap().as_str(), stored);
        }
        for raw in ["", "/", "a b", "/a//b", "arn:aws:ssm"] {
            assert!(parameter_name(raw).is_err(), "{raw}");
        }
    }
}
