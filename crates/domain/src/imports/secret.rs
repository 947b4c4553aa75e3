//! The credential of an import while its job waits and runs. The record is sealed, and the key is in the job's message
//! alone: neither tells anything without the other, and both go when the job ends.

use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use cloud::{Entropy, Expect, Millis, RecordKey, Secret, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Result};

/// A record that nobody removes goes by itself.
const KEPT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the server of an import asks for.
#[derive(Clone)]
pub struct ImportCredential {
    pub username: String,
    pub password: Secret,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    username: String,
    password: String,
}

#[derive(Serialize, Deserialize)]
struct SealedRecord {
    v: u32,
    nonce: String,
    sealed: String,
}

fn broken() -> Error {
    Error::internal("reading an import's credential", "it cannot be opened")
}

/// The write that keeps a credential, and the key that opens it.
pub(super) fn seal(
    entropy: &dyn Entropy,
    now: Millis,
    key: RecordKey,
    credential: &ImportCredential,
) -> Result<(Write, Secret)> {
    let (opener, nonce): ([u8; 32], [u8; 12]) = (entropy.bytes(), entropy.bytes());
    let (username, password) = (credential.username.clone(), credential.password.expose().to_owned());
    let plain = json!(Plain { username, password }).to_string();
    let sealed = ChaCha20Poly1305::new(&Key::from(opener)).encrypt(&Nonce::from(nonce), plain.as_bytes());
    let sealed = hex::encode(sealed.map_err(|_| broken())?);
    let value = json!(SealedRecord { v: 1, nonce: hex::encode(nonce), sealed });
    let write = Write::Put { key, value, expect: Expect::Absent, expires: Some(now.plus(KEPT_MAX)) };
    Ok((write, Secret::new(hex::encode(opener))))
}

/// The credential of a record, if the key is its own.
pub(super) fn open(record: &cloud::Record, opener: &str) -> Result<ImportCredential> {
    let read = || {
        let stored = SealedRecord::deserialize(&record.value).ok()?;
        let opener: [u8; 32] = hex::decode(opener).ok()?.try_into().ok()?;
        let nonce: [u8; 12] = hex::decode(stored.nonce).ok()?.try_into().ok()?;
        let sealed = hex::decode(stored.sealed).ok()?;
        let plain = ChaCha20Poly1305::new(&Key::from(opener)).decrypt(&Nonce::from(nonce), sealed.as_slice()).ok()?;
        serde_json::from_slice::<Plain>(&plain).ok()
    };
    let Plain { username, password } = read().ok_or_else(broken)?;
    Ok(ImportCredential { username, password: Secret::new(password) })
}
