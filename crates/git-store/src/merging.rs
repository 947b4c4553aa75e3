//! Merges, cherry-picks and reverts: made in memory, then through the same door as a push.

use crate::edit::{Built, Target, Written, add_commit};
use crate::merge::{Labels, Merge, Outcome, merge, merge_base_tree, merge_bases};
use crate::objects::Objects;
use crate::pack::Kind;
use crate::record::Snapshot;
use crate::scratch::Scratch;
use crate::store::GitStore;
use crate::{
    Commit, Conflict, Error, MergeKind, MergeOutcome, MergePreview, MergeRequest, Oid, PickRequest, RefName, RefPolicy,
    RefUpdate, RepositoryId, Result, read,
};

/// Parents that a mainline can be.
const PARENTS_MAX: usize = 64;

/// How far two commits are apart.
enum Apart {
    UpToDate(Oid),
    FastForward(Oid),
    Merge(Vec<Oid>),
    Unrelated,
}

fn apart(scratch: &Scratch<'_>, into: Oid, from: Oid) -> Result<Apart> {
    if into == from {
        return Ok(Apart::UpToDate(into));
    }
    let bases = merge_bases(scratch, into, from)?;
    Ok(match bases.first() {
        None => Apart::Unrelated,
        Some(base) if *base == from => Apart::UpToDate(from),
        Some(base) if *base == into => Apart::FastForward(into),
        Some(_) => Apart::Merge(bases),
    })
}

fn merged(scratch: &mut Scratch<'_>, bases: &[Oid], into: Oid, from: Oid, labels: Labels) -> Result<Merge> {
    Ok(Merge {
        base: merge_base_tree(scratch, bases)?,
        ours: scratch.objects.commit_links(&into)?.tree,
        theirs: scratch.objects.commit_links(&from)?.tree,
        labels,
    })
}

/// What is built, or told instead.
enum Told {
    UpToDate,
    FastForward,
    Conflicts(Vec<Conflict>),
}

impl GitStore {
    /// What a merge of `from` into `into` would come to; nothing is written.
    pub async fn preview_merge(
        &self,
        repository: &RepositoryId,
        into: Oid,
        from: Oid,
        names: (String, String),
    ) -> Result<MergePreview> {
        let work = move |objects: &_, _: &_| {
            let mut scratch = Scratch::new(objects);
            let preview = |kind, merge_base, conflicts| MergePreview {
                kind,
                merge_base,
                into_commit: into,
                from_commit: from,
                conflicts,
            };
            let bases = match apart(&scratch, into, from)? {
                Apart::UpToDate(base) => return Ok(preview(MergeKind::UpToDate, Some(base), Vec::new())),
                Apart::FastForward(base) => return Ok(preview(MergeKind::FastForward, Some(base), Vec::new())),
                Apart::Unrelated => return Ok(preview(MergeKind::Conflict, None, Vec::new())),
                Apart::Merge(bases) => bases,
            };
            let (ours, theirs) = names;
            let input = merged(&mut scratch, &bases, into, from, Labels { ours, theirs })?;
            Ok(match merge(&mut scratch, &input, &[])? {
                Outcome::Tree(_) => preview(MergeKind::Merge, bases.first().copied(), Vec::new()),
                Outcome::Conflicts(left) => preview(MergeKind::Conflict, bases.first().copied(), left),
            })
        };
        self.with_objects(repository, work).await
    }

    /// Another visible ref that has `commit` in its history.
    pub async fn refs_with(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        besides: &RefName,
    ) -> Result<Option<RefName>> {
        let besides = besides.clone();
        let work = move |objects: &Objects, snapshot: &Snapshot| {
            for other in snapshot.visible().into_iter().filter(|other| other.name != besides) {
                let (kind, tip) = objects.peel(&other.oid)?;
                let repository = objects.repository();
                if kind == Kind::Commit
                    && (tip == commit || repository.graph_descendant_of(tip.into(), commit.into())?)
                {
                    return Ok(Some(other.name));
                }
            }
            Ok(None)
        };
        self.with_objects(repository, work).await
    }

    /// Merges into a branch; `Error::Moved` when it is elsewhere, `Error::Conflict` when the histories have nothing in
    /// common.
    pub async fn merge(
        &self,
        repository: &RepositoryId,
        request: MergeRequest,
        policy: &dyn RefPolicy,
    ) -> Result<MergeOutcome> {
        let MergeRequest { into, expected_into, from, push_id, .. } = request.clone();
        let name = into.to_ref();
        let target = Target { name: name.clone(), old: Some(expected_into), push_id: push_id.clone() };
        let build = move |scratch: &mut Scratch<'_>| build_merge(scratch, &request);
        match self.write_objects(repository, target, policy, build).await? {
            Written::Done(oid, commit) => {
                self.done(repository, MergeKind::Merge, oid, commit.map(|commit| *commit)).await
            }
            Written::Before(oid) => self.done(repository, MergeKind::Merge, oid, None).await,
            Written::Stopped(Told::Conflicts(left)) => Ok(MergeOutcome::Conflicts(left)),
            Written::Stopped(Told::UpToDate) => self.done(repository, MergeKind::UpToDate, expected_into, None).await,
            Written::Stopped(Told::FastForward) => {
                let update = RefUpdate { name, old: Some(expected_into), new: Some(from), push_id };
                self.update_ref(repository, update, policy).await?;
                self.done(repository, MergeKind::FastForward, from, None).await
            }
        }
    }

    /// Makes a commit's change once more on a branch, or takes it back; `Error::Conflict` when there is nothing to do.
    pub async fn pick(
        &self,
        repository: &RepositoryId,
        request: PickRequest,
        policy: &dyn RefPolicy,
    ) -> Result<MergeOutcome> {
        let (name, old) = (request.onto.to_ref(), Some(request.expected_onto));
        let target = Target { name, old, push_id: request.push_id.clone() };
        let build = move |scratch: &mut Scratch<'_>| build_pick(scratch, &request);
        match self.write_objects(repository, target, policy, build).await? {
            Written::Done(oid, commit) => {
                self.done(repository, MergeKind::Merge, oid, commit.map(|commit| *commit)).await
            }
            Written::Before(oid) => self.done(repository, MergeKind::Merge, oid, None).await,
            Written::Stopped(left) => Ok(MergeOutcome::Conflicts(left)),
        }
    }

    async fn done(
        &self,
        repository: &RepositoryId,
        kind: MergeKind,
        oid: Oid,
        made: Option<Commit>,
    ) -> Result<MergeOutcome> {
        let commit = match made {
            Some(commit) => commit,
            None => self.commit(repository, oid).await?,
        };
        Ok(MergeOutcome::Done { kind, commit })
    }
}

fn build_merge(scratch: &mut Scratch<'_>, request: &MergeRequest) -> Result<Built<Told>> {
    let (into, from) = (request.expected_into, request.from);
    let bases = match apart(scratch, into, from)? {
        Apart::UpToDate(_) => return Ok(Built::Stop(Told::UpToDate)),
        Apart::FastForward(_) if !request.no_ff => return Ok(Built::Stop(Told::FastForward)),
        Apart::FastForward(base) => vec![base],
        Apart::Unrelated => return Err(Error::Conflict("the two histories have nothing in common".into())),
        Apart::Merge(bases) => bases,
    };
    let labels = Labels { ours: request.into.to_string(), theirs: request.from_name.clone() };
    let input = merged(scratch, &bases, into, from, labels)?;
    let tree = match merge(scratch, &input, &request.resolutions)? {
        Outcome::Tree(tree) => tree,
        Outcome::Conflicts(left) => return Ok(Built::Stop(Told::Conflicts(left))),
    };
    let author = &request.author;
    add_commit(scratch, tree, &[into, from], author, author, &request.message).map(Built::Object)
}

fn build_pick(scratch: &mut Scratch<'_>, request: &PickRequest) -> Result<Built<Vec<Conflict>>> {
    let commit = read::commit(scratch.objects, &request.commit)?;
    let parent = match (commit.parents.as_slice(), request.mainline) {
        ([], None) => None,
        ([one], None | Some(1)) => Some(*one),
        (many, Some(number)) if (1..=PARENTS_MAX).contains(&number) && number <= many.len() => Some(many[number - 1]),
        (many, _) if many.len() > 1 => {
            return Err(Error::Invalid(format!("the commit is a merge: name its mainline, 1 to {}", many.len())));
        }
        _ => return Err(Error::Invalid("the commit has no such parent".into())),
    };
    let before = match parent {
        Some(parent) => scratch.objects.commit_links(&parent)?.tree,
        None => scratch.add(crate::pack::Kind::Tree, &b""[..]),
    };
    let onto = scratch.objects.commit_links(&request.expected_onto)?.tree;
    let (base, theirs) = if request.revert { (commit.tree, before) } else { (before, commit.tree) };
    let short: String = request.commit.to_string().chars().take(7).collect();
    let subject = commit.message.lines().next().unwrap_or_default().to_owned();
    let name = if request.revert { format!("parent of {short} ({subject})") } else { format!("{short} ({subject})") };
    let labels = Labels { ours: request.onto.to_string(), theirs: name };
    let input = Merge { base: Some(base), ours: onto, theirs, labels };
    let tree = match merge(scratch, &input, &request.resolutions)? {
        Outcome::Tree(tree) => tree,
        Outcome::Conflicts(left) => return Ok(Built::Stop(left)),
    };
    if tree == onto {
        return Err(Error::Conflict("the branch has this already: nothing would change".into()));
    }
    let own = if request.revert {
        format!("Revert \"{subject}\"\n\nThis reverts commit {}.", request.commit)
    } else {
        commit.message.clone()
    };
    let message = request.message.clone().unwrap_or(own);
    let author = if request.revert { &request.committer } else { &commit.author };
    add_commit(scratch, tree, &[request.expected_onto], author, &request.committer, &message).map(Built::Object)
}
