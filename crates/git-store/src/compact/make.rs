//! What a compaction makes: a joined pack, bitmaps, a bundle.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::{Millis, Sha256Digest};
use futures::StreamExt;
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::io::ReaderStream;

use super::choose::joined;
use super::garbage::{self, Listed};
use crate::bitmap;
use crate::cache::RepositoryPacks;
use crate::objects::Objects;
use crate::pack::{Chosen, OWN_LIMITS, PACK_LIMITS, PackSet, Plan, ingest, write_pack};
use crate::quarantine::{INCOMING, Received, place};
use crate::record::{Snapshot, StoredBitmaps, StoredBlob, StoredPack, blob_key, immutable};
use crate::store::{GitStore, blocking};
use crate::{Error, Oid, Ref, RepositoryId, Result};

/// A repository below this (bytes of packs) is cloned as fast without a bundle.
const BUNDLE_FROM: u64 = 1 << 20;
/// Garbage that is listed; more waits for the next time.
const LISTED_MAX: usize = 1_000_000;

pub(super) struct Bundle {
    pub blob: StoredBlob,
    pub path: PathBuf,
}

type NewBitmaps = (StoredBitmaps, Bytes);

/// New blobs, not stored yet.
pub(super) struct Made {
    pub replaced: HashSet<Sha256Digest>,
    pub joined: Option<Received>,
    pub bitmaps: Option<NewBitmaps>,
    pub bundle: Option<Bundle>,
    /// The list of unreachable objects, when it changes; inside, `None` when there are none any more.
    pub unreachable: Option<Option<(StoredBlob, Bytes)>>,
    pub dropped: u64,
    _scratch: TempDir,
}

impl Made {
    pub(super) fn joined_id(&self) -> Option<Sha256Digest> {
        self.joined.as_ref().map(|joined| joined.pack.id)
    }
}

/// What making begins from.
struct Source {
    packs: Arc<RepositoryPacks>,
    snapshot: Snapshot,
    /// Under which new blobs are named.
    upload: String,
    listed: Option<Listed>,
    now: Millis,
    may_drop: bool,
    scratch: TempDir,
}

impl GitStore {
    pub(super) async fn make(&self, id: &RepositoryId, snapshot: &Snapshot, may_drop: bool) -> Result<Made> {
        let listed = match &snapshot.contents.unreachable {
            None => None,
            Some(dated) => {
                let blob = self.settings().blobs.get(&blob_key(id, &dated.blob.name)?, None).await?;
                let raw = cloud::collect(blob, LISTED_MAX * 20).await?;
                Some(Listed { oids: garbage::decode(&raw)?, at: dated.at })
            }
        };
        let source = Source {
            packs: self.packs(id, snapshot).await?,
            snapshot: snapshot.clone(),
            upload: self.new_push_id(),
            listed,
            now: self.settings().clock.now(),
            may_drop,
            scratch: self.cache().quarantine()?,
        };
        blocking(move || source.make()).await
    }

    pub(super) async fn store_made(&self, id: &RepositoryId, made: &Made) -> Result<()> {
        if let Some(joined) = &made.joined {
            self.store_received(id, joined).await?;
        }
        if let Some((stored, raw)) = &made.bitmaps {
            self.put_blob(&blob_key(id, &stored.blob.name)?, raw.clone(), stored.blob.digest).await?;
        }
        if let Some(Some((blob, raw))) = &made.unreachable {
            self.put_blob(&blob_key(id, &blob.name)?, raw.clone(), blob.digest).await?;
        }
        if let Some(Bundle { blob, path }) = &made.bundle {
            let file = tokio::fs::File::open(path).await.map_err(Error::io("storing a bundle"))?;
            let body = ReaderStream::with_capacity(file, 256 * 1024).boxed();
            let key = blob_key(id, &blob.name)?;
            match self.settings().blobs.put_stream(&key, body, immutable(blob.bytes, blob.digest)).await {
                Err(error) if !error.is_condition_failed() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Source {
    fn make(self) -> Result<Made> {
        let contents = &self.snapshot.contents;
        let (packs, known) = contents.numbered();
        let bitmaps = known.and_then(|_| self.packs.bitmaps());
        let set = PackSet::open(&self.packs, &packs)?;
        let objects = Objects::open(Arc::clone(&self.packs), None)?;
        let tips = self.tips();
        let verdict = garbage::judge(&set, &objects, bitmaps.as_deref(), &tips, self.listed.as_ref(), self.now)?;
        let drop = if self.may_drop { verdict.drop.clone() } else { RoaringBitmap::new() };
        let chosen = if drop.is_empty() { joined(&packs) } else { self.fits(&packs) };
        let dropping = !drop.is_empty() && !chosen.is_empty();
        let replaced: HashSet<Sha256Digest> = chosen.iter().map(|pack| pack.id).collect();
        let joined = match chosen.is_empty() {
            true => None,
            false => Some(self.join(&chosen, if dropping { Some(&set) } else { None }, &drop)?),
        };
        let joined = joined.flatten();
        let mut after: Vec<_> = packs.iter().filter(|pack| !replaced.contains(&pack.id)).cloned().collect();
        after.extend(joined.iter().map(|joined| joined.pack.clone()));
        let (bitmaps, bundle) = self.index_and_bundle(&after, joined.as_ref(), &tips)?;
        // A list goes on only when what it condemned has gone.
        let list_is_due = verdict.drop.is_empty() != dropping;
        Ok(Made {
            unreachable: verdict.list.clone().filter(|_| list_is_due).map(|list| self.list(list)),
            dropped: if dropping { drop.len() } else { 0 },
            replaced,
            joined,
            bitmaps,
            bundle,
            _scratch: self.scratch,
        })
    }

    /// Where walks begin: the default branch, then branches, then all other refs.
    fn tips(&self) -> Vec<Oid> {
        let refs = &self.snapshot.contents.refs;
        let head = refs.get(&self.snapshot.head.to_ref());
        let branches = refs.iter().filter(|(name, _)| name.is_branch()).map(|(_, stored)| stored);
        let others = refs.iter().filter(|(name, _)| !name.is_branch()).map(|(_, stored)| stored);
        head.into_iter().chain(branches).chain(others).map(|stored| stored.oid).collect()
    }

    /// All packs, when one pack may hold what they do.
    fn fits(&self, packs: &[StoredPack]) -> Vec<StoredPack> {
        let bytes: u64 = packs.iter().map(|pack| pack.bytes).sum();
        let objects: u64 = packs.iter().map(|pack| pack.objects).sum();
        let fits = bytes <= PACK_LIMITS.pack_bytes && objects <= u64::from(PACK_LIMITS.objects);
        if fits { packs.to_vec() } else { Vec::new() }
    }

    /// One pack of what `chosen` hold, but for what is dropped; indexed anew, so that every object is hashed again on
    /// the way. `all` is the set by which `drop` is numbered, when it is of all packs. `None` when nothing is left.
    fn join(&self, chosen: &[StoredPack], all: Option<&PackSet>, drop: &RoaringBitmap) -> Result<Option<Received>> {
        let dir = tempfile::tempdir_in(self.scratch.path()).map_err(Error::io("joining packs"))?;
        std::fs::create_dir(dir.path().join("pack")).map_err(Error::io("joining packs"))?;
        let path = dir.path().join(INCOMING);
        let own;
        let set = match all {
            Some(set) => set,
            None => {
                own = PackSet::open(&self.packs, chosen)?;
                &own
            }
        };
        let objects = Objects::open(Arc::clone(&self.packs), None)?;
        let send = if all.is_some() { set.everything() - drop } else { set.everything() };
        if send.is_empty() {
            return Ok(None);
        }
        let mut file = BufWriter::new(File::create(&path).map_err(Error::io("joining packs"))?);
        let plan = Plan { offsets: true, thin: false };
        let mut sink = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("joining packs"));
        write_pack(set, &objects, &Chosen { send, ..Chosen::default() }, plan, &mut sink)?;
        file.flush().map_err(Error::io("joining packs"))?;
        let ingested = ingest(OWN_LIMITS, &path, &|_, _, _| Ok(()))?;
        let pack = place(dir.path(), &path, &ingested, self.upload.clone())?;
        Ok(Some(Received { dir, pack, epoch: self.snapshot.epoch, needs: Vec::new() }))
    }

    /// Bitmaps over the packs as they will be, and a bundle of all branches and tags.
    fn index_and_bundle(
        &self,
        after: &[StoredPack],
        joined: Option<&Received>,
        tips: &[Oid],
    ) -> Result<(Option<NewBitmaps>, Option<Bundle>)> {
        if after.is_empty() {
            return Ok((None, None));
        }
        // The largest first: what it holds is numbered there.
        let mut order = after.to_vec();
        order.sort_by_key(|pack| std::cmp::Reverse(pack.objects));
        let folder = joined.map(|joined| joined.dir.path().to_owned());
        let set = PackSet::open_with(&self.packs, folder.as_deref(), &order)?;
        let objects = Objects::open(Arc::clone(&self.packs), folder.as_deref())?;
        let bitmaps = bitmap::build(&set, &objects, tips)?;
        let raw = Bytes::from(bitmap::encode(&bitmaps)?);
        let digest = Sha256Digest::of(&raw);
        let blob = StoredBlob { name: format!("bitmaps/{digest}-{}", self.upload), digest, bytes: raw.len() as u64 };
        let counted = order.iter().map(|pack| pack.objects).sum();
        let stored = StoredBitmaps { blob, packs: order.iter().map(|pack| pack.id).collect(), objects: counted };
        let bytes: u64 = order.iter().map(|pack| pack.bytes).sum();
        let bundle = match bytes >= BUNDLE_FROM {
            true => self.bundle(&set, &objects, &bitmaps)?,
            false => None,
        };
        Ok((Some((stored, raw)), bundle))
    }

    /// A bundle, version 2 (gitformat-bundle): refs, an empty line, a pack.
    fn bundle(&self, set: &PackSet, objects: &Objects, bitmaps: &bitmap::Bitmaps) -> Result<Option<Bundle>> {
        let public = |r: &Ref| r.name.is_branch() || r.name.as_str().starts_with("refs/tags/");
        let refs: Vec<Ref> = self.snapshot.visible().into_iter().filter(public).collect();
        if refs.is_empty() {
            return Ok(None);
        }
        let tips: Vec<Oid> = refs.iter().map(|r| r.oid).collect();
        let send = bitmap::reachable(set, objects, Some(bitmaps), &tips)?;
        let path = self.scratch.path().join("clone.bundle");
        let io = || Error::io("writing a bundle");
        let mut file = BufWriter::new(File::create(&path).map_err(io())?);
        let mut head = String::from("# v2 git bundle\n");
        refs.iter().for_each(|r| head.push_str(&format!("{} {}\n", r.oid, r.name)));
        head.push('\n');
        file.write_all(head.as_bytes()).map_err(io())?;
        let plan = Plan { offsets: true, thin: false };
        let chosen = Chosen { send, ..Chosen::default() };
        write_pack(set, objects, &chosen, plan, &mut |bytes| file.write_all(bytes).map_err(io()))?;
        file.flush().map_err(io())?;
        let (digest, bytes) = digest_of(&path)?;
        let blob = StoredBlob { name: format!("bundles/{digest}-{}.bundle", self.upload), digest, bytes };
        Ok(Some(Bundle { blob, path }))
    }

    fn list(&self, mut oids: Vec<Oid>) -> Option<(StoredBlob, Bytes)> {
        oids.truncate(LISTED_MAX);
        if oids.is_empty() {
            return None;
        }
        let raw = Bytes::from(garbage::encode(&oids));
        let digest = Sha256Digest::of(&raw);
        let blob =
            StoredBlob { name: format!("unreachable/{digest}-{}", self.upload), digest, bytes: raw.len() as u64 };
        Some((blob, raw))
    }
}

fn digest_of(path: &Path) -> Result<(Sha256Digest, u64)> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(Error::io("reading a bundle"))?;
    let bytes = std::io::copy(&mut file, &mut hash).map_err(Error::io("reading a bundle"))?;
    Ok((Sha256Digest(hash.finalize().into()), bytes))
}
