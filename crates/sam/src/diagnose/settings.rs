//! What is wrong with a `samconfig.toml`.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Map;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::text::Lines;
use super::{Diagnostic, FINDINGS_MAX, Severity};
use crate::{SAMCONFIG_BYTES_MAX, SamConfig, Template, parameters};

/// What is wrong with the text of a `samconfig.toml`; with its template it is also told which parameters do not fit.
/// `environment` is the one that is about to be deployed, if any.
pub fn diagnose_settings(text: &str, template: Option<&Template>, environment: Option<&str>) -> Vec<Diagnostic> {
    let lines = Lines::new(text);
    if text.len() > SAMCONFIG_BYTES_MAX {
        let message = format!("the file is larger than {SAMCONFIG_BYTES_MAX} bytes");
        return vec![lines.diagnostic(lines.whole_first(), Severity::Error, "settings", &message)];
    }
    let (table, errors) = DeTable::parse_recoverable(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut look = Look { lines, found: Vec::new() };
    for error in errors {
        look.tell(error.span().unwrap_or(0..0), Severity::Error, "settings-syntax", error.message());
    }
    if !look.found.is_empty() {
        return look.found;
    }
    let config = SamConfig::parse(text);
    if let Err(error) = &config
        && !table.get_ref().contains_key("version")
    {
        look.tell(0..0, Severity::Error, "settings", &error.0);
    }
    for (name, value) in table.get_ref() {
        look.environment(name, value, config.as_ref().ok(), template);
    }
    if let (Ok(config), Some(wanted)) = (&config, environment)
        && config.environments().all(|name| name != wanted)
    {
        let message = format!("there are no settings for `{wanted}`: it is deployed with the template's defaults");
        look.tell(0..0, Severity::Information, "settings", &message);
    }
    look.found.sort_by_key(|one| (one.line, one.column));
    look.found
}

type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;

struct Look<'a> {
    lines: Lines<'a>,
    found: Vec<Diagnostic>,
}

impl Look<'_> {
    fn tell(&mut self, at: Range<usize>, severity: Severity, code: &str, message: &str) {
        if self.found.len() < FINDINGS_MAX {
            self.found.push(self.lines.diagnostic(self.lines.bytes(at), severity, code, message));
        }
    }

    fn wrong(&mut self, at: Range<usize>, message: &str) {
        self.tell(at, Severity::Error, "settings", message);
    }

    fn environment(
        &mut self,
        name: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
        config: Option<&SamConfig>,
        template: Option<&Template>,
    ) {
        let label = name.get_ref().as_ref();
        if label == "version" {
            if !matches!(value.get_ref(), DeValue::Float(_) | DeValue::Integer(_) | DeValue::String(_)) {
                self.wrong(value.span(), "`version` is a number");
            }
            return;
        }
        let DeValue::Table(commands) = value.get_ref() else {
            return self.wrong(
                name.span(),
                &format!("`{label}` is an environment: a table such as [{label}.deploy.parameters]"),
            );
        };
        for command in ["global", "deploy"] {
            let Some((key, value)) = commands.get_key_value(command) else { continue };
            let DeValue::Table(inner) = value.get_ref() else {
                self.wrong(key.span(), &format!("`{command}` in [{label}] is a table"));
                continue;
            };
            match inner.get_key_value("parameters") {
                None => {}
                Some((_, value)) if value.get_ref().is_table() => {
                    if let DeValue::Table(parameters) = value.get_ref() {
                        self.parameters(parameters);
                    }
                }
                Some((key, _)) => self.wrong(key.span(), &format!("`parameters` in [{label}.{command}] is a table")),
            }
        }
        if let (Some(config), Some(template)) = (config, template) {
            self.against(label, name.span(), commands, config, template);
        }
    }

    /// The types of what `sam deploy` takes.
    fn parameters(&mut self, parameters: &DeTable<'_>) {
        for (key, value) in parameters {
            let name = key.get_ref().as_ref();
            let (fits, wanted) = match name {
                "stack_name" | "template_file" | "template" | "region" => (value.get_ref().is_str(), "text"),
                "capabilities" => (value.get_ref().is_str() || value.get_ref().is_array(), "text or a list"),
                "parameter_overrides" | "tags" => {
                    let fits = value.get_ref().is_str() || value.get_ref().is_array() || value.get_ref().is_table();
                    (fits, "text, a list or a table")
                }
                _ => continue,
            };
            if !fits {
                self.wrong(value.span(), &format!("`{name}` is {wanted}"));
            }
        }
    }

    /// What the template makes of the settings of one environment.
    fn against(
        &mut self,
        label: &str,
        header: Range<usize>,
        commands: &DeTable<'_>,
        config: &SamConfig,
        template: &Template,
    ) {
        let overrides = ["deploy", "global"].iter().find_map(|command| {
            let parameters = commands.get(*command)?.get_ref().as_table()?.get("parameters")?.get_ref().as_table()?;
            parameters.get("parameter_overrides").map(Spanned::span)
        });
        let settings = match config.deploy(label) {
            Ok(settings) => settings,
            Err(error) => {
                // Types have been told of; what is left is the text of a list of pairs.
                let at = overrides.unwrap_or(header);
                if self.found.iter().all(|one| one.severity != Severity::Error) {
                    self.wrong(at, &error.0);
                }
                return;
            }
        };
        let at = overrides.unwrap_or(header);
        let empty = Map::new();
        let declared = template.section("Parameters").unwrap_or(&empty);
        let mut unknown = BTreeSet::new();
        for name in settings.parameter_overrides.keys().filter(|name| !declared.contains_key(*name)) {
            unknown.insert(name.as_str());
        }
        if !unknown.is_empty() {
            let names = unknown.into_iter().collect::<Vec<_>>().join("`, `");
            let message = format!("the template has no parameter `{names}`: the value is passed over");
            self.tell(at.clone(), Severity::Warning, "unknown-parameter", &message);
        }
        for message in parameters::misfits(declared, &settings.parameter_overrides) {
            self.tell(at.clone(), Severity::Error, "parameter", &format!("[{label}] {message}"));
        }
    }
}
