//! Tags.

use std::fmt;

use crate::edit::{Built, Target, Written, checked, signature};
use crate::names::string_newtype;
use crate::objects::Objects;
use crate::pack::Kind;
use crate::read;
use crate::scratch::Scratch;
use crate::store::GitStore;
use crate::{Error, Oid, RefName, RefPolicy, RefUpdate, RepositoryId, Result, Signature, Tag};

const PREFIX: &str = "refs/tags/";

/// A tag's name without `refs/tags/` (git-check-ref-format).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(String);

string_newtype!(TagName);

impl TagName {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let fits = !raw.starts_with('-') && raw != "HEAD" && RefName::parse(format!("{PREFIX}{raw}")).is_ok();
        if fits { Ok(Self(raw)) } else { Err(Error::Invalid("not a tag name that git allows".into())) }
    }

    fn to_ref(&self) -> Result<RefName> {
        RefName::parse(format!("{PREFIX}{}", self.0))
    }
}

/// A tag to be made.
#[derive(Clone, Debug)]
pub struct NewTag {
    pub name: TagName,
    pub target: Oid,
    /// Makes it an annotated tag.
    pub message: Option<String>,
    pub tagger: Signature,
    /// As in `CommitFiles`.
    pub push_id: String,
}

impl GitStore {
    /// Tags in order of their names, after the name `after`; and whether there are more.
    pub async fn tags(&self, repository: &RepositoryId, after: Option<&str>, limit: usize) -> Result<(Vec<Tag>, bool)> {
        let after = after.map(str::to_owned);
        let work = move |objects: &Objects, snapshot: &crate::record::Snapshot| {
            let refs = snapshot.visible().into_iter();
            let named = refs.filter_map(|r| Some((r.name.as_str().strip_prefix(PREFIX)?.to_owned(), r.oid)));
            let mut rest = named.filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
            let page: Vec<_> = rest.by_ref().take(limit).collect();
            let tags = page.into_iter().map(|(name, oid)| told(objects, name, oid)).collect::<Result<_>>()?;
            Ok((tags, rest.next().is_some()))
        };
        self.with_objects(repository, work).await
    }

    /// Makes a tag; `Error::Exists` when there is one.
    pub async fn create_tag(&self, repository: &RepositoryId, new: NewTag, policy: &dyn RefPolicy) -> Result<Tag> {
        let (name, push_id) = (new.name.to_ref()?, new.push_id.clone());
        let there = |error| match error {
            Error::Moved { .. } => Error::Exists(format!("tag `{}`", new.name)),
            other => other,
        };
        let oid = match new.message.clone() {
            None => {
                let update = RefUpdate { name, old: None, new: Some(new.target), push_id };
                self.update_ref(repository, update, policy).await.map_err(there)?;
                new.target
            }
            Some(message) => {
                let asked = new.clone();
                let build = move |scratch: &mut Scratch<'_>| -> Result<Built<()>> {
                    let (kind, _) = scratch
                        .objects
                        .header(&asked.target)?
                        .ok_or_else(|| Error::NotFound(format!("object {}", asked.target)))?;
                    let (tagger, message) = (signature(&asked.tagger)?, checked(&message)?);
                    let head = format!("object {}\ntype {}\ntag {}\n", asked.target, kind.name(), asked.name);
                    let text = format!("{head}tagger {tagger}\n\n{message}\n");
                    Ok(Built::Object(scratch.add(Kind::Tag, text.into_bytes())))
                };
                let target = Target { name, old: None, push_id };
                match self.write_objects(repository, target, policy, build).await.map_err(there)? {
                    Written::Done(oid, _) | Written::Before(oid) => oid,
                    Written::Stopped(()) => return Err(Error::Invalid("nothing was made".into())),
                }
            }
        };
        let name = new.name.to_string();
        self.with_objects(repository, move |objects, _| told(objects, name, oid)).await
    }

    /// Removes a tag.
    pub async fn delete_tag(&self, repository: &RepositoryId, tag: &TagName, policy: &dyn RefPolicy) -> Result<()> {
        let name = tag.to_ref()?;
        let old = self.snapshot(repository).await?.oid_of(&name);
        let old = Some(old.ok_or_else(|| Error::NotFound(format!("tag `{tag}`")))?);
        let update = RefUpdate { name, old, new: None, push_id: self.new_push_id() };
        self.update_ref(repository, update, policy).await
    }
}

fn told(objects: &Objects, name: String, oid: Oid) -> Result<Tag> {
    let (_, target) = objects.peel(&oid)?;
    let mut tag = Tag { name, oid, target, tagger: None, message: None };
    if target != oid {
        let bytes = objects.read_as(&oid, Kind::Tag)?;
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
        let tagger = bytes[..end].split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"tagger "));
        tag.tagger = tagger.and_then(read::parse_signature);
        tag.message = bytes.get(end + 2..).map(|text| String::from_utf8_lossy(text).into_owned());
    }
    Ok(tag)
}
