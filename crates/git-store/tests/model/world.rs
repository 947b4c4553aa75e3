//! The states of the model, and what can happen in each.
//!
//! Objects are letters: `BASE` is the first commit, `LOST` a commit that no ref leads to, `A` and `B` what two pushers
//! bring: `A` is made upon `BASE`, `B` upon `LOST` (as after a branch was deleted and somebody still has it).

use std::collections::BTreeSet;
use std::fmt;

pub type Object = char;
pub type Objects = BTreeSet<Object>;
/// A pack, by what is in it; two packs of the same content are the same blob.
pub type Pack = Objects;

pub const BASE: Object = '0';
pub const LOST: Object = 'l';

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub data_first: bool,
    pub compare_and_swap: bool,
    pub acknowledge_last: bool,
    pub look_again: bool,
    pub drop_needs_generation: bool,
    pub wait_for_readers: bool,
}

impl Rules {
    pub fn all() -> Self {
        Self {
            data_first: true,
            compare_and_swap: true,
            acknowledge_last: true,
            look_again: true,
            drop_needs_generation: true,
            wait_for_readers: true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    LivePacksAreStored,
    RefsAreConnected,
    AcknowledgedIsThere,
    ReadersFindTheirPacks,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    pub generation: u8,
    pub epoch: u8,
    /// What the refs name.
    pub refs: Objects,
    pub packs: BTreeSet<Pack>,
    pub retired: BTreeSet<Pack>,
}

/// How far a pusher is. Each holds the record that it has read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pusher {
    Idle,
    /// Its objects were checked against this record.
    Checked(Record),
    /// Its pack is stored.
    Stored(Record),
    /// It lost the swap, has read again, and goes on from there.
    Again {
        checked_in: u8,
        record: Record,
    },
    Done,
    Refused,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compactor {
    Idle,
    /// It has read the record, and made and stored one pack of what is kept.
    Made {
        record: Record,
        kept: Pack,
    },
    Done,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    Idle,
    /// It has read the record and will want these packs.
    Reading(BTreeSet<Pack>),
    Failed,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World {
    pub record: Record,
    pub stored: BTreeSet<Pack>,
    pub pushers: [Pusher; 2],
    pub compactor: Compactor,
    pub reader: Reader,
    pub acknowledged: Objects,
}

/// What pusher `n` brings, and what that stands on.
const fn brings(n: usize) -> (Object, Object) {
    if n == 0 { ('a', BASE) } else { ('b', LOST) }
}

fn parent(object: Object) -> Option<Object> {
    match object {
        'a' | LOST => Some(BASE),
        'b' => Some(LOST),
        _ => None,
    }
}

fn reachable(refs: &Objects) -> Objects {
    let mut all = Objects::new();
    for start in refs {
        let mut at = Some(*start);
        while let Some(object) = at {
            all.insert(object);
            at = parent(object);
        }
    }
    all
}

fn held(packs: &BTreeSet<Pack>) -> Objects {
    packs.iter().flatten().copied().collect()
}

/// Takes a pusher on: what happens, what becomes of it, and what changes besides.
type Step<'a> = dyn FnMut(&str, Pusher, &dyn Fn(&mut World)) + 'a;

impl World {
    pub fn first() -> Self {
        let (base, lost) = (Pack::from([BASE]), Pack::from([LOST]));
        let packs = BTreeSet::from([base, lost]);
        let record = Record {
            generation: 0,
            epoch: 0,
            refs: Objects::from([BASE]),
            packs: packs.clone(),
            retired: BTreeSet::new(),
        };
        Self {
            record,
            stored: packs,
            pushers: [Pusher::Idle, Pusher::Idle],
            compactor: Compactor::Idle,
            reader: Reader::Idle,
            acknowledged: Objects::new(),
        }
    }

    /// The first invariant that does not hold.
    pub fn broken(&self) -> Option<Invariant> {
        if !self.record.packs.is_subset(&self.stored) {
            return Some(Invariant::LivePacksAreStored);
        }
        if !self.acknowledged.is_subset(&self.record.refs) {
            return Some(Invariant::AcknowledgedIsThere);
        }
        if !reachable(&self.record.refs).is_subset(&held(&self.record.packs)) {
            return Some(Invariant::RefsAreConnected);
        }
        (self.reader == Reader::Failed).then_some(Invariant::ReadersFindTheirPacks)
    }

    /// Every world that can come next, with what happened.
    pub fn next(&self, rules: Rules) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        for n in 0..self.pushers.len() {
            self.push_steps(n, rules, &mut next);
        }
        self.compaction_steps(rules, &mut next);
        self.reader_steps(&mut next);
        self.deletion_steps(rules, &mut next);
        next
    }

    fn push_steps(&self, n: usize, rules: Rules, next: &mut Vec<(String, Self)>) {
        let (object, base) = brings(n);
        let mut to = |what: &str, pusher: Pusher, change: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            world.pushers[n] = pusher;
            change(&mut world);
            next.push((format!("pusher {n} {what}"), world));
        };
        let acknowledge = |world: &mut Self| {
            world.acknowledged.insert(object);
        };
        let store = |world: &mut Self| {
            world.stored.insert(Pack::from([object]));
        };
        if !matches!(self.pushers[n], Pusher::Done | Pusher::Refused | Pusher::Dead) {
            to("dies", Pusher::Dead, &|_| {});
        }
        match &self.pushers[n] {
            Pusher::Idle if held(&self.record.packs).contains(&base) => {
                to("checks", Pusher::Checked(self.record.clone()), &|world| {
                    if !rules.acknowledge_last {
                        acknowledge(world);
                    }
                });
            }
            Pusher::Idle => to("is refused", Pusher::Refused, &|_| {}),
            Pusher::Checked(record) if rules.data_first => to("stores", Pusher::Stored(record.clone()), &store),
            Pusher::Checked(record) => to("skips storing", Pusher::Stored(record.clone()), &|_| {}),
            Pusher::Stored(record) => self.swap(n, record.epoch, record, rules, &mut to),
            Pusher::Again { checked_in, record } if *checked_in != record.epoch && rules.look_again => {
                match held(&record.packs).contains(&base) {
                    true => self.swap(n, record.epoch, record, rules, &mut to),
                    false => to("is refused", Pusher::Refused, &|_| {}),
                }
            }
            Pusher::Again { checked_in, record } => self.swap(n, *checked_in, record, rules, &mut to),
            Pusher::Done | Pusher::Refused | Pusher::Dead => {}
        }
    }

    fn swap(&self, n: usize, checked_in: u8, read: &Record, rules: Rules, to: &mut Step<'_>) {
        let (object, _) = brings(n);
        if rules.compare_and_swap && self.record.generation != read.generation {
            let again = Pusher::Again { checked_in, record: self.record.clone() };
            return to("loses the swap", again, &|_| {});
        }
        let moved = |world: &mut Self| {
            let mut record = read.clone();
            record.generation += 1;
            record.refs.insert(object);
            record.packs.insert(Pack::from([object]));
            world.record = record;
        };
        to("swaps", Pusher::Done, &|world| {
            moved(world);
            world.acknowledged.insert(object);
        });
        // The answer of the swap is lost with the process: it happened, and nobody was told.
        to("swaps and dies", Pusher::Dead, &moved);
    }

    fn compaction_steps(&self, rules: Rules, next: &mut Vec<(String, Self)>) {
        let mut to = |what: &str, compactor: Compactor, change: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            world.compactor = compactor;
            change(&mut world);
            next.push((format!("compactor {what}"), world));
        };
        match &self.compactor {
            Compactor::Idle => {
                let kept = reachable(&self.record.refs);
                let made = Compactor::Made { record: self.record.clone(), kept: kept.clone() };
                to("makes a pack", made, &|world| {
                    world.stored.insert(kept.clone());
                });
            }
            Compactor::Made { record, kept } => {
                to("dies", Compactor::Dead, &|_| {});
                let same_packs = record.packs.is_subset(&self.record.packs);
                let overtaken = rules.drop_needs_generation && self.record.generation != record.generation;
                if !same_packs || overtaken {
                    return to("begins again", Compactor::Idle, &|_| {});
                }
                to("swaps", Compactor::Done, &|world| {
                    let now = &mut world.record;
                    now.generation += 1;
                    now.epoch += 1;
                    for pack in &record.packs {
                        now.packs.remove(pack);
                        now.retired.insert(pack.clone());
                    }
                    now.retired.remove(kept);
                    now.packs.insert(kept.clone());
                });
            }
            Compactor::Done | Compactor::Dead => {}
        }
    }

    fn reader_steps(&self, next: &mut Vec<(String, Self)>) {
        let reader = match &self.reader {
            Reader::Idle => Reader::Reading(self.record.packs.clone()),
            Reader::Reading(packs) if packs.is_subset(&self.stored) => Reader::Done,
            Reader::Reading(_) => Reader::Failed,
            Reader::Done | Reader::Failed => return,
        };
        next.push(("the reader goes on".into(), Self { reader, ..self.clone() }));
    }

    /// A retired pack is deleted when its time is up: when no reader that wants it can still be there.
    fn deletion_steps(&self, rules: Rules, next: &mut Vec<(String, Self)>) {
        for pack in &self.record.retired {
            let wanted = matches!(&self.reader, Reader::Reading(packs) if packs.contains(pack));
            if (wanted && rules.wait_for_readers) || !self.stored.contains(pack) {
                continue;
            }
            let mut world = self.clone();
            world.stored.remove(pack);
            next.push((format!("pack {pack:?} is deleted"), world));
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} stored {:?} acknowledged {:?}", self.record, self.stored, self.acknowledged)
    }
}
