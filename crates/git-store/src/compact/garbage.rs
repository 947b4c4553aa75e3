//! Objects that no ref leads to. They are listed first, and dropped when they were on the list for long enough and
//! still nothing leads to them.

use std::time::Duration;

use cloud::Millis;
use roaring::RoaringBitmap;

use crate::bitmap::{Bitmaps, reachable};
use crate::objects::Objects;
use crate::pack::PackSet;
use crate::{Error, Oid, Result};

/// As long as git keeps what is unreachable (`gc.pruneExpire`).
pub(super) const KEPT_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

/// Objects that were found unreachable, and when.
pub(super) struct Listed {
    pub oids: Vec<Oid>,
    pub at: Millis,
}

pub(super) struct Verdict {
    /// What may go now. Whatever stays leads to nothing in here.
    pub drop: RoaringBitmap,
    /// The list from now on: `None` leaves it as it is.
    pub list: Option<Vec<Oid>>,
}

pub(super) fn judge(
    set: &PackSet,
    objects: &Objects,
    bitmaps: Option<&Bitmaps>,
    tips: &[Oid],
    listed: Option<&Listed>,
    now: Millis,
) -> Result<Verdict> {
    let everything = set.everything();
    let garbage = everything - reachable(set, objects, bitmaps, tips)?;
    let names = |numbers: &RoaringBitmap| numbers.iter().filter_map(|number| set.oid(number)).collect::<Vec<_>>();
    let Some(listed) = listed else {
        let list = (!garbage.is_empty()).then(|| names(&garbage));
        return Ok(Verdict { drop: RoaringBitmap::new(), list });
    };
    if now.since(listed.at) < KEPT_FOR {
        return Ok(Verdict { drop: RoaringBitmap::new(), list: None });
    }
    let old: RoaringBitmap = listed.oids.iter().filter_map(|oid| set.number(oid)).collect();
    let fresh = &garbage - &old;
    // What came later may be pushed upon any day: all that it leads to stays with it.
    let kept = reachable(set, objects, bitmaps, &names(&fresh))?;
    let drop = (&garbage & &old) - kept;
    Ok(Verdict { list: Some(names(&(&garbage - &drop))), drop })
}

/// The list as a blob: ids one after the other.
pub(super) fn encode(oids: &[Oid]) -> Vec<u8> {
    oids.iter().flat_map(|oid| *oid.as_bytes()).collect()
}

pub(super) fn decode(raw: &[u8]) -> Result<Vec<Oid>> {
    if !raw.len().is_multiple_of(20) {
        return Err(Error::Corrupt("a list of objects".into()));
    }
    Ok(raw.chunks_exact(20).filter_map(Oid::from_prefix).collect())
}
