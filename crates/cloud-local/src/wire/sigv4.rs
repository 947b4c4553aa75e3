//! Signature Version 4 as a verifier.
//!
//! Source: "AWS Signature Version 4 for API requests" (IAM user guide). S3 requests are verified by `s3s`;
//! for them this module only reads who signed, and refuses what would let an unsigned header change the call.

use std::time::Duration;

use cloud::{Millis, Secret};
use hmac::{Hmac, Mac};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::access_keys::{AccessKeys, Key, KeyRefused};

/// How far a caller's clock may be off.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SIGNED_HEADERS_MAX: usize = 64;

/// Why a request is not let in; the outside message gives nothing away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the request is not signed")]
    Missing,
    #[error("the authorization is malformed: {0}")]
    Malformed(&'static str),
    #[error("the request time is too far from the server's time")]
    Skewed,
    #[error("the security token is invalid or does not belong to the access key")]
    UnknownKey,
    #[error("the security token has expired")]
    ExpiredKey,
    #[error("the request signature does not match")]
    Mismatch,
    #[error("the header `{0}` must be signed")]
    Unsigned(&'static str),
}

impl From<KeyRefused> for Refused {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Unknown => Self::UnknownKey,
            KeyRefused::Expired => Self::ExpiredKey,
        }
    }
}

/// `{access key}/{date}/{region}/{service}/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CredentialScope {
    pub access_key_id: String,
    pub date: String,
    pub region: String,
    pub service: String,
}

impl CredentialScope {
    fn parse(raw: &str) -> Option<Self> {
        let mut parts = raw.rsplitn(5, '/');
        if parts.next()? != "aws4_request" {
            return None;
        }
        let (service, region, date) = (parts.next()?, parts.next()?, parts.next()?);
        let access_key_id = parts.next()?;
        let plain = |part: &str| {
            !part.is_empty() && part.len() <= 128 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let dated = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        let fits = dated && plain(service) && plain(region) && plain(access_key_id);
        fits.then(|| Self {
            access_key_id: access_key_id.into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
        })
    }
}

/// What a request says about its signature, before anything is believed.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub scope: CredentialScope,
    pub session_token: Option<String>,
    pub presigned: bool,
    signed_headers: Vec<String>,
    signature: String,
}

impl Claimed {
    /// Reads the authorization header, or the query of a presigned URL.
    pub fn read(parts: &Parts) -> Result<Self, Refused> {
        let query: Vec<(String, String)> = match parts.uri.query() {
            Some(query) => url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            None => Vec::new(),
        };
        let presigned = query.iter().any(|(name, _)| name == "X-Amz-Signature");
        match (single(&parts.headers, "authorization")?, presigned) {
            (Some(_), true) => Err(Refused::Malformed("signed in the header and in the query")),
            (Some(header), false) => Self::from_header(header, single(&parts.headers, "x-amz-security-token")?),
            (None, true) => Self::from_query(&query),
            (None, false) => Err(Refused::Missing),
        }
    }

    fn from_header(header: &str, session_token: Option<&str>) -> Result<Self, Refused> {
        let fields = header.strip_prefix(ALGORITHM).ok_or(Refused::Malformed("the algorithm is AWS4-HMAC-SHA256"))?;
        let mut found = [None; 3];
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(Refused::Malformed("fields are name=value"))?;
            let place = match name {
                "Credential" => 0,
                "SignedHeaders" => 1,
                "Signature" => 2,
                _ => return Err(Refused::Malformed("an unknown field")),
            };
            if found[place].replace(value).is_some() {
                return Err(Refused::Malformed("a field is given twice"));
            }
        }
        let [Some(credential), Some(signed_headers), Some(signature)] = found else {
            return Err(Refused::Malformed("Credential, SignedHeaders and Signature are needed"));
        };
        Self::of(credential, signed_headers, signature, session_token, false)
    }

    fn from_query(query: &[(String, String)]) -> Result<Self, Refused> {
        let one = |name: &str| -> Result<Option<&str>, Refused> {
            let mut values = query.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(Refused::Malformed("a query parameter is given twice")),
                (value, None) => Ok(value),
            }
        };
        let needed = |name| one(name)?.ok_or(Refused::Malformed("a presigned URL lacks a parameter"));
        let (credential, headers) = (needed("X-Amz-Credential")?, needed("X-Amz-SignedHeaders")?);
        Self::of(credential, headers, needed("X-Amz-Signature")?, one("X-Amz-Security-Token")?, true)
    }

    fn of(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        session_token: Option<&str>,
        presigned: bool,
    ) -> Result<Self, Refused> {
        let scope = CredentialScope::parse(credential).ok_or(Refused::Malformed("the credential scope"))?;
        let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_ascii_lowercase).collect();
        if signed_headers.len() > SIGNED_HEADERS_MAX || signed_headers.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Refused::Malformed("signed headers are sorted and each named once"));
        }
        let session_token = session_token.map(str::to_owned);
        Ok(Self { scope, session_token, presigned, signed_headers, signature: signature.into() })
    }

    /// The key that is claimed to have signed; nothing is proven yet.
    pub fn key(&self, keys: &AccessKeys) -> Result<Key, Refused> {
        Ok(keys.lookup(&self.scope.access_key_id, self.session_token.as_deref())?)
    }

    /// Refuses a request in which a header that can change the call is outside the signature.
    pub fn covers(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if !self.signs("host") {
            return Err(Refused::Unsigned("host"));
        }
        for name in headers.keys().map(HeaderName::as_str) {
            // The digest of the body is checked against the body itself.
            if name.starts_with("x-amz-") && name != "x-amz-content-sha256" && !self.signs(name) {
                return Err(Refused::Unsigned("x-amz-*"));
            }
        }
        Ok(())
    }

    fn signs(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == name)
    }

    /// Checks what needs no body: the time, the date of the scope and the headers covered.
    pub fn check_head(&self, parts: &Parts, now: Millis) -> Result<(), Refused> {
        if self.presigned {
            return Err(Refused::Malformed("presigned URLs are for S3"));
        }
        self.covers(&parts.headers)?;
        let date = single(&parts.headers, "x-amz-date")?.ok_or(Refused::Malformed("x-amz-date is needed"))?;
        let at = parse_date(date).ok_or(Refused::Malformed("x-amz-date"))?;
        if date.get(..8) != Some(self.scope.date.as_str()) {
            return Err(Refused::Malformed("the date of the credential scope is not that of x-amz-date"));
        }
        if now.since(at) > SKEW_MAX || at.since(now) > SKEW_MAX {
            return Err(Refused::Skewed);
        }
        Ok(())
    }

    /// Checks the signature over the head and the whole body, in constant time.
    pub fn verify(&self, parts: &Parts, body: &[u8], secret: &Secret) -> Result<(), Refused> {
        let digest = hex::encode(Sha256::digest(body));
        if let Some(claimed) = single(&parts.headers, "x-amz-content-sha256")?
            && claimed != digest
        {
            return Err(Refused::Mismatch);
        }
        let date = single(&parts.headers, "x-amz-date")?.ok_or(Refused::Malformed("x-amz-date is needed"))?;
        let request = self.canonical_request(parts, &digest)?;
        let CredentialScope { date: day, region, service, .. } = &self.scope;
        let hashed = hex::encode(Sha256::digest(request.as_bytes()));
        let text = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{hashed}");
        let claimed = hex::decode(&self.signature).map_err(|_| Refused::Mismatch)?;
        let mut key = format!("AWS4{}", secret.expose()).into_bytes();
        for part in [day.as_str(), region, service, "aws4_request"] {
            key = keyed(&key, part.as_bytes()).finalize().into_bytes().to_vec();
        }
        keyed(&key, text.as_bytes()).verify_slice(&claimed).map_err(|_| Refused::Mismatch)
    }

    fn canonical_request(&self, parts: &Parts, digest: &str) -> Result<String, Refused> {
        let path = encode(parts.uri.path(), true);
        let mut query: Vec<(String, String)> = match parts.uri.query() {
            Some(query) => url::form_urlencoded::parse(query.as_bytes())
                .map(|(name, value)| (encode(&name, false), encode(&value, false)))
                .collect(),
            None => Vec::new(),
        };
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in &self.signed_headers {
            let values: Vec<&str> = parts
                .headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().map_err(|_| Refused::Malformed("a signed header is not ASCII")))
                .collect::<Result<_, _>>()?;
            if values.is_empty() {
                return Err(Refused::Mismatch);
            }
            let values: Vec<String> =
                values.iter().map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
            headers.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        let signed = self.signed_headers.join(";");
        Ok(format!("{}\n{path}\n{}\n{headers}\n{signed}\n{digest}", parts.method, query.join("&")))
    }
}

/// The one value of a header; more than one is refused.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refused::Malformed("a header is not ASCII")),
        (Some(_), Some(_)) => Err(Refused::Malformed("a header is given twice")),
    }
}

fn keyed(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}

/// Percent-encodes all but the unreserved characters (RFC 3986), and `/` where it parts a path.
fn encode(raw: &str, path: bool) -> String {
    let mut encoded = String::with_capacity(raw.len());
    for byte in raw.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (path && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Reads `20260102T030405Z`.
fn parse_date(raw: &str) -> Option<Millis> {
    let bytes = raw.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = raw.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    fits.then_some(Millis(seconds * 1_000))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counted in years that start in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn signed(authorization: &str) -> Parts {
        http::Request::get("/?Param2=value2&Param1=value1")
            .header("host", "example.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    /// The case `get-vanilla-query-order-key-case` (a query that needs sorting) of AWS's published Signature Version 4 test suite.
    const VANILLA: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, \
        Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";

    fn noon() -> Millis {
        parse_date("20150830T123600Z").unwrap()
    }

    #[test]
    fn the_published_example_verifies() {
        let parts = signed(VANILLA);
        let claimed = Claimed::read(&parts).unwrap();
        claimed.check_head(&parts, noon()).unwrap();
        claimed.verify(&parts, b"", &Secret::new(SECRET)).unwrap();
    }

    #[test]
    fn any_change_breaks_it() {
        let secret = Secret::new(SECRET);
        let parts = signed(VANILLA);
        let claimed = Claimed::read(&parts).unwrap();
        assert_eq!(claimed.verify(&parts, b"x", &secret), Err(Refused::Mismatch));
        assert_eq!(claimed.verify(&parts, b"", &Secret::new("other")), Err(Refused::Mismatch));
        let mut other = signed(VANILLA);
        other.uri = "/?Param2=value2&Param1=value3".parse().unwrap();
        assert_eq!(claimed.verify(&other, b"", &secret), Err(Refused::Mismatch));
        let mut other = signed(VANILLA);
        other.method = http::Method::POST;
        assert_eq!(claimed.verify(&other, b"", &secret), Err(Refused::Mismatch));
        let mut other = signed(VANILLA);
        other.headers.remove("host");
        assert_eq!(claimed.verify(&other, b"", &secret), Err(Refused::Mismatch));
    }

    #[test]
    fn a_clock_may_be_off_by_fifteen_minutes() {
        let parts = signed(VANILLA);
        let claimed = Claimed::read(&parts).unwrap();
        for (minutes, fits) in [(-16, false), (-15, true), (15, true), (16, false)] {
            let now = Millis(noon().0 + minutes * 60_000);
            assert_eq!(claimed.check_head(&parts, now).is_ok(), fits, "{minutes} minutes");
        }
    }

    #[test]
    fn a_header_that_changes_the_call_must_be_signed() {
        let mut parts = signed(VANILLA);
        parts.headers.insert("x-amz-target", "AmazonSSM.PutParameter".parse().unwrap());
        let claimed = Claimed::read(&parts).unwrap();
        assert_eq!(claimed.check_head(&parts, noon()), Err(Refused::Unsigned("x-amz-*")));
    }

    #[test]
    fn malformed_authorizations_are_refused() {
        for (from, to) in [
            ("/aws4_request", "/aws4"),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
            ("host;x-amz-date", "x-amz-date;host"),
            (", SignedHeaders", ", Credential=a, SignedHeaders"),
            ("20150830/", "2015083/"),
            ("Signature=", "Seal="),
        ] {
            let parts = signed(&VANILLA.replace(from, to));
            assert!(matches!(Claimed::read(&parts), Err(Refused::Malformed(_))), "{to}");
        }
        let parts = http::Request::get("/").body(()).unwrap().into_parts().0;
        assert_eq!(Claimed::read(&parts).unwrap_err(), Refused::Missing);
    }

    #[test]
    fn dates_are_read_exactly() {
        assert_eq!(parse_date("19700101T000000Z"), Some(Millis(0)));
        assert_eq!(parse_date("20240229T235959Z"), Some(Millis(1_709_251_199_000)));
        for bad in ["20241301T000000Z", "20240229T24000Z", "20240229 000000Z", "2024022+T000000Z", ""] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }
}
