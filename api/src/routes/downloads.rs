//! Files and archives: answers that may be large, streamed.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use domain::{ArchiveOf, FILE_READ_MAX};
use function::{App, Caller, Path, Problem, Query, etag_header};
use git_store::{ArchiveFormat, File};
use http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

/// The mode as git stores it, in octal.
const X_FILE_MODE: HeaderName = HeaderName::from_static("x-file-mode");
/// Git calls a file binary that has a NUL in so many first bytes.
const BINARY_LOOK: usize = 8000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_file)).routes(routes!(get_archive))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    /// Either this or `blob`.
    path: Option<String>,
    /// Any blob of the repository by its id: 40 hex digits.
    blob: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ArchiveQuery {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    /// A folder; the root when absent.
    path: Option<String>,
    format: ArchiveKind,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
enum ArchiveKind {
    #[serde(rename = "zip")]
    Zip,
    #[serde(rename = "tar.gz")]
    TarGz,
}

/// Reads a file; of a symlink, its text. Takes `Range`. A pointer of Git LFS has `X-Lfs-Oid` and `X-Lfs-Size` besides.
#[utoipa::path(get, path = "/projects/{project}/file", operation_id = "get_file", tag = "downloads",
    params(ProjectPath, FileQuery),
    responses((status = 200, description = "The bytes, with the blob's id as `ETag` and the mode as `X-File-Mode`.",
        content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "A part of the bytes.", content_type = "application/octet-stream", body = Vec<u8>),
        Refusals, (status = 416, description = "The file has no such part.")))]
async fn get_file(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<FileQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reference = query.reference.as_deref().unwrap_or("HEAD");
    let repository = &app.domain.repository;
    let file = match (&query.path, &query.blob) {
        (Some(path), None) => repository.file(&caller, &at.project, reference, path).await?,
        (None, Some(blob)) => repository.blob(&caller, &at.project, blob).await?,
        _ => return Err(Problem::malformed("Name either a path or a blob.").at("path")),
    };
    let pointer = domain::LfsPointer::parse(&file.bytes);
    let mut response = part_of(file, &headers)?;
    if let Some(pointer) = pointer {
        super::lfs_objects::tell(response.headers_mut(), &pointer)?;
    }
    Ok(response)
}

/// Packs the files of a commit, or of a folder of it, in one folder of the archive. The bytes are the same each time.
#[utoipa::path(get, path = "/projects/{project}/archive", operation_id = "get_archive", tag = "downloads",
    params(ProjectPath, ArchiveQuery),
    responses((status = 200, description = "The archive.", content_type = "application/octet-stream", body = Vec<u8>),
        Refusals))]
async fn get_archive(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<ArchiveQuery>,
) -> Result<Response, Problem> {
    let (format, content_type) = match query.format {
        ArchiveKind::Zip => (ArchiveFormat::Zip, "application/zip"),
        ArchiveKind::TarGz => (ArchiveFormat::TarGz, "application/gzip"),
    };
    let reference = query.reference.unwrap_or_else(|| "HEAD".into());
    let of = ArchiveOf { reference, path: query.path, format };
    let (stream, name) = app.domain.repository.archive(&caller, &at.project, of).await?;
    let mut response = Response::new(Body::from_stream(stream));
    let attached = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let attached = attached.map_err(|error| Problem::internal().because(&error))?;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_DISPOSITION, attached);
    Ok(response)
}

/// What a browser may take the bytes for: text and pictures, never anything that runs. It is an attachment all the
/// same, and the answer's policy is a sandbox.
fn content_type(bytes: &[u8]) -> &'static str {
    let pictures: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
    ];
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return "image/webp";
    }
    if let Some((_, kind)) = pictures.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return kind;
    }
    let is_text = !bytes[..bytes.len().min(BINARY_LOOK)].contains(&0) && std::str::from_utf8(bytes).is_ok();
    if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" }
}

/// One range of bytes (RFC 9110, section 14); what is no such thing is as if it were not there.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// First and last byte.
    Part(usize, usize),
    /// The file has no such part.
    Nothing,
}

fn wanted(headers: &HeaderMap, etag: &str, length: usize) -> Wanted {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else {
        return Wanted::All;
    };
    let fresh = headers.get(IF_RANGE).is_none_or(|sent| sent.as_bytes() == format!("\"{etag}\"").as_bytes());
    let range = value.strip_prefix("bytes=").filter(|range| fresh && !range.contains(','));
    let Some((first, last)) = range.and_then(|range| range.trim().split_once('-')) else { return Wanted::All };
    let number = |text: &str| -> Option<usize> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large to be a number is past the end of every file.
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => Wanted::Nothing,
        ("", _, _, Some(_)) if length == 0 => Wanted::Nothing,
        ("", _, _, Some(suffix)) => Wanted::Part(length - suffix.min(length), length - 1),
        (_, Some(first), "", _) if first < length => Wanted::Part(first, length - 1),
        (_, Some(first), _, Some(last)) if first <= last && first < length => Wanted::Part(first, last.min(length - 1)),
        (_, Some(first), _, Some(last)) if first > last => Wanted::All,
        (_, Some(_), "", _) | (_, Some(_), _, Some(_)) => Wanted::Nothing,
        _ => Wanted::All,
    }
}

fn part_of(file: File, headers: &HeaderMap) -> Result<Response, Problem> {
    let File { bytes, mode, oid } = file;
    let (etag, length) = (oid.to_string(), bytes.len());
    let kind = content_type(&bytes);
    let header = |text: String| HeaderValue::from_str(&text).map_err(|error| Problem::internal().because(&error));
    let (body, range) = match wanted(headers, &etag, length) {
        Wanted::All if length > FILE_READ_MAX => {
            let detail = format!("The file has over {FILE_READ_MAX} bytes: read it in parts, with Range.");
            return Err(Problem::too_large(detail));
        }
        Wanted::All => (bytes, None),
        Wanted::Part(first, last) => {
            let last = last.min(first + (FILE_READ_MAX - 1));
            (bytes.slice(first..=last), Some(format!("bytes {first}-{last}/{length}")))
        }
        Wanted::Nothing => {
            return Err(Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range-not-satisfiable",
                "Range not satisfiable",
                format!("The file has {length} bytes."),
            ));
        }
    };
    let mut response = Response::new(Body::from(body));
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_FILE_MODE, header(format!("{mode:06o}"))?);
    if let Some(etag) = etag_header(&etag) {
        headers.insert(ETAG, etag);
    }
    if let Some(range) = range {
        headers.insert(CONTENT_RANGE, header(range)?);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str, length: usize) -> Wanted {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]);
        wanted(&headers, "e", length)
    }

    #[test]
    fn one_range_is_read_and_what_is_none_is_left_alone() {
        assert_eq!(asked("bytes=0-3", 10), Wanted::Part(0, 3));
        assert_eq!(asked("bytes=4-", 10), Wanted::Part(4, 9));
        assert_eq!(asked("bytes=-3", 10), Wanted::Part(7, 9));
        assert_eq!(asked("bytes=-30", 10), Wanted::Part(0, 9));
        assert_eq!(asked("bytes=8-99999999999999999999999", 10), Wanted::Part(8, 9));
        for nothing in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(asked(nothing, 10), Wanted::Nothing, "{nothing}");
        }
        assert_eq!(asked("bytes=-1", 0), Wanted::Nothing);
        let many = format!("bytes={}", "0-1,".repeat(1000));
        for all in ["bytes=3-2", "bytes=a-b", "bytes=", "bytes=-", "lines=1-2", "bytes=1-2,4-5", "bytes=+1-2", &many] {
            assert_eq!(asked(all, 10), Wanted::All, "{all:.20}");
        }
        let mut headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        headers.insert(IF_RANGE, HeaderValue::from_static("\"other\""));
        assert_eq!(wanted(&headers, "e", 10), Wanted::All);
        headers.insert(IF_RANGE, HeaderValue::from_static("\"e\""));
        assert_eq!(wanted(&headers, "e", 10), Wanted::Part(0, 1));
    }

    #[test]
    fn nothing_is_served_as_what_could_run() {
        for (bytes, kind) in [
            (&b"<html><script>alert(1)</script>"[..], "text/plain; charset=utf-8"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text/plain; charset=utf-8"),
            (b"%PDF-1.7\n\x00", "application/octet-stream"),
            (b"\x89PNG\r\n\x1a\n....", "image/png"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"\xff\xfe", "application/octet-stream"),
            (b"", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(content_type(bytes), kind);
        }
    }
}
