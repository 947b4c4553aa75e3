//! A small read through gateway, authorizer and function, beside the same without an authorizer and without a function.

use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::load::{Load, drive};
use crate::platform::Platform;
use crate::samples::Samples;
use crate::table::{Table, milliseconds, ratio};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1500);

pub fn measure(table: &mut Table) -> Result<()> {
    let folder = TempDir::new()?;
    let platform = Platform::start(folder.path())?;
    let token = platform.admin()?.token;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let kinds = [
        ("GET /static/index.html (gateway, S3)", "/static/index.html", ""),
        ("GET /health (gateway, function)", "/health", ""),
        ("GET /me (gateway, authorizer, function)", "/me", bearer.as_str()),
    ];
    let requests =
        kinds.map(|(_, path, headers)| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", platform.authority));
    let mut loads: Vec<Vec<Load>> = kinds.iter().map(|_| Vec::new()).collect();
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (request, loads) in requests.iter().zip(&mut loads) {
            let load = drive(&platform.authority, request, CONNECTIONS, if round == 0 { ROUND / 5 } else { ROUND })?;
            if round > 0 {
                loads.push(load);
            }
        }
    }
    let mut plain: Option<f64> = None;
    for ((what, ..), loads) in kinds.iter().zip(loads) {
        let mut rates: Vec<f64> = loads.iter().map(|load| load.rate).collect();
        rates.sort_by(f64::total_cmp);
        let rate = rates[ROUNDS / 2];
        let mut samples = Samples::default();
        loads.into_iter().for_each(|load| samples.extend(load.samples));
        let (beside, ratio) = match plain {
            Some(plain) => (format!("static file: {plain:.0}/s"), ratio(rate, plain)),
            None => Default::default(),
        };
        plain = plain.or(Some(rate));
        table.add([
            format!("{what}: **{rate:.0}/s** over {CONNECTIONS} connections"),
            samples.len().to_string(),
            milliseconds(samples.median()),
            milliseconds(samples.at(0.99)),
            beside,
            ratio,
        ]);
    }
    let held = platform.resident()? as f64 / 1e6;
    table.add([
        "resident memory after that".into(),
        "1".into(),
        format!("{held:.1} MB"),
        String::new(),
        String::new(),
        String::new(),
    ]);
    Ok(())
}
