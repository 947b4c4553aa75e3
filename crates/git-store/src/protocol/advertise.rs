//! What a client reads first: refs and capabilities (gitprotocol-http, gitprotocol-v2).

use bytes::Bytes;

use super::{pktline, receive};
use crate::http::{Protocol, Service};
use crate::record::Snapshot;
use crate::{Oid, Ref};

pub(crate) const AGENT: &str = concat!("agent=workroom/", env!("CARGO_PKG_VERSION"));

const UPLOAD_V0: &str = "multi_ack_detailed no-done multi_ack side-band side-band-64k thin-pack ofs-delta shallow \
                         deepen-since deepen-not deepen-relative no-progress include-tag object-format=sha1";

pub(crate) fn advertise(snapshot: &Snapshot, service: Service, protocol: Protocol) -> Bytes {
    let mut out = Vec::new();
    if service == Service::UploadPack && protocol == Protocol::V2 {
        for capability in ["version 2", AGENT, "ls-refs=unborn", "fetch=shallow", "object-format=sha1"] {
            pktline::line(&mut out, capability);
        }
        pktline::flush(&mut out);
        return out.into();
    }
    pktline::line(&mut out, &format!("# service={}", service.name()));
    pktline::flush(&mut out);
    let refs = snapshot.visible();
    let capabilities = match service {
        Service::ReceivePack => format!("{} {AGENT}", receive::CAPABILITIES),
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
