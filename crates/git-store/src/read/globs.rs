//! Which files a search looks into, by their paths.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{Error, Result};

/// Globs in one list, and the bytes of all of them.
const GLOBS_MAX: usize = 64;
const BYTES_MAX: usize = 2048;

/// A list of globs, with commas between them: `*.rs, src/**, docs/{a,b}.md`. One without `/` fits a name at any depth;
/// one that fits a folder fits all that is in it. An empty list fits nothing.
#[derive(Clone, Debug)]
pub struct Globs(GlobSet);

impl Globs {
    pub fn parse(raw: &str) -> Result<Self> {
        if raw.len() > BYTES_MAX {
            return Err(Error::Invalid(format!("a list of globs has at most {BYTES_MAX} bytes")));
        }
        let mut set = GlobSetBuilder::new();
        let mut count = 0;
        for glob in split(raw) {
            count += 1;
            if count > GLOBS_MAX {
                return Err(Error::Invalid(format!("a list has at most {GLOBS_MAX} globs")));
            }
            let glob = glob.trim_start_matches("./").trim_end_matches('/');
            let from_root = glob.trim_start_matches('/');
            let anywhere = if glob.contains('/') { from_root.to_owned() } else { format!("**/{glob}") };
            for pattern in [anywhere.clone(), format!("{anywhere}/**")] {
                let built = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
                set.add(built.map_err(|error| Error::Invalid(format!("not a glob: {}", error.kind())))?);
            }
        }
        set.build().map(Self).map_err(|_| Error::Invalid("the globs are too large".into()))
    }

    pub fn fits(&self, path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt;
        self.0.is_match(std::ffi::OsStr::from_bytes(path))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// At commas that are in no braces and no brackets.
fn split(raw: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start, mut escaped) = (Vec::new(), 0u32, 0, false);
    for (at, c) in raw.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&raw[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&raw[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_as_editors_do_it() {
        let fits = |globs: &str, path: &str| Globs::parse(globs).unwrap().fits(path.as_bytes());
        for (globs, path) in [
            ("*.rs", "src/a.rs"),
            ("*.rs", "a.rs"),
            ("src", "src/a/b.rs"),
            ("src/", "src/a/b.rs"),
            ("/src/**", "src/a/b.rs"),
            ("./src/*.rs", "src/a.rs"),
            ("node_modules", "web/node_modules/x/index.js"),
            ("*.{md,txt}, *.rs", "b.txt"),
            ("a[,]b", "a,b"),
        ] {
            assert!(fits(globs, path), "{globs} {path}");
        }
        for (globs, path) in
            [("*.rs", "a.rst"), ("src/*.rs", "src/a/b.rs"), ("src", "lib/source"), ("", "a"), (" , ", "a")]
        {
            assert!(!fits(globs, path), "{globs} {path}");
        }
        assert!(Globs::parse("*.js").unwrap().fits(b"\xff.js"));
    }

    #[test]
    fn hostile_globs_are_refused() {
        for bad in ["[", "{a", "a[z-a]", &"a,".repeat(100), &"x".repeat(3000)] {
            assert!(matches!(Globs::parse(bad), Err(Error::Invalid(_))), "{bad:.20}");
        }
        // Many stars are one automaton, not a search.
        let many = Globs::parse(&format!("{}b", "*a".repeat(200))).unwrap();
        assert!(!many.fits("a".repeat(4000).as_bytes()));
    }
}
