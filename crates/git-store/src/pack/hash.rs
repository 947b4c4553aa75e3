//! Ids of objects, computed with an eye on collisions.

use sha1_checked::{Digest, Sha1};

use super::Kind;
use crate::{Error, Oid, Result};

/// The SHA-1 of an object in the making. It notices blocks that were made to collide (sha1collisiondetection).
pub(crate) struct ObjectHash(Sha1);

impl ObjectHash {
    /// Begins with git's header: the type and the size (bytes).
    pub(crate) fn new(kind: Kind, size: u64) -> Self {
        let mut hash = Sha1::new();
        hash.update(format!("{} {size}\0", kind.name()));
        Self(hash)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id; `Error::Unpack` when the bytes are part of a collision attack.
    pub(crate) fn finish(self) -> Result<Oid> {
        let result = self.0.try_finalize();
        let oid = Oid::from_bytes((*result.hash()).into());
        if result.has_collision() {
            return Err(Error::Unpack(format!("SHA-1 appears to be part of a collision attack: {oid}")));
        }
        Ok(oid)
    }
}

/// The id of an object that is made here; for collisions it is looked at when its pack is taken in.
pub(crate) fn object_id(kind: Kind, bytes: &[u8]) -> Oid {
    let mut hash = ObjectHash::new(kind, bytes.len() as u64);
    hash.update(bytes);
    Oid::from_bytes((*hash.0.try_finalize().hash()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first 320 bytes of one of the two colliding files of <https://shattered.io>.
    const SHATTERED: &str = "\
        255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f\
        4865696768742033203020522f547970652034203020522f537562747970652035203020522f4669\
        6c7465722036203020522f436f6c6f7253706163652037203020522f4c656e677468203820302052\
        2f42697473506572436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d31\
        20697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe017346dc9166b67e11\
        8f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3\
        dc38e96ac22fe7bd728f0e45bce046d23c570feb141398bb552ef5a0a82be331fea48037b8b5d71f\
        0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1";

    #[test]
    fn blocks_made_to_collide_are_noticed() {
        let mut hash = ObjectHash(Sha1::new());
        hash.update(&hex::decode(SHATTERED).unwrap());
        assert!(hash.finish().unwrap_err().to_string().contains("collision attack"));
        let mut changed = hex::decode(SHATTERED).unwrap();
        changed[200] ^= 1;
        let mut hash = ObjectHash(Sha1::new());
        hash.update(&changed);
        assert!(hash.finish().is_ok());
    }

    #[test]
    fn ids_are_those_of_git() {
        let id = object_id(Kind::Blob, b"").to_string();
        assert_eq!(id, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
