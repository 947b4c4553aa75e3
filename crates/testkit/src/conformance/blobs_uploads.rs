//! Uploads in parts, as far as they go without sending a part: that is a matter of the wire.

use std::time::Duration;

use cloud::limits::PRESIGN_MAX;
use cloud::{Blobs, PresignPart, PutOptions, Sha256Digest, UploadId};

use super::blobs::key;
use super::{absent, invalid, ok};

const MINUTE: Duration = Duration::from_secs(60);

fn part(number: u32, expires_in: Duration) -> PresignPart {
    PresignPart { expires_in, number, length: 5, sha256: Sha256Digest::of(b"hello") }
}

pub(super) async fn uploads(adapter: &dyn Blobs, root: &str) {
    let at = key(root, "upload ü");
    let (one, other) = (
        ok(adapter.create_upload(&at, PutOptions::default()).await),
        ok(adapter.create_upload(&at, PutOptions::default()).await),
    );
    assert_ne!(one, other, "two uploads to one key are two");
    absent(adapter.head(&at).await, "an upload without an end");
    assert!(ok(adapter.upload_parts(&at, &one, 0, 1000).await).is_empty());

    let signed = ok(adapter.presign_part(&at, &one, part(7, MINUTE)).await);
    assert_eq!(signed.method, "PUT");
    assert!(signed.url.contains("partNumber=7") && signed.url.contains("X-Amz-Signature="), "{}", signed.url);
    let digest = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let sent = signed.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case("x-amz-checksum-sha256") && v == digest);
    assert!(sent, "the digest of a part must be sent, {:?} are named", signed.headers);
    for number in [0, 10_001] {
        invalid(adapter.presign_part(&at, &one, part(number, MINUTE)).await, "a part number");
    }
    let long = PRESIGN_MAX + Duration::from_secs(1);
    invalid(adapter.presign_part(&at, &one, part(1, long)).await, "a URL for more than 7 days");
    invalid(adapter.complete_upload(&at, &one, Vec::new()).await, "a blob of no part");

    ok(adapter.abort_upload(&at, &one).await);
    ok(adapter.abort_upload(&at, &one).await);
    absent(adapter.upload_parts(&at, &one, 0, 1000).await, "an upload that was aborted");
    assert!(ok(adapter.upload_parts(&at, &other, 0, 1000).await).is_empty(), "the other goes on");
    ok(adapter.abort_upload(&at, &other).await);
    ok(adapter.abort_upload(&at, &UploadId("nothing-of-this-name".into())).await);
    absent(adapter.head(&at).await, "an upload that was aborted");
}
