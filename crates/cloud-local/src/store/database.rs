//! One SQLite file: a single writer that commits in groups, and a few readers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use cloud::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Writes that share one commit, at most.
const GROUP_MAX: usize = 128;
/// Writes that wait for the writer; more callers wait in turn.
const WAITING_MAX: usize = 1024;
/// Reads at the same time.
const READERS_MAX: usize = 8;

/// Tells what was being done when a cause arrived.
pub(super) trait During<T> {
    fn during(self, what: impl Into<String>) -> Result<T>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> During<T> for Result<T, E> {
    fn during(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|error| Error::other(what, error))
    }
}

/// What became of the commit that a write was part of.
#[derive(Clone, Copy)]
enum Commit {
    Done,
    /// The whole group was rolled back.
    Undone,
    Unclear,
}

type Finish = Box<dyn FnOnce(Commit) + Send>;
type Job = Box<dyn FnOnce(&Connection) -> Finish + Send>;

/// A handle to one database file. Dropping the last one waits for the writes that were accepted.
pub(super) struct Database {
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Database {
    /// Opens or creates `path`. Each script of `schema` makes the next version; `Error::Invalid` when a newer program wrote the file.
    pub(super) fn open(path: &Path, schema: &[&str]) -> Result<Self> {
        let connection = Connection::open(path).during(format!("opening {}", path.display()))?;
        prepare(&connection, schema, path)?;
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_groups(&connection, waiting))
            .during("starting the store's writer")?;
        let readers = Readers {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
            turns: Arc::new(Semaphore::new(READERS_MAX)),
        };
        Ok(Self { jobs: Some(jobs), writer: Some(writer), readers: Arc::new(readers) })
    }

    /// Runs `work` alone in a transaction; the answer comes when it is on disk. Nothing of it stays on an error.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.write_then(work, |_| ()).await
    }

    /// As `write`; `after` runs once the write is on disk, even when the caller has gone away.
    pub(super) async fn write_then<T, F, A>(&self, work: F, after: A) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = in_savepoint(connection, work);
            Box::new(move |commit| {
                let outcome = match (outcome, commit) {
                    (Ok(value), Commit::Done) => {
                        after(&value);
                        Ok(value)
                    }
                    (Ok(_), Commit::Undone) => Err(Error::Unavailable("the store's disk".into())),
                    (Ok(_), Commit::Unclear) => Err(Error::Unclear("a write to the store".into())),
                    (Err(error), _) => Err(error),
                };
                // The caller may have gone away; the write stands.
                let _ = answer.send(outcome);
            })
        });
        let closed = || Error::Unavailable("the store, which is closing,".into());
        self.jobs.as_ref().ok_or_else(closed)?.send(job).await.map_err(|_| closed())?;
        answered.await.map_err(|_| Error::Unclear("a write to the store".into()))?
    }

    /// Runs `step` between other writes until `after` says that nothing is left, the store closes or a step fails.
    /// Nobody waits for it, and it keeps nothing open.
    pub(super) fn in_background<T, F, A>(&self, step: F, after: A)
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
        A: Fn(&T) -> bool + Send + Sync + 'static,
    {
        if let Some(jobs) = &self.jobs {
            submit(&jobs.downgrade(), Arc::new(step), Arc::new(after));
        }
    }

    /// Runs `work` on a reading connection, away from the async threads. It sees every acknowledged write.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let readers = self.readers.clone();
        let turn = readers.turns.clone().acquire_owned().await.during("waiting for a reader")?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            readers.with(work)
        })
        .await
        .during("reading the store")?
    }

    /// As `read`, for `work` that looks at a row or two by key: it runs where it stands when a reader is idle, which
    /// takes a fraction of the time that another thread would need to wake up.
    pub(super) async fn look_up<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        if let Ok(_turn) = self.readers.turns.try_acquire()
            && let Some(connection) = self.readers.idle()
        {
            return self.readers.lend(connection, work);
        }
        self.read(work).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.jobs = None;
        // A write may hold the last handle to the store; the writer then ends by itself.
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != std::thread::current().id()
        {
            // The writer catches panics of its jobs; there is nothing to report here.
            let _ = writer.join();
        }
    }
}

impl Readers {
    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = match self.idle() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        self.lend(connection, work)
    }

    fn idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn lend<T>(&self, connection: Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let answer = work(&connection);
        if connection.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }

    fn connect(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)
            .during(format!("opening {} for reading", self.path.display()))?;
        connection
            .execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -8000;")
            .during("preparing a reader")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }
}

/// Hands one step to the writer; a writer with a full queue is asked again with the next sweep.
fn submit<T, F, A>(jobs: &mpsc::WeakSender<Job>, step: Arc<F>, after: Arc<A>)
where
    T: Send + 'static,
    F: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
    A: Fn(&T) -> bool + Send + Sync + 'static,
{
    let Some(open) = jobs.upgrade() else { return };
    let jobs = jobs.clone();
    let job: Job = Box::new(move |connection| {
        let outcome = in_savepoint(connection, |connection| step(connection));
        Box::new(move |commit| match (outcome, commit) {
            (Ok(value), Commit::Done) => {
                if after(&value) {
                    submit(&jobs, step, after);
                }
            }
            (Ok(_), _) => {}
            (Err(error), _) => tracing::warn!(%error, "a sweep of the store stopped; the next one goes on"),
        })
    });
    // Full or closing: the next sweep does it.
    let _ = open.try_send(job);
}

fn prepare(connection: &Connection, schema: &[&str], path: &Path) -> Result<()> {
    let pragmas = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000; PRAGMA wal_autocheckpoint = 4000;
        PRAGMA journal_size_limit = 67108864;";
    let what = || format!("preparing {}", path.display());
    connection.execute_batch(pragmas).during(what())?;
    connection.set_prepared_statement_cache_capacity(128);
    let version = i64::try_from(schema.len()).during(what())?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).during(what())?;
    if found > version {
        return Err(Error::Invalid(format!(
            "{} was written by a newer version of this program (format {found}, this one knows {version})",
            path.display()
        )));
    }
    if found < version {
        let steps = schema.iter().skip(usize::try_from(found).unwrap_or_default()).copied().collect::<String>();
        let script = format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {version}; COMMIT;");
        connection.execute_batch(&script).during(what())?;
    }
    Ok(())
}

/// Runs one write; an error or a panic undoes it alone.
fn in_savepoint<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    connection.prepare_cached("SAVEPOINT one").and_then(|mut sql| sql.execute([])).during("starting a write")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|_| Err(Error::other("writing to the store", "the write panicked")));
    if connection.is_autocommit() {
        return match outcome {
            Ok(_) => Err(Error::Unavailable("the store's disk".into())),
            Err(error) => Err(error),
        };
    }
    if outcome.is_err() {
        connection.execute_batch("ROLLBACK TO one").during("undoing a write")?;
    }
    connection.prepare_cached("RELEASE one").and_then(|mut sql| sql.execute([])).during("ending a write")?;
    outcome
}

/// Takes waiting writes in groups: one commit, one flush, then every caller gets its answer.
fn write_groups(connection: &Connection, mut waiting: mpsc::Receiver<Job>) {
    let mut finishes: Vec<Finish> = Vec::with_capacity(GROUP_MAX);
    while let Some(first) = waiting.blocking_recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            // The job is dropped, which tells its caller; the next one tries anew.
            tracing::error!(%error, "the store cannot begin a transaction");
            continue;
        }
        let mut next = Some(first);
        while let Some(job) = next {
            finishes.push(job(connection));
            let full = finishes.len() >= GROUP_MAX || connection.is_autocommit();
            next = if full { None } else { waiting.try_recv().ok() };
        }
        let commit = commit(connection);
        for finish in finishes.drain(..) {
            finish(commit);
        }
    }
}

fn commit(connection: &Connection) -> Commit {
    if connection.is_autocommit() {
        // SQLite undid everything by itself: a full disk or a read/write error.
        tracing::error!("the store's disk refused a transaction");
        return Commit::Undone;
    }
    match connection.execute_batch("COMMIT") {
        Ok(()) => Commit::Done,
        Err(error) => {
            tracing::error!(%error, "the store cannot commit");
            if !connection.is_autocommit()
                && let Err(error) = connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "the store cannot roll back");
            }
            Commit::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &[&str] = &["CREATE TABLE thing (name TEXT PRIMARY KEY, body BLOB);"];
    const NEWER: &[&str] = &[SCHEMA[0], "ALTER TABLE thing ADD COLUMN more TEXT DEFAULT 'none';"];

    fn fresh() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("a.db"), SCHEMA).unwrap();
        (folder, database)
    }

    fn insert(connection: &Connection, name: &str, bytes: usize) -> Result<()> {
        let sql = "INSERT INTO thing (name, body) VALUES (?1, zeroblob(?2))";
        let bytes = i64::try_from(bytes).unwrap();
        connection.execute(sql, rusqlite::params![name, bytes]).during("inserting").map(drop)
    }

    async fn names(database: &Database) -> Vec<String> {
        let work = |connection: &Connection| {
            let mut sql = connection.prepare("SELECT name FROM thing ORDER BY name").during("reading")?;
            sql.query_map([], |row| row.get(0)).and_then(Iterator::collect).during("reading")
        };
        database.read(work).await.unwrap()
    }

    #[tokio::test]
    async fn a_write_that_fails_leaves_nothing_and_its_neighbours_stay() {
        let (_folder, database) = fresh();
        let failing = database.write(|connection| {
            insert(connection, "failed", 1)?;
            Err::<(), _>(Error::Stale("the test"))
        });
        let panicking = database.write(|connection| {
            insert(connection, "panicked", 1)?;
            if connection.is_autocommit() { Ok(()) } else { panic!("planned") }
        });
        let before = database.write(|connection| insert(connection, "before", 1));
        let after = database.write(|connection| insert(connection, "after", 1));
        let (before, failing, panicking, after) = tokio::join!(before, failing, panicking, after);
        before.unwrap();
        after.unwrap();
        assert!(matches!(failing, Err(Error::Stale(_))));
        assert!(panicking.is_err());
        assert_eq!(names(&database).await, ["after", "before"]);
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_write_and_not_the_store() {
        let (_folder, database) = fresh();
        let narrow = |connection: &Connection| {
            connection.query_row("PRAGMA max_page_count = 40", [], |_| Ok(())).during("narrowing")
        };
        database.write(narrow).await.unwrap();
        database.write(|connection| insert(connection, "small", 10)).await.unwrap();
        assert!(database.write(|connection| insert(connection, "large", 1_000_000)).await.is_err());
        database.write(|connection| insert(connection, "small again", 10)).await.unwrap();
        assert_eq!(names(&database).await, ["small", "small again"]);
    }

    #[tokio::test]
    async fn what_follows_a_write_happens_although_its_caller_has_gone() {
        let (_folder, database) = fresh();
        let (told, hears) = std::sync::mpsc::channel();
        let write = database.write_then(|connection| insert(connection, "kept", 1), move |()| told.send(()).unwrap());
        // One poll hands the write over.
        assert!(futures::FutureExt::now_or_never(write).is_none());
        drop(database);
        hears.recv().unwrap();
    }

    #[tokio::test]
    async fn a_file_of_an_older_version_is_brought_forward_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let old = Database::open(&path, SCHEMA).unwrap();
        old.write(|connection| insert(connection, "kept", 1)).await.unwrap();
        drop(old);
        for _ in 0..2 {
            let new = Database::open(&path, NEWER).unwrap();
            let read = |connection: &Connection| {
                let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
                connection.query_row("SELECT name, more FROM thing", [], row).during("reading")
            };
            assert_eq!(new.read(read).await.unwrap(), ("kept".to_owned(), "none".to_owned()));
        }
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Database::open(&path, NEWER).unwrap());
        let message = Database::open(&path, SCHEMA).err().unwrap().to_string();
        assert!(message.contains("newer version"), "{message}");
    }
}
