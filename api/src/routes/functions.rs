//! Functions of an environment: what they are, calling them, their logs.

use axum::extract::State;
use cloud::{FunctionView as Running, Invocation};
use domain::{InvocationEvent, RequestFigures};
use function::{App, Caller, Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::environments::EnvironmentPath;
use super::jobs::{LogParams, LogView, RequestView};
use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_functions))
        .routes(routes!(invoke_function))
        .routes(routes!(read_function_logs))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct FunctionPath {
    /// The project's slug or id.
    project: String,
    /// The environment's name.
    environment: String,
    /// The function's logical id or physical name.
    function: String,
}

#[derive(Serialize, ToSchema)]
struct FunctionView {
    /// The logical id.
    id: String,
    /// The physical name.
    name: String,
    runtime: String,
    handler: String,
    memory_mb: u32,
    timeout_s: u32,
    log_group: String,
    /// What serves it, when that is not exactly what the template asks for.
    note: Option<String>,
}

impl From<Running> for FunctionView {
    fn from(function: Running) -> Self {
        Self {
            id: function.logical_id,
            name: function.name,
            runtime: function.runtime,
            handler: function.handler,
            memory_mb: function.memory_mb,
            timeout_s: function.timeout_s,
            log_group: function.log_group,
            note: function.note,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct FunctionsView {
    items: Vec<FunctionView>,
}

/// The event: given here, or a file of the repository.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvokeFunction {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    event: Option<Value>,
    /// For example `events/hello.json`.
    event_path: Option<String>,
    /// The branch, tag or commit to read `event_path` from; the default branch when absent.
    #[serde(rename = "ref")]
    #[schema(rename = "ref")]
    reference: Option<String>,
}

/// `null` is an event too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl InvokeFunction {
    fn read(self) -> Result<InvocationEvent, Problem> {
        match (self.event, self.event_path, self.reference) {
            (Some(event), None, None) => Ok(InvocationEvent::Json(event)),
            (None, Some(path), reference) => {
                Ok(InvocationEvent::File { path, reference: reference.unwrap_or_else(|| "HEAD".into()) })
            }
            _ => Err(Problem::validation("Send either event, or event_path with or without ref.")),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct InvocationView {
    /// What the function returned, or its error object.
    #[schema(value_type = Object)]
    result: Value,
    /// `Unhandled` when the function failed.
    function_error: Option<String>,
    /// The end of the log of this invocation, at most 4 KB.
    log_tail: String,
    report: Option<RequestView>,
}

impl From<Invocation> for InvocationView {
    fn from(invocation: Invocation) -> Self {
        let text = || Value::String(String::from_utf8_lossy(&invocation.payload).into_owned());
        let report = invocation.report.map(|report| RequestFigures {
            request_id: report.request_id,
            duration_ms: report.duration_ms,
            billed_duration_ms: report.billed_duration_ms,
            memory_mb: report.memory_mb,
            max_memory_used_mb: report.max_memory_used_mb,
            init_duration_ms: report.init_duration_ms,
            cold_start: report.init_duration_ms.is_some(),
            status: None,
        });
        Self {
            result: serde_json::from_slice(&invocation.payload).unwrap_or_else(|_| text()),
            function_error: invocation.function_error,
            log_tail: invocation.log_tail,
            report: report.map(RequestView::from),
        }
    }
}

/// Lists the functions that run in an environment.
#[utoipa::path(get, path = "/projects/{project}/environments/{environment}/functions",
    operation_id = "list_functions", tag = "environments", params(EnvironmentPath),
    responses((status = 200, body = FunctionsView), Refusals))]
async fn list_functions(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<EnvironmentPath>,
) -> Result<Json<FunctionsView>, Problem> {
    let functions = app.domain.environments.functions(&caller, &at.project, &at.environment).await?;
    Ok(Json(FunctionsView { items: functions.into_iter().map(FunctionView::from).collect() }))
}

/// Calls a function and waits for its answer.
#[utoipa::path(post, path = "/projects/{project}/environments/{environment}/functions/{function}/invocations",
    operation_id = "invoke_function", tag = "environments", params(FunctionPath), request_body = InvokeFunction,
    responses((status = 200, body = InvocationView), Refusals))]
async fn invoke_function(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<FunctionPath>,
    Json(body): Json<InvokeFunction>,
) -> Result<Json<InvocationView>, Problem> {
    let event = body.read()?;
    let answer = app.domain.environments.invoke(&caller, &at.project, &at.environment, &at.function, event).await?;
    Ok(Json(answer.into()))
}

/// Reads a function's log over all its instances, with START, END and REPORT lines read into figures.
#[utoipa::path(get, path = "/projects/{project}/environments/{environment}/functions/{function}/logs",
    operation_id = "read_function_logs", tag = "environments", params(FunctionPath, LogParams),
    responses((status = 200, body = LogView), Refusals))]
async fn read_function_logs(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<FunctionPath>,
    Query(query): Query<LogParams>,
) -> Result<Json<LogView>, Problem> {
    let query = query.query();
    let lines = app.domain.logs.function(&caller, &at.project, &at.environment, &at.function, &query).await?;
    Ok(Json(lines.into()))
}
