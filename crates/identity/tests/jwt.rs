//! Access tokens that must be refused, and the few that must not. Names in front are those of the list of bad inputs.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use cloud::{Clock, Expect, ParameterName, Parameters, RecordKey, Records, Secret};
use common::{AUDIENCE, House, ISSUER, Key};
use hmac::{Hmac, Mac};
use identity::{AccountUpdate, AuthenticationError, Credential, OldTokens, SignedIn};
use serde_json::{Value, json};

/// A signed-in person, a victim, and all that a forger could know.
struct Scene {
    house: House,
    signed_in: SignedIn,
    victim: SignedIn,
    key: Key,
    attacker: Key,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new();
        let signed_in = house.signed_in("dev@example.com").await;
        let victim = house.signed_in("victim@example.com").await;
        let key = house.signing_key().await;
        let attacker = Key::from_seed(&key.kid, &[7; 32]);
        Self { house, signed_in, victim, key, attacker }
    }

    fn header(&self, change: Value) -> String {
        merged(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.key.kid}), change).to_string()
    }

    fn claims(&self, change: Value) -> String {
        let now = self.house.clock.now().as_secs();
        let valid = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": self.signed_in.account.id, "sid": self.signed_in.session,
            "jti": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "iat": now, "exp": now + 900,
        });
        merged(valid, change).to_string()
    }

    fn signed(&self, header: Value, claims: Value) -> String {
        self.key.sign(&self.header(header), &self.claims(claims))
    }
}

/// `change` laid over `base`; a null takes a member away.
fn merged(mut base: Value, change: Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

fn with_empty_signature(header: &str, claims: &str) -> String {
    format!("{}.{}.", B64.encode(header), B64.encode(claims))
}

fn hs256(header: &str, claims: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", B64.encode(mac.finalize().into_bytes()))
}

fn with_payload(token: &str, payload: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], B64.encode(payload), parts[2])
}

fn forged(scene: &Scene) -> Vec<(&'static str, String)> {
    let token = scene.signed_in.access_token.expose();
    let valid = scene.claims(json!({}));
    let victim = json!({"sub": scene.victim.account.id});
    let public = scene.key.public();
    let der = [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0], public.as_slice()].concat();
    let mac_header = scene.header(json!({"alg": "HS256", "typ": "JWT"}));
    let sql = scene.header(json!({"alg": "HS256", "kid": "x' UNION SELECT 'k';--"}));
    let parts: Vec<&str> = token.split('.').collect();
    let flattened = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let twice = valid.replacen('{', &format!("{{\"sub\":\"{}\",", scene.victim.account.id), 1);
    let none = |alg: &str| with_empty_signature(&scene.header(json!({"alg": alg, "typ": "JWT"})), &valid);
    vec![
        ("JWT-001", none("none")),
        ("JWT-002", none("None")),
        ("JWT-005", none("")),
        ("JWT-001 with our type", with_empty_signature(&scene.header(json!({"alg": "none"})), &valid)),
        ("JWT-008 DER", hs256(&mac_header, &valid, &der)),
        ("JWT-008 raw", hs256(&scene.header(json!({"alg": "HS256"})), &valid, &public)),
        ("JWT-012", with_payload(token, &scene.claims(victim.clone()))),
        ("JWT-017", hs256(&sql, &valid, b"k")),
        (
            "JWT-018",
            format!(
                "{}.{}.bad",
                B64.encode(scene.header(json!({"alg": "RS256", "kid": "A".repeat(1 << 20)}))),
                parts[1]
            ),
        ),
        ("JWT-020", scene.attacker.sign(&scene.header(json!({"jku": "http://127.0.0.1:9/jwks"})), &valid)),
        (
            "JWT-020 embedded key",
            scene.attacker.sign(
                &scene
                    .header(json!({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": B64.encode(scene.attacker.public())}})),
                &valid,
            ),
        ),
        ("JWT-023", scene.signed(json!({"crit": ["x"], "x": 1}), json!({}))),
        ("JWT-028", scene.signed(json!({}), json!({"nbf": "99999999999"}))),
        ("JWT-028 exp", scene.signed(json!({}), json!({"exp": "99999999999"}))),
        ("our signature under another algorithm", scene.signed(json!({"alg": "none"}), json!({}))),
        ("our signature as HS256", scene.signed(json!({"alg": "HS256"}), json!({}))),
        ("JWT-033", scene.signed(json!({}), json!({"aud": "other-service"}))),
        ("JWT-034", scene.signed(json!({}), json!({"aud": ["other", "x"]}))),
        ("JWT-034 with ours", scene.signed(json!({}), json!({"aud": [AUDIENCE, "x"]}))),
        ("JWT-035", scene.signed_in.refresh_token.expose().to_owned()),
        ("JWT-035 type", scene.signed(json!({"typ": "JWT"}), json!({}))),
        ("JWT-035 cookie", scene.signed_in.session_cookie.as_ref().unwrap().expose().to_owned()),
        ("JWT-040", scene.key.sign(&scene.header(json!({})), &twice)),
        ("JWT-041", scene.attacker.sign(&scene.header(json!({})), &scene.claims(json!({"role": "admin"})))),
        ("JWT-041 signed by us", scene.signed(json!({}), json!({"role": "admin"}))),
        ("JWT-042", flattened),
        ("JWT-043 four", format!("{token}.d")),
        ("JWT-043 five", format!("{token}.d.e")),
        ("JWT-043 two", format!("{}.{}", parts[0], parts[1])),
        ("JWT-046", format!("{}.{}.{}", B64.encode("[".repeat(100_000)), parts[1], parts[2])),
        ("JWT-046 short", format!("{}.{}.{}", B64.encode("[".repeat(1000)), parts[1], parts[2])),
        ("other issuer", scene.signed(json!({}), json!({"iss": "workroom-prod"}))),
        ("no expiry", scene.signed(json!({}), json!({"exp": null}))),
        ("session of another", scene.signed(json!({}), victim)),
        ("from the future", scene.signed(json!({}), json!({"iat": scene.house.clock.now().as_secs() + 3600}))),
        ("unknown key", scene.signed(json!({"kid": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}), json!({}))),
        ("padded", format!("{token}=")),
        (
            "standard alphabet",
            format!("{}.{}.{}", parts[0], parts[1], parts[2].replace('-', "+").replace('_', "/") + "+"),
        ),
        ("empty", String::new()),
        ("dots", "..".into()),
    ]
}

#[tokio::test]
async fn forged_tokens_are_refused_and_change_nothing() {
    let scene = Scene::new().await;
    assert!(scene.house.bearer(&scene.signed(json!({}), json!({}))).await.is_ok(), "the forge makes good tokens");
    let before = scene.house.records.dump();
    for (case, token) in forged(&scene) {
        let answer = scene.house.bearer(&token).await;
        assert!(matches!(answer, Err(AuthenticationError::Invalid(_))), "{case}: {answer:?}");
    }
    assert_eq!(scene.house.records.dump(), before);
}

#[tokio::test]
async fn jwt_051_a_token_is_good_until_its_last_second() {
    let scene = Scene::new().await;
    let now = scene.house.clock.now().as_secs();
    assert!(scene.house.bearer(&scene.signed(json!({}), json!({"exp": now + 1}))).await.is_ok());
    let gone = scene.house.bearer(&scene.signed(json!({}), json!({"exp": now}))).await;
    assert!(matches!(gone, Err(AuthenticationError::Expired)), "{gone:?}");
}

#[tokio::test]
async fn a_token_ends_after_fifteen_minutes() {
    let scene = Scene::new().await;
    let token = scene.signed_in.access_token.expose();
    scene.house.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert!(scene.house.bearer(token).await.is_ok());
    scene.house.clock.advance(Duration::from_secs(1));
    assert!(matches!(scene.house.bearer(token).await, Err(AuthenticationError::Expired)));
}

#[tokio::test]
async fn jwt_047_a_token_ends_with_its_session() {
    let scene = Scene::new().await;
    let token = scene.signed_in.access_token.expose();
    assert!(scene.house.bearer(token).await.is_ok());
    scene.house.identity.sign_out(&scene.signed_in.session).await.unwrap();
    assert!(matches!(scene.house.bearer(token).await, Err(AuthenticationError::Revoked)));
    assert!(scene.house.bearer(scene.victim.access_token.expose()).await.is_ok());
}

#[tokio::test]
async fn jwt_048_a_token_ends_with_its_account() {
    let scene = Scene::new().await;
    let (dev, victim) = (&scene.signed_in, &scene.victim);
    let disable = AccountUpdate { disabled: Some(true), ..AccountUpdate::default() };
    scene.house.identity.accounts().update(&dev.account.id, disable, None).await.unwrap();
    assert!(matches!(scene.house.bearer(dev.access_token.expose()).await, Err(AuthenticationError::Revoked)));
    let key = RecordKey::new(format!("account#{}", victim.account.id), "account");
    let records: &dyn Records = &scene.house.records;
    records.delete(key, Expect::Present).await.unwrap();
    assert!(matches!(scene.house.bearer(victim.access_token.expose()).await, Err(AuthenticationError::Revoked)));
}

#[tokio::test]
async fn jwt_045_and_050_a_stored_key_of_another_kind_verifies_nothing() {
    let scene = Scene::new().await;
    let name = ParameterName::parse(format!("/identity/signing-keys/{}", scene.key.kid)).unwrap();
    let stored = scene.house.parameters.get(&name).await.unwrap().unwrap();
    let good: Value = serde_json::from_str(stored.value.expose()).unwrap();
    let kinds = [
        ("JWT-045 use", json!({"use": "enc"})),
        ("JWT-045 key_ops", json!({"key_ops": ["encrypt"]})),
        ("JWT-050", json!({"kty": "RSA", "alg": "RS256", "crv": null, "n": B64.encode([0xff; 64]), "e": "AQAB"})),
        ("another id", json!({"kid": "01ARZ3NDEKTSV4RRFFQ69G5FAV"})),
        ("a short seed", json!({"d": B64.encode([1; 31])})),
    ];
    for (case, change) in kinds {
        let bad = Secret::new(merged(good.clone(), change).to_string());
        scene.house.parameters.put(&name, bad, true).await.unwrap();
        let fresh = scene.house.restarted();
        let bearer = identity::Credential::Bearer(scene.signed_in.access_token.clone());
        assert!(fresh.authenticate(&bearer).await.is_err(), "{case}");
    }
    scene.house.parameters.put(&name, stored.value, true).await.unwrap();
    let bearer = identity::Credential::Bearer(scene.signed_in.access_token.clone());
    assert!(scene.house.restarted().authenticate(&bearer).await.is_ok());
}

#[tokio::test]
async fn keys_rotate_and_the_old_one_verifies_until_its_tokens_are_gone() {
    let scene = Scene::new().await;
    scene.house.clock.advance(Duration::from_secs(30 * 24 * 60 * 60));
    let identity = &scene.house.identity;
    let before = scene.house.signing_key().await.kid;
    let renewed = identity.sign_in("dev@example.com", common::PASSWORD).await.unwrap();
    let after = scene.house.signing_key().await.kid;
    assert_ne!(before, after);
    assert!(scene.house.bearer(renewed.access_token.expose()).await.is_ok());
    let now = scene.house.clock.now().as_secs();
    let claims = json!({"sid": renewed.session, "iat": now, "exp": now + 900});
    let by_old = scene.key.sign(&scene.header(json!({})), &scene.claims(claims));
    assert!(scene.house.bearer(&by_old).await.is_ok(), "a token signed just before the change");
    scene.house.clock.advance(Duration::from_secs(30 * 60));
    let now = scene.house.clock.now().as_secs();
    let claims = json!({"sid": renewed.session, "iat": now, "exp": now + 900});
    let late = scene.key.sign(&scene.header(json!({})), &scene.claims(claims));
    assert!(matches!(scene.house.bearer(&late).await, Err(AuthenticationError::Invalid(_))));
}

#[tokio::test]
async fn a_key_is_replaced_at_once_and_the_old_ones_tokens_expire_by_themselves() {
    let scene = Scene::new().await;
    let (house, old) = (&scene.house, scene.signed_in.access_token.expose());
    let elsewhere = house.restarted();
    let bearer = Credential::Bearer(scene.signed_in.access_token.clone());
    assert!(elsewhere.authenticate(&bearer).await.is_ok());
    house.clock.advance(Duration::from_secs(1));
    let rotated = house.identity.rotate_signing_key(OldTokens::Expire).await.unwrap();
    assert_ne!(rotated.kid, scene.key.kid);
    assert_eq!(rotated.old_tokens_end, house.clock.now().plus(Duration::from_secs(16 * 60)));
    let renewed = house.identity.refresh(scene.signed_in.refresh_token.expose()).await.unwrap();
    assert_eq!(house.signing_key().await.kid, rotated.kid, "the new key signs");
    let renewed = Credential::Bearer(renewed.access_token);
    for process in [&house.identity, &elsewhere] {
        assert!(process.authenticate(&bearer).await.is_ok());
        assert!(process.authenticate(&renewed).await.is_ok(), "also where the old list is still known");
    }
    house.clock.advance(Duration::from_secs(16 * 60));
    assert!(house.bearer(old).await.is_err(), "expired");
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_tokens_everywhere_within_a_minute() {
    let scene = Scene::new().await;
    let house = &scene.house;
    let elsewhere = house.restarted();
    let bearer = Credential::Bearer(scene.signed_in.access_token.clone());
    assert!(elsewhere.authenticate(&bearer).await.is_ok());
    let rotated = house.identity.rotate_signing_key(OldTokens::End).await.unwrap();
    assert!(house.identity.authenticate(&bearer).await.is_err(), "here at once");
    assert_eq!(rotated.old_tokens_end, house.clock.now().plus(Duration::from_secs(60)));
    house.clock.advance(Duration::from_secs(60));
    assert!(elsewhere.authenticate(&bearer).await.is_err());
    let renewed = house.identity.refresh(scene.signed_in.refresh_token.expose()).await.unwrap();
    assert!(elsewhere.authenticate(&Credential::Bearer(renewed.access_token)).await.is_ok(), "the session stays");
    let kept = house.parameters.list("/identity/signing-keys/", None, 10).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|parameter| parameter.name.as_str().to_owned()).collect();
    assert_eq!(kept, [format!("/identity/signing-keys/{}", rotated.kid)], "the old key is deleted");
}

#[tokio::test]
async fn keys_that_are_replaced_at_once_by_two_are_both_listed() {
    let scene = Scene::new().await;
    let (a, b) = (scene.house.restarted(), scene.house.restarted());
    let (one, two) = tokio::join!(a.rotate_signing_key(OldTokens::Expire), b.rotate_signing_key(OldTokens::Expire));
    let kids = [one.unwrap().kid, two.unwrap().kid];
    let kept = scene.house.parameters.list("/identity/signing-keys/", None, 10).await.unwrap();
    assert_eq!(kept.len(), 3);
    for kid in kids {
        assert!(kept.iter().any(|parameter| parameter.name.as_str().ends_with(&kid)), "{kid}");
    }
    let bearer = Credential::Bearer(scene.signed_in.access_token.clone());
    assert!(scene.house.restarted().authenticate(&bearer).await.is_ok());
}

/// What docs/operations.md tells to do when a key has leaked.
#[tokio::test]
async fn when_the_list_of_keys_is_deleted_every_token_ends_within_a_minute_and_sessions_stay() {
    let scene = Scene::new().await;
    let (house, old) = (&scene.house, scene.signed_in.access_token.expose());
    let list = RecordKey::new("identity", "signing-keys");
    house.records.transact(vec![cloud::Write::Delete { key: list, expect: Expect::Anything }]).await.unwrap();
    house.clock.advance(Duration::from_secs(60));
    assert!(matches!(house.bearer(old).await, Err(AuthenticationError::Invalid(_))));
    let renewed = house.identity.refresh(scene.signed_in.refresh_token.expose()).await.unwrap();
    assert!(house.bearer(renewed.access_token.expose()).await.is_ok());
    assert_ne!(house.signing_key().await.kid, scene.key.kid);
    assert!(matches!(house.bearer(old).await, Err(AuthenticationError::Invalid(_))), "a new key revives no old token");
}

#[tokio::test]
async fn two_processes_that_rotate_at_once_agree_on_the_key() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let house = House::new();
    house.signed_in("a@example.com").await;
    house.clock.advance(DAY * 20);
    let person = house.identity.sign_in("a@example.com", common::PASSWORD).await.unwrap();
    let other = house.identity.sign_in("a@example.com", common::PASSWORD).await.unwrap();
    house.clock.advance(DAY * 10);
    let (a, b) = (house.restarted(), house.restarted());
    // Nothing slow is between the two: each reads the old list before either has written.
    let (one, two) = tokio::join!(a.refresh(person.refresh_token.expose()), b.refresh(other.refresh_token.expose()));
    for refreshed in [one.unwrap(), two.unwrap()] {
        let bearer = identity::Credential::Bearer(refreshed.access_token);
        for process in [&a, &b, &house.restarted()] {
            assert!(process.authenticate(&bearer).await.is_ok());
        }
    }
    let keys = house.parameters.list("/identity/signing-keys/", None, 10).await.unwrap();
    assert_eq!(keys.len(), 2, "the old key and one new one");
    assert!(keys.iter().all(|key| key.sealed));
}
