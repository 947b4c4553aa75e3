//! The objects of a repository, read through libgit2 over the cached packs.

use std::path::Path;
use std::sync::{Arc, Once};

use git2::{Odb, Repository};

use crate::cache::RepositoryPacks;
use crate::fsck::{TreeItem, items};
use crate::pack::Kind;
use crate::{Error, Oid, Result};

/// One object read into memory (bytes).
pub(crate) const OBJECT_BYTES_MAX: usize = 100 << 20;

/// Objects that libgit2 keeps at hand, of all repositories (bytes).
const OBJECT_CACHE_BYTES: isize = 16 << 20;
/// One part of a pack that libgit2 maps, and all of them (bytes): they count as memory of the process.
const WINDOW_BYTES: usize = 2 << 20;
const WINDOWS_BYTES: usize = 24 << 20;

/// A view of packs; one for each thread that reads.
pub(crate) struct Objects {
    repository: Repository,
    /// Keeps the packs on disk.
    pub packs: Arc<RepositoryPacks>,
}

/// Process-wide settings of libgit2.
fn configure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Packs are verified when they arrive, and by digest whenever they are cached.
        git2::opts::strict_hash_verification(false);
        // SAFETY: called once, before this crate opens a repository; each call stores one number.
        unsafe {
            let _ = git2::opts::set_cache_max_size(OBJECT_CACHE_BYTES);
            let _ = git2::opts::set_mwindow_size(WINDOW_BYTES);
            let _ = git2::opts::set_mwindow_mapped_limit(WINDOWS_BYTES);
        }
    });
}

/// The parts of a commit that walks need.
pub(crate) struct CommitLinks {
    pub tree: Oid,
    pub parents: Vec<Oid>,
    /// Seconds; of the committer.
    pub time: i64,
}

impl Objects {
    /// Opens the cached packs, and those of a quarantine.
    pub(crate) fn open(packs: Arc<RepositoryPacks>, quarantine: Option<&Path>) -> Result<Self> {
        configure();
        let odb = Odb::new()?;
        for folder in std::iter::once(packs.objects()).chain(quarantine) {
            let path = folder.to_str().ok_or_else(|| Error::Invalid("the cache's path is not UTF-8".into()))?;
            odb.add_disk_alternate(path)?;
        }
        Ok(Self { repository: Repository::from_odb(odb)?, packs })
    }

    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The type and size of an object.
    pub(crate) fn header(&self, oid: &Oid) -> Result<Option<(Kind, u64)>> {
        match self.repository.odb()?.read_header((*oid).into()) {
            Ok((size, kind)) => Ok(Kind::of_git2(kind).map(|kind| (kind, size as u64))),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn read(&self, oid: &Oid) -> Result<(Kind, Vec<u8>)> {
        let missing = || Error::NotFound(format!("object {oid}"));
        let (kind, size) = self.header(oid)?.ok_or_else(missing)?;
        if size > OBJECT_BYTES_MAX as u64 {
            return Err(Error::TooLarge(format!(
                "object {oid} is {size} bytes, the limit is {OBJECT_BYTES_MAX} bytes"
            )));
        }
        Ok((kind, self.repository.odb()?.read((*oid).into())?.data().to_vec()))
    }

    pub(crate) fn read_as(&self, oid: &Oid, wanted: Kind) -> Result<Vec<u8>> {
        let (kind, bytes) = self.read(oid)?;
        if kind == wanted { Ok(bytes) } else { Err(Error::NotFound(format!("{} {oid}", wanted.name()))) }
    }

    pub(crate) fn commit_links(&self, oid: &Oid) -> Result<CommitLinks> {
        let bytes = self.read_as(oid, Kind::Commit)?;
        parse_links(&bytes).ok_or_else(|| Error::Corrupt(format!("commit {oid}")))
    }

    /// The object a tag points at in the end; `oid` itself when it is no tag.
    pub(crate) fn peel(&self, oid: &Oid) -> Result<(Kind, Oid)> {
        let mut at = *oid;
        for _ in 0..64 {
            let (kind, _) = self.header(&at)?.ok_or_else(|| Error::NotFound(format!("object {at}")))?;
            if kind != Kind::Tag {
                return Ok((kind, at));
            }
            at = self.tag_target(&at)?;
        }
        Err(Error::Invalid("a tag of a tag of a tag, without end".into()))
    }

    pub(crate) fn tag_target(&self, oid: &Oid) -> Result<Oid> {
        let bytes = self.read_as(oid, Kind::Tag)?;
        let target = bytes.strip_prefix(b"object ").and_then(|rest| Oid::parse_bytes(rest.get(..40)?));
        target.ok_or_else(|| Error::Corrupt(format!("tag {oid}")))
    }

    /// Calls `each` for every entry of a tree.
    pub(crate) fn each_item(&self, tree: &Oid, mut each: impl FnMut(TreeItem<'_>) -> Result<()>) -> Result<()> {
        let odb = self.repository.odb()?;
        let object = odb.read((*tree).into())?;
        if object.kind() != git2::ObjectType::Tree {
            return Err(Error::Corrupt(format!("tree {tree}")));
        }
        for item in items(object.data()) {
            each(item.map_err(|_| Error::Corrupt(format!("tree {tree}")))?)?;
        }
        Ok(())
    }
}

fn parse_links(bytes: &[u8]) -> Option<CommitLinks> {
    let mut lines = bytes.split(|b| *b == b'\n');
    let tree = Oid::parse_bytes(lines.next()?.strip_prefix(b"tree ")?)?;
    let mut parents = Vec::new();
    let mut time = 0;
    for line in lines {
        if let Some(parent) = line.strip_prefix(b"parent ") {
            parents.push(Oid::parse_bytes(parent)?);
        } else if let Some(committer) = line.strip_prefix(b"committer ") {
            let text = String::from_utf8_lossy(committer);
            time = text.rsplit(' ').nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
            break;
        } else if line.is_empty() {
            break;
        }
    }
    Some(CommitLinks { tree, parents, time })
}
