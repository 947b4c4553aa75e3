//! The keys that callers of the AWS service endpoint sign with.
//!
//! One seed, kept sealed, is the only thing stored. The platform's own key and every temporary key
//! are derived from it: a temporary key's session token says what the key is good for and until
//! when, under a MAC, so that keys survive a restart and nothing has to be swept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use cloud::{Clock, Credentials, Entropy, Error, Millis, ParameterName, Parameters, Result, Secret, StackName};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Longest life of a temporary key.
pub const KEY_LIFE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest session token that is looked at (bytes).
const SESSION_TOKEN_MAX: usize = 2048;
const SEED: &str = "/workroom/access-keys/seed";
const REVOKED: &str = "/workroom/access-keys/revoked/";

/// What a key is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The platform's own buckets, logs, queues and parameters.
    Platform,
    /// What one stack owns, as if the stack were an account of its own.
    Stack(StackName),
}

impl Scope {
    /// The namespace of the store that holds what this scope may touch.
    pub fn namespace(&self) -> String {
        match self {
            Self::Platform => "platform".into(),
            Self::Stack(name) => format!("stack/{name}"),
        }
    }

    /// The store's name of the bucket that this scope calls `bucket`.
    pub fn bucket(&self, bucket: &str) -> String {
        match self {
            Self::Platform => bucket.into(),
            Self::Stack(name) => format!("stack/{name}/{bucket}"),
        }
    }
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    #[error("the access key id or its session token is not known here")]
    Unknown,
    #[error("the session token has expired")]
    Expired,
}

/// A key that was found good: what to check the signature with, and what it allows.
#[derive(Clone, Debug)]
pub struct Key {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub scope: Scope,
}

pub struct AccessKeysSettings {
    /// Where the seed is kept, sealed.
    pub parameters: Arc<dyn Parameters>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub region: String,
    /// The endpoint that the keys are good at, as programs of this machine reach it.
    pub endpoint: Option<String>,
}

/// Issues and recognises keys; cheap to clone.
#[derive(Clone)]
pub struct AccessKeys(Arc<Inner>);

struct Inner {
    seed: Secret,
    settings: AccessKeysSettings,
    platform: Key,
    /// Keys of these stacks that were issued at or before the time are refused.
    revoked: Mutex<BTreeMap<String, Millis>>,
}

/// What a session token carries under its MAC.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    id: String,
    /// The stack's name; the platform itself when absent.
    stack: Option<StackName>,
    issued: Millis,
    expires: Millis,
}

impl AccessKeys {
    /// Reads the seed, or makes it at the first start.
    pub async fn open(settings: AccessKeysSettings) -> Result<Self> {
        let name = ParameterName::parse(SEED)?;
        let seed = match settings.parameters.get(&name).await? {
            Some(kept) => kept.value,
            None => {
                let made = Secret::new(hex::encode(settings.entropy.bytes::<32>()));
                settings.parameters.put(&name, made.clone(), true).await?;
                made
            }
        };
        let revoked = read_revoked(&*settings.parameters).await?;
        let id = format!("AKIA{}", letters(&mac(&seed, "platform-id", b"")));
        let secret_access_key = secret_of(&seed, &id);
        let platform = Key { access_key_id: id, secret_access_key, scope: Scope::Platform };
        Ok(Self(Arc::new(Inner { seed, settings, platform, revoked: Mutex::new(revoked) })))
    }

    /// The platform's own lasting key, the same at every start.
    pub fn platform(&self) -> Key {
        self.0.platform.clone()
    }

    pub fn region(&self) -> &str {
        &self.0.settings.region
    }

    /// A temporary key for `scope`, good for `ttl` (at most [`KEY_LIFE_MAX`]).
    pub fn issue(&self, scope: &Scope, ttl: Duration) -> Credentials {
        let issued = self.0.settings.clock.now();
        let expires = issued.plus(ttl.min(KEY_LIFE_MAX));
        let id = format!("ASIA{}", letters(&self.0.settings.entropy.bytes::<32>()));
        let stack = match scope {
            Scope::Platform => None,
            Scope::Stack(name) => Some(name.clone()),
        };
        let claims = Claims { id: id.clone(), stack, issued, expires };
        let payload = serde_json::to_vec(&claims).expect("claims are plain JSON");
        let seal = mac(&self.0.seed, "session", &payload);
        let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(&payload), URL_SAFE_NO_PAD.encode(seal));
        Credentials {
            secret_access_key: secret_of(&self.0.seed, &id),
            access_key_id: id,
            session_token: Some(Secret::new(token)),
            expires,
            region: self.0.settings.region.clone(),
            endpoint: self.0.settings.endpoint.clone(),
        }
    }

    /// The key behind an access key id and the session token that came with it.
    pub fn lookup(&self, access_key_id: &str, session_token: Option<&str>) -> Result<Key, KeyRefused> {
        if access_key_id == self.0.platform.access_key_id {
            return if session_token.is_none() { Ok(self.platform()) } else { Err(KeyRefused::Unknown) };
        }
        let token = session_token.filter(|token| token.len() <= SESSION_TOKEN_MAX).ok_or(KeyRefused::Unknown)?;
        let claims = self.open_token(token).ok_or(KeyRefused::Unknown)?;
        if claims.id != access_key_id {
            return Err(KeyRefused::Unknown);
        }
        if self.0.settings.clock.now() >= claims.expires {
            return Err(KeyRefused::Expired);
        }
        let scope = match claims.stack {
            None => Scope::Platform,
            Some(name) if self.is_revoked(&name, claims.issued) => return Err(KeyRefused::Unknown),
            Some(name) => Scope::Stack(name),
        };
        let secret_access_key = secret_of(&self.0.seed, access_key_id);
        Ok(Key { access_key_id: access_key_id.into(), secret_access_key, scope })
    }

    /// Refuses from now on every key of `stack` issued so far: the stack is gone, and its name may come back
    /// as somebody else's.
    pub async fn revoke(&self, stack: &StackName) -> Result<()> {
        let now = self.0.settings.clock.now();
        let name = ParameterName::parse(format!("{REVOKED}{stack}"))?;
        self.0.settings.parameters.put(&name, Secret::new(now.0.to_string()), false).await?;
        self.revoked().insert(stack.to_string(), now);
        Ok(())
    }

    fn open_token(&self, token: &str) -> Option<Claims> {
        let (payload, seal) = token.split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        keyed(&self.0.seed, "session", &payload).verify_slice(&seal).ok()?;
        serde_json::from_slice(&payload).ok()
    }

    fn is_revoked(&self, stack: &StackName, issued: Millis) -> bool {
        self.revoked().get(stack.as_str()).is_some_and(|at| issued <= *at)
    }

    fn revoked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Millis>> {
        self.0.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeys").field("platform", &self.0.platform.access_key_id).finish_non_exhaustive()
    }
}

async fn read_revoked(parameters: &dyn Parameters) -> Result<BTreeMap<String, Millis>> {
    let mut revoked = BTreeMap::new();
    let mut after = None;
    loop {
        let page = parameters.list(REVOKED, after.as_ref(), 100).await?;
        let Some(last) = page.last() else { return Ok(revoked) };
        after = Some(last.name.clone());
        for parameter in &page {
            let stack = parameter.name.as_str().trim_start_matches(REVOKED).to_owned();
            let at = parameter.value.expose().parse().map_err(|_| Error::Corrupt(parameter.name.to_string()))?;
            revoked.insert(stack, Millis(at));
        }
    }
}

fn keyed(seed: &Secret, purpose: &str, message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(seed.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(message);
    mac
}

fn mac(seed: &Secret, purpose: &str, message: &[u8]) -> [u8; 32] {
    keyed(seed, purpose, message).finalize().into_bytes().into()
}

/// 40 characters, as AWS's are.
fn secret_of(seed: &Secret, access_key_id: &str) -> Secret {
    let mut secret = STANDARD_NO_PAD.encode(mac(seed, "secret", access_key_id.as_bytes()));
    secret.truncate(40);
    Secret::new(secret)
}

/// 16 of `A-Z 2-7`: the part of an access key id after its kind.
fn letters(random: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    random.iter().take(16).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use cloud::Parameter;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<BTreeMap<ParameterName, Parameter>>);

    #[async_trait::async_trait]
    impl Parameters for Kept {
        async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
            Ok(self.0.lock().unwrap().get(name).cloned())
        }
        async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
            let parameter = Parameter { name: name.clone(), value, sealed, version: 1, modified: Millis(0) };
            self.0.lock().unwrap().insert(name.clone(), parameter);
            Ok(1)
        }
        async fn delete(&self, name: &ParameterName) -> Result<()> {
            self.0.lock().unwrap().remove(name);
            Ok(())
        }
        async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
            let kept = self.0.lock().unwrap();
            let fits = kept.values().filter(|p| p.name.as_str().starts_with(prefix) && Some(&p.name) > after);
            Ok(fits.take(limit).cloned().collect())
        }
    }

    #[derive(Default)]
    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> Millis {
            Millis(self.0.load(Ordering::SeqCst))
        }
    }

    async fn open(kept: &Arc<Kept>, hands: &Arc<Hands>) -> AccessKeys {
        AccessKeys::open(AccessKeysSettings {
            parameters: kept.clone(),
            clock: hands.clone(),
            entropy: Arc::new(cloud::SystemEntropy),
            region: "eu-central-1".into(),
            endpoint: None,
        })
        .await
        .unwrap()
    }

    fn shop() -> Scope {
        Scope::Stack(StackName::parse("shop-dev").unwrap())
    }

    fn token(credentials: &Credentials) -> &str {
        credentials.session_token.as_ref().unwrap().expose()
    }

    #[tokio::test]
    async fn keys_survive_a_restart_until_they_expire() {
        let (kept, hands) = (Arc::new(Kept::default()), Arc::new(Hands::default()));
        let before = open(&kept, &hands).await;
        let issued = before.issue(&shop(), Duration::from_secs(60));
        let after = open(&kept, &hands).await;
        assert_eq!(before.platform().secret_access_key, after.platform().secret_access_key);
        let key = after.lookup(&issued.access_key_id, Some(token(&issued))).unwrap();
        assert_eq!((key.scope, key.secret_access_key), (shop(), issued.secret_access_key.clone()));
        hands.0.store(60_000, Ordering::SeqCst);
        assert_eq!(after.lookup(&issued.access_key_id, Some(token(&issued))).unwrap_err(), KeyRefused::Expired);
    }

    #[tokio::test]
    async fn a_token_is_good_only_whole_and_with_its_own_id() {
        let (kept, hands) = (Arc::new(Kept::default()), Arc::new(Hands::default()));
        let keys = open(&kept, &hands).await;
        let one = keys.issue(&shop(), Duration::from_secs(60));
        let other = keys.issue(&Scope::Platform, Duration::from_secs(60));
        let refused = |id: &str, token: Option<&str>| keys.lookup(id, token).unwrap_err();
        assert_eq!(refused(&one.access_key_id, None), KeyRefused::Unknown);
        assert_eq!(refused(&one.access_key_id, Some(token(&other))), KeyRefused::Unknown);
        assert_eq!(refused(&keys.platform().access_key_id, Some(token(&other))), KeyRefused::Unknown);
        let (payload, seal) = token(&one).split_once('.').unwrap();
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let forged = URL_SAFE_NO_PAD.encode(claims.replace("shop-dev", "bank-dev"));
        assert_eq!(refused(&one.access_key_id, Some(&format!("{forged}.{seal}"))), KeyRefused::Unknown);
    }

    #[tokio::test]
    async fn keys_of_a_deleted_stack_stay_refused_when_its_name_comes_back() {
        let (kept, hands) = (Arc::new(Kept::default()), Arc::new(Hands::default()));
        let keys = open(&kept, &hands).await;
        let old = keys.issue(&shop(), Duration::from_secs(60));
        keys.revoke(&StackName::parse("shop-dev").unwrap()).await.unwrap();
        hands.0.store(1, Ordering::SeqCst);
        for keys in [keys, open(&kept, &hands).await] {
            assert_eq!(keys.lookup(&old.access_key_id, Some(token(&old))).unwrap_err(), KeyRefused::Unknown);
            let new = keys.issue(&shop(), Duration::from_secs(60));
            assert!(keys.lookup(&new.access_key_id, Some(token(&new))).is_ok());
        }
    }

    #[tokio::test]
    async fn a_key_never_lives_longer_than_the_limit() {
        let (kept, hands) = (Arc::new(Kept::default()), Arc::new(Hands::default()));
        let issued = open(&kept, &hands).await.issue(&shop(), Duration::from_secs(1_000_000));
        assert_eq!(issued.expires, Millis(0).plus(KEY_LIFE_MAX));
    }
}
