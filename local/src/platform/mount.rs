//! Which library a function of the template is: its folder, and the area in its environment.

use std::sync::Arc;

use anyhow::{Result, bail};
use build_worker::Worker;
use cloud::Grants;
use function::Assembly;
use sam::Code;

use super::functions::{InProcess, event_handler, http_handler, streaming_http_handler};
use super::template::Resolved;

/// Mounts every function of the template, each with the rights that it has on AWS and no others.
pub fn mount(resolved: &Resolved, assembly: &Assembly, worker: &Arc<Worker>) -> Result<InProcess> {
    let mut functions = InProcess::default();
    for function in resolved.app.functions.values() {
        let Code::Path(folder) = &function.code else { bail!("{}: inline code is not mounted", function.logical_id) };
        let config = resolved.configuration(function)?;
        let area = config.area.clone();
        let handler = match (folder.trim_start_matches("./").trim_end_matches('/'), area.as_deref()) {
            ("authorizer", _) => {
                let own = assembly.app(config, Grants::only(authorizer::ACCESS));
                event_handler(move |event| {
                    let identity = Arc::clone(&own.identity);
                    async move { authorizer::authorize(&identity, event).await.map_err(|refusal| refusal.to_string()) }
                })
            }
            ("api", Some(area)) => {
                let area: api::Area = area.parse()?;
                let own = assembly.app(config, Grants::only(area.access()));
                match area {
                    api::Area::Setup => event_handler(move |event| {
                        let app = own.clone();
                        async move { api::set_up(&app, event).await.map_err(|refusal| refusal.to_string()) }
                    }),
                    api::Area::Keys => event_handler(move |event| {
                        let app = own.clone();
                        async move { api::rotate_keys(&app, event).await.map_err(|refusal| refusal.to_string()) }
                    }),
                    area if own.config.response_stream => streaming_http_handler(api::router(area, own)),
                    area => http_handler(api::router(area, own)),
                }
            }
            ("websocket", Some(area)) => {
                let area: websocket::Area = area.parse()?;
                let own = assembly.app(config, Grants::only(area.access()));
                event_handler(move |event| {
                    let app = own.clone();
                    async move { Ok(area.answer(&app, event).await) }
                })
            }
            // Builds run in the sandbox of this machine's worker: the functions that do it on AWS have nothing to do.
            ("build-worker", Some(build_worker::apart::AREA)) => continue,
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
