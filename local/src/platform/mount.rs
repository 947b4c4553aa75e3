//! Which library a function of the template is: its folder, and the area in its environment.

use std::sync::Arc;

use anyhow::{Result, bail};
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
        let area = own.config.area.clone();
        let handler = match (folder.trim_start_matches("./").trim_end_matches('/'), area.as_deref()) {
            ("authorizer", _) => event_handler(move |event| {
                let identity = Arc::clone(&own.identity);
                async move { authorizer::authorize(&identity, event).await.map_err(|refusal| refusal.to_string()) }
            }),
            ("api", Some(area)) => http_handler(api::router(area.parse()?, own)),
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
            (folder, area) => bail!("{}: no library is in `{folder}` for AREA {area:?}", function.logical_id),
        };
        functions.insert(function, handler);
    }
    Ok(functions)
}
