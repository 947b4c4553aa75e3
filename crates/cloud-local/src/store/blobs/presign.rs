//! URLs that carry their own permission: Signature Version 4 in the query string.

use std::time::Duration;

use cloud::limits::{BLOB_PUT_MAX, PRESIGN_MAX};
use cloud::{
    BlobKey, Error, Millis, PresignGet, PresignPart, PresignPut, Presigned, Result, Secret, Sha256Digest, UploadId,
};
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What SigV4 leaves as it is in a query value (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path, whose slashes stay.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Whose key signs, and for which endpoint. URLs are path-style: `{endpoint}/{bucket}/{key}`.
#[derive(Clone, Debug)]
pub struct Presigner {
    /// `http://127.0.0.1:4001`, without a path.
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: Secret,
}

/// What is about to be signed.
struct Request<'a> {
    method: &'a str,
    bucket: &'a str,
    key: &'a BlobKey,
    expires_in: Duration,
    /// Lower-case names, sorted, `host` not among them.
    headers: Vec<(String, String)>,
    query: Vec<(&'a str, String)>,
}

impl Presigner {
    pub(super) fn get(&self, bucket: &str, key: &BlobKey, what: &PresignGet, now: Millis) -> Result<Presigned> {
        let mut query = Vec::new();
        if let Some(disposition) = &what.disposition {
            query.push(("response-content-disposition", header_value(disposition)?));
        }
        if let Some(content_type) = &what.content_type {
            query.push(("response-content-type", header_value(content_type)?));
        }
        let expires_in = what.expires_in;
        self.sign(Request { method: "GET", bucket, key, expires_in, headers: Vec::new(), query }, now)
    }

    pub(super) fn put(&self, bucket: &str, key: &BlobKey, what: &PresignPut, now: Millis) -> Result<Presigned> {
        if what.length > BLOB_PUT_MAX {
            return Err(Error::TooLarge { what: format!("`{key}`"), actual: what.length, limit: BLOB_PUT_MAX });
        }
        let headers = vec![
            ("content-length".into(), what.length.to_string()),
            ("content-type".into(), header_value(&what.content_type)?),
            ("x-amz-checksum-sha256".into(), STANDARD.encode(what.sha256.0)),
        ];
        let expires_in = what.expires_in;
        self.sign(Request { method: "PUT", bucket, key, expires_in, headers, query: Vec::new() }, now)
    }

    pub(super) fn part(
        &self,
        bucket: &str,
        key: &BlobKey,
        upload: &UploadId,
        what: &PresignPart,
        now: Millis,
    ) -> Result<Presigned> {
        if what.length > BLOB_PUT_MAX {
            return Err(Error::TooLarge { what: format!("`{key}`"), actual: what.length, limit: BLOB_PUT_MAX });
        }
        let headers = vec![
            ("content-length".into(), what.length.to_string()),
            ("x-amz-checksum-sha256".into(), STANDARD.encode(what.sha256.0)),
        ];
        let query = vec![("partNumber", what.number.to_string()), ("uploadId", upload.0.clone())];
        let expires_in = what.expires_in;
        self.sign(Request { method: "PUT", bucket, key, expires_in, headers, query }, now)
    }

    fn sign(&self, request: Request<'_>, now: Millis) -> Result<Presigned> {
        let Request { method, bucket, key, expires_in, headers, mut query } = request;
        if expires_in < Duration::from_secs(1) || expires_in > PRESIGN_MAX {
            return Err(Error::Invalid("a presigned URL lives from 1 second to 7 days".into()));
        }
        let host = host(&self.endpoint)?;
        let (date, time) = timestamp(now);
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let mut signed: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        signed.push(("host", host));
        signed.sort_unstable();
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        query.push(("X-Amz-Algorithm", "AWS4-HMAC-SHA256".into()));
        query.push(("X-Amz-Credential", format!("{}/{scope}", self.access_key_id)));
        query.push(("X-Amz-Date", time.clone()));
        query.push(("X-Amz-Expires", expires_in.as_secs().to_string()));
        query.push(("X-Amz-SignedHeaders", names.clone()));
        let query = canonical_query(&query);
        // A bucket of a stack is stored under the stack's namespace; outside it has its own name.
        let bucket = bucket.rsplit('/').next().unwrap_or(bucket);
        let path = utf8_percent_encode(&format!("/{bucket}/{key}"), PATH).to_string();
        let canonical_headers: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{method}\n{path}\n{query}\n{canonical_headers}\n{names}\nUNSIGNED-PAYLOAD");
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", Sha256Digest::of(canonical.as_bytes()));
        let signature = hex::encode(hmac(&self.signing_key(&date), to_sign.as_bytes()));
        Ok(Presigned {
            method: method.into(),
            url: format!("{}{path}?{query}&X-Amz-Signature={signature}", self.endpoint.trim_end_matches('/')),
            headers,
            expires: now.plus(expires_in),
        })
    }

    fn signing_key(&self, date: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.secret_access_key.expose());
        let date = hmac(secret.as_bytes(), date.as_bytes());
        let region = hmac(&date, self.region.as_bytes());
        hmac(&hmac(&region, b"s3"), b"aws4_request")
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn host(endpoint: &str) -> Result<&str> {
    let host = endpoint.split_once("://").map(|(_, rest)| rest.trim_end_matches('/'));
    host.filter(|host| !host.is_empty() && !host.contains('/'))
        .ok_or_else(|| Error::Invalid(format!("`{endpoint}` is not an endpoint without a path")))
}

/// A value that may stand in a header: no control characters.
fn header_value(value: &str) -> Result<String> {
    match value.chars().any(char::is_control) || value.trim() != value {
        true => Err(Error::Invalid("a header value has no control characters and no space around it".into())),
        false => Ok(value.to_owned()),
    }
}

fn canonical_query(query: &[(&str, String)]) -> String {
    let encode = |raw: &str| utf8_percent_encode(raw, QUERY).to_string();
    let mut pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// `20261121` and `20261121T053000Z`.
fn timestamp(at: Millis) -> (String, String) {
    let (days, seconds) = (at.as_secs().div_euclid(86_400), at.as_secs().rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let date = format!("{year:04}{month:02}{day:02}");
    let time = format!("{date}T{:02}{:02}{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60);
    (date, time)
}

/// The date of a day counted from 1970-01-01: years are taken to begin in March, so that leap days come last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc_dates() {
        assert_eq!(timestamp(Millis(0)).1, "19700101T000000Z");
        assert_eq!(timestamp(Millis(951_782_399_000)).1, "20000228T235959Z");
        assert_eq!(timestamp(Millis(951_782_400_000)).1, "20000229T000000Z");
        assert_eq!(timestamp(Millis(1_369_353_600_000)).1, "20130524T000000Z");
        assert_eq!(timestamp(Millis(1_798_761_599_999)).1, "20261231T235959Z");
    }

    /// The worked example of the Amazon S3 documentation, "Authenticating Requests: Using Query Parameters";
    /// its host is virtual-hosted, so the bucket is in the endpoint here.
    #[test]
    fn the_signing_key_is_the_one_of_the_documentation() {
        let presigner = Presigner {
            endpoint: "https://s3.amazonaws.com".into(),
            region: "us-east-1".into(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        };
        let to_sign = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
            3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04";
        let signature = hex::encode(hmac(&presigner.signing_key("20130524"), to_sign.as_bytes()));
        assert_eq!(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }

    #[test]
    fn a_presigned_put_signs_length_type_and_checksum() {
        let presigner = Presigner {
            endpoint: "http://127.0.0.1:4001".into(),
            region: "local".into(),
            access_key_id: "AK".into(),
            secret_access_key: Secret::new("secret"),
        };
        let what = PresignPut {
            expires_in: Duration::from_secs(60),
            length: 5,
            content_type: "text/plain".into(),
            sha256: Sha256Digest::of(b"hello"),
        };
        let key = BlobKey::parse("a b/ü+.txt").unwrap();
        let signed = presigner.put("stack/x/files", &key, &what, Millis(0)).unwrap();
        assert!(signed.url.starts_with("http://127.0.0.1:4001/files/a%20b/%C3%BC%2B.txt?X-Amz-Algorithm="));
        assert!(signed.url.contains("SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256"));
        assert_eq!(signed.expires, Millis(60_000));
        let longer = PresignPut { length: 6, ..what.clone() };
        assert_ne!(signed.url, presigner.put("stack/x/files", &key, &longer, Millis(0)).unwrap().url);
        let forged = PresignPut { content_type: "a\r\nx: y".into(), ..what };
        assert!(matches!(presigner.put("b", &key, &forged, Millis(0)), Err(Error::Invalid(_))));
    }
}
