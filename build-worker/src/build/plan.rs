//! What a build has to know of an app, in a form that can be sent to where it runs.

use std::collections::BTreeMap;
use std::path::Path;

use sam::{App, BuildMetadata, Code, LayerReference};
use serde::{Deserialize, Serialize};

use super::front_end;

/// What is to be built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub functions: Vec<PlannedFunction>,
    pub layers: Vec<PlannedLayer>,
    /// Whether the front end is a part of it.
    pub front_end: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFunction {
    pub logical_id: String,
    pub runtime: String,
    pub code: Code,
    /// `arm64` or `x86_64`.
    pub architecture: String,
    pub build: BuildMetadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedLayer {
    pub logical_id: String,
    pub content: Code,
    /// That of the first function that uses the layer.
    pub architecture: String,
    pub build: BuildMetadata,
}

/// Lambda's default.
const ARCHITECTURE: &str = "x86_64";

/// The languages that a build step may need to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    Node,
    Python,
}

impl Family {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
        }
    }
}

impl Plan {
    /// Everything that the app has.
    pub fn of(app: &App) -> Self {
        let functions = app.functions.values().map(|function| PlannedFunction {
            logical_id: function.logical_id.clone(),
            runtime: function.runtime.clone(),
            code: function.code.clone(),
            architecture: function.architectures.first().map_or(ARCHITECTURE, String::as_str).to_owned(),
            build: function.build.clone(),
        });
        let layers = app.layers.values().map(|layer| {
            let wanted = LayerReference::Logical(layer.logical_id.clone());
            let user = app.functions.values().find(|function| function.layers.contains(&wanted));
            let architecture = user.and_then(|function| function.architectures.first());
            PlannedLayer {
                logical_id: layer.logical_id.clone(),
                content: layer.content.clone(),
                architecture: architecture.map_or(ARCHITECTURE, String::as_str).to_owned(),
                build: layer.build.clone(),
            }
        });
        Self { functions: functions.collect(), layers: layers.collect(), front_end: true }
    }

    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.layers.is_empty() && !self.front_end
    }

    /// The most packages that this can make.
    pub fn packages_max(&self) -> usize {
        self.functions.len() + self.layers.len() + usize::from(self.front_end)
    }

    /// The parts that need each language; what needs none goes where something is done anyway. `base` is the folder of
    /// the template, where the front end lies.
    pub fn by_family(self, base: &Path) -> BTreeMap<Family, Self> {
        let (mut python, mut node, mut other) = (Self::default(), Self::default(), Self::default());
        for function in self.functions {
            let wanted = function.build.method.as_deref().unwrap_or(&function.runtime);
            let plain = function.build.skip || matches!(function.code, Code::Inline(_));
            let part = part(plain, wanted, &mut python, &mut node, &mut other);
            part.functions.push(function);
        }
        for layer in self.layers {
            let wanted = layer.build.method.as_deref().unwrap_or("copy");
            let part = part(layer.build.skip, wanted, &mut python, &mut node, &mut other);
            part.layers.push(layer);
        }
        match self.front_end.then(|| front_end::kind(base)) {
            Some(front_end::Kind::Built) => node.front_end = true,
            Some(front_end::Kind::Plain) => other.front_end = true,
            Some(front_end::Kind::Absent) | None => {}
        }
        let home = if node.is_empty() && !python.is_empty() { &mut python } else { &mut node };
        home.functions.append(&mut other.functions);
        home.layers.append(&mut other.layers);
        home.front_end |= other.front_end;
        [(Family::Node, node), (Family::Python, python)].into_iter().filter(|(_, part)| !part.is_empty()).collect()
    }
}

fn part<'a>(plain: bool, wanted: &str, python: &'a mut Plan, node: &'a mut Plan, other: &'a mut Plan) -> &'a mut Plan {
    match wanted {
        _ if plain => other,
        wanted if wanted.starts_with("python") => python,
        wanted if wanted.starts_with("nodejs") || wanted == "esbuild" => node,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(id: &str, runtime: &str, method: Option<&str>) -> PlannedFunction {
        PlannedFunction {
            logical_id: id.into(),
            runtime: runtime.into(),
            code: Code::Path("src".into()),
            architecture: ARCHITECTURE.into(),
            build: BuildMetadata { method: method.map(str::to_owned), ..BuildMetadata::default() },
        }
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.functions.iter().map(|function| function.logical_id.as_str()).collect()
    }

    #[test]
    fn each_language_gets_its_part_and_what_needs_none_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        let functions = vec![
            function("Py", "python3.12", None),
            function("Ts", "nodejs22.x", Some("esbuild")),
            function("Own", "provided.al2023", None),
        ];
        let parts = Plan { functions, layers: Vec::new(), front_end: true }.by_family(folder.path());
        assert_eq!(ids(&parts[&Family::Node]), ["Ts", "Own"]);
        assert_eq!(ids(&parts[&Family::Python]), ["Py"]);
        assert!(!parts[&Family::Node].front_end, "there is no front end");
    }

    #[test]
    fn a_python_app_with_plain_pages_needs_one_call() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("frontend")).unwrap();
        std::fs::write(folder.path().join("frontend/index.html"), "<p>").unwrap();
        let plan = || Plan { functions: vec![function("Py", "python3.12", None)], front_end: true, ..Plan::default() };
        let parts = plan().by_family(folder.path());
        assert_eq!(parts.keys().copied().collect::<Vec<_>>(), [Family::Python]);
        assert!(parts[&Family::Python].front_end);
        std::fs::write(folder.path().join("frontend/package.json"), r#"{"scripts":{"build":"vite"}}"#).unwrap();
        let parts = plan().by_family(folder.path());
        assert!(parts[&Family::Node].front_end && !parts[&Family::Python].front_end);
    }

    #[test]
    fn nothing_to_build_needs_no_call() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Plan { front_end: true, ..Plan::default() }.by_family(folder.path()).is_empty());
    }
}
