//! The one door through which refs move.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::{Expect, Sha256Digest, Write};
use futures::StreamExt;
use tokio_util::io::ReaderStream;

use crate::ancestry::Ancestry;
use crate::asker::Asker;
use crate::objects::Objects;
use crate::pack::Kind;
use crate::quarantine::Received;
use crate::record::{SettledPush, Snapshot, StoredRef, immutable, pack_key, record_key};
use crate::store::{GitStore, blocking};
use crate::{Error, Oid, RefChange, RefChangeKind, RefName, RefPolicy, RepositoryId, Result};

/// Attempts at the compare-and-swap before giving up.
const ATTEMPTS_MAX: u32 = 24;

#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub name: RefName,
    pub old: Option<Oid>,
    pub new: Option<Oid>,
}

/// Updates, and the pack that they need.
pub(crate) struct Push {
    pub updates: Vec<Update>,
    pub received: Option<Received>,
    /// All or none.
    pub atomic: bool,
    pub id: String,
    /// When they leave before the refs move, nothing moves.
    pub asker: Asker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Moved(Option<Oid>),
    /// A ref of this name is a folder of the new one's name, or in it.
    InTheWay(String),
    Refused(String),
}

impl Verdict {
    /// Whether the ref is refused for a reason of its own, and not because another is.
    pub(crate) fn is_own_refusal(&self) -> bool {
        match self {
            Self::Done => false,
            Self::Refused(reason) => !reason.starts_with("atomic"),
            Self::Moved(_) | Self::InTheWay(_) => true,
        }
    }
}

/// What the objects say about an update; it holds for as long as the objects are there.
struct Inspected {
    kind: RefChangeKind,
    peeled: Option<Oid>,
}

impl GitStore {
    /// Moves the refs by compare-and-swap on the record, with the policy's writes in the same transaction.
    /// The pack is stored first; the answer is a verdict for each update, in order.
    pub(crate) async fn push(&self, id: &RepositoryId, push: Push, policy: &dyn RefPolicy) -> Result<Vec<Verdict>> {
        let mut snapshot = self.snapshot(id).await?;
        let mut inspected = self.inspect(id, &snapshot, &push).await?;
        let mut epoch = snapshot.epoch;
        let mut stored = false;
        let mut verdicts = Vec::new();
        for attempt in 0..ATTEMPTS_MAX {
            if snapshot.pushes.iter().any(|settled| settled.id == push.id) {
                // The outcome was lost, not the push; nothing else is known of one made by another process.
                let settled = if verdicts.is_empty() { vec![Verdict::Done; push.updates.len()] } else { verdicts };
                return self.adopt(id, epoch, &push).await.map(|()| settled);
            }
            if snapshot.epoch != epoch {
                // Packs were replaced meanwhile, and what is unreachable may be gone.
                inspected = self.inspect(id, &snapshot, &push).await?;
                epoch = snapshot.epoch;
            }
            let (judged, changes) = judge(&snapshot, &push, &inspected, policy).await;
            verdicts = judged;
            if changes.is_empty() {
                return Ok(verdicts);
            }
            push.asker.check()?;
            if !stored && changes.iter().any(|change| change.new.is_some()) {
                self.store_pack(id, &push).await?;
                stored = true;
            }
            // From here on it is done to its end.
            push.asker.check()?;
            let next = apply(&snapshot, &push, &inspected, &changes, stored);
            let expect = snapshot.version.clone().map_or(Expect::Absent, Expect::At);
            let mut writes = vec![Write::put(record_key(id), self.record_value(id, &next).await?, expect)];
            writes.extend(policy.along(&changes).await?);
            match self.settings().records.transact(writes).await {
                Ok(_) => {
                    self.adopt(id, epoch, &push).await?;
                    self.tidy(id, next.contents.packs.len()).await;
                    return Ok(verdicts);
                }
                Err(cloud::Error::ConditionFailed { .. } | cloud::Error::Unclear(_) | cloud::Error::Unavailable(_)) => {
                }
                Err(error) => return Err(error.into()),
            }
            self.pause(attempt).await;
            snapshot = self.snapshot(id).await?;
        }
        Err(cloud::Error::Unavailable(format!("repository `{id}` (too many pushes at once)")).into())
    }

    /// Waits a little longer each time, never as long as another.
    pub(crate) async fn pause(&self, attempt: u32) {
        let mut random = [0; 2];
        self.settings().entropy.fill(&mut random);
        let span = 4 << attempt.min(6);
        tokio::time::sleep(Duration::from_millis(u64::from(u16::from_le_bytes(random)) % span + 1)).await;
    }

    async fn inspect(
        &self,
        id: &RepositoryId,
        snapshot: &Snapshot,
        push: &Push,
    ) -> Result<Vec<Result<Inspected, String>>> {
        let packs = self.packs(id, snapshot).await?;
        let quarantine = push.received.as_ref().map(|received| received.dir.path().to_owned());
        let later = push.received.as_ref().filter(|received| received.epoch != packs.epoch());
        let needs = later.map(|received| received.needs.clone()).unwrap_or_default();
        let updates = push.updates.clone();
        blocking(move || {
            let objects = Objects::open(packs, quarantine.as_deref())?;
            for oid in needs {
                if objects.header(&oid)?.is_none() {
                    let gone = || Err(format!("missing necessary object {oid}"));
                    return Ok(updates.iter().map(|_| gone()).collect());
                }
            }
            let mut ancestry = Ancestry::new(&objects);
            updates.iter().map(|update| inspect_one(&objects, &mut ancestry, update)).collect()
        })
        .await
    }

    async fn store_pack(&self, id: &RepositoryId, push: &Push) -> Result<()> {
        match &push.received {
            Some(received) => self.store_received(id, received).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn store_received(&self, id: &RepositoryId, received: &Received) -> Result<()> {
        let pack = &received.pack;
        self.store_file(id, received, "pack", pack.bytes, pack.id).await?;
        self.store_file(id, received, "idx", pack.index_bytes, pack.index).await
    }

    async fn store_file(
        &self,
        id: &RepositoryId,
        received: &Received,
        extension: &str,
        length: u64,
        digest: Sha256Digest,
    ) -> Result<()> {
        let path = received.dir.path().join("pack").join(format!("pack-{}.{extension}", received.pack.id));
        let file = tokio::fs::File::open(path).await.map_err(Error::io("storing a pack"))?;
        let key = pack_key(id, &received.pack, extension)?;
        let body = ReaderStream::with_capacity(file, 256 * 1024).boxed();
        match self.settings().blobs.put_stream(&key, body, immutable(length, digest)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_condition_failed() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A copy of the accepted pack for the next read; without it the next read fetches one.
    async fn adopt(&self, id: &RepositoryId, epoch: u64, push: &Push) -> Result<()> {
        if let Some(received) = &push.received
            && let Err(error) = self.cache().adopt(id, epoch, &received.pack, received.dir.path()).await
        {
            tracing::debug!(%error, "the pushed pack was not kept in the cache");
        }
        Ok(())
    }
}

fn inspect_one(objects: &Objects, ancestry: &mut Ancestry<'_>, update: &Update) -> Result<Result<Inspected, String>> {
    let Some(new) = update.new else {
        return Ok(Ok(Inspected { kind: RefChangeKind::Delete, peeled: None }));
    };
    let Some((kind, _)) = objects.header(&new)? else {
        return Ok(Err("missing necessary objects".into()));
    };
    if update.name.is_branch() && kind != Kind::Commit {
        return Ok(Err("a branch must point at a commit".into()));
    }
    let peeled = (kind == Kind::Tag).then(|| objects.peel(&new)).transpose()?.map(|(_, oid)| oid);
    let change = match update.old {
        None => RefChangeKind::Create,
        Some(old) if ancestry.leads_to(new, old)? => RefChangeKind::FastForward,
        Some(_) => RefChangeKind::Rewind,
    };
    Ok(Ok(Inspected { kind: change, peeled }))
}

/// A verdict for each update, and the changes to make: none when the push is atomic and one update is refused.
async fn judge(
    snapshot: &Snapshot,
    push: &Push,
    inspected: &[Result<Inspected, String>],
    policy: &dyn RefPolicy,
) -> (Vec<Verdict>, Vec<RefChange>) {
    let mut names: BTreeSet<&str> = snapshot.contents.refs.keys().map(RefName::as_str).collect();
    // Deletions first: what they free may be taken by the same push.
    for update in push.updates.iter().filter(|update| update.new.is_none()) {
        names.remove(update.name.as_str());
    }
    let mut counts: BTreeMap<&RefName, usize> = BTreeMap::new();
    for update in &push.updates {
        *counts.entry(&update.name).or_default() += 1;
    }
    let mut verdicts = Vec::new();
    let mut changes = Vec::new();
    for (update, inspected) in push.updates.iter().zip(inspected) {
        let ruled = if counts[&update.name] > 1 {
            Err(Verdict::Refused("the ref is named twice in one push".into()))
        } else {
            rule(snapshot, update, inspected, &mut names)
        };
        let verdict = match ruled {
            Err(verdict) => verdict,
            Ok(change) => match policy.check(&change).await {
                Err(reason) => Verdict::Refused(reason),
                Ok(()) => {
                    changes.push(change);
                    Verdict::Done
                }
            },
        };
        verdicts.push(verdict);
    }
    if push.atomic && verdicts.iter().any(|verdict| *verdict != Verdict::Done) {
        changes.clear();
        fail_together(&mut verdicts);
    }
    (verdicts, changes)
}

/// What git says of a push that is all or nothing: what is in order by itself fails with the others.
fn fail_together(verdicts: &mut [Verdict]) {
    // Git finds these when it moves the refs, not before.
    let by_refs = |verdict: &Verdict| matches!(verdict, Verdict::Moved(_) | Verdict::InTheWay(_));
    let reason = if verdicts.iter().any(by_refs) { "atomic transaction failed" } else { "atomic push failure" };
    for verdict in verdicts {
        match verdict {
            Verdict::Done => *verdict = Verdict::Refused(reason.into()),
            Verdict::InTheWay(other) => *verdict = Verdict::Refused(format!("{reason}: `{other}` is in the way")),
            Verdict::Moved(_) | Verdict::Refused(_) => {}
        }
    }
}

/// The rules that hold for every repository.
fn rule<'a>(
    snapshot: &Snapshot,
    update: &'a Update,
    inspected: &Result<Inspected, String>,
    names: &mut BTreeSet<&'a str>,
) -> Result<RefChange, Verdict> {
    let refused = |text: &str| Err(Verdict::Refused(text.into()));
    if update.name.is_hidden() {
        return refused("this ref is the platform's own");
    }
    let current = snapshot.oid_of(&update.name);
    if current != update.old {
        return Err(Verdict::Moved(current));
    }
    if update.old.is_none() && update.new.is_none() {
        return refused("there is no such ref");
    }
    if update.new.is_none() && update.name == snapshot.head.to_ref() {
        return refused("deletion of the current branch prohibited");
    }
    let inspected = inspected.as_ref().map_err(|reason| Verdict::Refused(reason.clone()))?;
    let name = update.name.as_str();
    if update.new.is_some() && update.old.is_none() {
        if let Some(other) = folder_conflict(name, names) {
            return Err(Verdict::InTheWay(other));
        }
        names.insert(name);
    }
    Ok(RefChange { name: update.name.clone(), old: update.old, new: update.new, kind: inspected.kind })
}

/// A ref whose name is a folder of `name`, or has it as a folder.
fn folder_conflict(name: &str, names: &BTreeSet<&str>) -> Option<String> {
    let parents = name.match_indices('/').map(|(at, _)| &name[..at]);
    if let Some(parent) = parents.into_iter().find(|parent| names.contains(parent)) {
        return Some(parent.to_owned());
    }
    let below = format!("{name}/");
    let next = names.range(below.as_str()..).next();
    next.filter(|other| other.starts_with(&below)).map(|other| (*other).to_owned())
}

fn apply(
    snapshot: &Snapshot,
    push: &Push,
    inspected: &[Result<Inspected, String>],
    changes: &[RefChange],
    stored: bool,
) -> Snapshot {
    let mut next = snapshot.clone();
    next.generation += 1;
    let inspected = push
        .updates
        .iter()
        .zip(inspected)
        .filter_map(|(update, found)| Some((&update.name, found.as_ref().ok()?.peeled?)));
    let peeled: HashMap<&RefName, Oid> = inspected.collect();
    for change in changes {
        match change.new {
            Some(oid) => {
                let stored = StoredRef { oid, peeled: peeled.get(&change.name).copied() };
                next.contents.refs.insert(change.name.clone(), stored);
            }
            None => {
                next.contents.refs.remove(&change.name);
            }
        }
    }
    if let Some(received) = push.received.as_ref().filter(|_| stored) {
        let known: HashSet<_> = next.contents.packs.iter().map(|pack| pack.id).collect();
        if !known.contains(&received.pack.id) {
            next.contents.packs.push(received.pack.clone());
        }
    }
    next.remember(SettledPush { id: push.id.clone(), oid: changes.first().and_then(|change| change.new) });
    next
}

impl GitStore {
    pub(crate) async fn packs(
        &self,
        id: &RepositoryId,
        snapshot: &Snapshot,
    ) -> Result<Arc<crate::cache::RepositoryPacks>> {
        self.cache().fill(id, &self.settings().blobs, snapshot.epoch, &snapshot.contents).await
    }
}
