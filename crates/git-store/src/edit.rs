//! Commits made here: a new tree from an old one, through the same door as a push.

use std::collections::BTreeMap;

use crate::fsck::{SUBMODULE, order};
use crate::objects::Objects;
use crate::pack::{Kind, PackWriter};
use crate::push::{Push, Update};
use crate::quarantine::{INCOMING, take_in};
use crate::store::{GitStore, blocking, settle};
use crate::{
    Commit, CommitFiles, EntryKind, Error, FileChange, FileMode, Oid, RefPolicy, RepoPath, RepositoryId, Result,
    Signature, read,
};

/// Steps of one commit.
const CHANGES_MAX: usize = 10_000;
/// A commit message (bytes).
const MESSAGE_MAX: usize = 64 << 10;
const FOLDER_MODE: u32 = 0o040_000;

impl GitStore {
    pub(crate) async fn write_commit(
        &self,
        id: &RepositoryId,
        request: CommitFiles,
        policy: &dyn RefPolicy,
    ) -> Result<Commit> {
        let snapshot = self.snapshot(id).await?;
        if let Some(settled) = snapshot.pushes.iter().find(|settled| settled.id == request.push_id) {
            let oid = settled.oid.ok_or_else(|| Error::Invalid("this push id was used for a deletion".into()))?;
            return self.commit(id, oid).await;
        }
        let (name, old, push_id) = (request.branch.to_ref(), request.expected_head, request.push_id.clone());
        let current = snapshot.oid_of(&name);
        if current != old {
            return Err(Error::Moved { name, current });
        }
        let packs = self.packs(id, &snapshot).await?;
        let dir = self.cache().quarantine()?;
        let upload = self.new_push_id();
        let (commit, received) = blocking(move || {
            let objects = Objects::open(std::sync::Arc::clone(&packs), None)?;
            let mut writer = PackWriter::default();
            let oid = build(&objects, &request, &mut writer)?;
            writer.finish(&dir.path().join(INCOMING))?;
            let received = take_in(&packs, dir, upload, &mut |_| {})?;
            let quarantine = received.as_ref().map(|received| received.dir.path().to_owned());
            Ok((read::commit(&Objects::open(packs, quarantine.as_deref())?, &oid)?, received))
        })
        .await?;
        let updates = vec![Update { name: name.clone(), old, new: Some(commit.oid) }];
        let push = Push { updates, received, atomic: true, id: push_id };
        settle(&name, self.push(id, push, policy).await?)?;
        Ok(commit)
    }
}

fn build(objects: &Objects, request: &CommitFiles, writer: &mut PackWriter) -> Result<Oid> {
    if request.changes.len() > CHANGES_MAX {
        return Err(Error::TooLarge(format!("a commit has at most {CHANGES_MAX} changes")));
    }
    let parent_tree = match &request.expected_head {
        Some(parent) => Some(objects.commit_links(parent)?.tree),
        None => None,
    };
    let mut root = match parent_tree {
        Some(tree) => Folder::read(objects, &tree)?,
        None => Folder::default(),
    };
    for change in &request.changes {
        apply(objects, &mut root, change, writer)?;
    }
    let tree = match root.write(writer)? {
        Some(tree) => tree,
        None => writer.add(Kind::Tree, b"")?,
    };
    if parent_tree == Some(tree) {
        return Err(Error::Invalid("there is nothing to commit".into()));
    }
    writer.add(Kind::Commit, &commit_bytes(request, tree)?)
}

fn commit_bytes(request: &CommitFiles, tree: Oid) -> Result<Vec<u8>> {
    let message = request.message.trim_end();
    if message.trim().is_empty() || message.len() > MESSAGE_MAX || message.contains('\0') {
        return Err(Error::Invalid("a commit message has 1 to 65,536 bytes and no NUL".into()));
    }
    let mut text = format!("tree {tree}\n");
    if let Some(parent) = request.expected_head {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {}\n", signature(&request.author)?));
    text.push_str(&format!("committer {}\n\n{message}\n", signature(&request.committer)?));
    Ok(text.into_bytes())
}

fn signature(who: &Signature) -> Result<String> {
    let (name, email) = (who.name.trim(), who.email.trim());
    let odd = |text: &str| text.contains(['<', '>', '\n', '\0']) || text.len() > 512;
    if name.is_empty() || odd(name) || odd(email) || who.at.0 < 0 || who.offset_minutes.abs() > 14 * 60 {
        return Err(Error::Invalid("a signature has a name and an e-mail address, and a date git can write".into()));
    }
    let sign = if who.offset_minutes < 0 { '-' } else { '+' };
    let offset = who.offset_minutes.abs();
    Ok(format!("{name} <{email}> {} {sign}{:02}{:02}", who.at.as_secs(), offset / 60, offset % 60))
}

/// A folder that is being changed. Folders within it are read when something in them changes.
#[derive(Default)]
struct Folder {
    entries: BTreeMap<Vec<u8>, Node>,
}

enum Node {
    /// A file, symlink or submodule, or a folder that was not looked into.
    Stored {
        mode: u32,
        oid: Oid,
    },
    Open(Folder),
}

impl Node {
    /// A folder that earlier changes have emptied: git holds none.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Open(folder) if folder.entries.values().all(Self::is_empty))
    }
}

impl Folder {
    fn read(objects: &Objects, tree: &Oid) -> Result<Self> {
        let mut entries = BTreeMap::new();
        objects.each_item(tree, |item| {
            entries.insert(item.name.to_vec(), Node::Stored { mode: item.mode, oid: item.oid });
            Ok(())
        })?;
        Ok(Self { entries })
    }

    /// The folder at `path`, opened; made when `make` says so.
    fn open(&mut self, objects: &Objects, path: &[&str], make: bool) -> Result<Option<&mut Self>> {
        let mut at = self;
        for (depth, part) in path.iter().enumerate() {
            if !at.entries.contains_key(part.as_bytes()) {
                if !make {
                    return Ok(None);
                }
                at.entries.insert(part.as_bytes().to_vec(), Node::Open(Self::default()));
            }
            let Some(node) = at.entries.get_mut(part.as_bytes()) else { return Ok(None) };
            if let Node::Stored { mode, oid } = node {
                if *mode != FOLDER_MODE {
                    let place = path[..=depth].join("/");
                    return Err(Error::Conflict(format!("`{place}` is not a folder")));
                }
                *node = Node::Open(Self::read(objects, oid)?);
            }
            let Node::Open(folder) = node else { return Ok(None) };
            at = folder;
        }
        Ok(Some(at))
    }

    /// Adds the trees to the pack; `None` for a folder with nothing in it, which git cannot hold.
    fn write(self, writer: &mut PackWriter) -> Result<Option<Oid>> {
        let mut items: Vec<(Vec<u8>, u32, Oid)> = Vec::new();
        for (name, node) in self.entries {
            match node {
                Node::Stored { mode, oid } => items.push((name, mode, oid)),
                Node::Open(folder) => {
                    if let Some(oid) = folder.write(writer)? {
                        items.push((name, FOLDER_MODE, oid));
                    }
                }
            }
        }
        if items.is_empty() {
            return Ok(None);
        }
        items.sort_by(|a, b| order((&a.0, a.1 == FOLDER_MODE), (&b.0, b.1 == FOLDER_MODE)));
        let mut raw = Vec::new();
        for (name, mode, oid) in items {
            raw.extend_from_slice(format!("{mode:o} ").as_bytes());
            raw.extend_from_slice(&name);
            raw.push(0);
            raw.extend_from_slice(oid.as_bytes());
        }
        writer.add(Kind::Tree, &raw).map(Some)
    }
}

fn split(path: &RepoPath) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = path.parts().collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

fn apply(objects: &Objects, root: &mut Folder, change: &FileChange, writer: &mut PackWriter) -> Result<()> {
    match change {
        FileChange::Put { path, bytes, mode } => {
            let path = RepoPath::parse(path.as_str())?;
            let (parents, name) = split(&path);
            let folder = root.open(objects, &parents, true)?.ok_or_else(|| missing(&path))?;
            let before = match folder.entries.get(name.as_bytes()) {
                Some(Node::Stored { mode, .. }) if *mode != FOLDER_MODE && *mode != SUBMODULE => Some(*mode),
                Some(node) if node.is_empty() => None,
                Some(_) => return Err(Error::Conflict(format!("`{path}` is a folder"))),
                None => None,
            };
            let mode = mode.map_or(before.unwrap_or(FileMode::Plain.bits()), FileMode::bits);
            let oid = writer.add(Kind::Blob, bytes)?;
            folder.entries.insert(name.as_bytes().to_vec(), Node::Stored { mode, oid });
            Ok(())
        }
        FileChange::Delete { path } => take(objects, root, path).map(drop),
        FileChange::Move { from, to } => {
            let to = RepoPath::parse(to.as_str())?;
            let inside = to.as_str().strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/'));
            if inside {
                return Err(Error::Conflict(format!("`{from}` cannot move into itself")));
            }
            let node = take(objects, root, from)?;
            let (parents, name) = split(&to);
            let folder = root.open(objects, &parents, true)?.ok_or_else(|| missing(&to))?;
            if folder.entries.get(name.as_bytes()).is_some_and(|node| !node.is_empty()) {
                return Err(Error::Conflict(format!("`{to}` exists already")));
            }
            folder.entries.insert(name.as_bytes().to_vec(), node);
            Ok(())
        }
    }
}

fn missing(path: &RepoPath) -> Error {
    Error::NotFound(format!("{:?} `{path}`", EntryKind::File).to_lowercase())
}

fn take(objects: &Objects, root: &mut Folder, path: &RepoPath) -> Result<Node> {
    let (parents, name) = split(path);
    let folder = root.open(objects, &parents, false)?.ok_or_else(|| missing(path))?;
    folder.entries.remove(name.as_bytes()).ok_or_else(|| missing(path))
}
