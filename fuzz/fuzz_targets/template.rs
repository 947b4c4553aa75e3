//! A template from anyone: parsed and resolved without a panic, in bounded time.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sam::{AccountNames, Resolve, RouteTable, Template};

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else { return };
    let names = AccountNames {
        stack: "fuzz-dev".into(),
        region: "eu-central-1".into(),
        account: "000000000000".into(),
        queue_endpoint: "http://127.0.0.1:1".into(),
        site_host: "dev--fuzz.localhost".into(),
        site_scheme: "http".into(),
    };
    let Ok(app) = sam::resolve(&template, &Resolve { parameters: BTreeMap::new(), names: &names }) else { return };
    for api in app.apis.values() {
        let table = RouteTable::new(&api.routes);
        for route in &api.routes {
            let _ = table.find(&route.method, &route.path);
        }
    }
});
