//! `samconfig.toml`: the settings of `sam` by environment.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// The largest file read, in bytes.
pub const SAMCONFIG_BYTES_MAX: usize = 256 * 1024;

/// What is wrong with the file, with the place that TOML names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("samconfig.toml: {0}")]
pub struct SamConfigError(pub String);

/// A parsed `samconfig.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamConfig {
    environments: Table,
}

/// What `sam deploy --config-env NAME` takes from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploySettings {
    pub stack_name: Option<String>,
    /// Relative to the file.
    pub template_file: Option<String>,
    pub region: Option<String>,
    pub parameter_overrides: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub capabilities: Vec<String>,
}

impl SamConfig {
    pub fn parse(text: &str) -> Result<Self, SamConfigError> {
        if text.len() > SAMCONFIG_BYTES_MAX {
            return Err(SamConfigError(format!("larger than {SAMCONFIG_BYTES_MAX} bytes")));
        }
        let mut environments: Table =
            text.parse().map_err(|error: toml::de::Error| SamConfigError(error.to_string()))?;
        match environments.remove("version") {
            None | Some(Value::Float(_) | Value::Integer(_) | Value::String(_)) => {}
            Some(_) => return Err(SamConfigError("`version` is a number".into())),
        }
        Ok(Self { environments })
    }

    /// The environments that the file names.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.environments.keys().map(String::as_str)
    }

    /// The deploy settings of `environment`: `[environment.deploy.parameters]` over `[environment.global.parameters]`.
    /// An environment that the file does not name has none of its own.
    pub fn deploy(&self, environment: &str) -> Result<DeploySettings, SamConfigError> {
        let mut settings = DeploySettings::default();
        for command in ["global", "deploy"] {
            if let Some(parameters) = self.parameters(environment, command)? {
                settings
                    .take(parameters)
                    .map_err(|text| SamConfigError(format!("[{environment}.{command}.parameters] {text}")))?;
            }
        }
        Ok(settings)
    }

    fn parameters(&self, environment: &str, command: &str) -> Result<Option<&Table>, SamConfigError> {
        let mut table = &self.environments;
        for name in [environment, command, "parameters"] {
            table = match table.get(name) {
                None => return Ok(None),
                Some(Value::Table(table)) => table,
                Some(_) => return Err(SamConfigError(format!("`{name}` in [{environment}] is a table"))),
            };
        }
        Ok(Some(table))
    }
}

impl DeploySettings {
    fn take(&mut self, parameters: &Table) -> Result<(), String> {
        let text = |key: &str| match parameters.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("`{key}` is text")),
        };
        self.stack_name = text("stack_name")?.or(self.stack_name.take());
        self.template_file = text("template_file")?.or(text("template")?).or(self.template_file.take());
        self.region = text("region")?.or(self.region.take());
        if let Some(value) = parameters.get("parameter_overrides") {
            self.parameter_overrides = pairs("parameter_overrides", value)?;
        }
        if let Some(value) = parameters.get("tags") {
            self.tags = pairs("tags", value)?;
        }
        match parameters.get("capabilities") {
            None => {}
            Some(Value::String(one)) => self.capabilities = one.split_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(many)) => {
                self.capabilities = many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => return Err("`capabilities` is text or a list".into()),
        }
        Ok(())
    }
}

/// The three forms that `sam` reads: `"A=1 B='x y'"`, `["A=1", …]` and a table;
/// also `ParameterKey=A,ParameterValue=1`.
fn pairs(name: &str, value: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let words = match value {
        Value::String(text) => words(text)?,
        Value::Array(items) => {
            let mut all = Vec::new();
            for item in items {
                let text = item.as_str().ok_or_else(|| format!("`{name}` is a list of `Key=Value`"))?;
                all.extend(words(text)?);
            }
            all
        }
        Value::Table(table) => {
            for (key, value) in table {
                found.insert(key.clone(), plain(value).ok_or_else(|| format!("`{name}.{key}` is a plain value"))?);
            }
            return Ok(found);
        }
        _ => return Err(format!("`{name}` is text, a list or a table")),
    };
    for word in words {
        let (key, value) = pair(&word).ok_or_else(|| format!("`{word}` in `{name}` is not `Key=Value`"))?;
        found.insert(key, value);
    }
    Ok(found)
}

fn pair(word: &str) -> Option<(String, String)> {
    if let Some(rest) = word.strip_prefix("ParameterKey=") {
        let (key, value) = rest.split_once(",ParameterValue=")?;
        return Some((key.to_owned(), value.to_owned()));
    }
    let (key, value) = word.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Array(items) => items.iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        _ => None,
    }
}

/// Splits as a shell does: blanks separate, `'…'` and `"…"` join, `\` takes the next character.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(characters.next()),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote is not closed in `{text}`"));
    }
    all.extend(word);
    Ok(all)
}
