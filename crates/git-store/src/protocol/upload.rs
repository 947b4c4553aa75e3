//! Upload-pack: what is wanted, what is had, and the pack between (gitprotocol-pack, gitprotocol-v2).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;

use super::keep_alive::keep_alive;
use super::listing::{bundle_list, ls_refs, object_info};
use super::negotiate::{acknowledge_v0, acknowledge_v2};
use super::pktline::{self, Lines, PacketReader};
use super::request::{Fetch, Request, read_v0, read_v2};
use crate::bitmap::{Bitmaps, choose, reachable};
use crate::cache::RepositoryPacks;
use crate::http::{Offers, PackfileUri, Protocol};
use crate::objects::Objects;
use crate::pack::{Kind, PackSet, Plan, write_pack};
use crate::reach::first_unreachable;
use crate::record::Snapshot;
use crate::shallow::boundary;
use crate::store::{GitStore, blocking};
use crate::walk::{Selection, Wanted, select};
use crate::{Error, Oid, RepositoryId, Result};

/// A request once inflated (bytes).
const REQUEST_BYTES_MAX: u64 = 16 << 20;
/// Lines of a request: as many objects and prefixes as may be named, and some more.
const PACKETS_MAX: usize = 300_000;
/// Packets on their way to a slow client.
const PACKETS_AHEAD: usize = 16;

impl GitStore {
    pub(crate) async fn upload(&self, id: &RepositoryId, protocol: Protocol, body: BlobStream) -> Result<BlobStream> {
        match self.answer(id, protocol, body).await {
            Err(error) if error.is_callers() && !error.is_not_found() => {
                Ok(cloud::stream_of(pktline::error_line(&error.to_string())))
            }
            answer => answer,
        }
    }

    async fn answer(&self, id: &RepositoryId, protocol: Protocol, body: BlobStream) -> Result<BlobStream> {
        let mut packets = Vec::new();
        let mut reader = PacketReader::new(body, REQUEST_BYTES_MAX);
        while let Some(packet) = reader.next().await? {
            if packets.len() >= PACKETS_MAX {
                return Err(Error::TooLarge("the request has too many lines".into()));
            }
            packets.push(packet);
        }
        let snapshot = self.snapshot(id).await?;
        let request = match protocol {
            Protocol::V0 | Protocol::V1 => read_v0(&packets, &snapshot)?,
            Protocol::V2 => read_v2(&packets, &snapshot)?,
        };
        match request {
            Request::Nothing => Ok(cloud::stream_of(Bytes::new())),
            Request::LsRefs(asked) => Ok(cloud::stream_of(ls_refs(&snapshot, &asked))),
            Request::Fetch(fetch) => self.fetch(id, snapshot, *fetch, protocol).await,
            Request::BundleUri => Ok(cloud::stream_of(bundle_list(&self.bundles(id, &snapshot).await?))),
            Request::ObjectInfo(oids) => {
                let packs = self.packs(id, &snapshot).await?;
                let offers = self.offers().clone();
                let answer = blocking(move || object_info(&Source::open(packs, snapshot)?, &oids, &offers)).await?;
                Ok(cloud::stream_of(answer))
            }
        }
    }

    async fn fetch(
        &self,
        id: &RepositoryId,
        snapshot: Snapshot,
        fetch: Fetch,
        protocol: Protocol,
    ) -> Result<BlobStream> {
        let packs = self.packs(id, &snapshot).await?;
        let offers = self.offers().clone();
        let prepared = blocking(move || {
            let source = Source::open(packs, snapshot)?;
            let (head, work) = prepare(&source, fetch, protocol, &offers)?;
            Ok((head, work.map(|work| (work, source))))
        })
        .await?;
        let (head, Some((work, source))) = prepared else {
            return Ok(cloud::stream_of(prepared.0));
        };
        let is_banded = work.side_band.is_some();
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(PACKETS_AHEAD);
        tokio::task::spawn_blocking(move || {
            let _ = sender.blocking_send(head);
            stream_pack(work, &source, &mut |bytes| {
                sender.blocking_send(bytes).map_err(|_| Error::Protocol("the client has gone".into()))
            });
        });
        Ok(keep_alive(receiver, is_banded))
    }
}

/// A repository as it is read for one answer.
pub(super) struct Source {
    pub snapshot: Snapshot,
    pub objects: Objects,
    pub set: PackSet,
    pub bitmaps: Option<Arc<Bitmaps>>,
}

impl Source {
    fn open(packs: Arc<RepositoryPacks>, snapshot: Snapshot) -> Result<Self> {
        let (stored, known) = snapshot.contents.numbered();
        let bitmaps = known.and_then(|_| packs.bitmaps());
        let set = PackSet::open(&packs, &stored)?;
        Ok(Self { objects: Objects::open(packs, None)?, snapshot, set, bitmaps })
    }
}

/// What is left to do once the answer has begun.
struct Work {
    wanted: Wanted,
    /// What is wanted, when that had to be known before.
    selection: Option<Selection>,
    plan: Plan,
    /// The size of a side-band packet; `None` sends the bare pack.
    side_band: Option<usize>,
    progress: bool,
    /// A flush ends the answer.
    flush: bool,
}

fn prepare(source: &Source, fetch: Fetch, protocol: Protocol, offers: &Offers) -> Result<(Bytes, Option<Work>)> {
    let Source { objects, snapshot, set, .. } = source;
    if !fetch.uri_schemes.is_empty() && offers.packfile_uris.is_empty() {
        return Err(Error::Protocol("unexpected line: packfile-uris".into()));
    }
    let mut out = Lines::new(fetch.sideband_all);
    check_wants(source, &fetch.wants, offers)?;
    let client: HashSet<Oid> = fetch.shallow.iter().copied().collect();
    let mut edge = boundary(objects, &fetch.wants, &client, &fetch.deepen)?;
    let mut common = Vec::new();
    // Most of what a stranger has is not here; libgit2 would look for new packs each time.
    for have in fetch.haves.iter().filter(|have| set.number(have).is_some()) {
        if objects.header(have)?.is_some_and(|(kind, _)| kind == Kind::Commit) {
            common.push(*have);
        }
    }
    let go_on = match protocol {
        Protocol::V2 => acknowledge_v2(objects, &fetch, &common, &edge, &mut out)?,
        Protocol::V0 | Protocol::V1 => acknowledge_v0(objects, &fetch, &common, &edge, &mut out)?,
    };
    if !go_on {
        return Ok((out.finish(), None));
    }
    let tags = if fetch.include_tag { snapshot.visible() } else { Vec::new() };
    let mut wants = fetch.wants;
    wants.append(&mut edge.wants);
    // What was left out before is not there to be the base of a delta.
    let plan = Plan { offsets: fetch.offsets, thin: fetch.thin && fetch.filter.is_empty() };
    let wanted = Wanted { wants, haves: common, cut: edge.cut, tags, filter: fetch.filter };
    let is_taken = |uri: &str| uri.split_once("://").is_some_and(|(s, _)| fetch.uri_schemes.iter().any(|t| t == s));
    let uris: Vec<_> = offers.packfile_uris.iter().filter(|offer| is_taken(&offer.uri)).collect();
    let selection = if uris.is_empty() { None } else { Some(point_elsewhere(objects, &wanted, &uris, &mut out)?) };
    if protocol == Protocol::V2 {
        out.line("packfile");
    }
    let work = Work {
        plan,
        wanted,
        selection,
        side_band: fetch.side_band,
        progress: !fetch.no_progress,
        flush: fetch.side_band.is_some(),
    };
    Ok((out.finish(), Some(work)))
}

/// Takes the blobs that are to be had elsewhere out of what is sent, and says where they are.
fn point_elsewhere(objects: &Objects, wanted: &Wanted, uris: &[&PackfileUri], out: &mut Lines) -> Result<Selection> {
    let mut selection = select(objects, wanted)?;
    let sent: HashSet<Oid> = uris.iter().map(|offer| offer.blob).filter(|oid| selection.leave_out(oid)).collect();
    if !sent.is_empty() {
        selection.oids.retain(|oid| !sent.contains(oid));
        out.line("packfile-uris");
        let told = uris.iter().filter(|offer| sent.contains(&offer.blob));
        told.for_each(|offer| out.line(&format!("{} {}", offer.checksum, offer.uri)));
        out.delimiter();
    }
    Ok(selection)
}

/// Only what a visible ref leads to may be had, unless the server says otherwise.
pub(super) fn check_wants(source: &Source, wants: &[Oid], offers: &Offers) -> Result<()> {
    let Source { snapshot, objects, set, bitmaps } = source;
    let visible = snapshot.visible();
    let tips: HashSet<Oid> = visible.iter().flat_map(|r| [Some(r.oid), r.peeled]).flatten().collect();
    let others: Vec<Oid> = wants.iter().filter(|want| !tips.contains(want)).copied().collect();
    let numbered: Vec<Option<u32>> = others.iter().map(|oid| set.number(oid)).collect();
    let not_ours = |oid: &Oid| Err(Error::Protocol(format!("upload-pack: not our ref {oid}")));
    if let Some(at) = numbered.iter().position(Option::is_none) {
        return not_ours(&others[at]);
    }
    if others.is_empty() || offers.any_object {
        return Ok(());
    }
    let roots: Vec<Oid> = visible.iter().map(|r| r.oid).collect();
    let outside = match bitmaps {
        Some(bitmaps) => {
            let reached = reachable(set, objects, Some(bitmaps), &roots)?;
            let outside = numbered.iter().position(|number| number.is_none_or(|number| !reached.contains(number)));
            outside.map(|at| others[at])
        }
        None => first_unreachable(objects, &roots, &others)?,
    };
    outside.map_or(Ok(()), |oid| not_ours(&oid))
}

/// Selects and sends. An error after the answer has begun goes to the client on band 3.
fn stream_pack(work: Work, source: &Source, send: &mut dyn FnMut(Bytes) -> Result<()>) {
    let side_band = work.side_band;
    if let Err(error) = try_stream(work, source, send) {
        tracing::warn!(%error, "a fetch ended early");
        if let Some(max) = side_band {
            let mut out = Vec::new();
            let text = if error.is_callers() { error.to_string() } else { "the repository cannot be read".into() };
            pktline::side_band(&mut out, 3, format!("{}\n", pktline::plain(&text)).as_bytes(), max);
            pktline::flush(&mut out);
            let _ = send(out.into());
        }
    }
}

fn try_stream(work: Work, source: &Source, send: &mut dyn FnMut(Bytes) -> Result<()>) -> Result<()> {
    let Source { objects, set, bitmaps, .. } = source;
    let chosen = match (&work.selection, bitmaps) {
        (Some(selection), _) => selection.numbered(set)?,
        // A history that is cut is not what the bitmaps speak of, nor are trees down to some depth.
        (None, Some(bitmaps)) if work.wanted.suits_bitmaps() => choose(set, objects, bitmaps, &work.wanted)?,
        _ => select(objects, &work.wanted)?.numbered(set)?,
    };
    if let Some(max) = work.side_band.filter(|_| work.progress) {
        let mut out = Vec::new();
        let text = format!("Enumerating objects: {}, done.\n", chosen.send.len());
        pktline::side_band(&mut out, 2, text.as_bytes(), max);
        send(out.into())?;
    }
    let payload = work.side_band.map_or(32 * 1024, |max| max - 5);
    let mut pending: Vec<u8> = Vec::with_capacity(payload);
    let emit = |pending: &mut Vec<u8>, send: &mut dyn FnMut(Bytes) -> Result<()>| match work.side_band {
        Some(max) => {
            let mut out = Vec::with_capacity(pending.len() + 5);
            pktline::side_band(&mut out, 1, pending, max);
            pending.clear();
            send(out.into())
        }
        None => send(std::mem::take(pending).into()),
    };
    write_pack(set, objects, &chosen, work.plan, &mut |mut bytes| {
        while !bytes.is_empty() {
            let n = bytes.len().min(payload - pending.len());
            pending.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if pending.len() == payload {
                emit(&mut pending, send)?;
            }
        }
        Ok(())
    })?;
    if !pending.is_empty() {
        emit(&mut pending, send)?;
    }
    if work.flush {
        send(Bytes::from_static(b"0000"))?;
    }
    Ok(())
}
