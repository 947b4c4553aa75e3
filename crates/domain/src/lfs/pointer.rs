//! The small file that stands in a repository for an object (git-lfs, docs/spec.md).

use cloud::Sha256Digest;

/// A pointer file is smaller than this (bytes; git-lfs, docs/spec.md).
pub const POINTER_BYTES_MAX: usize = 1024;

const VERSION_LINE: &str = "version https://git-lfs.github.com/spec/v1";

/// What a pointer file points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LfsPointer {
    pub oid: Sha256Digest,
    /// Bytes.
    pub size: u64,
}

impl LfsPointer {
    /// Reads a pointer file; `None` for any other file. Lines: the version first, then keys in order, each `key value`.
    pub fn parse(file: &[u8]) -> Option<Self> {
        if file.len() >= POINTER_BYTES_MAX {
            return None;
        }
        let text = std::str::from_utf8(file).ok()?.strip_suffix('\n')?;
        let mut lines = text.split('\n');
        if lines.next()? != VERSION_LINE {
            return None;
        }
        let (mut oid, mut size, mut before) = (None, None, "");
        for line in lines {
            let (key, value) = line.split_once(' ')?;
            if key <= before || value.is_empty() {
                return None;
            }
            before = key;
            match key {
                "oid" => oid = Some(super::parse_oid(value.strip_prefix("sha256:")?)?),
                "size" if value.bytes().all(|b| b.is_ascii_digit()) => size = Some(value.parse().ok()?),
                "size" => return None,
                _ => {}
            }
        }
        Some(Self { oid: oid?, size: size? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

    #[test]
    fn a_pointer_is_read_and_nothing_else_is_taken_for_one() {
        let good = format!("{VERSION_LINE}\noid sha256:{OID}\nsize 12345\n");
        let pointer = LfsPointer::parse(good.as_bytes()).unwrap();
        assert_eq!((pointer.oid.to_string().as_str(), pointer.size), (OID, 12345));
        let extended = format!("{VERSION_LINE}\next-0-foo sha256:{OID}\noid sha256:{OID}\nsize 1\n");
        assert!(LfsPointer::parse(extended.as_bytes()).is_some());
        for bad in [
            String::new(),
            "hello\n".into(),
            good.trim_end().to_owned(),
            good.replace("spec/v1", "spec/v2"),
            good.replace("sha256", "md5"),
            good.replace("12345", "-1"),
            good.replace("12345", "+1"),
            good.replace("12345", "99999999999999999999"),
            good.replace(OID, &OID.to_uppercase()),
            good.replace(OID, "12"),
            format!("{VERSION_LINE}\nsize 1\noid sha256:{OID}\n"),
            format!("{VERSION_LINE}\noid sha256:{OID}\noid sha256:{OID}\nsize 1\n"),
            format!("{VERSION_LINE}\noid sha256:{OID}\n"),
            format!("{good}{}", "x".repeat(POINTER_BYTES_MAX)),
            format!("{good}\n"),
        ] {
            assert_eq!(LfsPointer::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
