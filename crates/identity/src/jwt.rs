//! Access tokens: JSON Web Tokens signed with EdDSA (RFC 7519, RFC 8037, RFC 9068), read without tolerance.
//!
//! One algorithm, one type, one issuer, one audience. The header and the claims are closed sets: an unknown
//! member (`crit`, `jku`, `jwk`, `role`, a second `sub`) refuses the token before any key is looked up.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::Secret;
use jsonwebtoken::{Algorithm, crypto};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{AccountId, AuthenticationError, Error, Identity, Result, SessionId};

/// How long an access token is good.
pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// Longest access token that is looked at (bytes); ours have about 500.
const TOKEN_BYTES_MAX: usize = 2048;
/// How far another machine's clock may be ahead (seconds).
const CLOCK_SKEW_S: i64 = 60;
const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "at+jwt";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    sid: SessionId,
    jti: String,
    iat: i64,
    exp: i64,
}

/// What a good access token says.
pub(crate) struct AccessClaims {
    pub account: AccountId,
    pub session: SessionId,
}

impl Identity {
    pub(crate) async fn sign_access_token(&self, account: &AccountId, session: &SessionId) -> Result<Secret> {
        let key = self.keys.current().await?;
        let now = self.store.now();
        let header = Header { alg: ALGORITHM.into(), typ: TYPE.into(), kid: key.kid };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: account.clone(),
            sid: session.clone(),
            jti: self.store.entropy.ulid(now),
            iat: now.as_secs(),
            exp: now.plus(ACCESS_TOKEN_LIFE).as_secs(),
        };
        let message = format!("{}.{}", encode(&header)?, encode(&claims)?);
        let signature = crypto::sign(message.as_bytes(), &key.private, Algorithm::EdDSA)
            .map_err(|error| Error::Corrupt(format!("signing an access token: {error}")))?;
        Ok(Secret::new(format!("{message}.{signature}")))
    }

    /// Checks form, signature, issuer, audience and times; the session is the caller's to check.
    pub(crate) async fn verify_access_token(&self, token: &str) -> Result<AccessClaims, AuthenticationError> {
        let (header, claims, signature) = split(token).ok_or(AuthenticationError::Invalid("not a compact JWT"))?;
        let message = &token[..header.len() + 1 + claims.len()];
        let header: Header = decode(header).ok_or(AuthenticationError::Invalid("header"))?;
        if header.alg != ALGORITHM || header.typ != TYPE {
            return Err(AuthenticationError::Invalid("algorithm or type"));
        }
        let key = self.keys.verifying(&header.kid).await?.ok_or(AuthenticationError::Invalid("unknown key"))?;
        let genuine = crypto::verify(signature, message.as_bytes(), &key.public, Algorithm::EdDSA);
        if !genuine.unwrap_or(false) {
            return Err(AuthenticationError::Invalid("signature"));
        }
        let claims: Claims = decode(claims).ok_or(AuthenticationError::Invalid("claims"))?;
        self.check_claims(claims)
    }

    fn check_claims(&self, claims: Claims) -> Result<AccessClaims, AuthenticationError> {
        let now = self.store.now().as_secs();
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(AuthenticationError::Invalid("issuer or audience"));
        }
        if claims.iat > now.saturating_add(CLOCK_SKEW_S) {
            return Err(AuthenticationError::Invalid("issued in the future"));
        }
        if claims.exp <= now {
            return Err(AuthenticationError::Expired);
        }
        Ok(AccessClaims { account: claims.sub, session: claims.sid })
    }
}

/// The three parts of a compact serialisation of acceptable size.
fn split(token: &str) -> Option<(&str, &str, &str)> {
    let mut parts = (token.len() <= TOKEN_BYTES_MAX).then(|| token.split('.'))?;
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}

fn encode(part: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(part).map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
