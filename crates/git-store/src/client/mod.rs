//! The one place that is a Git client: refs and objects of a repository elsewhere, by protocol v2 (gitprotocol-v2).
//!
//! What comes is treated as what is pushed: bounded, checked as `git fsck --strict` does, connected, and visible in one
//! step at the end. How the bytes travel is the caller's: [`Remote`].

mod refs;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;

use crate::asker::Asker;
use crate::pack::PACK_LIMITS;
use crate::protocol::pktline::{self, Packet, PacketReader};
use crate::push::{Push, Update};
use crate::quarantine::{Received, take_in};
use crate::spool::Spool;
use crate::store::{GitStore, blocking, settle};
use crate::{Error, Oid, RefPolicy, RepositoryId, Result};

pub use refs::{RemoteRef, RemoteRefs};

/// Progress lines of one import that are passed on; a server that says more is heard no longer.
const PROGRESS_LINES_MAX: usize = 2_000;

/// A repository elsewhere. Errors that its reader should see are [`Error::Protocol`].
#[async_trait::async_trait]
pub trait Remote: Send + Sync {
    /// The answer to `GET info/refs?service=git-upload-pack` under `Git-Protocol: version=2`.
    async fn advertisement(&self) -> Result<BlobStream>;
    /// The answer to `POST git-upload-pack` under the same header.
    async fn upload_pack(&self, request: Bytes) -> Result<BlobStream>;
}

/// Where lines of progress go; called from any thread.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

impl GitStore {
    /// The branches, tags and default branch of a repository elsewhere.
    pub async fn remote_refs(&self, remote: &dyn Remote) -> Result<RemoteRefs> {
        refs::list(remote).await
    }

    /// Brings everything that `refs` lead to into an empty repository, and then the refs, all in one step. Done again
    /// after it succeeded it changes nothing; `Error::Conflict` when the repository holds something else.
    pub async fn import(
        &self,
        repository: &RepositoryId,
        remote: &dyn Remote,
        refs: &RemoteRefs,
        tell: Tell,
        policy: &dyn RefPolicy,
    ) -> Result<()> {
        let here = self.refs(repository).await?;
        if !here.is_empty() {
            let same = here.len() == refs.refs.len()
                && here.iter().zip(&refs.refs).all(|(here, there)| here.name == there.name && here.oid == there.oid);
            return if same { Ok(()) } else { Err(Error::Conflict("the repository is not empty".into())) };
        }
        if let Some(head) = &refs.head {
            self.set_head(repository, head).await?;
        }
        let Some(first) = refs.refs.first() else { return Ok(()) };
        let wants: BTreeSet<Oid> = refs.refs.iter().map(|one| one.oid).collect();
        let received = self.fetch_all(repository, remote, &wants, tell).await?;
        let update = |one: &RemoteRef| Update { name: one.name.clone(), old: None, new: Some(one.oid) };
        let updates = refs.refs.iter().map(update).collect();
        let push =
            Push { updates, received: Some(received), atomic: true, id: self.new_push_id(), asker: Asker::default() };
        let verdicts = self.push(repository, push, policy).await?;
        // All or none: the refusal of one is that of all, and the first that is its own reason is told.
        let own = verdicts.iter().zip(&refs.refs).find(|(verdict, _)| verdict.is_own_refusal());
        match own {
            Some((verdict, one)) => settle(&one.name, vec![verdict.clone()]),
            None => settle(&first.name, verdicts),
        }
    }

    /// Spools the pack of everything wanted into a quarantine and checks it.
    async fn fetch_all(
        &self,
        repository: &RepositoryId,
        remote: &dyn Remote,
        wants: &BTreeSet<Oid>,
        tell: Tell,
    ) -> Result<Received> {
        let snapshot = self.snapshot(repository).await?;
        let packs = self.packs(repository, &snapshot).await?;
        let body = remote.upload_pack(request(wants)).await?;
        let mut spool = Spool::open(self.cache().quarantine()?);
        let mut incoming = Incoming::new(body, tell.clone());
        incoming.open().await?;
        while let Some(chunk) = incoming.chunk().await? {
            spool.write(chunk).await?;
        }
        let bytes = spool.bytes();
        let spooled = spool.finish().await?;
        tell(format!("Received {bytes} bytes."));
        let upload = self.new_push_id();
        let mut say = move |text: &str| tell(text.to_owned());
        let work = move || take_in(&packs, &snapshot.contents.packs, spooled, upload, &mut say, Asker::default());
        let received = blocking(work).await?;
        received.ok_or_else(|| Error::Protocol("the server sent no objects".into()))
    }
}

/// `fetch` of everything, without anything on our side.
fn request(wants: &BTreeSet<Oid>) -> Bytes {
    let mut out = Vec::new();
    for line in ["command=fetch", crate::protocol::AGENT, "object-format=sha1"] {
        pktline::line(&mut out, line);
    }
    pktline::delimiter(&mut out);
    pktline::line(&mut out, "ofs-delta");
    for want in wants {
        pktline::line(&mut out, &format!("want {want}"));
    }
    pktline::line(&mut out, "done");
    pktline::flush(&mut out);
    out.into()
}

/// The answer to a fetch (gitprotocol-v2, "fetch", "packfile").
struct Incoming {
    reader: PacketReader,
    tell: Tell,
    lines_left: usize,
}

impl Incoming {
    fn new(body: BlobStream, tell: Tell) -> Self {
        // Each packet has five bytes that are not the pack's; progress has its share too.
        let limit = PACK_LIMITS.pack_bytes + PACK_LIMITS.pack_bytes / 64 + (16 << 20);
        Self { reader: PacketReader::new(body, limit), tell, lines_left: PROGRESS_LINES_MAX }
    }

    /// Reads up to where the pack begins.
    async fn open(&mut self) -> Result<()> {
        match self.reader.next().await? {
            Some(packet) if packet.line() == Some(b"packfile") => Ok(()),
            Some(packet) => Err(said(&packet)),
            None => Err(Error::Protocol("the server sent no pack".into())),
        }
    }

    /// The next bytes of the pack; `None` at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let bytes = match self.reader.next().await? {
                Some(Packet::Data(bytes)) => bytes,
                Some(Packet::Flush) => return Ok(None),
                Some(Packet::Delimiter) => return Err(Error::Protocol("the server's answer has one part more".into())),
                None => return Err(Error::Protocol("the pack is cut short".into())),
            };
            match bytes.first() {
                Some(1) => return Ok(Some(bytes.slice(1..))),
                Some(2) => self.progress(&bytes[1..]),
                Some(3) => {
                    let text = pktline::plain(&String::from_utf8_lossy(&bytes[1..]));
                    return Err(Error::Protocol(format!("the server stopped: {}", text.trim_matches('?').trim())));
                }
                _ => return Err(Error::Protocol("the server's answer is not in side bands".into())),
            }
        }
    }

    /// Lines that stay; those that a terminal overwrites are not told.
    fn progress(&mut self, text: &[u8]) {
        for line in String::from_utf8_lossy(text).split_inclusive(['\n', '\r']) {
            let Some(line) = line.strip_suffix('\n') else { continue };
            if self.lines_left == 0 {
                return;
            }
            self.lines_left -= 1;
            (self.tell)(format!("remote: {}", pktline::plain(line.trim_end())));
        }
    }
}

/// A packet that is not what was to come, as an error.
fn said(packet: &Packet) -> Error {
    match packet.line().and_then(|line| line.strip_prefix(b"ERR ")) {
        Some(text) => {
            let text = pktline::plain(&String::from_utf8_lossy(text));
            Error::Protocol(format!("the server says: {text}"))
        }
        None => Error::Protocol("the server's answer is not protocol version 2".into()),
    }
}
