//! A `samconfig.toml` from anyone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sam::SamConfig;

fuzz_target!(|text: &str| {
    let Ok(config) = SamConfig::parse(text) else { return };
    let environments: Vec<String> = config.environments().map(str::to_owned).collect();
    for environment in environments {
        let _ = config.deploy(&environment);
    }
});
