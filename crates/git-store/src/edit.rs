//! Commits made here: a new tree from an old one, through the same door as a push.

use crate::asker::Asker;
use crate::folder::{Folder, Node, split};
use crate::fsck::SUBMODULE;
use crate::objects::Objects;
use crate::pack::{Kind, PackWriter};
use crate::path::text_of;
use crate::push::{Push, Update};
use crate::quarantine::{INCOMING, take_in};
use crate::scratch::{Leaf, Scratch};
use crate::spool::Spooled;
use crate::store::{GitStore, blocking, settle};
use crate::{
    Commit, CommitFiles, Error, FileChange, FileMode, Oid, RefName, RefPolicy, RepoPath, RepositoryId, Result,
    Signature, read,
};

/// Steps of one commit.
const CHANGES_MAX: usize = 10_000;
/// A commit or tag message (bytes).
const MESSAGE_MAX: usize = 64 << 10;

/// What a builder comes to: an object for the ref to point at, or something to tell instead.
pub(crate) enum Built<T, O = Oid> {
    Object(O),
    Stop(T),
}

/// What became of a ref for which something was built.
pub(crate) enum Written<T> {
    /// The ref points at this.
    Done(Oid, Option<Box<Commit>>),
    /// An earlier try with the same push id did it.
    Before(Oid),
    Stopped(T),
}

/// A ref to move to what is going to be built, if it points at `old`.
pub(crate) struct Target {
    pub name: RefName,
    pub old: Option<Oid>,
    pub push_id: String,
}

impl GitStore {
    /// Builds objects in memory, takes them in as if they had been pushed, and moves the ref.
    pub(crate) async fn write_objects<T: Send + 'static>(
        &self,
        id: &RepositoryId,
        target: Target,
        policy: &dyn RefPolicy,
        build: impl FnOnce(&mut Scratch<'_>) -> Result<Built<T>> + Send + 'static,
    ) -> Result<Written<T>> {
        let snapshot = self.snapshot(id).await?;
        if let Some(settled) = snapshot.pushes.iter().find(|settled| settled.id == target.push_id) {
            let oid = settled.oid.ok_or_else(|| Error::Invalid("this push id was used for a deletion".into()))?;
            return Ok(Written::Before(oid));
        }
        let Target { name, old, push_id } = target;
        let current = snapshot.oid_of(&name);
        if current != old {
            return Err(Error::Moved { name, current });
        }
        let packs = self.packs(id, &snapshot).await?;
        let dir = self.cache().quarantine()?;
        let upload = self.new_push_id();
        let (built, received) = blocking(move || {
            let objects = Objects::open(std::sync::Arc::clone(&packs), None)?;
            let mut scratch = Scratch::new(&objects);
            let oid = match build(&mut scratch)? {
                Built::Stop(told) => return Ok((Built::Stop(told), None)),
                Built::Object(oid) => oid,
            };
            let mut writer = PackWriter::default();
            scratch.write(oid, &mut writer)?;
            writer.finish(&dir.path().join(INCOMING))?;
            // Its objects are whole: no base is looked for.
            let commit = scratch.made_commit(&oid);
            Ok((
                Built::Object((oid, commit)),
                take_in(&packs, &[], Spooled::made_in(dir)?, upload, &mut |_| {}, Asker::default())?,
            ))
        })
        .await?;
        let (oid, commit) = match built {
            Built::Stop(told) => return Ok(Written::Stopped(told)),
            Built::Object(made) => made,
        };
        let updates = vec![Update { name: name.clone(), old, new: Some(oid) }];
        settle(
            &name,
            self.push(id, Push { updates, received, atomic: true, id: push_id, asker: Asker::default() }, policy)
                .await?,
        )?;
        Ok(Written::Done(oid, commit.map(Box::new)))
    }

    pub(crate) async fn write_commit(
        &self,
        id: &RepositoryId,
        request: CommitFiles,
        policy: &dyn RefPolicy,
    ) -> Result<Commit> {
        let (name, old, push_id) = (request.branch.to_ref(), request.expected_head, request.push_id.clone());
        let target = Target { name, old, push_id };
        let build =
            move |scratch: &mut Scratch<'_>| -> Result<Built<()>> { build(scratch, &request).map(Built::Object) };
        match self.write_objects(id, target, policy, build).await? {
            Written::Done(_, Some(commit)) => Ok(*commit),
            Written::Done(oid, None) | Written::Before(oid) => self.commit(id, oid).await,
            Written::Stopped(()) => Err(Error::Invalid("there is nothing to commit".into())),
        }
    }
}

fn build(scratch: &mut Scratch<'_>, request: &CommitFiles) -> Result<Oid> {
    if request.changes.len() > CHANGES_MAX {
        return Err(Error::TooLarge(format!("a commit has at most {CHANGES_MAX} changes")));
    }
    let tip = request.expected_head.map(|tip| read::commit(scratch.objects, &tip)).transpose()?;
    let mut root = match &tip {
        Some(tip) => Folder::read(scratch, &tip.tree)?,
        None => Folder::default(),
    };
    for change in &request.changes {
        apply(scratch, &mut root, change)?;
    }
    let tree = root.write_root(scratch)?;
    let (parents, author) = match &tip {
        Some(tip) if request.amend => {
            if tree == tip.tree && request.message.trim_end() == tip.message.trim_end() {
                return Err(Error::Invalid("there is nothing to amend".into()));
            }
            (tip.parents.clone(), &tip.author)
        }
        Some(tip) if tree == tip.tree => return Err(Error::Invalid("there is nothing to commit".into())),
        Some(tip) => (vec![tip.oid], &request.author),
        None => (Vec::new(), &request.author),
    };
    add_commit(scratch, tree, &parents, author, &request.committer, &request.message)
}

/// Makes a commit object.
pub(crate) fn add_commit(
    scratch: &mut Scratch<'_>,
    tree: Oid,
    parents: &[Oid],
    author: &Signature,
    committer: &Signature,
    message: &str,
) -> Result<Oid> {
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {}\n", signature(author)?));
    text.push_str(&format!("committer {}\n\n{}\n", signature(committer)?, checked(message)?));
    Ok(scratch.add(Kind::Commit, text.into_bytes()))
}

/// A message without blank ends.
pub(crate) fn checked(message: &str) -> Result<&str> {
    let message = message.trim_end();
    if message.trim().is_empty() || message.len() > MESSAGE_MAX || message.contains('\0') {
        return Err(Error::Invalid("a message has 1 to 65,536 bytes and no NUL".into()));
    }
    Ok(message)
}

pub(crate) fn signature(who: &Signature) -> Result<String> {
    let (name, email) = (who.name.trim(), who.email.trim());
    let odd = |text: &str| text.contains(['<', '>', '\n', '\0']) || text.len() > 512;
    if name.is_empty() || odd(name) || odd(email) || who.at.0 < 0 || who.offset_minutes.abs() > 14 * 60 {
        return Err(Error::Invalid("a signature has a name and an e-mail address, and a date git can write".into()));
    }
    let sign = if who.offset_minutes < 0 { '-' } else { '+' };
    let offset = who.offset_minutes.abs();
    Ok(format!("{name} <{email}> {} {sign}{:02}{:02}", who.at.as_secs(), offset / 60, offset % 60))
}

fn apply(scratch: &mut Scratch<'_>, root: &mut Folder, change: &FileChange) -> Result<()> {
    match change {
        FileChange::Put { path, bytes, mode } => {
            let before = file_at(scratch, root, path)?;
            put(scratch, root, path, before, bytes, *mode)
        }
        FileChange::Create { path, bytes, mode } => {
            if file_at(scratch, root, path)?.is_some() {
                return Err(Error::Conflict(format!("`{path}` exists already")));
            }
            put(scratch, root, path, None, bytes, *mode)
        }
        FileChange::Update { path, bytes, mode } => {
            let before = file_at(scratch, root, path)?.ok_or_else(|| missing(path))?;
            put(scratch, root, path, Some(before), bytes, *mode)
        }
        FileChange::SetMode { path, mode } => {
            let leaf = file_at(scratch, root, path)?.ok_or_else(|| missing(path))?;
            if !leaf.is_file() || *mode == FileMode::Symlink {
                return Err(Error::Conflict(format!("`{path}` is not a file that can be executable or plain")));
            }
            root.set(scratch, &path.to_bytes(), Some(Leaf { mode: mode.bits(), ..leaf }))
        }
        FileChange::Delete { path } => take(scratch, root, path).map(drop),
        FileChange::Move { from, to } => relocate(scratch, root, from, to),
    }
}

/// The file or symlink at `path`; a folder or submodule is in the way of it.
fn file_at(scratch: &Scratch<'_>, root: &mut Folder, path: &RepoPath) -> Result<Option<Leaf>> {
    let raw = path.to_bytes();
    let (parents, name) = split(&raw);
    let Some(folder) = root.open(scratch, &parents, false)? else { return Ok(None) };
    match folder.entries.get(name) {
        Some(Node::Stored(leaf)) if !leaf.is_folder() && leaf.mode != SUBMODULE => Ok(Some(*leaf)),
        Some(node) if node.is_empty() => Ok(None),
        Some(_) => Err(Error::Conflict(format!("`{path}` is a folder"))),
        None => Ok(None),
    }
}

fn put(
    scratch: &mut Scratch<'_>,
    root: &mut Folder,
    path: &RepoPath,
    before: Option<Leaf>,
    bytes: &bytes::Bytes,
    mode: Option<FileMode>,
) -> Result<()> {
    if before.is_none() {
        // A file that a push brought may keep its odd name; a new one gets a name that every system can hold.
        RepoPath::parse(path.as_str())?;
    }
    let mode = mode.map_or(before.map_or(FileMode::Plain.bits(), |leaf| leaf.mode), FileMode::bits);
    let oid = scratch.add(Kind::Blob, bytes.clone());
    root.set(scratch, &path.to_bytes(), Some(Leaf { mode, oid }))
}

fn relocate(scratch: &mut Scratch<'_>, root: &mut Folder, from: &RepoPath, to: &RepoPath) -> Result<()> {
    let to = RepoPath::parse(to.as_str())?;
    let inside = to.as_str().strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if inside {
        return Err(Error::Conflict(format!("`{from}` cannot move into itself")));
    }
    let node = take(scratch, root, from)?;
    let raw = to.to_bytes();
    let (parents, name) = split(&raw);
    let folder = root.open(scratch, &parents, true)?.ok_or_else(|| missing(&to))?;
    if folder.entries.get(name).is_some_and(|node| !node.is_empty()) {
        return Err(Error::Conflict(format!("`{to}` exists already")));
    }
    folder.entries.insert(name.to_vec(), node);
    Ok(())
}

fn missing(path: &RepoPath) -> Error {
    Error::NotFound(format!("file `{}`", text_of(&path.to_bytes())))
}

fn take(scratch: &Scratch<'_>, root: &mut Folder, path: &RepoPath) -> Result<Node> {
    let raw = path.to_bytes();
    let (parents, name) = split(&raw);
    let folder = root.open(scratch, &parents, false)?.ok_or_else(|| missing(path))?;
    folder.entries.remove(name).ok_or_else(|| missing(path))
}
