//! The wire's readers, for `crate::fuzzing`.

use bytes::Bytes;
use futures::StreamExt;

use super::commands::read_commands;
use super::pktline::{Packet, PacketReader};
use super::request::{read_v0, read_v2};
use crate::Result;
use crate::record::Snapshot;

const BODY_MAX: u64 = 1 << 20;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without threads starts");
    runtime.block_on(work)
}

pub(crate) fn packets(body: Bytes) -> Result<Vec<Packet>> {
    let mut reader = PacketReader::new(cloud::stream_of(body), BODY_MAX);
    let mut packets = Vec::new();
    block_on(async {
        while let Some(packet) = reader.next().await? {
            packets.push(packet);
        }
        Ok(packets)
    })
}

pub(crate) fn upload_request(body: Bytes, snapshot: &Snapshot) {
    if let Ok(packets) = packets(body) {
        let _ = read_v0(&packets, snapshot);
        let _ = read_v2(&packets, snapshot);
    }
}

pub(crate) fn push_commands(body: Bytes) {
    let mut reader = PacketReader::new(cloud::stream_of(body), BODY_MAX);
    let _ = block_on(read_commands(&mut reader));
}

pub(crate) fn gzip(body: Bytes) {
    let mut inflated = super::gunzip(cloud::stream_of(body));
    block_on(async { while let Some(Ok(_)) = inflated.next().await {} });
}
