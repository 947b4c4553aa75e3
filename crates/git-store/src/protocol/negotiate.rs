//! What is said before a pack: what both sides have, where history is cut (gitprotocol-pack, "Packfile Negotiation";
//! gitprotocol-v2, "fetch").

use super::pktline::Lines;
use super::request::Fetch;
use crate::objects::Objects;
use crate::reach::all_reach;
use crate::shallow::Boundary;
use crate::{Oid, Result};

/// Wants for which it is worked out whether enough is known of the client.
const READY_WANTS_MAX: usize = 64;

fn is_ready(objects: &Objects, fetch: &Fetch, common: &[Oid]) -> Result<bool> {
    if common.is_empty() || fetch.wants.len() > READY_WANTS_MAX {
        return Ok(false);
    }
    all_reach(objects, &fetch.wants, &common.iter().copied().collect())
}

fn shallow_lines(edge: &Boundary, out: &mut Lines) {
    edge.shallow.iter().for_each(|oid| out.line(&format!("shallow {oid}")));
    edge.unshallow.iter().for_each(|oid| out.line(&format!("unshallow {oid}")));
}

/// Writes the sections before the pack; `false` when the client has to say more first.
pub(super) fn acknowledge_v2(
    objects: &Objects,
    fetch: &Fetch,
    common: &[Oid],
    edge: &Boundary,
    out: &mut Lines,
) -> Result<bool> {
    if fetch.wants.is_empty() && !fetch.wait_for_done {
        out.flush();
        return Ok(false);
    }
    if !fetch.done && (!fetch.haves.is_empty() || fetch.wait_for_done) {
        out.line("acknowledgments");
        if common.is_empty() {
            out.line("NAK");
        }
        common.iter().for_each(|oid| out.line(&format!("ACK {oid}")));
        if fetch.wait_for_done || !is_ready(objects, fetch, common)? {
            out.flush();
            return Ok(false);
        }
        out.line("ready");
        out.delimiter();
    }
    if fetch.deepen.is_asked() {
        out.line("shallow-info");
        shallow_lines(edge, out);
        out.delimiter();
    }
    if !fetch.wanted_refs.is_empty() {
        out.line("wanted-refs");
        fetch.wanted_refs.iter().for_each(|(name, oid)| out.line(&format!("{oid} {name}")));
        out.delimiter();
    }
    Ok(true)
}

/// As `acknowledge_v2`, in the words of v0 (multi_ack, multi_ack_detailed, no-done).
pub(super) fn acknowledge_v0(
    objects: &Objects,
    fetch: &Fetch,
    common: &[Oid],
    edge: &Boundary,
    out: &mut Lines,
) -> Result<bool> {
    if fetch.wants.is_empty() {
        return Ok(false);
    }
    if fetch.deepen.is_asked() {
        shallow_lines(edge, out);
        out.flush();
    }
    let last = common.last();
    let detailed = fetch.multi_ack_detailed;
    if detailed || fetch.multi_ack {
        let word = if detailed { "common" } else { "continue" };
        common.iter().for_each(|oid| out.line(&format!("ACK {oid} {word}")));
    } else if let Some(first) = common.first() {
        out.line(&format!("ACK {first}"));
    }
    if fetch.done {
        match last {
            Some(last) if detailed || fetch.multi_ack => out.line(&format!("ACK {last}")),
            Some(_) => {}
            None => out.line("NAK"),
        }
        return Ok(true);
    }
    if !fetch.asked_for_answer {
        return Ok(false);
    }
    let ready = detailed && is_ready(objects, fetch, common)?;
    if let Some(last) = last.filter(|_| ready) {
        out.line(&format!("ACK {last} ready"));
    }
    if common.is_empty() || detailed || fetch.multi_ack {
        out.line("NAK");
    }
    match last {
        Some(last) if ready && fetch.no_done => {
            out.line(&format!("ACK {last}"));
            Ok(true)
        }
        _ => Ok(false),
    }
}
