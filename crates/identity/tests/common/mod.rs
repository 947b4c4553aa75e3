//! One deployment in memory, with people in it.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::{Clock, Millis, Parameters, Secret, SystemEntropy};
use identity::{
    Account, AuthenticationError, Credential, EmailAddress, Identity, IdentitySettings, NewAccount, Password,
    PersonName, Principal, SignedIn,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use testkit::memory::{MemoryParameters, MemoryRecords};

pub const PASSWORD: &str = "correct horse battery";
pub const ISSUER: &str = "workroom-test";
pub const AUDIENCE: &str = "workroom-api";

/// A clock that moves when told to.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

pub struct House {
    pub identity: Arc<Identity>,
    pub records: MemoryRecords,
    pub parameters: MemoryParameters,
    pub clock: Arc<HandClock>,
}

impl House {
    pub fn new() -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(1_790_000_000_000)));
        let records = MemoryRecords::new(clock.clone());
        let parameters = MemoryParameters::new(clock.clone());
        let identity = Arc::new(another_process(&records, &parameters, &clock, ISSUER));
        Self { identity, records, parameters, clock }
    }

    /// The same deployment in a new process.
    pub fn restarted(&self) -> Identity {
        another_process(&self.records, &self.parameters, &self.clock, ISSUER)
    }

    pub async fn person(&self, email: &str) -> Account {
        let new = NewAccount {
            email: EmailAddress::parse(email).unwrap(),
            name: PersonName::parse("A Person").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
            admin: false,
        };
        self.identity.accounts().create(new).await.unwrap()
    }

    pub async fn signed_in(&self, email: &str) -> SignedIn {
        self.person(email).await;
        self.identity.sign_in(email, PASSWORD).await.unwrap()
    }

    pub async fn bearer(&self, token: &str) -> Result<Principal, AuthenticationError> {
        self.identity.authenticate(&Credential::Bearer(Secret::new(token))).await
    }

    pub async fn principal(&self, signed_in: &SignedIn) -> Principal {
        self.bearer(signed_in.access_token.expose()).await.unwrap()
    }

    /// The deployment's own signing key: for tokens that only we could have made.
    pub async fn signing_key(&self) -> Key {
        let stored = self.parameters.list("/identity/signing-keys/", None, 10).await.unwrap();
        let jwk: serde_json::Value = serde_json::from_str(stored.last().unwrap().value.expose()).unwrap();
        let seed = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
        Key::from_seed(jwk["kid"].as_str().unwrap(), &seed)
    }
}

pub fn another_process(
    records: &MemoryRecords,
    parameters: &MemoryParameters,
    clock: &Arc<HandClock>,
    issuer: &str,
) -> Identity {
    Identity::new(IdentitySettings {
        records: Arc::new(records.clone()),
        parameters: Arc::new(parameters.clone()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        issuer: issuer.into(),
        audience: AUDIENCE.into(),
    })
}

/// A key that signs whatever a test wants signed.
pub struct Key {
    pub kid: String,
    private: EncodingKey,
}

impl Key {
    pub fn from_seed(kid: &str, seed: &[u8]) -> Self {
        let header = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        Self { kid: kid.into(), private: EncodingKey::from_ed_der(&[header.as_slice(), seed].concat()) }
    }

    /// The raw public key, as its JSON Web Key spells it.
    pub fn public(&self) -> Vec<u8> {
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&self.private, Algorithm::EdDSA).unwrap();
        let jwk = serde_json::to_value(jwk).unwrap();
        URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap()
    }

    /// A compact token of exactly these header and payload texts.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }
}
