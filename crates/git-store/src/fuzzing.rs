//! Doors for the fuzzers in `fuzz/`, and a short run of each as a test: bytes from anyone are read or refused, never more.

use std::io::Write as _;

use bytes::Bytes;

use crate::BranchName;
use crate::fsck::{Checker, check_attributes, check_modules};
use crate::pack::{Kind, PACK_LIMITS, PackIndex, apply_delta, ingest};
use crate::protocol::fuzzing as wire;
use crate::record::Snapshot;

/// Lines of a request body.
pub fn packets(bytes: &[u8]) {
    let _ = wire::packets(Bytes::copy_from_slice(bytes));
}

/// A fetch, in both protocols.
pub fn upload_request(bytes: &[u8]) {
    let Ok(head) = BranchName::parse("main") else { return };
    let snapshot = Snapshot::empty(head);
    wire::upload_request(Bytes::copy_from_slice(bytes), &snapshot);
}

/// The commands of a push.
pub fn push_commands(bytes: &[u8]) {
    wire::push_commands(Bytes::copy_from_slice(bytes));
}

/// A gzip body.
pub fn gzip(bytes: &[u8]) {
    wire::gzip(Bytes::copy_from_slice(bytes));
}

pub fn tree(bytes: &[u8]) {
    check(Kind::Tree, bytes);
}

pub fn commit(bytes: &[u8]) {
    check(Kind::Commit, bytes);
    check(Kind::Tag, bytes);
}

fn check(kind: Kind, bytes: &[u8]) {
    let _ = Checker::default().object(kind, &crate::Oid::ZERO, bytes);
}

/// Files that clients act upon.
pub fn dotfiles(bytes: &[u8]) {
    let _ = check_modules(bytes);
    let _ = check_attributes(bytes);
}

/// A delta on a base of 1,000 bytes.
pub fn delta(bytes: &[u8]) {
    let _ = apply_delta(&[7; 1000], bytes, 1 << 20);
}

/// The index of a pack: what is found in it is where it says.
pub fn index(bytes: &[u8]) {
    let Ok(index) = PackIndex::parse(bytes.to_vec()) else { return };
    for at in 0..index.len().min(1000) {
        let _ = index.find(&index.oid(at));
        let _ = index.rank(index.offset(at));
    }
}

/// A pack; its checksum is put right, so that what is in it is read.
pub fn pack(bytes: &[u8]) {
    use sha1::Digest as _;
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    let sum = sha1::Sha1::digest(bytes);
    if file.write_all(bytes).and_then(|()| file.write_all(&sum)).is_err() {
        return;
    }
    let limits =
        crate::pack::PackLimits { object_bytes: 1 << 20, work_floor: 8 << 20, work_factor: 100, ..PACK_LIMITS };
    let checker = Checker::default();
    let _ = ingest(limits, file.path(), &|kind, oid, bytes| checker.object(kind, oid, bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::PackWriter;

    /// Inputs made of each seed.
    const ROUNDS: usize = 400;

    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n.max(1)
        }
    }

    /// Changes a few places: bytes are replaced, removed, doubled, cut.
    fn changed(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=numbers.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = numbers.below(bytes.len());
            match numbers.below(5) {
                0 => bytes[at] = numbers.below(256) as u8,
                1 => bytes[at] ^= 1 << numbers.below(8),
                2 => drop(bytes.remove(at)),
                3 => {
                    let piece = bytes[at..(at + numbers.below(40)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }

    fn run(target: fn(&[u8]), seeds: &[Vec<u8>]) {
        let mut numbers = Numbers(42);
        for seed in seeds {
            target(seed);
            for _ in 0..ROUNDS {
                target(&changed(seed, &mut numbers));
            }
        }
    }

    const PERSON: &str = "A <a@x> 1 +0000";

    fn commit_bytes() -> Vec<u8> {
        format!("tree {}\nauthor {PERSON}\ncommitter {PERSON}\n\nm\n", "a".repeat(40)).into_bytes()
    }

    fn tree_bytes() -> Vec<u8> {
        [b"100644 .gitmodules\0".as_slice(), &[1; 20], b"40000 a\0", &[2; 20], b"120000 b\0", &[3; 20]].concat()
    }

    fn pack_bytes() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::default();
        let blob = writer.add(Kind::Blob, &b"x".repeat(300)).unwrap();
        let tree = [b"100644 x\0".as_slice(), blob.as_bytes()].concat();
        writer.add(Kind::Tree, &tree).unwrap();
        writer.finish(&dir.path().join("pack")).unwrap();
        let mut pack = std::fs::read(dir.path().join("pack")).unwrap();
        pack.truncate(pack.len() - 20);
        // An offset delta on the first entry, and one on an id.
        let instructions = [0xac, 2, 5, 0x90, 4, 1, b'y'];
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(&instructions).unwrap();
        let deflated = deflated.finish().unwrap();
        let back = (pack.len() - 12) as u8;
        pack.extend([0x60 | instructions.len() as u8, back & 0x7f]);
        pack.extend(&deflated);
        pack.push(0x70 | instructions.len() as u8);
        pack.extend(blob.as_bytes());
        pack.extend(&deflated);
        pack[11] = 4;
        pack
    }

    #[test]
    fn wire_formats_stand_up_to_changed_bytes() {
        let oid = "1".repeat(40);
        let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
        let v2 = line("command=fetch\n")
            + "0001"
            + &line(&format!("want {oid}\n"))
            + &line("filter combine:tree:1+blob:none\n")
            + "0000";
        let v0 = line(&format!("want {oid} side-band-64k\n"))
            + &line("deepen 3\n")
            + "0000"
            + &line(&format!("have {oid}\n"))
            + "0000";
        let commands = line(&format!("{oid} {} refs/heads/x\0report-status push-options", "2".repeat(40)))
            + "0000"
            + &line("a=b")
            + "0000";
        let seeds: Vec<Vec<u8>> = [v2, v0, commands].into_iter().map(String::into_bytes).collect();
        run(packets, &seeds);
        run(upload_request, &seeds);
        run(push_commands, &seeds);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&seeds.concat()).unwrap();
        run(gzip, &[encoder.finish().unwrap()]);
    }

    #[test]
    fn objects_stand_up_to_changed_bytes() {
        run(tree, &[tree_bytes()]);
        run(
            commit,
            &[
                commit_bytes(),
                format!("object {}\ntype commit\ntag v\ntagger {PERSON}\n\nm\n", "a".repeat(40)).into_bytes(),
            ],
        );
        run(dotfiles, &[b"[submodule \"x\"]\n\turl = \"https://x/%0a\" ; c\n\tpath = -x\n\tupdate = !x\n".to_vec()]);
        run(delta, &[vec![0xe8, 7, 12, 0x90, 10, 2, b'x', b'y'], [0xe8, 7, 0x80, 0x80, 4, 0x80].to_vec()]);
    }

    #[test]
    fn packs_and_indexes_stand_up_to_changed_bytes() {
        let seed = pack_bytes();
        run(pack, &[seed]);
        let mut fanout = [0u8; 1024];
        fanout[1..].fill(0);
        (0..256).for_each(|at| fanout[at * 4 + 3] = 1);
        let entry = [vec![0; 20], vec![0; 4], vec![0, 0, 0, 12], vec![0; 40]].concat();
        run(index, &[[[0xff, b't', b'O', b'c', 0, 0, 0, 2].as_slice(), &fanout, &entry].concat()]);
    }

    #[test]
    fn the_seeds_are_good_ones() {
        use sha1::Digest as _;
        let bytes = pack_bytes();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pack");
        std::fs::write(&path, [bytes.as_slice(), &sha1::Sha1::digest(&bytes)].concat()).unwrap();
        // Both deltas make the same blob, which is the one thing that is wrong with it.
        assert!(ingest(PACK_LIMITS, &path, &|_, _, _| Ok(())).err().unwrap().to_string().contains("twice"));
        assert!(Checker::default().object(Kind::Commit, &crate::Oid::ZERO, &commit_bytes()).is_ok());
        assert!(Checker::default().object(Kind::Tree, &crate::Oid::ZERO, &tree_bytes()).is_ok());
    }
}
