//! Names that belong together: buckets, queues and whole namespaces.

use cloud::{Error, Millis, Result};
use rusqlite::{Connection, params};

use super::database::During;
use super::logs::drop_groups;
use super::{PAGE_MAX, Store, page_limit, prefix_end};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    pub created: Millis,
}

impl Store {
    /// Makes a bucket; does nothing when it is there.
    pub async fn ensure_bucket(&self, name: &str) -> Result<()> {
        let (name, now) = (name.to_owned(), self.inner.now());
        let work = move |connection: &Connection| {
            let sql = "INSERT OR IGNORE INTO bucket (name, created) VALUES (?1, ?2)";
            connection.execute(sql, params![name, now.0]).during(format!("making bucket `{name}`")).map(drop)
        };
        self.inner.main.write(work).await
    }

    pub async fn bucket_exists(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        let work = move |connection: &Connection| {
            connection
                .prepare_cached("SELECT 1 FROM bucket WHERE name = ?1")
                .and_then(|mut sql| sql.exists(params![name]))
                .during(format!("looking up bucket `{name}`"))
        };
        self.inner.main.read(work).await
    }

    /// Buckets whose name starts with `prefix`, by name; at most 1,000.
    pub async fn buckets(&self, prefix: &str) -> Result<Vec<Bucket>> {
        let prefix = prefix.to_owned();
        let work = move |connection: &Connection| {
            let sql = "SELECT name, created FROM bucket WHERE name >= ?1 AND (?2 IS NULL OR name < ?2)
                ORDER BY name LIMIT 1000";
            let bucket = |row: &rusqlite::Row<'_>| Ok(Bucket { name: row.get(0)?, created: Millis(row.get(1)?) });
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(params![prefix, prefix_end(&prefix)], bucket)?.collect())
                .during("listing buckets")
        };
        self.inner.main.read(work).await
    }

    /// Removes an empty bucket; `Error::ConditionFailed` when it holds something, succeeds when there is none.
    pub async fn delete_bucket(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let work = move |connection: &Connection| {
            let what = || format!("deleting bucket `{name}`");
            let holds = connection
                .prepare_cached("SELECT 1 FROM blob WHERE bucket = ?1 LIMIT 1")
                .and_then(|mut sql| sql.exists(params![name]))
                .during(what())?;
            if holds {
                return Err(Error::ConditionFailed { key: name.clone(), index: None });
            }
            connection.execute("DELETE FROM bucket WHERE name = ?1", params![name]).during(what()).map(drop)
        };
        self.inner.main.write(work).await
    }

    /// Names of queues that start with `prefix`, after `after`, at most `limit` (1,000).
    pub async fn queues(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let limit = page_limit(limit, PAGE_MAX)?;
        let (prefix, after) = (prefix.to_owned(), after.unwrap_or_default().to_owned());
        let work = move |connection: &Connection| {
            let sql = "SELECT name FROM queue WHERE name >= ?1 AND name > ?2 AND (?3 IS NULL OR name < ?3)
                ORDER BY name LIMIT ?4";
            let values = params![prefix, after, prefix_end(&prefix), limit];
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(values, |row| row.get(0))?.collect())
                .during("listing queues")
        };
        self.inner.main.read(work).await
    }

    pub async fn queue_exists(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        let work = move |connection: &Connection| {
            connection
                .prepare_cached("SELECT 1 FROM queue WHERE name = ?1")
                .and_then(|mut sql| sql.exists(params![name]))
                .during(format!("looking up queue `{name}`"))
        };
        self.inner.main.read(work).await
    }

    /// Removes a queue with its messages and dead letters; succeeds when there is none.
    pub async fn delete_queue(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let work = move |connection: &Connection| {
            let what = || format!("deleting queue `{name}`");
            connection.execute("DELETE FROM message WHERE queue = ?1", params![name]).during(what())?;
            connection.execute("DELETE FROM queue WHERE name = ?1", params![name]).during(what()).map(drop)
        };
        self.inner.main.write(work).await
    }

    /// Removes everything of a namespace and of those under it (`{namespace}/…`): records with their feed,
    /// buckets with their objects, queues, parameters, logs. Running it again finishes what a crash cut short.
    pub async fn drop_namespace(&self, namespace: &str) -> Result<()> {
        if namespace.is_empty() {
            return Err(Error::Invalid("a namespace has a name".into()));
        }
        let files = self.inner.files.clone();
        let runtime = tokio::runtime::Handle::current();
        let name = namespace.to_owned();
        let after = move |released: &Vec<String>| {
            let released = released.clone();
            runtime.spawn_blocking(move || released.iter().for_each(|name| files.remove(name)));
        };
        self.inner.main.write_then(move |connection| drop_rows(connection, &name), after).await?;
        let name = namespace.to_owned();
        let work = move |connection: &Connection| {
            let sql = "SELECT DISTINCT namespace FROM log_group
                WHERE namespace = ?1 OR (namespace >= ?1 || '/' AND namespace < ?1 || '0')";
            let within: Vec<String> = connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(params![name], |row| row.get(0))?.collect())
                .during("listing namespaces of logs")?;
            within.iter().try_for_each(|namespace| drop_groups(connection, namespace, None).map(drop))
        };
        self.inner.logs.write(work).await?;
        self.inner.remove_dropped_events().await
    }
}

/// Removes the rows; the answer is the blob files that nothing names any more. `0` is the character after `/`.
fn drop_rows(connection: &Connection, namespace: &str) -> Result<Vec<String>> {
    let what = || format!("removing namespace `{namespace}`");
    let within = |column: &str| format!("({column} = ?1 OR ({column} >= ?1 || '/' AND {column} < ?1 || '0'))");
    let execute = |sql: String| connection.execute(&sql, params![namespace]).during(what());
    let parts =
        format!("DELETE FROM part WHERE upload IN (SELECT id FROM upload WHERE {}) RETURNING file", within("bucket"));
    let blobs = format!("DELETE FROM blob WHERE {} RETURNING file", within("bucket"));
    let mut released = Vec::new();
    for sql in [parts, blobs] {
        let files: Vec<Option<String>> = connection
            .prepare(&sql)
            .and_then(|mut sql| sql.query_map(params![namespace], |row| row.get(0))?.collect())
            .during(what())?;
        released.extend(files.into_iter().flatten());
    }
    execute(format!("DELETE FROM upload WHERE {}", within("bucket")))?;
    execute(format!("DELETE FROM bucket WHERE {}", within("name")))?;
    execute(format!("DELETE FROM record WHERE {}", within("namespace")))?;
    execute(format!("DELETE FROM change WHERE {}", within("namespace")))?;
    execute(format!("DELETE FROM message WHERE {}", within("queue")))?;
    execute(format!("DELETE FROM queue WHERE {}", within("name")))?;
    execute(format!("DELETE FROM parameter WHERE {}", within("namespace")))?;
    Ok(released)
}
