//! A new key for access tokens, on demand. No route leads here: who may invoke the function in the account, may ask.

use function::App;
use identity::OldTokens;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the function is invoked with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Tokens of the older keys end now, not when they expire.
    #[serde(default)]
    revoke: bool,
}

/// Why the key was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error("the event is {{}} or {{\"revoke\": true}}: {0}")]
    Event(#[source] serde_json::Error),
    #[error("the signing key could not be replaced: {0}")]
    Identity(#[from] identity::Error),
}

/// Makes a new key, and answers its id and when the last token of an older one ends (milliseconds since 1970).
pub async fn rotate_keys(app: &App, event: Value) -> Result<Value, RotationError> {
    let rotation: Rotation = serde_json::from_value(event).map_err(RotationError::Event)?;
    let old = if rotation.revoke { OldTokens::End } else { OldTokens::Expire };
    let rotated = app.identity.rotate_signing_key(old).await?;
    Ok(json!({ "kid": rotated.kid, "old_tokens_end": rotated.old_tokens_end.0 }))
}
