//! The first admin of a deployed platform. No route leads here: who may invoke the function in the account, may ask.

use function::App;
use identity::{EmailAddress, Password};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the function is invoked with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    email: String,
}

/// Why no admin was made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the event is {{\"email\": \"you@example.com\"}}: {0}")]
    Event(#[source] serde_json::Error),
    #[error("email: {0}")]
    Email(String),
    #[error("this platform has had its first admin; admins make other accounts with POST /accounts")]
    Done,
    #[error("the first admin could not be made: {0}")]
    Identity(#[from] identity::Error),
}

/// Makes the first admin, with a password that is answered this once; `SetupError::Done` ever after.
pub async fn set_up(app: &App, event: Value) -> Result<Value, SetupError> {
    let setup: Setup = serde_json::from_value(event).map_err(SetupError::Event)?;
    let email = EmailAddress::parse(&setup.email).map_err(|error| SetupError::Email(error.to_string()))?;
    let password = Password::generate(app.entropy.as_ref());
    let shown = password.expose().to_owned();
    let made = app.identity.bootstrap_admin(email, password).await?.ok_or(SetupError::Done)?;
    Ok(json!({ "email": made.email.to_string(), "password": shown }))
}
