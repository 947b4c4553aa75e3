//! Smart HTTP: what a route needs besides the store (gitprotocol-http).

use cloud::BlobStream;

use crate::{Error, Oid, Result};

/// The two services of the smart protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    /// Reads `git-upload-pack` or `git-receive-pack`.
    pub fn parse(raw: &str) -> Result<Self> {
        match raw {
            "git-upload-pack" => Ok(Self::UploadPack),
            "git-receive-pack" => Ok(Self::ReceivePack),
            _ => Err(Error::Invalid("there is no such service".into())),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// The `Content-Type` of `info/refs`.
    pub const fn advertisement_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-advertisement",
            Self::ReceivePack => "application/x-git-receive-pack-advertisement",
        }
    }

    /// The `Content-Type` that a POST must have.
    pub const fn request_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-request",
            Self::ReceivePack => "application/x-git-receive-pack-request",
        }
    }

    /// The `Content-Type` of the answer to a POST.
    pub const fn result_type(self) -> &'static str {
        match self {
            Self::UploadPack => "application/x-git-upload-pack-result",
            Self::ReceivePack => "application/x-git-receive-pack-result",
        }
    }
}

/// The version that the client asked for (header `Git-Protocol`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    #[default]
    V0,
    /// As version 0, but for a line that says so before the refs.
    V1,
    V2,
}

impl Protocol {
    /// Reads the header `Git-Protocol`: the highest version it names that is served here.
    pub fn from_header(value: Option<&str>) -> Self {
        let named = value.into_iter().flat_map(|value| value.split(':')).map(|part| match part {
            "version=1" => Self::V1,
            "version=2" => Self::V2,
            _ => Self::V0,
        });
        named.max().unwrap_or_default()
    }
}

/// A bundle that a clone may begin with (gitprotocol-v2, "bundle-uri").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Letters, digits and `-`.
    pub id: String,
    pub uri: String,
    /// Grows from each bundle to the next (git-bundle-uri design, "creationToken").
    pub creation_token: Option<u64>,
}

/// A blob that a client may get as a pack of its own, from elsewhere (git-packfile-uri design).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackfileUri {
    pub blob: Oid,
    /// What the client must find as the pack's checksum: 40 hex digits.
    pub checksum: String,
    pub uri: String,
}

/// What a server has for its clients besides the repository.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// In the place of what each repository has; `None` offers the bundle that compaction stored, if there is one.
    pub bundles: Option<Vec<Bundle>>,
    pub packfile_uris: Vec<PackfileUri>,
    /// Any object that is stored may be had by its id, also one that no visible ref leads to.
    pub any_object: bool,
}

/// The body that `Content-Encoding` wraps; `Error::Invalid` (415) for an encoding other than one gzip.
pub fn decode_body(content_encoding: Option<&str>, body: BlobStream) -> Result<BlobStream> {
    match content_encoding.map(str::trim) {
        None | Some("" | "identity") => Ok(body),
        Some(gzip) if gzip.eq_ignore_ascii_case("gzip") || gzip.eq_ignore_ascii_case("x-gzip") => {
            Ok(crate::protocol::gunzip(body))
        }
        Some(_) => Err(Error::Invalid("the body may be gzip, or not encoded at all".into())),
    }
}
