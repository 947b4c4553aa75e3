//! What the pages keep for a person: editor settings, keybindings, theme. The platform does not look into it.

use std::sync::Arc;

use cloud::{Expect, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::projects::etag;
use crate::{Caller, Error, Expected, Result, keys};

/// The settings of one person (bytes of JSON).
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// The version of settings that were never written.
const NEVER_WRITTEN: &str = "0";

#[derive(Serialize, Deserialize)]
struct SettingsRecord {
    v: u32,
    settings: Map<String, Value>,
}

/// Reads and replaces the caller's own settings.
#[derive(Clone)]
pub struct Settings {
    core: Arc<Core>,
}

impl Settings {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The caller's settings and their version; an empty map when they were never written.
    pub async fn get(&self, caller: &Caller) -> Result<(Map<String, Value>, String)> {
        own(caller)?;
        let stored = self.core.read::<SettingsRecord>(&keys::settings(&caller.principal.account)).await?;
        Ok(match stored {
            Some(stored) => (stored.value.settings, etag(&stored.version)),
            None => (Map::new(), NEVER_WRITTEN.into()),
        })
    }

    /// Replaces the caller's settings when they are still at the version that was read. The answer is the new version.
    pub async fn set(&self, caller: &Caller, expected: &Expected, settings: Map<String, Value>) -> Result<String> {
        own(caller)?;
        let record = SettingsRecord { v: 1, settings };
        let value = json!(record);
        if value["settings"].to_string().len() > SETTINGS_BYTES_MAX {
            return Err(Error::TooLarge(format!("Settings have at most {SETTINGS_BYTES_MAX} bytes.").into()));
        }
        let key = keys::settings(&caller.principal.account);
        let stored = self.core.ports.records.get(&key).await?;
        let expect = match &stored {
            Some(stored) => {
                expected.check(&etag(&stored.version), "settings")?;
                Expect::At(stored.version.clone())
            }
            None => {
                if *expected != Expected::Tag(NEVER_WRITTEN.into()) {
                    expected.check_absent("settings")?;
                }
                Expect::Absent
            }
        };
        match self.core.ports.records.transact(vec![Write::put(key, value, expect)]).await {
            Err(error) if error.is_condition_failed() => Err(Error::PreconditionFailed("The settings")),
            other => {
                let version = other?.into_iter().next().flatten().ok_or(Error::Unavailable("The store"))?;
                Ok(etag(&version))
            }
        }
    }
}

/// A token for one project is not the person.
fn own(caller: &Caller) -> Result<()> {
    match caller.principal.project {
        None => Ok(()),
        Some(_) => Err(Error::Forbidden("Your token is for one project alone.".into())),
    }
}
