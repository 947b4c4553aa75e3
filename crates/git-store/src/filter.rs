//! Partial clones: which objects are left out (git-rev-list, `--filter`; gitprotocol-v2, "filter").

use crate::pack::Kind;
use crate::{Error, Result};

/// Filters joined by `combine:`.
const PARTS_MAX: usize = 16;
/// A filter as it is sent (bytes).
const SPEC_BYTES_MAX: usize = 4096;

/// One rule; an object that is asked for by its id is never left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Blobs of at least this many bytes are left out; `0` leaves all out.
    BlobLimit(u64),
    /// Trees and blobs this many steps below a commit, and deeper, are left out.
    TreeDepth(u64),
    /// All but objects of this type are left out.
    ObjectType(Kind),
}

/// What a client does without. The default leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(Vec<Rule>);

impl Filter {
    pub(crate) fn parse(spec: &str) -> Result<Self> {
        if spec.len() > SPEC_BYTES_MAX {
            return Err(invalid("too long"));
        }
        let mut rules = Vec::new();
        parse_into(spec, &mut rules, true)?;
        Ok(Self(rules))
    }

    /// Whether everything is sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object of a type that has no size and no depth to look at is sent.
    pub(crate) fn takes_kind(&self, kind: Kind) -> bool {
        self.0.iter().all(|rule| !matches!(rule, Rule::ObjectType(only) if *only != kind))
    }

    /// Whether a tree or blob `depth` steps below a commit is sent (a commit's own tree is at 0).
    pub(crate) fn takes_at(&self, kind: Kind, depth: u64) -> bool {
        self.takes_kind(kind) && self.tree_depth().is_none_or(|max| depth < max)
    }

    /// Whether what lies below a tree at `depth` has to be looked at.
    pub(crate) fn descends(&self, depth: u64) -> bool {
        let types = |rule: &Rule| matches!(rule, Rule::ObjectType(Kind::Commit | Kind::Tag));
        self.tree_depth().is_none_or(|max| depth + 1 < max) && !self.0.iter().any(types)
    }

    /// The depth from which trees are left out: an object may be within it on one path and not on another.
    pub(crate) fn tree_depth(&self) -> Option<u64> {
        let depths = self.0.iter().filter_map(|rule| if let Rule::TreeDepth(max) = rule { Some(*max) } else { None });
        depths.min()
    }

    /// Whether it is enough to know the type and the size of an object, and not where it lies.
    pub(crate) fn is_of_kinds(&self) -> bool {
        self.tree_depth().is_none_or(|max| max == 0)
    }

    /// Whether an object is sent, by a filter that is of kinds.
    pub(crate) fn takes(&self, kind: Kind, size: impl FnOnce() -> Result<u64>) -> Result<bool> {
        let within = !matches!(kind, Kind::Tree | Kind::Blob) || self.tree_depth().is_none();
        Ok(within && self.takes_kind(kind) && (kind != Kind::Blob || self.takes_blob(size)?))
    }

    /// Whether a blob is sent; `size` is asked only when it matters.
    pub(crate) fn takes_blob(&self, size: impl FnOnce() -> Result<u64>) -> Result<bool> {
        let limits = self.0.iter().filter_map(|rule| if let Rule::BlobLimit(max) = rule { Some(*max) } else { None });
        match limits.min() {
            None => Ok(true),
            Some(0) => Ok(false),
            Some(max) => Ok(size()? < max),
        }
    }
}

fn invalid(spec: &str) -> Error {
    let shown: String = spec.chars().take(100).collect();
    Error::Protocol(format!("invalid filter-spec '{shown}'"))
}

fn parse_into(spec: &str, rules: &mut Vec<Rule>, may_combine: bool) -> Result<()> {
    let (word, value) = spec.split_once([':', '=']).ok_or_else(|| invalid(spec))?;
    let rule = match (word, value) {
        ("blob", "none") => Rule::BlobLimit(0),
        ("blob", value) => Rule::BlobLimit(value.strip_prefix("limit=").and_then(size).ok_or_else(|| invalid(spec))?),
        ("tree", depth) => Rule::TreeDepth(depth.parse().map_err(|_| invalid(spec))?),
        ("object", value) => {
            let kind = value.strip_prefix("type=").and_then(|name| Kind::parse(name.as_bytes()));
            Rule::ObjectType(kind.ok_or_else(|| invalid(spec))?)
        }
        ("combine", parts) if may_combine => {
            for part in parts.split('+') {
                parse_into(&decoded(part).ok_or_else(|| invalid(spec))?, rules, false)?;
                if rules.len() > PARTS_MAX {
                    return Err(invalid("too many filters"));
                }
            }
            return Ok(());
        }
        ("sparse", _) => return Err(Error::Protocol("filter 'sparse:oid' not supported".into())),
        _ => return Err(invalid(spec)),
    };
    rules.push(rule);
    Ok(())
}

/// A number with git's units (git-config, "integer"): `k`, `m` and `g`.
fn size(raw: &str) -> Option<u64> {
    let digits = raw.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']);
    let factor = match raw.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `%xx` decoded.
fn decoded(raw: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            let mut value = [0];
            hex::decode_to_slice(pair, &mut value).ok()?;
            out.push(value[0]);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_git_writes_them() {
        let rules = |spec: &str| Filter::parse(spec).map(|filter| filter.0).ok();
        assert_eq!(rules("blob:none"), Some(vec![Rule::BlobLimit(0)]));
        assert_eq!(rules("blob:limit=2k"), Some(vec![Rule::BlobLimit(2048)]));
        assert_eq!(rules("tree:3"), Some(vec![Rule::TreeDepth(3)]));
        assert_eq!(rules("object:type=commit"), Some(vec![Rule::ObjectType(Kind::Commit)]));
        let both = vec![Rule::BlobLimit(0), Rule::TreeDepth(2)];
        assert_eq!(rules("combine:blob:none+tree:2"), Some(both.clone()));
        assert_eq!(rules("combine:blob%3anone+tree%3A2"), Some(both));
        for bad in [
            "",
            "blob",
            "blob:",
            "blob:limit=",
            "blob:limit=-1",
            "blob:limit=99999999999999999999",
            "tree:",
            "tree:x",
            "object:type=none",
            "sparse:oid=main",
            "combine:",
            "combine:combine:tree:1",
            "combine:tree:1+%zz",
            "x:y",
        ] {
            assert_eq!(rules(bad), None, "{bad}");
        }
        let many = format!("combine:{}", vec!["tree:1"; 40].join("+"));
        assert_eq!(rules(&many), None);
    }

    #[test]
    fn rules_hold_together() {
        let filter = Filter::parse("combine:blob:limit=10+tree:2").unwrap();
        assert!(filter.takes_at(Kind::Tree, 1) && !filter.takes_at(Kind::Tree, 2));
        assert!(filter.takes_blob(|| Ok(9)).unwrap() && !filter.takes_blob(|| Ok(10)).unwrap());
        assert!(filter.descends(0) && !filter.descends(1));
        let commits = Filter::parse("object:type=commit").unwrap();
        assert!(commits.takes_kind(Kind::Commit) && !commits.takes_at(Kind::Tree, 0) && !commits.descends(0));
    }
}
