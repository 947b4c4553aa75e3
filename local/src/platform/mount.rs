//! Which library a function of the template is: its folder, and the area or role in its environment.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use build_worker::Worker;
use function::App;
use sam::Code;

use super::functions::{InProcess, event_handler, http_handler};
use super::template::Resolved;

/// Mounts every function of the template.
pub fn mount(resolved: &Resolved, app: &App, worker: &Arc<Worker>) -> Result<InProcess> {
    let mut functions = InProcess::default();
    for function in resolved.app.functions.values() {
        let Code::Path(folder) = &function.code else { bail!("{}: inline code is not mounted", function.logical_id) };
        let own = App { config: Arc::new(resolved.configuration(function)?), ..app.clone() };
        let role = function.environment.get("ROLE").map(String::as_str);
        let handler = match (folder.trim_start_matches("./").trim_end_matches('/'), role) {
            ("authorizer", _) => event_handler(move |event| {
                let identity = Arc::clone(&own.identity);
                async move { authorizer::authorize(&identity, event).await.map_err(|refusal| refusal.to_string()) }
            }),
            ("api", _) => {
                let area = own.config.area.as_deref().context("a function of `api` needs AREA")?;
                let area: api::Area = area.parse()?;
                http_handler(api::router(area, own))
            }
            ("websocket", Some("route")) => event_handler(move |event| {
                let app = own.clone();
                async move { Ok(websocket::route(&app, event).await) }
            }),
            ("websocket", Some("fan-out")) => event_handler(move |event| {
                let app = own.clone();
                async move { Ok(websocket::fan_out(&app, event).await) }
            }),
            ("websocket", Some("tail")) => event_handler(move |event| {
                let app = own.clone();
                async move { Ok(websocket::tail(&app, event).await) }
            }),
            ("build-worker", _) => {
                let worker = Arc::clone(worker);
                event_handler(move |event| {
                    let worker = Arc::clone(&worker);
                    async move { Ok(build_worker::handle(&worker, event).await) }
                })
            }
            (folder, role) => bail!("{}: no library is in `{folder}` with ROLE {role:?}", function.logical_id),
        };
        functions.insert(function, handler);
    }
    Ok(functions)
}
