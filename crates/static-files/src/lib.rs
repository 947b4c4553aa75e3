//! The front end's files as objects of the static bucket: their keys, and how each is served.
//!
//! One machine and the deploy to AWS read a folder with the same rules. **Invariant**: it reads a folder and knows
//! no bucket.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cloud::limits::GATEWAY_PAYLOAD_MAX;

/// Files in all.
const FILES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 16;

/// One object to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFile {
    /// What follows `/static/`.
    pub key: String,
    /// The file with the object's bytes: compressed ones, when `encoding` says so.
    pub file: PathBuf,
    pub content_type: String,
    /// `Content-Encoding`: br or gzip.
    pub encoding: Option<&'static str>,
    pub cache_control: &'static str,
}

/// Every object of `folder`, by key. `name.br` (else `name.gz`) stands in for `name`; source maps stay out.
/// Fails when a file is over what the gateway serves (10 MB), or there are too many.
pub fn collect(folder: &Path) -> io::Result<Vec<StaticFile>> {
    let mut files = BTreeMap::new();
    walk(folder, "", 0, &mut files)?;
    let encoded = |name: &str| {
        let stem = name.strip_suffix(".br").or_else(|| name.strip_suffix(".gz"));
        stem.is_some_and(|stem| files.contains_key(stem))
    };
    let plain = files.iter().filter(|(name, _)| !encoded(name) && !name.ends_with(".map"));
    plain
        .map(|(name, file)| {
            let with = |suffix: &str| files.get(&format!("{name}{suffix}"));
            match (with(".br"), with(".gz")) {
                (Some(brotli), _) => object(name, brotli, Some("br")),
                (None, Some(gzip)) => object(name, gzip, Some("gzip")),
                (None, None) => object(name, file, None),
            }
        })
        .collect()
}

fn object(key: &str, file: &Path, encoding: Option<&'static str>) -> io::Result<StaticFile> {
    if std::fs::metadata(file)?.len() > GATEWAY_PAYLOAD_MAX as u64 {
        return Err(io::Error::other(format!("{} is over 10 MB: the gateway cannot serve it", file.display())));
    }
    let kind = mime_guess::from_path(key).first_or_octet_stream();
    let text = kind.type_() == mime_guess::mime::TEXT || kind.subtype() == mime_guess::mime::JAVASCRIPT;
    // What the builds put below `assets/` has its digest in its name.
    let hashed = key.starts_with("assets/") || key.starts_with("ide/assets/");
    Ok(StaticFile {
        key: key.to_owned(),
        file: file.to_owned(),
        content_type: if text { format!("{kind}; charset=utf-8") } else { kind.to_string() },
        encoding,
        cache_control: if hashed { "public, max-age=31536000, immutable" } else { "no-cache" },
    })
}

fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a file's name is not UTF-8"))?;
        let (kind, key) = (entry.file_type()?, format!("{prefix}{name}"));
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(&entry.path(), &format!("{key}/"), depth + 1, files)?;
        } else if kind.is_file() {
            if files.len() >= FILES_MAX {
                return Err(io::Error::other(format!("there are more than {FILES_MAX} files")));
            }
            files.insert(key, entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn a_compressed_file_stands_in_and_hashed_names_are_kept_for_a_year() {
        let folder = folder(&[
            ("index.html", b"home"),
            ("assets/app-1.js", b"plain"),
            ("assets/app-1.js.br", b"squeezed"),
            ("assets/app-1.js.gz", b"also"),
            ("assets/app-1.js.map", b"map"),
            ("logo.svg.gz", b"alone"),
        ]);
        let found = collect(folder.path()).unwrap();
        let shown: Vec<_> = found.iter().map(|f| (f.key.as_str(), f.content_type.as_str(), f.encoding)).collect();
        assert_eq!(
            shown,
            [
                ("assets/app-1.js", "text/javascript; charset=utf-8", Some("br")),
                ("index.html", "text/html; charset=utf-8", None),
                ("logo.svg.gz", "application/gzip", None),
            ]
        );
        assert!(found[0].file.ends_with("assets/app-1.js.br"));
        assert_eq!(found[0].cache_control, "public, max-age=31536000, immutable");
        assert_eq!(found[1].cache_control, "no-cache");
    }

    #[test]
    fn a_file_that_the_gateway_cannot_serve_is_refused() {
        let large = vec![0; GATEWAY_PAYLOAD_MAX + 1];
        let error = collect(folder(&[("big.bin", &large)]).path()).unwrap_err();
        assert!(error.to_string().contains("big.bin is over 10 MB"), "{error}");
        assert!(collect(Path::new("/nonexistent")).is_err());
    }
}
