//! Packet lines (gitprotocol-common).

use bytes::{Bytes, BytesMut};
use cloud::BlobStream;
use futures::StreamExt;

use crate::{Error, Result};

/// The payload of one packet (bytes).
pub(crate) const PAYLOAD_MAX: usize = 65_516;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Data(Bytes),
    Flush,
    Delimiter,
}

impl Packet {
    /// The payload without its line end.
    pub(crate) fn line(&self) -> Option<&[u8]> {
        match self {
            Self::Data(bytes) => Some(bytes.strip_suffix(b"\n").unwrap_or(bytes)),
            _ => None,
        }
    }
}

/// Reads packets, then whatever follows them, from a body of at most `limit` bytes.
pub(crate) struct PacketReader {
    body: BlobStream,
    buffer: BytesMut,
    left: u64,
}

impl PacketReader {
    pub(crate) fn new(body: BlobStream, limit: u64) -> Self {
        Self { body, buffer: BytesMut::new(), left: limit }
    }

    /// Reads more; `false` at the end.
    async fn more(&mut self) -> Result<bool> {
        let Some(chunk) = self.body.next().await else { return Ok(false) };
        let chunk = chunk.map_err(|_| Error::Protocol("the request's body is broken".into()))?;
        let left = self.left.checked_sub(chunk.len() as u64);
        self.left = left.ok_or_else(|| Error::TooLarge("the request is larger than the limit".into()))?;
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }

    async fn want(&mut self, n: usize) -> Result<bool> {
        while self.buffer.len() < n {
            if !self.more().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next packet; `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet>> {
        let cut = || Error::Protocol("the request is cut short".into());
        if !self.want(4).await? {
            return if self.buffer.is_empty() { Ok(None) } else { Err(cut()) };
        }
        let digits = self.buffer.split_to(4);
        let plain = digits.iter().all(u8::is_ascii_hexdigit);
        let length = std::str::from_utf8(&digits).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        match length.filter(|_| plain) {
            Some(0) => Ok(Some(Packet::Flush)),
            Some(1) => Ok(Some(Packet::Delimiter)),
            Some(length) if (4..=PAYLOAD_MAX + 4).contains(&length) => {
                if !self.want(length - 4).await? {
                    return Err(cut());
                }
                Ok(Some(Packet::Data(self.buffer.split_to(length - 4).freeze())))
            }
            _ => Err(Error::Protocol("bad line length".into())),
        }
    }

    /// What follows the packets.
    pub(crate) async fn rest(&mut self) -> Result<Option<Bytes>> {
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(None);
        }
        Ok(Some(self.buffer.split().freeze()))
    }
}

pub(crate) fn data(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(format!("{:04x}", payload.len() + 4).as_bytes());
    out.extend_from_slice(payload);
}

/// A line of text; its end is added.
pub(crate) fn line(out: &mut Vec<u8>, text: &str) {
    data(out, format!("{text}\n").as_bytes());
}

pub(crate) fn delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

pub(crate) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Lines of an answer, which may all go on band 1 (gitprotocol-v2, "sideband-all").
#[derive(Default)]
pub(crate) struct Lines {
    out: Vec<u8>,
    banded: bool,
}

impl Lines {
    pub(crate) fn new(banded: bool) -> Self {
        Self { out: Vec::new(), banded }
    }

    /// A line of text; its end is added.
    pub(crate) fn line(&mut self, text: &str) {
        if self.banded {
            data(&mut self.out, format!("\u{1}{text}\n").as_bytes());
        } else {
            line(&mut self.out, text);
        }
    }

    pub(crate) fn flush(&mut self) {
        flush(&mut self.out);
    }

    pub(crate) fn delimiter(&mut self) {
        self.out.extend_from_slice(b"0001");
    }

    pub(crate) fn finish(self) -> Bytes {
        self.out.into()
    }
}

/// `ERR`, as the whole answer.
pub(crate) fn error_line(text: &str) -> Bytes {
    let mut out = Vec::new();
    line(&mut out, &format!("ERR {}", plain(text)));
    out.into()
}

/// Text that a terminal shows as it is.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(1000).collect()
}

/// Payload on a side band (gitprotocol-pack, "side-band-64k"), in packets of at most `max` bytes in all.
pub(crate) fn side_band(out: &mut Vec<u8>, band: u8, payload: &[u8], max: usize) {
    for chunk in payload.chunks(max - 5) {
        out.extend_from_slice(format!("{:04x}", chunk.len() + 5).as_bytes());
        out.push(band);
        out.extend_from_slice(chunk);
    }
}

/// A line for the person at the other end: band 2.
pub(crate) fn message(out: &mut Vec<u8>, text: &str) {
    side_band(out, 2, format!("{}\n", plain(text)).as_bytes(), PAYLOAD_MAX + 4);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(raw: &'static [u8]) -> Result<Vec<Packet>> {
        let mut reader = PacketReader::new(cloud::stream_of(raw), 1 << 20);
        let mut packets = Vec::new();
        while let Some(packet) = reader.next().await? {
            packets.push(packet);
        }
        Ok(packets)
    }

    #[tokio::test]
    async fn packets_are_read_and_bad_lengths_refused() {
        let packets = read(b"0006a\n00000001").await.unwrap();
        assert_eq!(packets, [Packet::Data(Bytes::from_static(b"a\n")), Packet::Flush, Packet::Delimiter]);
        for bad in [&b"0002"[..], b"0003", b"ffff", b"fff1", b"zzzz", b"-001", b"0005", b"00"] {
            assert!(read(bad).await.is_err(), "{bad:?}");
        }
        assert_eq!(read(b"0004").await.unwrap(), [Packet::Data(Bytes::new())]);
    }
}
