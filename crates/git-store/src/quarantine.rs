//! A pack that has arrived and is not yet part of the repository.

use std::path::Path;
use std::sync::Arc;

use cloud::Sha256Digest;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::asker::Asker;
use crate::cache::RepositoryPacks;
use crate::fsck::{Checker, DOTFILE_BYTES_MAX, Fault, check_attributes, check_modules};
use crate::objects::Objects;
use crate::pack::{Ingested, Kind, PACK_LIMITS, PackSet, Work};
use crate::record::StoredPack;
use crate::spool::Spooled;
use crate::{Error, Oid, Result};

/// The name under which a pack is spooled in its quarantine.
pub(crate) const INCOMING: &str = "incoming.pack";

/// `.gitmodules` and `.gitattributes` that the trees of one pack name (bytes): they may be blobs of earlier packs.
const DOTFILES_BYTES_MAX: u64 = 64 << 20;

/// A pack that passed every check. Its folder goes away with it.
pub(crate) struct Received {
    pub dir: TempDir,
    pub pack: StoredPack,
    /// The epoch of the repository it was checked against.
    pub epoch: u64,
    /// Objects of the repository that its objects name. In a later epoch they may be gone.
    pub needs: Vec<Oid>,
}

/// Checks the spooled pack against the repository, for as long as somebody waits for it; `None` when it holds nothing.
pub(crate) fn take_in(
    packs: &Arc<RepositoryPacks>,
    stored: &[StoredPack],
    spooled: Spooled,
    upload: String,
    tell: &mut dyn FnMut(&str),
    asker: Asker,
) -> Result<Option<Received>> {
    let Spooled { dir, scanned, checker } = spooled;
    let path = dir.path().join(INCOMING);
    let set = PackSet::open(packs, stored)?;
    let base = |oid: &Oid, work: &Work| set.content(oid, PACK_LIMITS.object_bytes, work);
    let ingested = scanned.resolve(&path, &base, &|kind, oid, bytes| checker.object(kind, oid, bytes), asker)?;
    if ingested.len() == 0 {
        return Ok(None);
    }
    let count = ingested.len();
    tell(&format!("Indexing objects: 100% ({count}/{count}), done."));
    let needs = check_links(&checker, &ingested, &Objects::open(Arc::clone(packs), None)?)?;
    let pack = place(dir.path(), &path, &ingested, upload)?;
    drop(ingested);
    let objects = Objects::open(Arc::clone(packs), Some(dir.path()))?;
    check_dotfiles(&checker, &objects)?;
    tell(&format!("Checking objects: 100% ({count}/{count}), done."));
    Ok(Some(Received { dir, pack, epoch: packs.epoch(), needs }))
}

/// Whatever the pack's objects name is in the pack, or in the repository (which is closed already): what is there.
fn check_links(checker: &Checker, ingested: &Ingested, objects: &Objects) -> Result<Vec<Oid>> {
    let mut needs = Vec::new();
    checker.each_link(|oid, wanted| {
        let there = match ingested.kind_of(oid) {
            Some(kind) => Some(kind),
            None => {
                needs.push(*oid);
                objects.header(oid)?.map(|(kind, _)| kind)
            }
        };
        match there {
            Some(kind) if kind == wanted => Ok(()),
            Some(_) => Err(Error::Unpack(format!("object {oid} is not a {}", wanted.name()))),
            None => Err(Error::Disconnected(format!("missing {} {oid}", wanted.name()))),
        }
    })?;
    Ok(needs)
}

fn check_dotfiles(checker: &Checker, objects: &Objects) -> Result<()> {
    let fault = |oid: &Oid, Fault(id, text): Fault| Error::Unpack(format!("object {oid}: {id}: {text}"));
    let mut left = DOTFILES_BYTES_MAX;
    let mut read = |oid: &Oid| match objects.header(oid)? {
        Some((_, size)) if size > DOTFILE_BYTES_MAX as u64 => {
            Err(fault(oid, Fault("gitmodulesLarge", "too large to parse")))
        }
        found => {
            let size = found.map_or(0, |(_, size)| size);
            let too_many =
                || Error::TooLarge(format!("files like .gitmodules have {DOTFILES_BYTES_MAX} bytes and more"));
            left = left.checked_sub(size).ok_or_else(too_many)?;
            objects.read_as(oid, Kind::Blob)
        }
    };
    for oid in &checker.modules() {
        check_modules(&read(oid)?).map_err(|found| fault(oid, found))?;
    }
    for oid in &checker.attributes() {
        check_attributes(&read(oid)?).map_err(|found| fault(oid, found))?;
    }
    Ok(())
}

/// Gives the pack its name and its index.
pub(crate) fn place(dir: &Path, path: &Path, ingested: &Ingested, upload: String) -> Result<StoredPack> {
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(Error::io("reading a pack"))?;
    let bytes = std::io::copy(&mut file, &mut hash).map_err(Error::io("reading a pack"))?;
    let id = Sha256Digest(hash.finalize().into());
    let folder = dir.join("pack");
    std::fs::rename(path, folder.join(format!("pack-{id}.pack"))).map_err(Error::io("naming a pack"))?;
    let index = folder.join(format!("pack-{id}.idx"));
    std::fs::write(index, &ingested.index).map_err(Error::io("writing a pack index"))?;
    Ok(StoredPack {
        id,
        upload,
        index: Sha256Digest::of(&ingested.index),
        objects: ingested.len() as u64,
        bytes,
        index_bytes: ingested.index.len() as u64,
    })
}
