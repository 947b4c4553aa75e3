//! What is wrong with a template or its settings, as they are written.

use axum::extract::State;
use domain::{Diagnostic, NewDiagnosis};
use function::{App, Caller, Json, Path, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(diagnose))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DiagnoseFile {
    /// Where the file is in the repository: `samconfig.toml`, or a template (`.yaml`, `.yml`, `.json`).
    path: String,
    content: String,
    /// The environment that it is meant for; every one that `samconfig.toml` names when absent.
    environment: Option<String>,
    /// Where the files beside it are read, your drafts first; the default branch when absent.
    branch: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct DiagnosticView {
    path: String,
    /// From 1.
    line: usize,
    /// From 1, in UTF-16 units.
    column: usize,
    end_line: usize,
    /// After the last character.
    end_column: usize,
    /// `error`, `warning` or `information`.
    severity: &'static str,
    /// Stable: `template-syntax`, `unresolved-reference`, `unsupported`, …
    code: String,
    message: String,
}

#[derive(Serialize, ToSchema)]
struct DiagnosticsView {
    items: Vec<DiagnosticView>,
}

impl DiagnosticView {
    fn of(path: &str, found: Diagnostic) -> Self {
        Self {
            path: path.to_owned(),
            line: found.line,
            column: found.column,
            end_line: found.end_line,
            end_column: found.end_column,
            severity: found.severity.as_str(),
            code: found.code,
            message: found.message,
        }
    }
}

/// Looks at a template or a `samconfig.toml` without keeping it: at most 200 findings, by line.
#[utoipa::path(post, path = "/projects/{project}/diagnostics", operation_id = "diagnose", tag = "environments",
    params(ProjectPath), request_body = DiagnoseFile, responses((status = 200, body = DiagnosticsView), Refusals))]
async fn diagnose(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<DiagnoseFile>,
) -> Result<Json<DiagnosticsView>, Problem> {
    let DiagnoseFile { path, content, environment, branch } = body;
    let asked = NewDiagnosis { path: path.clone(), content, environment, branch };
    let found = app.domain.diagnostics.check(&caller, &at.project, asked).await?;
    Ok(Json(DiagnosticsView { items: found.into_iter().map(|one| DiagnosticView::of(&path, one)).collect() }))
}
