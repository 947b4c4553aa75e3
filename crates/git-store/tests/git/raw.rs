//! Objects, packs and requests made by hand, also wrong ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git_store::Oid;
use sha1::{Digest, Sha1};

pub const ZERO: &str = "0000000000000000000000000000000000000000";
pub const PERSON: &str = "A Person <person@example.com> 1700000000 +0000";

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn head(code: u8, size: u64) -> Vec<u8> {
    let mut out = vec![(code << 4) | (size & 15) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *out.last_mut().unwrap() |= 0x80;
        out.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    out
}

pub fn hash(kind: &str, bytes: &[u8]) -> Oid {
    let digest = Sha1::new_with_prefix(format!("{kind} {}\0", bytes.len())).chain_update(bytes).finalize();
    Oid::from_bytes(digest.into())
}

pub fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 0x7f {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A pack in the making.
#[derive(Default)]
pub struct Pack {
    pub count: u32,
    pub body: Vec<u8>,
}

impl Pack {
    pub fn raw(&mut self, code: u8, size: u64, between: &[u8], bytes: &[u8]) {
        self.count += 1;
        self.body.extend(head(code, size));
        self.body.extend_from_slice(between);
        self.body.extend(deflate(bytes));
    }

    pub fn object(&mut self, kind: &str, bytes: &[u8]) -> Oid {
        let code = ["", "commit", "tree", "blob", "tag"].iter().position(|name| *name == kind).unwrap();
        self.raw(code as u8, bytes.len() as u64, &[], bytes);
        hash(kind, bytes)
    }

    pub fn blob(&mut self, text: &str) -> Oid {
        self.object("blob", text.as_bytes())
    }

    pub fn tree(&mut self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let one = |(mode, name, oid): &(&str, &[u8], Oid)| {
            [mode.as_bytes(), b" ", name, b"\0", oid.as_bytes().as_slice()].concat()
        };
        self.object("tree", &entries.iter().flat_map(one).collect::<Vec<u8>>())
    }

    pub fn commit(&mut self, tree: Oid, parents: &[Oid]) -> Oid {
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        self.object("commit", format!("tree {tree}\n{parents}author {PERSON}\ncommitter {PERSON}\n\nm\n").as_bytes())
    }

    pub fn delta(&mut self, base: Oid, instructions: &[u8]) {
        self.raw(7, instructions.len() as u64, base.as_bytes(), instructions);
    }

    pub fn finish(&self) -> Vec<u8> {
        let mut out = [b"PACK\0\0\0\x02".as_slice(), &self.count.to_be_bytes(), &self.body].concat();
        let digest = Sha1::digest(&out);
        out.extend_from_slice(&digest);
        out
    }
}

pub fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// A push request: commands `(old, new, ref)` with a report asked for, and a pack.
pub fn push(commands: &[(&str, &str, &str)], capabilities: &str, pack: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for (at, (old, new, name)) in commands.iter().enumerate() {
        let tail = if at == 0 { format!("\0report-status {capabilities}") } else { String::new() };
        out.push_str(&packet(&format!("{old} {new} {name}{tail}")));
    }
    out.push_str("0000");
    [out.as_bytes(), pack].concat()
}
