//! Git LFS for stock clients (git-lfs, docs/api): batches with presigned transfers, and locks.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cloud::{Millis, Presigned};
use domain::{
    BatchObject, Caller, Error, Lock, LockAttempt, LockFilter, ObjectRefusal, PageQuery, TRANSFER_LIFE, WantedObject,
};
use function::{App, JSON_BODY_MAX, LFS_MEDIA_TYPE, Path, Problem, Query, RawBody, base_address};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::git::{caller, project};

/// The one transfer there is: a PUT and a GET of the whole object.
const TRANSFER: &str = "basic";
const HASH: &str = "sha256";
/// Headers that clients write by themselves.
const CLIENTS_OWN: [&str; 2] = ["host", "content-length"];

pub fn routes() -> Router<App> {
    Router::new()
        .route("/git/{repository}/info/lfs/objects/batch", post(batch))
        .route("/git/{repository}/info/lfs/objects/verify", post(verify))
        .route("/git/{repository}/info/lfs/locks", get(list_locks).post(create_lock))
        .route("/git/{repository}/info/lfs/locks/verify", post(verify_locks))
        .route("/git/{repository}/info/lfs/locks/{lock}/unlock", post(unlock))
}

/// A problem, told in the words of Git LFS.
struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Quota(detail) => {
                let status = StatusCode::INSUFFICIENT_STORAGE;
                Self(Problem::new(status, "quota-exceeded", "Quota exceeded", detail))
            }
            error => Self(error.into()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.in_lfs_words().into_response()
    }
}

type Answer = Result<Response, Refusal>;

fn answer(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).map_err(|error| Problem::internal().because(&error))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(LFS_MEDIA_TYPE));
    Ok(response)
}

/// Whether a header names the media type of LFS; parameters do not count.
fn names_lfs(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next());
    types.any(|one| {
        let one = one.trim();
        one.eq_ignore_ascii_case(LFS_MEDIA_TYPE) || (*name == ACCEPT && matches!(one, "*/*" | "application/*"))
    })
}

/// Who asks, and that they take the answer.
async fn asked(app: &App, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = caller(app, parts).await?;
    if parts.headers.contains_key(ACCEPT) && !names_lfs(&parts.headers, &ACCEPT) {
        let detail = format!("The answer is {LFS_MEDIA_TYPE}.");
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Not acceptable", detail).into());
    }
    Ok(caller)
}

/// The body; members that nobody knows are left alone, so that newer clients are served.
async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    if !names_lfs(request.headers(), &CONTENT_TYPE) {
        return Err(Problem::unsupported_media_type(format!("Send the body as {LFS_MEDIA_TYPE}.")).into());
    }
    let RawBody(bytes) = RawBody::from_request(request, &()).await?;
    if bytes.len() > JSON_BODY_MAX {
        return Err(Problem::too_large(format!("The body has more than {JSON_BODY_MAX} bytes.")).into());
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail =
            format!("The body, at line {} column {}, is not what this route takes.", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => Problem::validation(detail).into(),
            _ => Problem::malformed(detail).into(),
        }
    })
}

#[derive(Deserialize)]
struct BatchRequest {
    operation: String,
    hash_algo: Option<String>,
    objects: Vec<ObjectRequest>,
}

#[derive(Deserialize)]
struct ObjectRequest {
    oid: String,
    size: i64,
}

impl From<ObjectRequest> for WantedObject {
    fn from(object: ObjectRequest) -> Self {
        Self { oid: object.oid, size: object.size }
    }
}

#[derive(Serialize)]
struct BatchView {
    transfer: &'static str,
    hash_algo: &'static str,
    objects: Vec<ObjectView>,
}

#[derive(Serialize)]
struct ObjectView {
    oid: String,
    size: i64,
    /// The actions carry their own permission: the client sends its password nowhere.
    authenticated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    actions: BTreeMap<&'static str, ActionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

#[derive(Clone, Serialize)]
struct ActionView {
    href: String,
    header: BTreeMap<String, String>,
    /// Seconds.
    expires_in: u64,
}

#[derive(Serialize)]
struct ErrorView {
    code: u16,
    message: String,
}

impl From<Presigned> for ActionView {
    fn from(presigned: Presigned) -> Self {
        let needed = |(name, _): &(String, String)| !CLIENTS_OWN.contains(&name.to_ascii_lowercase().as_str());
        let header = presigned.headers.into_iter().filter(needed).collect();
        Self { href: presigned.url, header, expires_in: TRANSFER_LIFE.as_secs() }
    }
}

impl ObjectView {
    /// `actions` are those of an object that is transferred; `code` that of every object, where none can be.
    fn of(object: BatchObject, actions: impl FnOnce(Presigned) -> BTreeMap<&'static str, ActionView>) -> Self {
        let WantedObject { oid, size } = object.wanted;
        let (actions, error) = match object.transfer {
            Ok(presigned) => (presigned.map(actions).unwrap_or_default(), None),
            Err(ObjectRefusal::Absent) => {
                (BTreeMap::new(), Some(ErrorView { code: 404, message: "Object does not exist".into() }))
            }
            Err(ObjectRefusal::Invalid(why)) => (BTreeMap::new(), Some(ErrorView { code: 422, message: why })),
            Err(ObjectRefusal::NoRoom(why)) => (BTreeMap::new(), Some(ErrorView { code: 507, message: why })),
        };
        Self { oid, size, authenticated: true, actions, error }
    }
}

/// What each object of a batch needs: nothing passes through here but their names.
async fn batch(State(app): State<App>, Path(repository): Path<String>, request: Request) -> Answer {
    let (parts, bytes) = request.into_parts();
    let caller = asked(&app, &parts).await?;
    let BatchRequest { operation, hash_algo, objects } = body(Request::from_parts(parts.clone(), bytes)).await?;
    if hash_algo.is_some_and(|name| name != HASH) {
        return answer(StatusCode::OK, &other_hash(objects));
    }
    let (project, lfs) = (project(&repository), &app.domain.lfs);
    let wanted = objects.into_iter().map(WantedObject::from).collect();
    let objects: Vec<ObjectView> = match operation.as_str() {
        "download" => {
            let found = lfs.download_batch(&caller, project, wanted).await?;
            let get = |presigned: Presigned| BTreeMap::from([("download", presigned.into())]);
            found.into_iter().map(|object| ObjectView::of(object, get)).collect()
        }
        "upload" => {
            let found = lfs.upload_batch(&caller, project, wanted).await?;
            let verify = verification(&app, &parts, project)?;
            let put = |presigned: Presigned| BTreeMap::from([("upload", presigned.into()), ("verify", verify.clone())]);
            found.into_iter().map(|object| ObjectView::of(object, put)).collect()
        }
        _ => return Err(Problem::validation("The operation is `upload` or `download`.").at("operation").into()),
    };
    answer(StatusCode::OK, &BatchView { transfer: TRANSFER, hash_algo: HASH, objects })
}

/// Objects named by digests that are not SHA-256.
fn other_hash(objects: Vec<ObjectRequest>) -> BatchView {
    let refused = objects.into_iter().map(|object| ObjectView {
        oid: object.oid,
        size: object.size,
        authenticated: true,
        actions: BTreeMap::new(),
        error: Some(ErrorView { code: 409, message: "Objects are named by their SHA-256 here".into() }),
    });
    BatchView { transfer: TRANSFER, hash_algo: HASH, objects: refused.collect() }
}

/// Where the client says that it has sent an object: here, with the credential that it has just proven.
fn verification(app: &App, parts: &Parts, project: &str) -> Result<ActionView, Refusal> {
    let base = base_address(&app.config, parts).ok_or_else(|| Problem::malformed("The request names no host."))?;
    let proof = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = proof.map(|proof| ("Authorization".to_owned(), proof.to_owned())).into_iter().collect();
    let href = format!("{base}/git/{project}.git/info/lfs/objects/verify");
    Ok(ActionView { href, header, expires_in: TRANSFER_LIFE.as_secs() })
}

async fn verify(State(app): State<App>, Path(repository): Path<String>, request: Request) -> Answer {
    let (parts, bytes) = request.into_parts();
    let caller = asked(&app, &parts).await?;
    let wanted: ObjectRequest = body(Request::from_parts(parts, bytes)).await?;
    app.domain.lfs.verify(&caller, project(&repository), &wanted.into()).await?;
    answer(StatusCode::OK, &json!({}))
}

#[derive(Deserialize)]
struct CreateLock {
    path: String,
}

#[derive(Deserialize)]
struct ListLocks {
    path: Option<String>,
    id: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VerifyLocks {
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Unlock {
    force: bool,
}

#[derive(Serialize)]
struct LockView {
    id: String,
    path: String,
    /// RFC 3339.
    locked_at: String,
    owner: OwnerView,
}

#[derive(Serialize)]
struct OwnerView {
    name: String,
}

impl From<Lock> for LockView {
    fn from(lock: Lock) -> Self {
        Self {
            id: lock.id.to_string(),
            path: lock.path.to_string(),
            locked_at: rfc3339(lock.created),
            owner: OwnerView { name: lock.owner_name },
        }
    }
}

/// In whole seconds; the start of 1970 for a time that no calendar has.
fn rfc3339(at: Millis) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at.as_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

/// LFS writes an empty cursor for the first page.
fn page(cursor: Option<String>, limit: Option<usize>) -> PageQuery {
    PageQuery { after: cursor.filter(|cursor| !cursor.is_empty()), limit }
}

async fn create_lock(State(app): State<App>, Path(repository): Path<String>, request: Request) -> Answer {
    let (parts, bytes) = request.into_parts();
    let caller = asked(&app, &parts).await?;
    let wanted: CreateLock = body(Request::from_parts(parts, bytes)).await?;
    match app.domain.lfs.lock(&caller, project(&repository), &wanted.path).await? {
        LockAttempt::Locked(lock) => answer(StatusCode::CREATED, &json!({ "lock": LockView::from(lock) })),
        LockAttempt::Taken(lock) => {
            let message = format!("already locked by {}", lock.owner_name);
            answer(StatusCode::CONFLICT, &json!({ "lock": LockView::from(lock), "message": message }))
        }
    }
}

async fn list_locks(
    State(app): State<App>,
    Path(repository): Path<String>,
    Query(query): Query<ListLocks>,
    request: Request,
) -> Answer {
    let parts = request.into_parts().0;
    let caller = asked(&app, &parts).await?;
    let filter = LockFilter { path: query.path, id: query.id };
    let wanted = page(query.cursor, query.limit);
    let found = app.domain.lfs.locks(&caller, project(&repository), &filter, &wanted).await?;
    let locks: Vec<LockView> = found.items.into_iter().map(LockView::from).collect();
    answer(StatusCode::OK, &json!({ "locks": locks, "next_cursor": found.next.unwrap_or_default() }))
}

async fn verify_locks(State(app): State<App>, Path(repository): Path<String>, request: Request) -> Answer {
    let (parts, bytes) = request.into_parts();
    let caller = asked(&app, &parts).await?;
    let query: VerifyLocks = body(Request::from_parts(parts, bytes)).await?;
    let wanted = page(query.cursor, query.limit);
    let found = app.domain.lfs.locks_to_push(&caller, project(&repository), &wanted).await?;
    let own = |lock: &Lock| lock.owner == caller.principal.account.as_str();
    let (ours, theirs): (Vec<Lock>, Vec<Lock>) = found.items.into_iter().partition(own);
    let views = |locks: Vec<Lock>| locks.into_iter().map(LockView::from).collect::<Vec<_>>();
    let next = found.next.unwrap_or_default();
    answer(StatusCode::OK, &json!({ "ours": views(ours), "theirs": views(theirs), "next_cursor": next }))
}

async fn unlock(State(app): State<App>, Path((repository, lock)): Path<(String, String)>, request: Request) -> Answer {
    let (parts, bytes) = request.into_parts();
    let caller = asked(&app, &parts).await?;
    let wanted: Unlock = body(Request::from_parts(parts, bytes)).await?;
    let gone = app.domain.lfs.unlock(&caller, project(&repository), &lock, wanted.force).await?;
    answer(StatusCode::OK, &json!({ "lock": LockView::from(gone) }))
}
