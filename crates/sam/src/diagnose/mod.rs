//! What is wrong with a template or its settings, for the editor: every finding with its place.
//!
//! The resolver tells what it finds for the parameters of an environment, and the fence what may not be asked for. What
//! is wrong whatever the parameters are (names that nothing has, functions that do not exist) is looked for in all of the
//! text, also where a condition leaves it out.

mod references;
mod settings;
mod text;

use std::collections::BTreeMap;

use crate::fence::{self, FenceRules, Violation};
use crate::globals::is_intrinsic;
use crate::{App, Names, Problem, Resolve, Template, TemplateError, resolve};
use text::Lines;

pub use settings::diagnose_settings;

/// Most findings that are told.
const FINDINGS_MAX: usize = 200;
/// Most environments that one template is resolved for.
const ENVIRONMENTS_MAX: usize = 8;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is not built, or not deployed.
    Error,
    /// It has no effect here, or not the one that is meant.
    Warning,
    Information,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// One finding. Lines and columns count from 1, columns in UTF-16 units as editors count them; the end is after the
/// last character and on the line of the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    pub severity: Severity,
    /// Stable: `template-syntax`, `unresolved-reference`, `unsupported`, …
    pub code: String,
    pub message: String,
}

/// What a template is looked at with.
pub struct Diagnose<'a> {
    /// One look for each.
    pub environments: Vec<DiagnosedEnvironment>,
    pub names: &'a dyn Names,
    /// The files that it takes in, by their paths as it names them.
    pub files: BTreeMap<String, String>,
}

/// An environment that a template would be deployed to.
#[derive(Clone, Debug, Default)]
pub struct DiagnosedEnvironment {
    pub name: String,
    pub parameters: BTreeMap<String, String>,
    pub fence: Option<FenceRules>,
}

/// What is wrong with the text of a template, worst first within a line, at most 200 findings.
pub fn diagnose_template(text: &str, what: &Diagnose<'_>) -> Vec<Diagnostic> {
    let lines = Lines::new(text);
    let mut template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return vec![syntax(&lines, &error)],
    };
    let mut all = references::check(&template);
    all.extend(take_in(&mut template, &what.files));
    let mut found = Findings { lines, template: &template, all };
    let literal = found.all.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>();
    for environment in what.environments.iter().take(ENVIRONMENTS_MAX) {
        let parameters = &environment.parameters;
        let resolving = Resolve { parameters: parameters.clone(), names: what.names };
        match resolve(&template, &resolving) {
            Ok(app) => found.model(&app),
            Err(problems) => {
                for problem in problems.iter().filter(|problem| !literal.contains(&problem.message)) {
                    found.problem(problem, (what.environments.len() > 1).then_some(&environment.name));
                }
            }
        }
        let rules = environment.fence.iter();
        for violation in rules.flat_map(|rules| fence::check(&template.to_json(), parameters, rules)) {
            found.violation(&violation);
        }
    }
    found.finish()
}

/// Puts the files in that a template takes in, and says which of them are not there or are not what they should be.
fn take_in(template: &mut Template, files: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for inclusion in template.inclusions().into_iter().take(FINDINGS_MAX) {
        let message = match files.get(&inclusion.path) {
            None => format!("`{}` is not a file of the repository", inclusion.path),
            Some(text) => match template.include(&inclusion, text) {
                Ok(()) => continue,
                Err(error) => format!("`{}`: {error}", inclusion.path),
            },
        };
        let span = template.span(inclusion.written_at().as_str());
        found.push(Finding { span, severity: Severity::Error, code: "inclusion".into(), message });
    }
    found
}

fn syntax(lines: &Lines<'_>, error: &TemplateError) -> Diagnostic {
    let start = crate::Mark { line: error.line, column: error.column };
    lines.diagnostic(lines.from(start), Severity::Error, "template-syntax", &error.message)
}

/// A finding before its place is counted in an editor's way.
pub(crate) struct Finding {
    pub span: Option<crate::Span>,
    pub severity: Severity,
    pub code: String,
    pub message: String,
}

struct Findings<'a> {
    lines: Lines<'a>,
    template: &'a Template,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, pointer: &str, severity: Severity, code: &str, message: String) {
        let span = self.template.span(pointer);
        let told = self.all.iter().any(|one| one.span == span && one.message == message);
        if !told && self.all.len() < FINDINGS_MAX {
            self.all.push(Finding { span, severity, code: code.to_owned(), message });
        }
    }

    fn problem(&mut self, problem: &Problem, environment: Option<&String>) {
        // A function that names nothing has been told of at that name.
        let value = self.template.value_at(&problem.pointer);
        let called = value.as_object().is_some_and(is_intrinsic);
        let extent = self.template.extent(&problem.pointer);
        if called && self.all.iter().any(|one| inside(one.span, extent)) {
            return;
        }
        let span = self.template.span(&problem.pointer);
        let elsewhere = self.all.iter().any(|one| one.message == problem.message && one.span == span);
        let message = match environment {
            Some(name) if !elsewhere => format!("{} (with the parameters of `{name}`)", problem.message),
            _ => problem.message.clone(),
        };
        self.add(&problem.pointer, Severity::Error, "unresolved", message);
    }

    /// What is left out of a template that resolves, and what may not be deployed.
    fn model(&mut self, app: &App) {
        for one in &app.unsupported {
            let message = format!("not honoured here: {}", one.reason);
            self.add(&pointer_of(&one.resource, one.property.as_deref()), Severity::Warning, "unsupported", message);
        }
        for one in &app.refused {
            let pointer = match one.kind.as_str() {
                "Transform" if one.resource.is_empty() => "/Transform".to_owned(),
                _ => pointer_of(&one.resource, one.property.as_deref()),
            };
            self.add(&pointer, Severity::Error, "refused", format!("may not be deployed: {}", one.reason));
        }
    }

    fn violation(&mut self, violation: &Violation) {
        let pointer = self.template.violation_pointer(violation);
        let code = serde_json::to_value(violation.code).ok().and_then(|code| code.as_str().map(str::to_owned));
        let message = format!("may not be deployed: {}", violation.reason);
        self.add(&pointer, Severity::Error, &code.unwrap_or_default(), message);
    }

    fn finish(self) -> Vec<Diagnostic> {
        let Self { lines, all, .. } = self;
        let mut told: Vec<Diagnostic> = all
            .into_iter()
            .map(|one| {
                let range = one.span.map_or_else(|| lines.whole_first(), |span| lines.range(span));
                lines.diagnostic(range, one.severity, &one.code, &one.message)
            })
            .collect();
        told.sort_by_key(|finding| (finding.line, finding.severity, finding.column));
        told.dedup();
        told.truncate(FINDINGS_MAX);
        told
    }
}

fn inside(inner: Option<crate::Span>, outer: Option<crate::Span>) -> bool {
    let key = |mark: crate::Mark| (mark.line, mark.column);
    match (inner, outer) {
        (Some(inner), Some(outer)) => key(outer.start) <= key(inner.start) && key(inner.end) <= key(outer.end),
        _ => false,
    }
}

/// The pointer of a resource, or of a property of it named with dots, as refusals and unsupported parts name it.
pub fn pointer_of(resource: &str, property: Option<&str>) -> String {
    match property {
        None => format!("/Resources/{resource}"),
        Some(property) => format!("/Resources/{resource}/Properties/{}", property.replace('.', "/")),
    }
}
