//! The keys that sign access tokens.
//!
//! Each key is a parameter of its own, written once and sealed; one record lists the keys in use. The parameter is
//! written first and the record moved by compare-and-swap, so that two processes that start at once agree.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::{Expect, Millis, ParameterName, Parameters, Secret};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};

use crate::jwt::ACCESS_TOKEN_LIFE;
use crate::store::{ATTEMPTS_MAX, Store, Stored, key};
use crate::{Error, Result};

/// A key signs for this long, then a new one takes over.
const KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A replaced key still verifies for this long.
const KEY_OVERLAP: Duration = Duration::from_secs(2 * ACCESS_TOKEN_LIFE.as_secs());
/// The list of keys is read again after this.
const LIST_FRESH: Duration = Duration::from_secs(60);
/// PKCS #8 v1 around a raw Ed25519 seed (RFC 8410, section 7).
const PKCS8_HEADER: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What becomes of the tokens that older keys have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTokens {
    /// They are valid until they expire.
    Expire,
    /// They are refused as soon as every process has read the list of keys again.
    End,
}

/// A key that was made on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedKey {
    pub kid: String,
    /// From when on no token of an older key is accepted anywhere, at the latest.
    pub old_tokens_end: Millis,
}

/// The keys in use, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct KeyList {
    keys: Vec<KeyEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeyEntry {
    kid: String,
    created: Millis,
    /// When a newer key took over.
    replaced: Option<Millis>,
}

/// A private JSON Web Key (RFC 8037). Anything but an Ed25519 signing key does not parse as one of ours.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateJwk {
    kty: String,
    crv: String,
    #[serde(rename = "use")]
    usage: String,
    alg: String,
    kid: String,
    d: String,
}

/// A key that is ready to use.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub kid: String,
    pub private: EncodingKey,
    pub public: DecodingKey,
}

pub(crate) struct SigningKeys {
    store: Store,
    parameters: Arc<dyn Parameters>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    list: Option<(KeyList, Millis)>,
    keys: HashMap<String, SigningKey>,
}

impl SigningKeys {
    pub fn new(store: Store, parameters: Arc<dyn Parameters>) -> Self {
        Self { store, parameters, cache: Mutex::default() }
    }

    /// The key that signs now; made when there is none, or when the last one is too old.
    pub async fn current(&self) -> Result<SigningKey> {
        for _ in 0..ATTEMPTS_MAX {
            let now = self.store.now();
            if let Some(newest) = self.list(false).await?.keys.last()
                && now.since(newest.created) < KEY_LIFE
            {
                return self.load(&newest.kid).await;
            }
            self.rotate(now).await?;
        }
        Err(Error::Corrupt("the list of signing keys does not settle".into()))
    }

    /// The key with this id, when its signatures still count.
    pub async fn verifying(&self, kid: &str) -> Result<Option<SigningKey>> {
        let find = |list: KeyList| list.keys.into_iter().find(|entry| entry.kid == kid);
        let known = match find(self.list(false).await?) {
            Some(entry) => Some(entry),
            None => find(self.list(true).await?),
        };
        let now = self.store.now();
        match known {
            Some(entry) if entry.replaced.is_none_or(|at| now.since(at) < KEY_OVERLAP) => {
                self.load(&entry.kid).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Makes a new key and appends it to the list, unless someone else changed the list meanwhile.
    async fn rotate(&self, now: Millis) -> Result<()> {
        let (list, expect) = self.stored().await?;
        if list.keys.last().is_some_and(|newest| now.since(newest.created) < KEY_LIFE) {
            self.remember(list);
            return Ok(());
        }
        self.append(list, expect, now, OldTokens::Expire).await.map(drop)
    }

    /// Makes a new key at once, whatever the age of the last one.
    pub async fn replace(&self, old: OldTokens) -> Result<RotatedKey> {
        for _ in 0..ATTEMPTS_MAX {
            let now = self.store.now();
            let (list, expect) = self.stored().await?;
            if let Some(kid) = self.append(list, expect, now, old).await? {
                let after = match old {
                    // A process that has not heard of the change signs with the old key, at most this long.
                    OldTokens::Expire => LIST_FRESH + ACCESS_TOKEN_LIFE,
                    OldTokens::End => LIST_FRESH,
                };
                return Ok(RotatedKey { kid, old_tokens_end: now.plus(after) });
            }
        }
        Err(Error::Corrupt("the list of signing keys does not settle".into()))
    }

    /// Writes a new key and puts it at the end of `list`; its id, or `None` when someone else changed the list.
    async fn append(&self, list: KeyList, expect: Expect, now: Millis, old: OldTokens) -> Result<Option<String>> {
        let kid = self.store.entropy.ulid(now);
        self.write_key(&kid).await?;
        let (mut kept, dropped) = match old {
            OldTokens::Expire => retire(list, now),
            OldTokens::End => (KeyList::default(), list.keys),
        };
        kept.keys.push(KeyEntry { kid: kid.clone(), created: now, replaced: None });
        if self.store.put_own(key::signing_keys(), &kept, expect, None).await?.is_none() {
            // A key that is listed is never deleted, however the write of the list was heard of.
            if self.list(true).await?.keys.iter().all(|entry| entry.kid != kid) {
                self.parameters.delete(&parameter(&kid)?).await?;
            }
            return Ok(None);
        }
        self.remember(kept);
        for old in dropped {
            self.parameters.delete(&parameter(&old.kid)?).await?;
        }
        Ok(Some(kid))
    }

    /// The list as it is now, and the token of a write that depends on it.
    async fn stored(&self) -> Result<(KeyList, Expect)> {
        let stored: Option<Stored<KeyList>> = self.store.get(&key::signing_keys()).await?;
        Ok(match stored {
            Some(stored) => (stored.value, Expect::At(stored.version)),
            None => (KeyList::default(), Expect::Absent),
        })
    }

    async fn write_key(&self, kid: &str) -> Result<()> {
        let jwk = PrivateJwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            usage: "sig".into(),
            alg: "EdDSA".into(),
            kid: kid.to_owned(),
            d: URL_SAFE_NO_PAD.encode(self.store.entropy.bytes::<32>()),
        };
        let text = serde_json::to_string(&jwk).map_err(|error| Error::Corrupt(error.to_string()))?;
        self.parameters.put(&parameter(kid)?, Secret::new(text), true).await?;
        Ok(())
    }

    async fn load(&self, kid: &str) -> Result<SigningKey> {
        if let Some(known) = self.cache().keys.get(kid) {
            return Ok(known.clone());
        }
        let name = parameter(kid)?;
        let parameter = self.parameters.get(&name).await?;
        let parameter =
            parameter.ok_or_else(|| Error::Corrupt(format!("signing key `{name}` is listed and missing")))?;
        let loaded = parse_key(kid, &parameter.value)?;
        self.cache().keys.insert(kid.to_owned(), loaded.clone());
        Ok(loaded)
    }

    /// The list of keys, at most `LIST_FRESH` old.
    async fn list(&self, anew: bool) -> Result<KeyList> {
        let now = self.store.now();
        let cached = self.cache().list.clone();
        if let Some((list, at)) = cached
            && !anew
            && now.since(at) < LIST_FRESH
        {
            return Ok(list);
        }
        let stored = self.store.get(&key::signing_keys()).await?;
        let list: KeyList = stored.map(|stored| stored.value).unwrap_or_default();
        self.remember(list.clone());
        Ok(list)
    }

    fn remember(&self, list: KeyList) {
        let mut cache = self.cache();
        cache.keys.retain(|kid, _| list.keys.iter().any(|entry| entry.kid == *kid));
        cache.list = Some((list, self.store.now()));
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the key is kept.
fn parameter(kid: &str) -> Result<ParameterName> {
    Ok(ParameterName::parse(format!("/identity/signing-keys/{kid}"))?)
}

/// Marks every key of `list` as replaced, and parts those that verify nothing any more.
fn retire(list: KeyList, now: Millis) -> (KeyList, Vec<KeyEntry>) {
    let replaced = list.keys.into_iter().map(|entry| KeyEntry { replaced: entry.replaced.or(Some(now)), ..entry });
    let (keys, dropped) = replaced.partition(|entry| entry.replaced.is_some_and(|at| now.since(at) < KEY_OVERLAP));
    (KeyList { keys }, dropped)
}

/// Reads a stored key: Ed25519, for signatures, with the id it is listed under. Any other key is refused.
fn parse_key(kid: &str, text: &Secret) -> Result<SigningKey> {
    let broken = || Error::Corrupt(format!("signing key `{kid}` is not an Ed25519 signing key"));
    let jwk: PrivateJwk = serde_json::from_str(text.expose()).map_err(|_| broken())?;
    let named = (jwk.kty.as_str(), jwk.crv.as_str(), jwk.usage.as_str(), jwk.alg.as_str(), jwk.kid.as_str());
    let seed = URL_SAFE_NO_PAD.decode(&jwk.d).map_err(|_| broken())?;
    if named != ("OKP", "Ed25519", "sig", "EdDSA", kid) || seed.len() != 32 {
        return Err(broken());
    }
    let private = EncodingKey::from_ed_der(&[PKCS8_HEADER.as_slice(), &seed].concat());
    let public = Jwk::from_encoding_key(&private, Algorithm::EdDSA).map_err(|_| broken())?;
    let AlgorithmParameters::OctetKeyPair(pair) = &public.algorithm else { return Err(broken()) };
    let public = DecodingKey::from_ed_components(&pair.x).map_err(|_| broken())?;
    Ok(SigningKey { kid: kid.to_owned(), private, public })
}
