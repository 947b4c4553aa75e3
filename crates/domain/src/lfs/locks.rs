//! Locks: who works on a file that cannot be merged. A lock holds for a path in every branch; the client asks for it.

use cloud::{Expect, Millis, RangeQuery, Write};
use git_store::RepoPath;
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ATTEMPTS_MAX, Lfs, busy};
use crate::core::Stored;
use crate::events::NewEvent;
use crate::repository::parse_path;
use crate::{Caller, Error, LockId, Page, PageQuery, Result, keys};

/// A path that someone has locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub id: LockId,
    pub path: RepoPath,
    pub created: Millis,
    /// The account that holds it, and the name of its person at that time.
    pub owner: String,
    pub owner_name: String,
}

/// What came of asking for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockAttempt {
    Locked(Lock),
    /// The path is locked already, by whomever.
    Taken(Lock),
}

/// Which locks are asked for; both `None` for all of them.
#[derive(Clone, Debug, Default)]
pub struct LockFilter {
    pub path: Option<String>,
    pub id: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct LockRecord {
    v: u32,
    id: LockId,
    path: RepoPath,
    created: Millis,
    owner: String,
    owner_name: String,
}

impl LockRecord {
    fn view(self) -> Lock {
        let Self { id, path, created, owner, owner_name, .. } = self;
        Lock { id, path, created, owner, owner_name }
    }
}

impl Lfs {
    /// Locks a path that nobody has locked.
    pub async fn lock(&self, caller: &Caller, project: &str, path: &str) -> Result<LockAttempt> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?.id;
        let path = parse_path("path", path)?;
        let record = LockRecord {
            v: 1,
            id: LockId::parse(self.core.ulid())?,
            path: path.clone(),
            created: self.core.ports.clock.now(),
            owner: caller.principal.account.to_string(),
            owner_name: caller.principal.name.to_string(),
        };
        for _ in 0..ATTEMPTS_MAX {
            if let Some(taken) = self.lock_at(&project, &path).await? {
                // A repetition below the port may have lost to its own first call.
                let own = taken.value.id == record.id;
                let lock = taken.value.view();
                return Ok(if own { LockAttempt::Locked(lock) } else { LockAttempt::Taken(lock) });
            }
            let (mut usage, expect) = self.usage(&project).await?;
            usage.locks += 1;
            if usage.locks > self.core.quotas.lfs_locks_per_project {
                let most = self.core.quotas.lfs_locks_per_project;
                return Err(Error::Quota(format!("A project has at most {most} locks.").into()));
            }
            let writes = vec![
                Write::put(keys::lfs_lock(&project, &record.id), json!(record), Expect::Absent),
                Write::put(keys::lfs_lock_path(&project, path.as_str()), json!({ "lock": record.id }), Expect::Absent),
                Write::put(keys::lfs_usage(&project), json!(usage), expect),
            ];
            let detail = json!({ "lock": record.id, "path": path });
            let event = NewEvent::new("lfs.locked", format!("lfs-lock/{}", record.id), detail);
            match self.core.commit(&project, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(LockAttempt::Locked(record.view())),
            }
        }
        Err(busy())
    }

    async fn lock_at(&self, project: &ProjectId, path: &RepoPath) -> Result<Option<Stored<LockRecord>>> {
        let named = self.core.ports.records.get(&keys::lfs_lock_path(project, path.as_str())).await?;
        let id = named.and_then(|record| serde_json::from_value::<LockId>(record.value["lock"].clone()).ok());
        match id {
            Some(id) => self.core.read(&keys::lfs_lock(project, &id)).await,
            None => Ok(None),
        }
    }

    /// The locks, oldest first.
    pub async fn locks(
        &self,
        caller: &Caller,
        project: &str,
        filter: &LockFilter,
        query: &PageQuery,
    ) -> Result<Page<Lock>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?.id;
        if filter.path.is_none() && filter.id.is_none() {
            return self.page_of_locks(&project, query).await;
        }
        let found = match (&filter.id, &filter.path) {
            (Some(id), _) => match LockId::parse(id.as_str()) {
                Ok(id) => self.core.read::<LockRecord>(&keys::lfs_lock(&project, &id)).await?,
                Err(_) => None,
            },
            (None, Some(path)) => self.lock_at(&project, &parse_path("path", path)?).await?,
            (None, None) => None,
        };
        let fits = |lock: &Lock| filter.path.as_deref().is_none_or(|path| path == lock.path.as_str());
        Ok(Page { items: found.map(|stored| stored.value.view()).into_iter().filter(fits).collect(), next: None })
    }

    /// The same for who is about to push; with the account that asks, to tell their own locks from others'.
    pub async fn locks_to_push(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Lock>> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?.id;
        self.page_of_locks(&project, query).await
    }

    async fn page_of_locks(&self, project: &ProjectId, query: &PageQuery) -> Result<Page<Lock>> {
        let range = RangeQuery {
            partition: keys::partition(project),
            prefix: keys::LFS_LOCK.into(),
            after: query.after(keys::LFS_LOCK, crate::ids::is_ulid)?,
            descending: false,
            limit: query.limit(),
        };
        let page = self.core.ports.records.query(range).await?;
        let items = page.records.iter().map(|record| crate::core::decode::<LockRecord>(record).map(LockRecord::view));
        let items = items.collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::LFS_LOCK).to_owned()) })
    }

    /// Takes a lock away: one's own, or with `force` anyone's, which needs the right to move protected branches.
    pub async fn unlock(&self, caller: &Caller, project: &str, lock: &str, force: bool) -> Result<Lock> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?.id;
        let id = LockId::parse(lock).map_err(|_| Error::NotFound("lock"))?;
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.core.read::<LockRecord>(&keys::lfs_lock(&project, &id)).await?;
            let stored = stored.ok_or(Error::NotFound("lock"))?;
            let record = stored.value;
            let foreign = record.owner != caller.principal.account.as_str();
            if foreign && !force {
                let text =
                    format!("The lock belongs to {}; a maintainer may take it away by force.", record.owner_name);
                return Err(Error::Forbidden(text.into()));
            }
            if foreign {
                self.core.project(caller, project.as_str(), Permission::WriteProtected).await?;
            }
            let (mut usage, expect) = self.usage(&project).await?;
            usage.locks = usage.locks.saturating_sub(1);
            let writes = vec![
                Write::Delete { key: keys::lfs_lock(&project, &id), expect: Expect::At(stored.version) },
                Write::Delete { key: keys::lfs_lock_path(&project, record.path.as_str()), expect: Expect::Anything },
                Write::put(keys::lfs_usage(&project), json!(usage), expect),
            ];
            let detail = json!({ "lock": id, "path": record.path, "owner": record.owner, "forced": foreign });
            let event = NewEvent::new("lfs.unlocked", format!("lfs-lock/{id}"), detail);
            match self.core.commit(&project, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(record.view()),
            }
        }
        Err(busy())
    }
}
