//! `Idempotency-Key`: a POST that is sent again gets the answer of the first, byte for byte, for a day.
//!
//! The answer may hold a secret that is shown once (a new token), so it is stored sealed, under a key that is made of
//! the caller's `Idempotency-Key` and request; neither is stored. Only answers of success are kept: a request that
//! failed had no effect and is made anew.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use cloud::limits::{GATEWAY_PAYLOAD_MAX, GATEWAY_TIMEOUT};
use cloud::{Clock, Entropy, Expect, Millis, Record, RecordKey, Records, Version, Write};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use identity::AccountId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::extract::read_body;
use crate::{Problem, principal_of};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key (characters).
const KEY_CHARS_MAX: usize = 255;
/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// After this a request without an answer has died: the gateway has given up on it.
const LEASE: Duration = Duration::from_secs(GATEWAY_TIMEOUT.as_secs() + 31);
/// Largest answer that is kept (bytes); a record holds it as base64.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The `Idempotency-Key` of a request, if it has one: one header of 1 to 255 visible characters.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let malformed =
        || Problem::malformed("Idempotency-Key has 1 to 255 visible ASCII characters.").at("Idempotency-Key");
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().map_err(|_| malformed())?;
    let fits = (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && values.next().is_none() { Ok(Some(key)) } else { Err(malformed()) }
}

/// The answers that are kept.
#[derive(Clone)]
pub(crate) struct Kept {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Serialize, Deserialize)]
struct KeptRecord {
    v: u8,
    /// Digest of the caller, the key and the request: tells a repetition from another request.
    request: String,
    /// Until when the request may still be running; no answer before.
    lease: Millis,
    answer: Option<Sealed>,
}

#[derive(Serialize, Deserialize)]
enum Sealed {
    Kept {
        nonce: String,
        text: String,
    },
    /// Too large to keep.
    Dropped,
}

/// An answer as it is sealed.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
}

/// One request with a key: where its record is, and what seals its answer.
struct Marked {
    at: RecordKey,
    request: String,
    seal: Key,
}

/// What to do with a request.
enum Turn {
    /// It is the first: run it, and keep its answer in place of this version.
    Run(Version),
    Answered(Response),
}

pub(crate) async fn replay(State(kept): State<Kept>, request: Request, next: Next) -> Response {
    match kept.attend(request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Kept {
    pub fn new(records: Arc<dyn Records>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { records, clock, entropy }
    }

    async fn attend(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let key = key_of(request.headers())?.map(ToOwned::to_owned);
        // Without a principal there is nobody whose key it could be (signing in).
        let account = principal_of(request.extensions()).map(|principal| principal.account);
        let (Some(key), Some(account), &Method::POST) = (key, account, request.method()) else {
            return Ok(next.run(request).await);
        };
        let (parts, body) = request.into_parts();
        let body = read_body(Request::from_parts(parts.clone(), body), GATEWAY_PAYLOAD_MAX).await?;
        let marked = mark(&account, &key, &parts, &body);
        match self.turn(&marked).await? {
            Turn::Answered(response) => Ok(response),
            Turn::Run(version) => {
                let response = next.run(Request::from_parts(parts, Body::from(body))).await;
                self.keep(&marked, version, response).await
            }
        }
    }

    /// Claims the key, or finds what came of the first request.
    async fn turn(&self, marked: &Marked) -> Result<Turn, Problem> {
        let now = self.clock.now();
        let stored = self.records.get(&marked.at).await.map_err(store_problem)?;
        let expect = match stored {
            None => Expect::Absent,
            Some(record) if record.expires.is_some_and(|expires| expires <= now) => Expect::At(record.version),
            Some(record) => match self.known(marked, &record, now)? {
                Some(response) => return Ok(Turn::Answered(response)),
                // It died on the way: whether it had an effect is the domain's to know, by its idempotency token.
                None => Expect::At(record.version),
            },
        };
        let running = KeptRecord { v: 1, request: marked.request.clone(), lease: now.plus(LEASE), answer: None };
        match self.write(marked, &running, expect).await {
            Ok(version) => Ok(Turn::Run(version)),
            Err(error) if error.is_condition_failed() => Err(running_problem()),
            Err(error) => Err(store_problem(error)),
        }
    }

    /// The answer to a repetition; `None` when the first request left none and its lease has passed.
    fn known(&self, marked: &Marked, record: &Record, now: Millis) -> Result<Option<Response>, Problem> {
        let kept: KeptRecord =
            serde_json::from_value(record.value.clone()).map_err(|error| Problem::internal().because(&error))?;
        if kept.request != marked.request {
            return Err(Problem::idempotency_mismatch());
        }
        match kept.answer {
            Some(Sealed::Kept { nonce, text }) => open(&marked.seal, &nonce, &text).map(Some),
            Some(Sealed::Dropped) => Err(Problem::conflict(
                "This request was done. Its answer was too large to be kept; read the result where it is listed.",
            )),
            None if kept.lease > now => Err(running_problem()),
            None => Ok(None),
        }
    }

    /// Keeps the answer of success; gives the key free after anything else.
    async fn keep(&self, marked: &Marked, version: Version, response: Response) -> Result<Response, Problem> {
        if !response.status().is_success() {
            let freed =
                self.records.transact(vec![Write::Delete { key: marked.at.clone(), expect: Expect::At(version) }]);
            if let Err(error) = freed.await {
                tracing::warn!(%error, "an idempotency key was not given free");
            }
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Problem::internal().because(&error))?.to_bytes();
        let record = KeptRecord {
            v: 1,
            request: marked.request.clone(),
            lease: self.clock.now(),
            answer: Some(self.seal(marked, &parts, &body)?),
        };
        // The work is done: an answer that cannot be kept is still given.
        if let Err(error) = self.write(marked, &record, Expect::At(version)).await {
            tracing::error!(%error, "the answer of an idempotent request was not kept");
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn seal(&self, marked: &Marked, parts: &http::response::Parts, body: &Bytes) -> Result<Sealed, Problem> {
        if body.len() > ANSWER_BYTES_MAX {
            return Ok(Sealed::Dropped);
        }
        let headers = parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        let answer = Answer { status: parts.status.as_u16(), headers: headers.collect(), body: STANDARD.encode(body) };
        let plain = serde_json::to_vec(&answer).map_err(|error| Problem::internal().because(&error))?;
        let nonce: [u8; 12] = self.entropy.bytes();
        let sealed = ChaCha20Poly1305::new(&marked.seal).encrypt(&Nonce::from(nonce), plain.as_slice());
        let text = STANDARD.encode(sealed.map_err(|_| Problem::internal())?);
        Ok(Sealed::Kept { nonce: STANDARD.encode(nonce), text })
    }

    async fn write(&self, marked: &Marked, record: &KeptRecord, expect: Expect) -> cloud::Result<Version> {
        let value = serde_json::to_value(record).map_err(|error| cloud::Error::other("writing an answer", error))?;
        let expires = Some(self.clock.now().plus(KEPT_FOR));
        let write = Write::Put { key: marked.at.clone(), value, expect, expires };
        let mut versions = self.records.transact(vec![write]).await?;
        Ok(versions.pop().flatten().expect("a put answers with a version"))
    }
}

/// Three independent digests of the caller, the key and the request: where, which, and the seal.
fn mark(account: &AccountId, key: &str, parts: &Parts, body: &Bytes) -> Marked {
    let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let content_type = parts.headers.get(CONTENT_TYPE).map_or(&[] as &[u8], HeaderValue::as_bytes);
    let owner = [account.as_str().as_bytes(), key.as_bytes()];
    let request = [owner[0], owner[1], parts.method.as_str().as_bytes(), target.as_bytes(), content_type, body];
    Marked {
        at: RecordKey::new(format!("idempotency#{account}"), hex::encode(digest("key", &owner))),
        request: hex::encode(digest("request", &request)),
        seal: Key::from(digest("seal", &request)),
    }
}

/// SHA-256 over parts with their lengths, so that no two lists of parts look alike.
fn digest(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [b"workroom idempotency".as_slice(), purpose.as_bytes()].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn open(seal: &Key, nonce: &str, text: &str) -> Result<Response, Problem> {
    let read = || {
        let nonce: [u8; 12] = STANDARD.decode(nonce).ok()?.try_into().ok()?;
        let sealed = STANDARD.decode(text).ok()?;
        let plain = ChaCha20Poly1305::new(seal).decrypt(&Nonce::from(nonce), sealed.as_slice()).ok()?;
        let answer: Answer = serde_json::from_slice(&plain).ok()?;
        let mut response = Response::new(Body::from(STANDARD.decode(answer.body).ok()?));
        *response.status_mut() = StatusCode::from_u16(answer.status).ok()?;
        for (name, value) in answer.headers {
            response.headers_mut().append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    };
    read().ok_or_else(Problem::internal)
}

fn running_problem() -> Problem {
    let problem = Problem::conflict("The first request with this Idempotency-Key is still running. Try again.");
    problem.retry_after(Duration::from_secs(1))
}

fn store_problem(error: cloud::Error) -> Problem {
    match error {
        // What is unclear is settled when the same key comes again.
        cloud::Error::Unavailable(_) | cloud::Error::Unclear(_) => Problem::unavailable().because(&error),
        error => Problem::internal().because(&error),
    }
}
