//! `Blobs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::PRESIGN_MAX;
use cloud::{
    Blob, BlobKey, BlobStream, Blobs, ByteRange, ETag, PresignGet, PresignPut, PutCondition, PutOptions, Sha256Digest,
    collect, stream_of,
};
use futures::{StreamExt, stream};

use super::{absent, blobs_races, blobs_uploads, fresh, invalid, lost, ok};

const LIMIT: usize = 64 * 1024 * 1024;
/// Sizes around what adapters may treat apart: nothing, small, a page, large, and not a multiple of anything.
const SIZES: [usize; 7] = [0, 1, 4096, 32 * 1024, 32 * 1024 + 1, 600_001, 3_000_007];

/// Everything that `Blobs` promises. Presigned URLs are only made here; that they work is a matter of the wire.
pub async fn blobs(adapter: Arc<dyn Blobs>) {
    blobs_without_parts(adapter.clone()).await;
    blobs_uploads::uploads(&*adapter, &fresh("blobs")).await;
}

/// As `blobs`, for a stranger whose uploads in parts are not to be relied on.
pub async fn blobs_without_parts(adapter: Arc<dyn Blobs>) {
    let root = fresh("blobs");
    what_is_put_is_got(&*adapter, &root).await;
    what_is_stored_beside_is_kept(&*adapter, &root).await;
    ranges_are_cut(&*adapter, &root).await;
    conditions_hold_or_nothing_is_stored(&*adapter, &root).await;
    a_wrong_body_is_not_stored(&*adapter, &root).await;
    a_broken_body_is_not_stored(&*adapter, &root).await;
    lists_are_in_byte_order(&*adapter, &root).await;
    keys_are_taken_as_they_are(&*adapter, &root).await;
    deletion_is_final_and_may_repeat(&*adapter, &root).await;
    presigned_urls_are_bounded(&*adapter, &root).await;
    blobs_races::races(&adapter, &root).await;
}

pub(super) fn key(root: &str, rest: &str) -> BlobKey {
    ok(BlobKey::parse(format!("{root}/{rest}")))
}

/// Bytes that differ from place to place.
pub(super) fn body(length: usize, seed: u8) -> Bytes {
    (0..length).map(|at| (at.wrapping_mul(31) >> 3) as u8 ^ seed).collect::<Vec<u8>>().into()
}

/// A body in pieces of uneven length.
fn pieces(whole: &Bytes) -> BlobStream {
    let (mut rest, mut length, mut chunks) = (whole.clone(), 1, Vec::new());
    while !rest.is_empty() {
        chunks.push(Ok(rest.split_to(length.min(rest.len()))));
        length = (length * 3 + 1).min(300_000);
    }
    stream::iter(chunks).boxed()
}

pub(super) async fn content(blob: Blob) -> Bytes {
    ok(collect(blob, LIMIT).await)
}

async fn what_is_put_is_got(adapter: &dyn Blobs, root: &str) {
    for (number, length) in SIZES.into_iter().enumerate() {
        let whole = body(length, 1);
        let (put, streamed) = (key(root, &format!("put/{number}")), key(root, &format!("streamed/{number}")));
        absent(adapter.get(&put, None).await, "a blob nobody put");
        let etag = ok(adapter.put(&put, whole.clone(), PutOptions::default()).await);
        let meta = ok(adapter.put_stream(&streamed, pieces(&whole), PutOptions::default()).await);
        assert_eq!(meta.length, length as u64);
        for (at, etag) in [(&put, &etag), (&streamed, &meta.etag)] {
            let blob = ok(adapter.get(at, None).await);
            assert_eq!((&blob.meta.key, blob.meta.length, &blob.meta.etag), (at, length as u64, etag));
            assert_eq!(blob.range, 0..length as u64);
            assert!(!etag.0.contains('"'), "an etag in quotes");
            assert!(content(blob).await == whole, "{length} bytes changed on their way");
            assert_eq!(ok(adapter.head(at).await).etag, *etag);
        }
    }
    let at = key(root, "put/0");
    let old = ok(adapter.head(&at).await).etag;
    let new = ok(adapter.put(&at, body(10, 9), PutOptions::default()).await);
    assert_ne!(old, new, "another content has another etag");
    assert_eq!(content(ok(adapter.get(&at, None).await)).await, body(10, 9));
}

async fn what_is_stored_beside_is_kept(adapter: &dyn Blobs, root: &str) {
    let at = key(root, "beside");
    let options = PutOptions {
        content_type: Some("text/html; charset=utf-8".into()),
        content_encoding: Some("br".into()),
        cache_control: Some("public, max-age=60".into()),
        ..PutOptions::default()
    };
    ok(adapter.put(&at, body(5, 0), options.clone()).await);
    let meta = ok(adapter.head(&at).await);
    assert_eq!(meta.content_type, options.content_type);
    assert_eq!(meta.content_encoding, options.content_encoding);
    assert_eq!(meta.cache_control, options.cache_control);
    ok(adapter.put(&at, body(5, 0), PutOptions::default()).await);
    assert_eq!(ok(adapter.head(&at).await).content_encoding, None, "a new put keeps nothing of the old");
}

async fn ranges_are_cut(adapter: &dyn Blobs, root: &str) {
    for length in [1000_usize, 700_000] {
        let (at, whole) = (key(root, &format!("range/{length}")), body(length, 3));
        ok(adapter.put(&at, whole.clone(), PutOptions::default()).await);
        let end = length as u64;
        let cases = [
            (ByteRange::From(0), 0..end),
            (ByteRange::From(end - 1), end - 1..end),
            (ByteRange::Within { start: 0, end: 1 }, 0..1),
            (ByteRange::Within { start: 10, end: end - 10 }, 10..end - 10),
            (ByteRange::Within { start: 990, end: u64::MAX }, 990..end),
            (ByteRange::Last(7), end - 7..end),
            (ByteRange::Last(u64::MAX), 0..end),
        ];
        for (range, expected) in cases {
            let blob = ok(adapter.get(&at, Some(range)).await);
            assert_eq!((&blob.range, blob.meta.length), (&expected, end), "{range:?}");
            let part = whole.slice(expected.start as usize..expected.end as usize);
            assert!(content(blob).await == part, "{range:?} of {length}");
        }
        for range in [ByteRange::From(end), ByteRange::Last(0), ByteRange::Within { start: 5, end: 5 }] {
            invalid(adapter.get(&at, Some(range)).await, "a range of no byte");
        }
    }
}

async fn conditions_hold_or_nothing_is_stored(adapter: &dyn Blobs, root: &str) {
    for length in [3, 100_000] {
        let at = key(root, &format!("condition/{length}"));
        let with = |condition| PutOptions { condition, ..PutOptions::default() };
        let never = PutCondition::IfMatch(ETag("0123456789".into()));
        assert!(adapter.put(&at, body(length, 1), with(never.clone())).await.is_err(), "If-Match without a blob");
        absent(adapter.head(&at).await, "a blob that lost its condition");
        let first = ok(adapter.put(&at, body(length, 1), with(PutCondition::IfAbsent)).await);
        lost(adapter.put(&at, body(length, 2), with(PutCondition::IfAbsent)).await, "If-None-Match beside a blob");
        lost(adapter.put(&at, body(length, 2), with(never)).await, "If-Match of another etag");
        assert!(content(ok(adapter.get(&at, None).await)).await == body(length, 1), "a lost put changed the blob");
        let options = with(PutCondition::IfMatch(first.clone()));
        ok(adapter.put_stream(&at, stream_of(body(length, 3)), options).await);
        lost(adapter.put(&at, body(length, 4), with(PutCondition::IfMatch(first))).await, "If-Match of an old etag");
        assert!(content(ok(adapter.get(&at, None).await)).await == body(length, 3));
    }
}

async fn a_wrong_body_is_not_stored(adapter: &dyn Blobs, root: &str) {
    for length in [10_usize, 200_000] {
        let (at, whole) = (key(root, &format!("wrong/{length}")), body(length, 1));
        let right = Sha256Digest::of(&whole);
        let digest = |sha256| PutOptions { sha256: Some(sha256), ..PutOptions::default() };
        let sized = |length: usize| PutOptions { length: Some(length as u64), ..PutOptions::default() };
        let wrong = [digest(Sha256Digest::of(b"other")), sized(length + 1), sized(length - 1), sized(0)];
        for options in wrong {
            invalid(adapter.put(&at, whole.clone(), options.clone()).await, "a body that is not what was announced");
            invalid(adapter.put_stream(&at, pieces(&whole), options).await, "a stream that is not what was announced");
            absent(adapter.head(&at).await, "a refused body");
        }
        let options = PutOptions { length: Some(length as u64), ..digest(right) };
        ok(adapter.put_stream(&at, pieces(&whole), options.clone()).await);
        ok(adapter.put(&at, whole, options).await);
    }
}

async fn a_broken_body_is_not_stored(adapter: &dyn Blobs, root: &str) {
    for length in [10, 2_000_000] {
        let at = key(root, &format!("broken/{length}"));
        let chunks = vec![Ok(body(length, 1)), Err(std::io::Error::other("the client went away"))];
        let options = PutOptions { length: Some(length as u64 + 10), ..PutOptions::default() };
        assert!(adapter.put_stream(&at, stream::iter(chunks).boxed(), options).await.is_err());
        absent(adapter.head(&at).await, "a body that broke off");
    }
}

async fn lists_are_in_byte_order(adapter: &dyn Blobs, root: &str) {
    let all = ["l/A", "l/a", "l/a b", "l/a/b", "l/a/b/c", "l/a0", "l/b", "l/é", "l/\u{FFFD}", "l/\u{1F600}"];
    for rest in all.iter().rev() {
        ok(adapter.put(&key(root, rest), body(4, 0), PutOptions::default()).await);
    }
    ok(adapter.put(&key(root, "m"), body(4, 0), PutOptions::default()).await);
    let expected: Vec<String> = all.iter().map(|rest| format!("{root}/{rest}")).collect();
    let prefix = format!("{root}/l/");
    for limit in [1, 3, 1000] {
        let (mut found, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let page = ok(adapter.list(&prefix, after.as_deref(), limit).await);
            assert!(page.blobs.len() <= limit);
            assert!(page.blobs.iter().all(|meta| meta.length == 4));
            found.extend(page.blobs.into_iter().map(|meta| meta.key.to_string()));
            after = page.next;
            if after.is_none() || found.len() > all.len() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit} at a time");
    }
    let page = ok(adapter.list(&format!("{prefix}a/"), None, 10).await);
    assert_eq!(page.blobs.len(), 2, "a prefix is a prefix");
    let page = ok(adapter.list(&prefix, Some(&format!("{prefix}a1")), 10).await);
    assert_eq!(page.blobs.len(), 4, "after need not exist");
    for limit in [0, 1001] {
        invalid(adapter.list(&prefix, None, limit).await, "a page size");
    }
}

async fn keys_are_taken_as_they_are(adapter: &dyn Blobs, root: &str) {
    let odd = ["odd/..", "odd/../x", "odd//two", "odd/ %2e+&?#'\"\\", "odd/trailing/", "odd/ü", "odd/u\u{308}"];
    for (number, rest) in odd.iter().enumerate() {
        ok(adapter.put(&key(root, rest), body(10 + number, 0), PutOptions::default()).await);
    }
    for (number, rest) in odd.iter().enumerate() {
        let blob = ok(adapter.get(&key(root, rest), None).await);
        assert_eq!(content(blob).await, body(10 + number, 0), "`{rest}` was taken for another key");
    }
    let page = ok(adapter.list(&format!("{root}/odd/"), None, 100).await);
    assert_eq!(page.blobs.len(), odd.len());
}

async fn deletion_is_final_and_may_repeat(adapter: &dyn Blobs, root: &str) {
    for length in [5, 100_000] {
        let at = key(root, &format!("deleted/{length}"));
        ok(adapter.delete(&at).await);
        ok(adapter.put(&at, body(length, 0), PutOptions::default()).await);
        ok(adapter.delete(&at).await);
        absent(adapter.get(&at, None).await, "a deleted blob");
        absent(adapter.head(&at).await, "a deleted blob");
        ok(adapter.delete(&at).await);
        let options = PutOptions { condition: PutCondition::IfAbsent, ..PutOptions::default() };
        ok(adapter.put(&at, body(length, 1), options).await);
    }
}

async fn presigned_urls_are_bounded(adapter: &dyn Blobs, root: &str) {
    let at = key(root, "presigned ü");
    let get = |expires_in| PresignGet { expires_in, disposition: Some("attachment".into()), content_type: None };
    let put = |expires_in, content_type: &str| PresignPut {
        expires_in,
        length: 5,
        content_type: content_type.into(),
        sha256: Sha256Digest::of(b"hello"),
    };
    let minute = Duration::from_secs(60);
    let signed = ok(adapter.presign_get(&at, get(minute)).await);
    assert_eq!(signed.method, "GET");
    let signed_put = ok(adapter.presign_put(&at, put(minute, "text/plain")).await);
    assert_eq!(signed_put.method, "PUT");
    for (name, value) in
        [("content-type", "text/plain"), ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")]
    {
        let found = signed_put.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v == value);
        assert!(found, "`{name}: {value}` must be sent, {:?} are named", signed_put.headers);
    }
    for url in [&signed.url, &signed_put.url] {
        assert!(url.starts_with("http") && url.contains("X-Amz-Signature="), "{url}");
    }
    let long = PRESIGN_MAX + Duration::from_secs(1);
    invalid(adapter.presign_get(&at, get(long)).await, "a URL for more than 7 days");
    invalid(adapter.presign_put(&at, put(long, "text/plain")).await, "an upload for more than 7 days");
    invalid(adapter.presign_put(&at, put(minute, "a\r\nb: c")).await, "a type with a line break");
}
