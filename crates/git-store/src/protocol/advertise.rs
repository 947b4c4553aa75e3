//! What a client reads first: refs and capabilities (gitprotocol-http, gitprotocol-v2).

use bytes::Bytes;

use super::{commands, pktline};
use crate::http::{Offers, Protocol, Service};
use crate::record::Snapshot;
use crate::{Oid, Ref};

pub(crate) const AGENT: &str = concat!("agent=workroom/", env!("CARGO_PKG_VERSION"));

const UPLOAD_V0: &str = "multi_ack_detailed no-done multi_ack side-band side-band-64k thin-pack ofs-delta shallow \
                         deepen-since deepen-not deepen-relative no-progress include-tag \
                         allow-tip-sha1-in-want allow-reachable-sha1-in-want filter object-format=sha1";
const FETCH_V2: &str = "fetch=shallow wait-for-done filter ref-in-want sideband-all";

pub(crate) fn advertise(snapshot: &Snapshot, service: Service, protocol: Protocol, offers: &Offers) -> Bytes {
    let mut out = Vec::new();
    if service == Service::UploadPack && protocol == Protocol::V2 {
        let uris = if offers.packfile_uris.is_empty() { "" } else { " packfile-uris" };
        let fetch = format!("{FETCH_V2}{uris}");
        let always =
            ["version 2", AGENT, "ls-refs=unborn", &fetch, "server-option", "object-format=sha1", "object-info"];
        let has_bundles = offers.bundles.is_some() || snapshot.contents.bundle.is_some();
        let bundles = has_bundles.then_some("bundle-uri");
        for capability in always.into_iter().chain(bundles) {
            pktline::line(&mut out, capability);
        }
        pktline::flush(&mut out);
        return out.into();
    }
    pktline::line(&mut out, &format!("# service={}", service.name()));
    pktline::flush(&mut out);
    if protocol == Protocol::V1 {
        pktline::line(&mut out, "version 1");
    }
    let refs = snapshot.visible();
    let capabilities = match service {
        Service::ReceivePack => format!("{} {AGENT}", commands::CAPABILITIES),
        Service::UploadPack if head_oid(snapshot).is_some() => {
            format!("{UPLOAD_V0} symref=HEAD:{} {AGENT}", snapshot.head.to_ref())
        }
        Service::UploadPack => format!("{UPLOAD_V0} {AGENT}"),
    };
    let mut lines: Vec<String> = Vec::new();
    if service == Service::UploadPack {
        lines.extend(head_oid(snapshot).map(|oid| format!("{oid} HEAD")));
    }
    for Ref { name, oid, peeled } in &refs {
        lines.push(format!("{oid} {name}"));
        if let Some(peeled) = peeled.filter(|_| service == Service::UploadPack) {
            lines.push(format!("{peeled} {name}^{{}}"));
        }
    }
    if lines.is_empty() {
        lines.push(format!("{} capabilities^{{}}", Oid::ZERO));
    }
    lines[0].push('\0');
    lines[0].push_str(&capabilities);
    lines.iter().for_each(|line| pktline::line(&mut out, line));
    pktline::flush(&mut out);
    out.into()
}

pub(crate) fn head_oid(snapshot: &Snapshot) -> Option<Oid> {
    snapshot.oid_of(&snapshot.head.to_ref())
}
