//! Upload-pack: what is wanted, what is had, and the pack between (gitprotocol-pack, gitprotocol-v2).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;
use futures::StreamExt;

use super::advertise::head_oid;
use super::pktline::{self, Packet, PacketReader};
use super::request::{Fetch, LsRefs, Request, read_v0, read_v2};
use crate::bitmap::{Bitmaps, choose};
use crate::http::Protocol;
use crate::objects::Objects;
use crate::pack::{Kind, PackSet, Plan, write_pack};
use crate::record::Snapshot;
use crate::shallow::{Boundary, boundary};
use crate::store::{GitStore, blocking};
use crate::walk::{Wanted, all_reach, is_reachable, select};
use crate::{Error, Oid, Ref, RepositoryId, Result};

/// A request once inflated (bytes).
const REQUEST_BYTES_MAX: u64 = 16 << 20;
/// Wants for which it is worked out whether enough is known of the client.
const READY_WANTS_MAX: usize = 64;
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
            packets.push(packet);
        }
        let snapshot = self.snapshot(id).await?;
        let request = match protocol {
            Protocol::V0 => read_v0(&packets, &snapshot)?,
            Protocol::V2 => read_v2(&packets, &snapshot)?,
        };
        match request {
            Request::Nothing => Ok(cloud::stream_of(Bytes::new())),
            Request::LsRefs(asked) => Ok(cloud::stream_of(ls_refs(&snapshot, &asked))),
            Request::Fetch(fetch) => self.fetch(id, snapshot, fetch, protocol).await,
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
        let (stored, bitmaps) = snapshot.contents.numbered();
        let bitmaps = bitmaps.and_then(|_| packs.bitmaps());
        let prepared = blocking(move || {
            let objects = Objects::open(packs, None)?;
            let set = PackSet::open(&objects.packs, &stored)?;
            let (head, work) = prepare(&objects, &snapshot, fetch, protocol)?;
            Ok((head, work.map(|work| (Work { bitmaps, ..work }, objects, set))))
        })
        .await?;
        let (head, Some((work, objects, set))) = prepared else {
            return Ok(cloud::stream_of(prepared.0));
        };
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(PACKETS_AHEAD);
        tokio::task::spawn_blocking(move || {
            let _ = sender.blocking_send(head);
            stream_pack(&work, &objects, &set, &mut |bytes| {
                sender.blocking_send(bytes).map_err(|_| Error::Protocol("the client has gone".into()))
            });
        });
        let packets = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|bytes| (Ok(bytes), receiver))
        });
        Ok(packets.boxed())
    }
}

fn ls_refs(snapshot: &Snapshot, asked: &LsRefs) -> Bytes {
    let mut out = Vec::new();
    let matches = |name: &str| asked.prefixes.is_empty() || asked.prefixes.iter().any(|p| name.starts_with(p.as_str()));
    if matches("HEAD") {
        let target = snapshot.head.to_ref();
        let symref = if asked.symrefs { format!(" symref-target:{target}") } else { String::new() };
        match head_oid(snapshot) {
            Some(oid) => pktline::line(&mut out, &format!("{oid} HEAD{symref}")),
            None if asked.unborn => pktline::line(&mut out, &format!("unborn HEAD{symref}")),
            None => {}
        }
    }
    for Ref { name, oid, peeled } in snapshot.visible() {
        if matches(name.as_str()) {
            let peeled = peeled.filter(|_| asked.peel).map(|peeled| format!(" peeled:{peeled}")).unwrap_or_default();
            pktline::line(&mut out, &format!("{oid} {name}{peeled}"));
        }
    }
    pktline::flush(&mut out);
    out.into()
}

/// What is left to do once the answer has begun.
struct Work {
    wanted: Wanted,
    bitmaps: Option<Arc<Bitmaps>>,
    plan: Plan,
    /// The size of a side-band packet; `None` sends the bare pack.
    side_band: Option<usize>,
    progress: bool,
    /// A flush ends the answer.
    flush: bool,
}

fn prepare(objects: &Objects, snapshot: &Snapshot, fetch: Fetch, protocol: Protocol) -> Result<(Bytes, Option<Work>)> {
    let mut out = Vec::new();
    check_wants(objects, snapshot, &fetch, protocol)?;
    let client: HashSet<Oid> = fetch.shallow.iter().copied().collect();
    let mut edge = boundary(objects, &fetch.wants, &client, &fetch.deepen)?;
    let mut common = Vec::new();
    for have in &fetch.haves {
        if objects.header(have)?.is_some_and(|(kind, _)| kind == Kind::Commit) {
            common.push(*have);
        }
    }
    let go_on = match protocol {
        Protocol::V2 => acknowledge_v2(objects, &fetch, &common, &edge, &mut out)?,
        Protocol::V0 => acknowledge_v0(objects, &fetch, &common, &edge, &mut out)?,
    };
    if !go_on {
        return Ok((out.into(), None));
    }
    if protocol == Protocol::V2 {
        pktline::line(&mut out, "packfile");
    }
    let tags = if fetch.include_tag { snapshot.visible() } else { Vec::new() };
    let mut wants = fetch.wants;
    wants.append(&mut edge.wants);
    let work = Work {
        wanted: Wanted { wants, haves: common, cut: edge.cut, tags },
        bitmaps: None,
        plan: Plan { offsets: fetch.offsets, thin: fetch.thin },
        side_band: fetch.side_band,
        progress: !fetch.no_progress,
        flush: fetch.side_band.is_some(),
    };
    Ok((out.into(), Some(work)))
}

/// Only what a visible ref leads to may be had: its tip, and with v2 any commit behind it.
fn check_wants(objects: &Objects, snapshot: &Snapshot, fetch: &Fetch, protocol: Protocol) -> Result<()> {
    let visible = snapshot.visible();
    let tips: HashSet<Oid> = visible.iter().flat_map(|r| [Some(r.oid), r.peeled]).flatten().collect();
    let roots: Vec<Oid> = visible.iter().map(|r| r.oid).collect();
    for want in fetch.wants.iter().filter(|want| !tips.contains(want)) {
        if protocol == Protocol::V0 || !is_reachable(objects, &roots, want)? {
            return Err(Error::Protocol(format!("upload-pack: not our ref {want}")));
        }
    }
    Ok(())
}

fn is_ready(objects: &Objects, fetch: &Fetch, common: &[Oid]) -> Result<bool> {
    if common.is_empty() || fetch.wants.len() > READY_WANTS_MAX {
        return Ok(false);
    }
    all_reach(objects, &fetch.wants, &common.iter().copied().collect())
}

fn shallow_lines(edge: &Boundary, out: &mut Vec<u8>) {
    edge.shallow.iter().for_each(|oid| pktline::line(out, &format!("shallow {oid}")));
    edge.unshallow.iter().for_each(|oid| pktline::line(out, &format!("unshallow {oid}")));
}

/// Writes the sections before the pack; `false` when the client has to say more first.
fn acknowledge_v2(
    objects: &Objects,
    fetch: &Fetch,
    common: &[Oid],
    edge: &Boundary,
    out: &mut Vec<u8>,
) -> Result<bool> {
    if fetch.wants.is_empty() {
        pktline::flush(out);
        return Ok(false);
    }
    if !fetch.done && !fetch.haves.is_empty() {
        pktline::line(out, "acknowledgments");
        if common.is_empty() {
            pktline::line(out, "NAK");
        }
        common.iter().for_each(|oid| pktline::line(out, &format!("ACK {oid}")));
        if !is_ready(objects, fetch, common)? {
            pktline::flush(out);
            return Ok(false);
        }
        pktline::line(out, "ready");
        pktline::delimiter(out);
    }
    if fetch.deepen.is_asked() {
        pktline::line(out, "shallow-info");
        shallow_lines(edge, out);
        pktline::delimiter(out);
    }
    Ok(true)
}

/// As `acknowledge_v2`, in the words of v0 (multi_ack, multi_ack_detailed, no-done).
fn acknowledge_v0(
    objects: &Objects,
    fetch: &Fetch,
    common: &[Oid],
    edge: &Boundary,
    out: &mut Vec<u8>,
) -> Result<bool> {
    if fetch.wants.is_empty() {
        return Ok(false);
    }
    if fetch.deepen.is_asked() {
        shallow_lines(edge, out);
        pktline::flush(out);
    }
    let last = common.last();
    let detailed = fetch.multi_ack_detailed;
    if detailed || fetch.multi_ack {
        let word = if detailed { "common" } else { "continue" };
        common.iter().for_each(|oid| pktline::line(out, &format!("ACK {oid} {word}")));
    } else if let Some(first) = common.first() {
        pktline::line(out, &format!("ACK {first}"));
    }
    if fetch.done {
        match last {
            Some(last) if detailed || fetch.multi_ack => pktline::line(out, &format!("ACK {last}")),
            Some(_) => {}
            None => pktline::line(out, "NAK"),
        }
        return Ok(true);
    }
    if !fetch.asked_for_answer {
        return Ok(false);
    }
    let ready = detailed && is_ready(objects, fetch, common)?;
    if let Some(last) = last.filter(|_| ready) {
        pktline::line(out, &format!("ACK {last} ready"));
    }
    if common.is_empty() || detailed || fetch.multi_ack {
        pktline::line(out, "NAK");
    }
    match last {
        Some(last) if ready && fetch.no_done => {
            pktline::line(out, &format!("ACK {last}"));
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Selects and sends. An error after the answer has begun goes to the client on band 3.
fn stream_pack(work: &Work, objects: &Objects, set: &PackSet, send: &mut dyn FnMut(Bytes) -> Result<()>) {
    if let Err(error) = try_stream(work, objects, set, send) {
        tracing::warn!(%error, "a fetch ended early");
        if let Some(max) = work.side_band {
            let mut out = Vec::new();
            let text = if error.is_callers() { error.to_string() } else { "the repository cannot be read".into() };
            pktline::side_band(&mut out, 3, format!("{}\n", pktline::plain(&text)).as_bytes(), max);
            pktline::flush(&mut out);
            let _ = send(out.into());
        }
    }
}

fn try_stream(work: &Work, objects: &Objects, set: &PackSet, send: &mut dyn FnMut(Bytes) -> Result<()>) -> Result<()> {
    let chosen = match &work.bitmaps {
        // A history that is cut is not what the bitmaps speak of.
        Some(bitmaps) if work.wanted.cut.is_empty() => choose(set, objects, bitmaps, &work.wanted)?,
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

/// The packets of a request that are lines of text.
pub(super) fn text(packet: &Packet) -> Result<&str> {
    let line = packet.line().ok_or_else(|| Error::Protocol("a line was expected".into()))?;
    std::str::from_utf8(line).map_err(|_| Error::Protocol("a line is not UTF-8".into()))
}
