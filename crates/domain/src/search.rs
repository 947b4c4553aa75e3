//! Every path of a commit, and what is found in its files: the caller's drafts laid over when they ask for it.

use std::collections::HashSet;
use std::fmt;

use cloud::RangeQuery;
use git_store::{
    BranchName, FileMatches, Globs, Matcher, Oid, PathsPage, PatternOptions, Revision, SearchPage, SearchQuery,
};
use identity::{AccountId, Permission, ProjectId};

use crate::core::Core;
use crate::drafts::DraftRecord;
use crate::projects::Project;
use crate::repository::{Repository, resolve};
use crate::{Caller, Error, PageQuery, Result, drafts, keys};

/// Paths on a page.
pub const PATHS_MAX: usize = 10_000;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct SearchFor {
    pub reference: String,
    pub pattern: String,
    pub options: PatternOptions,
    /// Globs with commas between them.
    pub include: Option<String>,
    pub exclude: Option<String>,
    /// The caller's drafts stand in for the files of the branch.
    pub drafts: bool,
}

/// A page of what was found, in one commit over all pages.
#[derive(Clone, Debug)]
pub struct Found {
    pub commit: Oid,
    pub items: Vec<FileMatches>,
    pub next: Option<String>,
    /// Some matches of this page are not told.
    pub limited: bool,
}

/// A page of paths, of one commit over all pages.
#[derive(Clone, Debug)]
pub struct PathList {
    pub commit: Oid,
    pub items: Vec<String>,
    pub next: Option<String>,
    pub limited: bool,
}

/// Where a list over the files of a commit goes on. It names the commit, so that a push between two pages neither
/// repeats nor skips a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    list: List,
    commit: Oid,
    at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Drafts,
    Files,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = if self.list == List::Drafts { "d" } else { "f" };
        write!(f, "{list}:{}:{}", self.commit, self.at)
    }
}

impl Position {
    fn parse(raw: &str) -> Option<Self> {
        let mut parts = raw.split(':');
        let list = match parts.next()? {
            "d" => List::Drafts,
            "f" => List::Files,
            _ => return None,
        };
        let (commit, at) = (Oid::parse(parts.next()?).ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { list, commit, at })
    }

    /// The place that the cursor names, in a commit of the project; the start of what `reference` names without one.
    async fn of(core: &Core, project: &ProjectId, reference: &str, query: &PageQuery, list: List) -> Result<Self> {
        let Some(raw) = &query.after else {
            return Ok(Self { list, commit: resolve(core, project, reference).await?, at: 0 });
        };
        let position = Self::parse(raw).filter(|position| list == List::Drafts || position.list == list);
        let position = position.ok_or_else(Error::invalid_cursor)?;
        match resolve(core, project, &position.commit.to_string()).await {
            Err(Error::NotFound(_)) => Err(Error::invalid_cursor()),
            Err(error) => Err(error),
            Ok(commit) if commit == position.commit => Ok(position),
            Ok(_) => Err(Error::invalid_cursor()),
        }
    }
}

impl Repository {
    /// The paths of every file that start with `prefix`, in git's order; at most [`PATHS_MAX`].
    pub async fn paths(
        &self,
        caller: &Caller,
        project: &str,
        reference: &str,
        prefix: &str,
        query: &PageQuery,
    ) -> Result<PathList> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let at = Position::of(&self.core, &project.id, reference, query, List::Files).await?;
        let limit = query.limit.unwrap_or(PATHS_MAX).clamp(1, PATHS_MAX);
        let page = self.core.git.paths(&project.repository()?, at.commit, prefix, at.at, limit).await;
        let PathsPage { items, next, limited } = page.map_err(|error| match error {
            git_store::Error::Invalid(text) => Error::invalid_path("path", format!("{text}.")),
            other => Error::git(other, "commit", "path"),
        })?;
        let next = next.map(|next| Position { at: next, ..at }.to_string());
        Ok(PathList { commit: at.commit, items, next, limited })
    }

    /// Looks for text in the files of what a ref names. A page ends after so many files with matches, or after so
    /// much was read; the next one goes on in the same commit.
    pub async fn search(&self, caller: &Caller, project: &str, ask: SearchFor, query: &PageQuery) -> Result<Found> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let matcher = Matcher::new(&ask.pattern, ask.options).map_err(|e| refused("q", e))?;
        let include = ask.include.as_deref().map(Globs::parse).transpose().map_err(|e| refused("include", e))?;
        let exclude = ask.exclude.as_deref().map(Globs::parse).transpose().map_err(|e| refused("exclude", e))?;
        let list = if ask.drafts { List::Drafts } else { List::Files };
        let at = Position::of(&self.core, &project.id, &ask.reference, query, list).await?;
        let include = include.filter(|globs| !globs.is_empty());
        let mut wanted =
            SearchQuery { matcher, include, exclude, without: HashSet::new(), from: 0, limit: query.limit() };
        let mut drafts = Vec::new();
        if ask.drafts {
            let branch = branch_of(&project, &ask.reference)?;
            drafts = drafts_of(&self.core, &project.id, &caller.principal.account, &branch).await?;
            wanted.without = drafts.iter().map(|draft| draft.path.to_bytes().into_owned()).collect();
        }
        let mut page = SearchPage::default();
        let found = |page: SearchPage, next: Option<Position>| Found {
            commit: at.commit,
            items: page.items,
            next: next.map(|next| next.to_string()),
            limited: page.limited,
        };
        if at.list == List::Drafts {
            for (number, draft) in drafts.iter().enumerate().skip(usize::try_from(at.at).unwrap_or(usize::MAX)) {
                if page.is_full(wanted.limit) {
                    return Ok(found(page, Some(Position { at: number as u64, ..at })));
                }
                if !draft.deleted && wanted.covers(&draft.path.to_bytes()) {
                    let bytes = drafts::content(&self.core, &project.id, draft).await?;
                    if let Some(matches) = wanted.matcher.file(draft.path.as_str(), &bytes) {
                        page.add(matches);
                    }
                }
            }
        }
        let files =
            Position { list: List::Files, commit: at.commit, at: if at.list == List::Files { at.at } else { 0 } };
        wanted.limit = wanted.limit.saturating_sub(page.items.len());
        if wanted.limit == 0 {
            return Ok(found(page, Some(files)));
        }
        wanted.from = files.at;
        let rest = self.core.git.search(&project.repository()?, at.commit, wanted).await;
        let rest = rest.map_err(|e| Error::git(e, "commit", "ref"))?;
        page.limited |= rest.limited;
        page.items.extend(rest.items);
        Ok(found(page, rest.next.map(|next| Position { at: next, ..files })))
    }
}

fn refused(field: &'static str, error: git_store::Error) -> Error {
    match error {
        git_store::Error::Invalid(text) => Error::invalid(field, format!("{text}.")),
        other => Error::git(other, "commit", field),
    }
}

/// The branch that a ref names: only a branch has drafts.
fn branch_of(project: &Project, reference: &str) -> Result<BranchName> {
    let branch = match Revision::parse(reference) {
        Ok(Revision::Head) => Some(project.default_branch.clone()),
        Ok(Revision::Ref(name)) => name.branch(),
        Ok(Revision::Short(name)) => BranchName::parse(name).ok(),
        Ok(Revision::Oid(_)) | Err(_) => None,
    };
    branch.ok_or_else(|| Error::invalid_ref("ref", "Drafts are of a branch: name one."))
}

async fn drafts_of(
    core: &Core,
    project: &ProjectId,
    account: &AccountId,
    branch: &BranchName,
) -> Result<Vec<DraftRecord>> {
    let mut range = RangeQuery {
        partition: keys::drafts(project),
        prefix: keys::draft_prefix(branch, account),
        limit: 200,
        ..RangeQuery::default()
    };
    let mut all = Vec::new();
    while all.len() < core.quotas.drafts_per_branch {
        let page = core.ports.records.query(range.clone()).await?;
        for record in &page.records {
            all.push(crate::core::decode(record)?);
        }
        match page.next {
            Some(next) => range.after = Some(next),
            None => break,
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written_and_nothing_else_is() {
        let position = Position { list: List::Drafts, commit: Oid::from_bytes([7; 20]), at: 12 };
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        let oid = Oid::from_bytes([7; 20]);
        for bad in ["", "x", "d", &format!("x:{oid}:1"), &format!("f:{oid}:-1"), &format!("f:{oid}:1:2"), "f:zz:1"] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }
}
