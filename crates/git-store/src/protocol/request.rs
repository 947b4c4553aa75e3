//! What a client asks upload-pack for.

use std::collections::HashSet;

use super::pktline::Packet;
use crate::filter::Filter;
use crate::record::Snapshot;
use crate::shallow::Deepen;
use crate::{Error, Oid, RefName, Result};

/// Wants, and haves, of one request.
const OIDS_MAX: usize = 200_000;
/// Refs asked for by name in one request.
const WANTED_REFS_MAX: usize = 10_000;
/// Prefixes that filter a listing; more are as good as none.
const PREFIXES_MAX: usize = 65_536;
/// A side-band packet with and without `64k` (bytes).
const SIDE_BAND_64K: usize = 65_520;
const SIDE_BAND: usize = 1000;

pub(super) enum Request {
    Nothing,
    LsRefs(LsRefs),
    Fetch(Box<Fetch>),
    /// Sizes of these objects are asked for.
    ObjectInfo(Vec<Oid>),
    BundleUri,
}

#[derive(Default)]
pub(super) struct LsRefs {
    pub peel: bool,
    pub symrefs: bool,
    pub unborn: bool,
    pub prefixes: Vec<String>,
}

#[derive(Default)]
pub(super) struct Fetch {
    pub wants: Vec<Oid>,
    pub haves: Vec<Oid>,
    pub shallow: Vec<Oid>,
    pub deepen: Deepen,
    pub done: bool,
    pub thin: bool,
    pub offsets: bool,
    pub include_tag: bool,
    pub no_progress: bool,
    pub side_band: Option<usize>,
    pub multi_ack: bool,
    pub multi_ack_detailed: bool,
    pub no_done: bool,
    /// The haves of v0 ended in a flush, which asks for an answer.
    pub asked_for_answer: bool,
    pub filter: Filter,
    /// Refs asked for by name, `HEAD` among them, and where they point (gitprotocol-v2, "ref-in-want").
    pub wanted_refs: Vec<(String, Oid)>,
    wanted_names: HashSet<String>,
    /// No pack before the client says `done`.
    pub wait_for_done: bool,
    /// Every line of the answer goes on band 1.
    pub sideband_all: bool,
    /// Schemes of URIs from which the client takes packs.
    pub uri_schemes: Vec<String>,
}

fn bad(line: &str) -> Error {
    Error::Protocol(format!("unexpected line: {}", line.chars().take(100).collect::<String>()))
}

impl Fetch {
    /// Reads a line that v0 and v2 have in common; `false` when it is none.
    fn read(&mut self, line: &str, snapshot: &Snapshot) -> Result<bool> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let oid = || Oid::parse(rest).map_err(|_| bad(line));
        match word {
            "want" => self.wants.push(oid()?),
            "have" => self.haves.push(oid()?),
            "shallow" => self.shallow.push(oid()?),
            "done" => self.done = true,
            "deepen" => {
                let depth: u64 = rest.parse().map_err(|_| Error::Protocol(format!("Invalid deepen: {line}")))?;
                if depth == 0 {
                    return Err(Error::Protocol(format!("Invalid deepen: {line}")));
                }
                self.deepen.depth = Some(depth);
            }
            "deepen-since" => {
                let since: i64 = rest.parse().map_err(|_| bad(line))?;
                self.deepen.since = Some(since);
            }
            "deepen-not" => self.deepen.not.push(deepen_not(rest, snapshot)?),
            "deepen-relative" => self.deepen.relative = true,
            "filter" => self.filter = Filter::parse(rest)?,
            _ => return Ok(false),
        }
        if self.wants.len() + self.haves.len() + self.shallow.len() > OIDS_MAX {
            return Err(Error::TooLarge("the request names too many objects".into()));
        }
        Ok(true)
    }

    fn checked(mut self) -> Result<Self> {
        if self.deepen.depth.is_some() && (self.deepen.since.is_some() || !self.deepen.not.is_empty()) {
            return Err(Error::Protocol("deepen and deepen-since (or deepen-not) cannot be used together".into()));
        }
        self.wants.extend(self.wanted_refs.iter().map(|(_, oid)| *oid));
        self.wants.sort_unstable();
        self.wants.dedup();
        Ok(self)
    }

    /// A ref that is wanted by its name; each once.
    fn want_ref(&mut self, raw: &str, snapshot: &Snapshot) -> Result<()> {
        let shown: String = raw.chars().take(100).collect();
        let name = if raw == "HEAD" { Some(snapshot.head.to_ref()) } else { RefName::parse(raw).ok() };
        let oid = name.filter(|name| !name.is_hidden()).and_then(|name| snapshot.oid_of(&name));
        let oid = oid.ok_or_else(|| Error::Protocol(format!("unknown ref {shown}")))?;
        if !self.wanted_names.insert(raw.to_owned()) {
            return Err(Error::Protocol(format!("duplicate want-ref {shown}")));
        }
        if self.wanted_refs.len() >= WANTED_REFS_MAX {
            return Err(Error::TooLarge("the request names too many refs".into()));
        }
        self.wanted_refs.push((raw.to_owned(), oid));
        Ok(())
    }
}

fn deepen_not(name: &str, snapshot: &Snapshot) -> Result<Oid> {
    let full = ["", "refs/", "refs/tags/", "refs/heads/"].iter().map(|prefix| format!("{prefix}{name}"));
    let named = full.filter_map(|full| RefName::parse(full).ok()).filter(|name| !name.is_hidden());
    let mut found = named.filter_map(|name| snapshot.oid_of(&name));
    found.next().ok_or_else(|| Error::Protocol("deepen-not names no ref".into()))
}

/// One command, its capabilities, a delimiter, its arguments, a flush.
pub(super) fn read_v2(packets: &[Packet], snapshot: &Snapshot) -> Result<Request> {
    let end = packets.iter().position(|packet| *packet == Packet::Flush).unwrap_or(packets.len());
    let packets = &packets[..end];
    let split = packets.iter().position(|packet| *packet == Packet::Delimiter);
    let (head, arguments) = match split {
        Some(at) => (&packets[..at], &packets[at + 1..]),
        None => (packets, &[][..]),
    };
    let mut command = None;
    for packet in head {
        let line = text(packet)?;
        match line.split_once('=') {
            Some(("command", name)) => command = Some(name),
            Some(("object-format", format)) if format != "sha1" => {
                return Err(Error::Protocol("repositories here use SHA-1".into()));
            }
            _ => {}
        }
    }
    match command {
        None if packets.is_empty() => Ok(Request::Nothing),
        Some("ls-refs") => read_ls_refs(arguments).map(Request::LsRefs),
        Some("fetch") => read_fetch(arguments, snapshot).map(|fetch| Request::Fetch(Box::new(fetch))),
        Some("object-info") => read_object_info(arguments).map(Request::ObjectInfo),
        // What it is called with is not in use yet, and to be ignored.
        Some("bundle-uri") => Ok(Request::BundleUri),
        _ => Err(Error::Protocol("the command is not one that is served here".into())),
    }
}

fn read_ls_refs(arguments: &[Packet]) -> Result<LsRefs> {
    let mut asked = LsRefs::default();
    for packet in arguments {
        match text(packet)? {
            "peel" => asked.peel = true,
            "symrefs" => asked.symrefs = true,
            "unborn" => asked.unborn = true,
            line => match line.strip_prefix("ref-prefix ") {
                Some(prefix) => asked.prefixes.push(prefix.to_owned()),
                None => return Err(bad(line)),
            },
        }
    }
    if asked.prefixes.len() > PREFIXES_MAX {
        asked.prefixes.clear();
    }
    Ok(asked)
}

fn read_fetch(arguments: &[Packet], snapshot: &Snapshot) -> Result<Fetch> {
    let mut fetch = Fetch { side_band: Some(SIDE_BAND_64K), ..Fetch::default() };
    for packet in arguments {
        let line = text(packet)?;
        if fetch.read(line, snapshot)? {
            continue;
        }
        match line {
            "thin-pack" => fetch.thin = true,
            "ofs-delta" => fetch.offsets = true,
            "include-tag" => fetch.include_tag = true,
            "no-progress" => fetch.no_progress = true,
            "wait-for-done" => fetch.wait_for_done = true,
            "sideband-all" => fetch.sideband_all = true,
            _ => match line.split_once(' ') {
                Some(("want-ref", name)) => fetch.want_ref(name, snapshot)?,
                Some(("packfile-uris", schemes)) if fetch.uri_schemes.is_empty() => {
                    fetch.uri_schemes = schemes.split(',').map(str::to_owned).collect();
                }
                _ => return Err(bad(line)),
            },
        }
    }
    fetch.checked()
}

fn read_object_info(arguments: &[Packet]) -> Result<Vec<Oid>> {
    let mut oids = Vec::new();
    for packet in arguments {
        match text(packet)? {
            "size" => {}
            line => {
                let oid = line.strip_prefix("oid ").ok_or_else(|| bad(line))?;
                oids.push(Oid::parse(oid).map_err(|_| bad(line))?);
            }
        }
        if oids.len() > OIDS_MAX {
            return Err(Error::TooLarge("the request names too many objects".into()));
        }
    }
    Ok(oids)
}

/// The packets of a request that are lines of text.
fn text(packet: &Packet) -> Result<&str> {
    let line = packet.line().ok_or_else(|| Error::Protocol("a line was expected".into()))?;
    std::str::from_utf8(line).map_err(|_| Error::Protocol("a line is not UTF-8".into()))
}

/// Wants (the first with capabilities), a flush, haves, and a flush or `done`.
pub(super) fn read_v0(packets: &[Packet], snapshot: &Snapshot) -> Result<Request> {
    let mut fetch = Fetch::default();
    let mut first = true;
    let mut flushes = 0;
    for packet in packets {
        if *packet == Packet::Flush {
            flushes += 1;
            continue;
        }
        let mut line = text(packet)?;
        if first && line.starts_with("want ") {
            let (want, capabilities) = line.split_at_checked(45).ok_or_else(|| bad(line))?;
            read_capabilities(&mut fetch, capabilities);
            line = want;
        }
        first = false;
        let known = fetch.read(line, snapshot)?;
        if !known || (flushes == 0) != !matches!(line.split(' ').next(), Some("have" | "done")) {
            return Err(bad(line));
        }
    }
    if fetch.wants.is_empty() {
        return Ok(Request::Nothing);
    }
    fetch.asked_for_answer = flushes > 1;
    fetch.checked().map(|fetch| Request::Fetch(Box::new(fetch)))
}

fn read_capabilities(fetch: &mut Fetch, words: &str) {
    for word in words.split_ascii_whitespace() {
        match word {
            "thin-pack" => fetch.thin = true,
            "ofs-delta" => fetch.offsets = true,
            "include-tag" => fetch.include_tag = true,
            "no-progress" => fetch.no_progress = true,
            "multi_ack" => fetch.multi_ack = true,
            "multi_ack_detailed" => fetch.multi_ack_detailed = true,
            "no-done" => fetch.no_done = true,
            "side-band-64k" => fetch.side_band = Some(SIDE_BAND_64K),
            "side-band" => fetch.side_band = fetch.side_band.or(Some(SIDE_BAND)),
            "deepen-relative" => fetch.deepen.relative = true,
            _ => {}
        }
    }
}
