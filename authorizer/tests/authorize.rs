//! Authorizer events in, policies out.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use authorizer::{Refusal, authorize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::{Clock, SystemClock, SystemEntropy};
use identity::{
    Channel, EmailAddress, Identity, IdentitySettings, NewAccount, NewToken, Password, PersonName, Principal, Scope,
    SignedIn,
};
use serde_json::{Value, json};
use testkit::memory::{MemoryParameters, MemoryRecords};

const PASSWORD: &str = "correct horse battery";
const ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/dev";

async fn signed_in() -> (Identity, SignedIn) {
    let clock = Arc::new(SystemClock);
    let identity = Identity::new(IdentitySettings {
        records: Arc::new(MemoryRecords::new(clock.clone())),
        parameters: Arc::new(MemoryParameters::new(clock.clone())),
        clock,
        entropy: Arc::new(SystemEntropy),
        issuer: "workroom-test".into(),
        audience: "workroom-api".into(),
    });
    let new = NewAccount {
        email: EmailAddress::parse("dev@example.com").unwrap(),
        name: PersonName::parse("Zoë").unwrap(),
        password: Password::parse(PASSWORD).unwrap(),
        admin: false,
    };
    identity.accounts().create(new).await.unwrap();
    let signed_in = identity.sign_in("dev@example.com", PASSWORD).await.unwrap();
    (identity, signed_in)
}

/// An event as API Gateway sends it.
fn event(method: &str, headers: &[(&str, &str)]) -> Value {
    let mut multiple: BTreeMap<&str, Vec<&str>> = BTreeMap::from([("Host", vec!["localhost:8080"])]);
    for (name, value) in headers {
        multiple.entry(name).or_default().push(value);
    }
    let last: BTreeMap<&str, &str> = multiple.iter().map(|(name, values)| (*name, *values.last().unwrap())).collect();
    json!({
        "type": "REQUEST",
        "methodArn": format!("{ARN}/{method}/projects/shop/tree"),
        "resource": "/projects/{project}/tree",
        "path": "/projects/shop/tree",
        "httpMethod": method,
        "headers": last,
        "multiValueHeaders": multiple,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": { "project": "shop" },
        "stageVariables": null,
        "requestContext": { "apiId": "a1b2c3", "stage": "dev", "httpMethod": method, "requestId": "r" },
    })
}

fn context(policy: &Value) -> Principal {
    let context: BTreeMap<String, String> = serde_json::from_value(policy["context"].clone()).unwrap();
    Principal::from_context(&context).unwrap()
}

fn effect(policy: &Value) -> &str {
    policy["policyDocument"]["Statement"][0]["Effect"].as_str().unwrap()
}

#[tokio::test]
async fn every_channel_gets_a_policy_for_the_whole_stage() {
    let (identity, signed_in) = signed_in().await;
    let bearer = format!("Bearer {}", signed_in.access_token.expose());
    let cookie = format!("theme=dark; __Host-workroom={}", signed_in.session_cookie.as_ref().unwrap().expose());
    let by_bearer = authorize(&identity, event("GET", &[("Authorization", &bearer)])).await.unwrap();
    let principal = context(&by_bearer);
    assert_eq!(by_bearer["principalId"], json!(signed_in.account.id));
    assert_eq!(by_bearer["policyDocument"]["Statement"][0]["Resource"], json!([format!("{ARN}/*")]));
    let new = NewToken {
        name: "ci".into(),
        scopes: [Scope::Read].into_iter().collect(),
        project: None,
        expires: SystemClock.now().plus(std::time::Duration::from_secs(60)),
    };
    let (_, token) = identity.create_token(&principal, new).await.unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("dev:{}", token.expose())));
    for (name, value, channel) in [
        ("authorization", &bearer, Channel::Bearer),
        ("Authorization", &basic, Channel::Basic),
        ("cookie", &cookie, Channel::Cookie),
    ] {
        let policy = authorize(&identity, event("GET", &[(name, value)])).await.unwrap();
        assert_eq!((effect(&policy), context(&policy).channel), ("Allow", channel));
        assert_eq!(context(&policy).account, signed_in.account.id);
    }
}

#[tokio::test]
async fn whoever_proves_nothing_is_unauthorized() {
    let (identity, signed_in) = signed_in().await;
    let good = format!("Bearer {}", signed_in.access_token.expose());
    let cookie = format!("__Host-workroom={}", signed_in.session_cookie.as_ref().unwrap().expose());
    let both = format!("{cookie}; __Host-workroom=evil");
    let refresh = format!("Bearer {}", signed_in.refresh_token.expose());
    let password = format!("Basic {}", STANDARD.encode(format!("dev@example.com:{PASSWORD}")));
    let cases: [&[(&str, &str)]; 9] = [
        &[],
        &[("Authorization", "")],
        &[("Authorization", "Bearer x.y.z")],
        &[("Authorization", &refresh)],
        &[("Authorization", &password)],
        &[("Authorization", &good), ("Authorization", &good)],
        &[("Cookie", &both)],
        &[("Cookie", &cookie), ("Cookie", "__Host-workroom=evil")],
        &[("Authorization", "Bearer wrong"), ("Cookie", &cookie)],
    ];
    for headers in cases {
        let refusal = authorize(&identity, event("GET", headers)).await.unwrap_err();
        assert_eq!(refusal.to_string(), "Unauthorized", "{headers:?}");
    }
    identity.sign_out(&signed_in.session).await.unwrap();
    let gone = authorize(&identity, event("GET", &[("Authorization", &good)])).await;
    assert!(matches!(gone, Err(Refusal::Unauthorized)));
}

#[tokio::test]
async fn a_cookie_from_another_site_is_denied() {
    let (identity, signed_in) = signed_in().await;
    let cookie = format!("__Host-workroom={}", signed_in.session_cookie.as_ref().unwrap().expose());
    let bearer = format!("Bearer {}", signed_in.access_token.expose());
    let evil = ("Origin", "https://evil.example");
    let denied = authorize(&identity, event("POST", &[("Cookie", &cookie), evil])).await.unwrap();
    assert_eq!((effect(&denied), &denied["context"]), ("Deny", &json!({})));
    for allowed in [
        event("POST", &[("Cookie", &cookie), ("Origin", "http://localhost:8080")]),
        event("GET", &[("Cookie", &cookie), evil]),
        event("POST", &[("Authorization", &bearer), evil]),
    ] {
        assert_eq!(effect(&authorize(&identity, allowed).await.unwrap()), "Allow");
    }
}

#[tokio::test]
async fn an_event_of_another_kind_fails() {
    let (identity, signed_in) = signed_in().await;
    let bearer = format!("Bearer {}", signed_in.access_token.expose());
    let mut token_event = event("GET", &[("Authorization", &bearer)]);
    token_event.as_object_mut().unwrap().remove("httpMethod");
    let mut other_arn = event("GET", &[("Authorization", &bearer)]);
    other_arn["methodArn"] = json!("arn:aws:execute-api:eu-central-1:1:a1");
    for bad in [json!(null), json!({}), token_event, other_arn] {
        assert!(matches!(authorize(&identity, bad).await, Err(Refusal::Failed(_))));
    }
}
