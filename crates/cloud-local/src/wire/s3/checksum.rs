//! Bodies that are checked while they stream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::BlobStream;
use futures::StreamExt;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};

/// The next piece of a body must be there after this.
const PIECE_WAIT: Duration = Duration::from_secs(60);

/// What the client says its body is.
#[derive(Default)]
pub(super) struct Announced {
    pub md5: Option<String>,
    /// In headers; a digest in the trailer is read when it has come.
    pub digests: Checksum,
}

/// Why a body was refused while it streamed; the store saw only that it broke off.
#[derive(Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<S3Error>>>);

impl Verdict {
    /// The reason, if the body is to blame; otherwise what the store says.
    pub fn or(&self, stored: cloud::Error) -> S3Error {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match reason {
            Some(reason) => reason,
            None => body_error(stored),
        }
    }

    fn refuse(&self, reason: S3Error) -> std::io::Error {
        let text = reason.message().unwrap_or("the body is refused").to_owned();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        std::io::Error::other(text)
    }
}

/// The store's refusal of a body: its length is not what was announced.
fn body_error(error: cloud::Error) -> S3Error {
    match error {
        cloud::Error::Invalid(message) => S3Error::with_message(S3ErrorCode::IncompleteBody, message),
        other => super::port(other),
    }
}

/// The body as the store takes it: it ends with an error unless every digest announced is right.
pub(super) fn checked(
    body: Option<StreamingBlob>,
    announced: Announced,
    headers: &HeaderMap,
    trailers: Option<TrailingHeaders>,
) -> S3Result<(BlobStream, Verdict)> {
    let verdict = Verdict::default();
    let check = Check::new(announced, trailing_names(headers), trailers)?;
    let Some(body) = body else {
        let empty = check.finish().map_err(|reason| verdict.refuse(reason)).map(|()| bytes::Bytes::new());
        return Ok((futures::stream::iter([empty]).boxed(), verdict));
    };
    let state = (body, Some(check), verdict.clone());
    let stream = futures::stream::unfold(state, |(mut body, mut check, verdict)| async move {
        let piece = match tokio::time::timeout(PIECE_WAIT, body.next()).await {
            Ok(piece) => piece,
            Err(_) => {
                let late = S3Error::with_message(S3ErrorCode::RequestTimeout, "the body did not arrive in time");
                Some(Err(verdict.refuse(late).into()))
            }
        };
        let item = match (piece, &mut check) {
            (Some(Ok(piece)), Some(hashing)) => {
                hashing.update(&piece);
                Ok(piece)
            }
            (Some(Err(error)), _) => {
                check = None;
                Err(broken(&verdict, error))
            }
            (None, _) => match check.take()?.finish() {
                Ok(()) => return None,
                Err(reason) => Err(verdict.refuse(reason)),
            },
            (Some(Ok(_)), None) => return None,
        };
        Some((item, (body, check, verdict)))
    });
    Ok((stream.boxed(), verdict))
}

/// A body that broke off, or whose signed digest or chunk signature `s3s` found wrong.
fn broken(verdict: &Verdict, error: s3s::StdError) -> std::io::Error {
    match error.downcast::<std::io::Error>() {
        Ok(io) if io.kind() == std::io::ErrorKind::Other && io.get_ref().is_none() => *io,
        Ok(io) => verdict.refuse(S3Error::with_message(S3ErrorCode::IncompleteBody, io.to_string())),
        Err(error) => {
            let text = error.to_string();
            let code = match text.to_ascii_lowercase() {
                text if text.contains("checksum") || text.contains("sha256") => S3ErrorCode::BadDigest,
                text if text.contains("signature") => S3ErrorCode::SignatureDoesNotMatch,
                _ => S3ErrorCode::IncompleteBody,
            };
            verdict.refuse(S3Error::with_message(code, text))
        }
    }
}

struct Check {
    hasher: ChecksumHasher,
    md5: Option<(Md5, Vec<u8>)>,
    expected: Checksum,
    trailing: Vec<String>,
    trailers: Option<TrailingHeaders>,
}

impl Check {
    fn new(announced: Announced, trailing: Vec<String>, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        let md5 = announced.md5.map(|given| STANDARD.decode(given)).transpose();
        let md5 = md5.map_err(|_| S3Error::with_message(S3ErrorCode::InvalidDigest, "Content-MD5 is not Base64"))?;
        let expected = announced.digests;
        let wants =
            |header: &Option<String>, name: &str| header.is_some() || trailing.iter().any(|given| given == name);
        let hasher = ChecksumHasher {
            crc32: wants(&expected.checksum_crc32, "x-amz-checksum-crc32").then(Default::default),
            crc32c: wants(&expected.checksum_crc32c, "x-amz-checksum-crc32c").then(Default::default),
            sha1: wants(&expected.checksum_sha1, "x-amz-checksum-sha1").then(Default::default),
            sha256: wants(&expected.checksum_sha256, "x-amz-checksum-sha256").then(Default::default),
            crc64nvme: wants(&expected.checksum_crc64nvme, "x-amz-checksum-crc64nvme").then(Default::default),
        };
        Ok(Self { hasher, md5: md5.map(|expected| (Md5::new(), expected)), expected, trailing, trailers })
    }

    fn update(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        if let Some((md5, _)) = &mut self.md5 {
            md5.update(piece);
        }
    }

    fn finish(mut self) -> S3Result<()> {
        for name in &self.trailing {
            let value = self.trailers.as_ref().and_then(|trailers| {
                trailers.read(|headers| headers.get(name)?.to_str().ok().map(str::to_owned)).flatten()
            });
            let missing =
                || S3Error::with_message(S3ErrorCode::InvalidRequest, format!("the trailer `{name}` is missing"));
            let value = Some(value.ok_or_else(missing)?);
            match name.as_str() {
                "x-amz-checksum-crc32" => self.expected.checksum_crc32 = value,
                "x-amz-checksum-crc32c" => self.expected.checksum_crc32c = value,
                "x-amz-checksum-sha1" => self.expected.checksum_sha1 = value,
                "x-amz-checksum-sha256" => self.expected.checksum_sha256 = value,
                "x-amz-checksum-crc64nvme" => self.expected.checksum_crc64nvme = value,
                _ => {}
            }
        }
        if let Some((md5, expected)) = self.md5
            && md5.finalize().as_ref() != expected
        {
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, "Content-MD5 is not the digest of the body"));
        }
        let (found, expected) = (self.hasher.finalize(), self.expected);
        let pairs = [
            (found.checksum_crc32, expected.checksum_crc32),
            (found.checksum_crc32c, expected.checksum_crc32c),
            (found.checksum_sha1, expected.checksum_sha1),
            (found.checksum_sha256, expected.checksum_sha256),
            (found.checksum_crc64nvme, expected.checksum_crc64nvme),
        ];
        match pairs.into_iter().all(|(found, expected)| found == expected) {
            true => Ok(()),
            false => Err(S3Error::with_message(S3ErrorCode::BadDigest, "the checksum is not that of the body")),
        }
    }
}

/// The checksums that `x-amz-trailer` promises after the body.
fn trailing_names(headers: &HeaderMap) -> Vec<String> {
    let named = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
    let names = named.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| name.starts_with("x-amz-checksum-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(md5: Option<&str>, crc32: Option<&str>) -> Option<S3ErrorCode> {
        let announced = Announced {
            md5: md5.map(str::to_owned),
            digests: Checksum { checksum_crc32: crc32.map(str::to_owned), ..Checksum::default() },
        };
        let body = StreamingBlob::from(s3s::Body::from(bytes::Bytes::from_static(b"hello")));
        let (mut stream, verdict) = checked(Some(body), announced, &HeaderMap::new(), None).unwrap();
        while let Some(piece) = stream.next().await {
            if let Err(error) = piece {
                return Some(verdict.or(cloud::Error::other("a body", error)).code().clone());
            }
        }
        None
    }

    #[tokio::test]
    async fn a_body_passes_only_with_its_own_digests() {
        assert_eq!(outcome(None, None).await, None);
        assert_eq!(outcome(Some("XUFAKrxLKna5cZ2REBfFkg=="), Some("NhCmhg==")).await, None);
        assert_eq!(outcome(Some("XUFAKrxLKna5cZ2REBfFkQ=="), None).await, Some(S3ErrorCode::BadDigest));
        assert_eq!(outcome(None, Some("NhCmhw==")).await, Some(S3ErrorCode::BadDigest));
    }
}
