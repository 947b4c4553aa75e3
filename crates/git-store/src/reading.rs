//! What people read beyond folders and files: every path, what is found in them, where lines come from, archives.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cloud::BlobStream;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::objects::Objects;
use crate::pack::{Kind, PackSet};
use crate::read::{self, Archive};
use crate::record::Snapshot;
use crate::store::{GitStore, blocking};
use crate::{
    ArchiveFormat, Blame, Commit, Comparison, Error, File, Oid, PathsPage, RepoPath, RepositoryId, Result, SearchPage,
    SearchQuery,
};

/// Paths on one page.
const PATHS_MAX: usize = 10_000;
/// A part of a streamed answer (bytes), and parts that may wait for whoever reads.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS_AHEAD: usize = 4;
/// The mode that is told of a blob that was asked for by its id.
const BLOB_MODE: u32 = 0o100_644;

impl GitStore {
    /// The paths of all files of a commit that start with `prefix`, from number `from` on; at most 10,000.
    pub async fn paths(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        prefix: &str,
        from: u64,
        limit: usize,
    ) -> Result<PathsPage> {
        if !read::is_prefix(prefix) {
            return Err(Error::Invalid("not a path that a repository can hold".into()));
        }
        let prefix = crate::bytes_of(prefix).into_owned();
        let work = move |objects: &_, _: &_| read::paths(objects, commit, &prefix, from, limit.clamp(1, PATHS_MAX));
        self.with_objects(repository, work).await
    }

    /// Looks for text in the files of a commit. Binary files are passed over.
    pub async fn search(&self, repository: &RepositoryId, commit: Oid, query: SearchQuery) -> Result<SearchPage> {
        self.with_objects(repository, move |objects, _| read::search(objects, commit, &query)).await
    }

    /// Shows `note` every stored blob of fewer than `below` bytes once, also those that no ref leads to; the answer is
    /// what it has made of `noted`.
    pub async fn each_blob_below<T: Send + 'static>(
        &self,
        repository: &RepositoryId,
        below: u64,
        mut noted: T,
        note: impl Fn(&mut T, &[u8]) + Send + 'static,
    ) -> Result<T> {
        let work = move |objects: &Objects, snapshot: &Snapshot| {
            let set = PackSet::open(&objects.packs, &snapshot.contents.packs)?;
            let [_, _, blobs, _] = set.kinds()?;
            for oid in (blobs & set.everything()).iter().filter_map(|number| set.oid(number)) {
                if objects.header(&oid)?.is_some_and(|(_, size)| size < below) {
                    note(&mut noted, &objects.read_as(&oid, Kind::Blob)?);
                }
            }
            Ok(noted)
        };
        self.with_objects(repository, work).await
    }

    /// Which commit each line of a file comes from, renames followed; `Error::Conflict` for a binary file.
    pub async fn blame(&self, repository: &RepositoryId, commit: Oid, path: &RepoPath) -> Result<Arc<Blame>> {
        let question = format!("blame {repository} {commit} {path}");
        if let Some(known) = self.remembered().get(&question) {
            return Ok(known);
        }
        let path = path.clone();
        let blame = self.with_objects(repository, move |objects, _| read::blame(objects, commit, &path)).await?;
        let blame = Arc::new(blame);
        if !blame.partial {
            self.remembered().keep(question, blame.clone());
        }
        Ok(blame)
    }

    /// How far `head` is from `base`. `hunks`: line by line as well.
    pub async fn compare(&self, repository: &RepositoryId, base: Oid, head: Oid, hunks: bool) -> Result<Comparison> {
        self.with_objects(repository, move |objects, _| read::compare(objects, base, head, hunks)).await
    }

    /// The commit that last changed each of these entries of a folder (the root when `path` is `None`); `None` where
    /// the history is too long to find it.
    pub async fn touched(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        path: Option<&RepoPath>,
        names: Vec<String>,
    ) -> Result<Arc<Vec<Option<Commit>>>> {
        let shown = path.map_or("", RepoPath::as_str);
        let ends = names.first().zip(names.last());
        let question = format!("touched {repository} {commit} {shown} {ends:?} {}", names.len());
        if let Some(known) = self.remembered().get(&question) {
            return Ok(known);
        }
        let path = path.map(|path| path.to_bytes().into_owned()).unwrap_or_default();
        let names: Vec<Vec<u8>> = names.iter().map(|name| crate::bytes_of(name).into_owned()).collect();
        let work = move |objects: &Objects, _: &Snapshot| read::touched(objects, commit, &path, &names);
        let (found, whole) = self.with_objects(repository, work).await?;
        let found = Arc::new(found);
        if whole {
            self.remembered().keep(question, found.clone());
        }
        Ok(found)
    }

    /// Any blob of the repository, at most 100 MiB.
    pub async fn blob(&self, repository: &RepositoryId, oid: Oid) -> Result<File> {
        let work = move |objects: &Objects, _: &Snapshot| {
            Ok(File { bytes: objects.read_as(&oid, Kind::Blob)?.into(), mode: BLOB_MODE, oid })
        };
        self.with_objects(repository, work).await
    }

    /// The files of a commit, or of a folder of it, in an archive in which all are in `folder`; at most 200,000 files
    /// and 2 GiB.
    pub async fn archive(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        path: Option<RepoPath>,
        folder: String,
        format: ArchiveFormat,
    ) -> Result<BlobStream> {
        let snapshot = self.snapshot(repository).await?;
        let packs = self.packs(repository, &snapshot).await?;
        let (objects, archive) = blocking(move || {
            let objects = Objects::open(packs, None)?;
            let archive = Archive::of(&objects, commit, path.as_ref(), folder, format)?;
            Ok((objects, archive))
        })
        .await?;
        let (sender, mut receiver) = mpsc::channel(CHUNKS_AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut out = Chunks { sender, buffer: BytesMut::new() };
            if let Err(error) = read::archive(&objects, &archive, &mut out) {
                // A reader that has gone is not told; one that is there must not take a part for the whole.
                let _ = out.sender.blocking_send(Err(io::Error::other(error)));
            }
        });
        Ok(futures::stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }
}

/// Writes into a channel, as fast as it is read.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone");
        self.sender.blocking_send(Ok(self.buffer.split().freeze())).map_err(gone)
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(CHUNK_BYTES);
        self.buffer.extend_from_slice(&bytes[..take]);
        if self.buffer.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
