//! What others wrote: each package that is built in comes from the registry under a licence that deny.toml allows.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use spdx::{Expression, ParseMode};
use toml::Table;

use crate::run::{cargo, root};

/// Where cargo's own registry is named in `cargo metadata`.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Names every package that may not be used, with the reason.
pub fn check() -> Result<()> {
    let rules = Rules::read(&root().join("deny.toml"))?;
    let mut metadata = cargo();
    metadata.args(["metadata", "--format-version", "1", "--all-features", "--locked"]).stderr(Stdio::inherit());
    let metadata: Value = serde_json::from_slice(&metadata.output()?.stdout).context("what cargo knows of packages")?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let bad: Vec<String> = packages.iter().filter_map(|package| rules.against(package)).collect();
    if !bad.is_empty() {
        bail!("deny.toml does not allow:\n{}", bad.join("\n"));
    }
    Ok(())
}

/// deny.toml, as far as it is held here; `cargo deny check` holds all of it.
struct Rules {
    licences: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    fn read(path: &Path) -> Result<Self> {
        let rules: Table = std::fs::read_to_string(path)?.parse().context("deny.toml")?;
        let list = |table: &str, name: &str| rules[table][name].as_array().cloned().unwrap_or_default();
        let text = |value: &toml::Value| value.as_str().map(str::to_owned);
        Ok(Self {
            licences: list("licenses", "allow").iter().filter_map(text).collect(),
            banned: list("bans", "deny").iter().filter_map(|ban| text(ban.get("crate")?)).collect(),
        })
    }

    /// What is wrong with a package, if anything.
    fn against(&self, package: &Value) -> Option<String> {
        // Our own.
        let source = package["source"].as_str()?;
        let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
        if source != REGISTRY {
            return Some(format!("{name} {version}: it comes from {source}"));
        }
        if self.banned.iter().any(|banned| banned == name) {
            return Some(format!("{name} {version}: it is banned"));
        }
        let Some(licence) = package["license"].as_str() else { return Some(format!("{name} {version}: no licence")) };
        let expression = Expression::parse_mode(licence, ParseMode::LAX);
        let allowed = expression.is_ok_and(|expression| {
            expression.evaluate(|asked| self.licences.iter().any(|known| *known == asked.to_string()))
        });
        (!allowed).then(|| format!("{name} {version}: {licence}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_is_named_with_what_is_wrong_with_it() {
        let rules = Rules::read(&root().join("deny.toml")).unwrap();
        let package = |name: &str, licence: Value, source: Value| json!({ "name": name, "version": "1.0.0", "license": licence, "source": source });
        let of = |name: &str, licence: &str| rules.against(&package(name, licence.into(), REGISTRY.into()));
        for good in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "MIT/Apache-2.0",
            "(MIT OR GPL-2.0-only) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(of("good", good), None, "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "nonsense", "MIT AND (ISC OR"] {
            assert_eq!(of("bad", bad), Some(format!("bad 1.0.0: {bad}")));
        }
        assert_eq!(of("openssl-sys", "MIT").unwrap(), "openssl-sys 1.0.0: it is banned");
        assert!(rules.against(&package("bad", Value::Null, REGISTRY.into())).unwrap().ends_with("no licence"));
        assert!(rules.against(&package("bad", "MIT".into(), "git+https://example.com/a".into())).is_some());
        assert_eq!(rules.against(&package("ours", Value::Null, Value::Null)), None);
    }
}
