//! One SQLite file and blob files: the ports that keep something.
//!
//! **Invariant**: an acknowledged write is on disk (flushed), and a crash at any moment leaves garbage at most.

mod blobs;
mod database;
mod lock;
mod logs;
mod namespace;
mod parameters;
mod queue;
mod records;
mod schema;
mod seal;
mod signals;
mod sweep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use cloud::{Clock, Entropy, Error, Millis, Result};
use tokio::sync::{broadcast, watch};

pub use blobs::{
    CompletedPart, DelimitedPage, LocalBlobs, ObjectEvent, ObjectEventKind, Presigner, Upload, UploadPart, UserMetadata,
};
use database::{Database, During};
pub use logs::{LocalLogs, LogGroup};
pub use namespace::Bucket;
pub use parameters::LocalParameters;
pub use queue::{LocalQueue, QueueCounts, QueueSettings};
pub use records::LocalRecords;

/// The namespace of the platform's own records, logs and parameters.
const PLATFORM: &str = "platform";
/// Object events that a slow subscriber may be behind; past that it is told how many it missed.
const OBJECT_EVENTS_KEPT: usize = 4096;
/// Records, names and rows in one page, at most.
const PAGE_MAX: usize = 1000;

/// Where the store keeps what it is given, and where time and randomness come from.
pub struct StoreSettings {
    /// The data folder; made when absent, readable by its owner alone.
    pub data: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// What one machine stores. Cheap to clone; the last clone to go closes the files.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    main: Database,
    logs: Database,
    files: blobs::Files,
    seal: seal::Seal,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    signals: signals::Signals,
    /// The position of the newest change, to wait for the next.
    feed: watch::Sender<i64>,
    objects: broadcast::Sender<ObjectEvent>,
    next_sweep: AtomicI64,
    data: PathBuf,
    /// Last, so that the files are closed before another process may open them.
    _lock: lock::Lock,
}

impl Store {
    /// Opens the data folder for this process alone. `Error::Invalid` says in one line what is wrong with it:
    /// in use, not writable, written by a newer version, its key missing.
    pub fn open(settings: StoreSettings) -> Result<Self> {
        let StoreSettings { data, clock, entropy } = settings;
        let lock = lock::Lock::take(&data)?;
        let logs = data.join("logs");
        std::fs::create_dir_all(&logs).during(format!("making {}", logs.display()))?;
        let main = Database::open(&data.join("workroom.db"), schema::MAIN)?;
        let logs = Database::open(&logs.join("logs.db"), schema::LOGS)?;
        let files = blobs::Files::open(&data.join("blobs"))?;
        let recovered = sweep::recover(&data.join("workroom.db"), &files, clock.now())?;
        let seal = seal::Seal::open(&data.join("key"), &*entropy, recovered.has_sealed)?;
        let inner = Inner {
            main,
            logs,
            files,
            seal,
            entropy,
            signals: signals::Signals::default(),
            feed: watch::Sender::new(recovered.feed_end),
            objects: broadcast::Sender::new(OBJECT_EVENTS_KEPT),
            next_sweep: AtomicI64::new(clock.now().0),
            clock,
            data,
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.inner.data
    }

    /// The platform's own records.
    pub fn records(&self) -> LocalRecords {
        self.records_in(PLATFORM)
    }

    /// Records that share nothing with other namespaces, not even the feed.
    pub fn records_in(&self, namespace: &str) -> LocalRecords {
        LocalRecords::new(self.inner.clone(), namespace)
    }

    pub fn blobs(&self, bucket: &str) -> LocalBlobs {
        LocalBlobs::new(self.inner.clone(), bucket)
    }

    /// A queue by its name; the first message makes it, and so does `create`.
    pub fn queue(&self, name: &str, settings: QueueSettings) -> LocalQueue {
        LocalQueue::new(self.inner.clone(), name, settings)
    }

    pub fn logs(&self) -> LocalLogs {
        self.logs_in(PLATFORM)
    }

    pub fn logs_in(&self, namespace: &str) -> LocalLogs {
        LocalLogs::new(self.inner.clone(), namespace)
    }

    pub fn parameters(&self) -> LocalParameters {
        self.parameters_in(PLATFORM)
    }

    pub fn parameters_in(&self, namespace: &str) -> LocalParameters {
        LocalParameters::new(self.inner.clone(), namespace)
    }

    /// What happens to objects from now on, in commit order. A receiver that falls behind is told so
    /// (`RecvError::Lagged`); events are not kept over a restart.
    pub fn object_events(&self) -> broadcast::Receiver<ObjectEvent> {
        self.inner.objects.subscribe()
    }
}

impl Inner {
    fn now(&self) -> Millis {
        self.clock.now()
    }

    fn random_hex(&self) -> String {
        hex::encode(self.entropy.bytes::<16>())
    }

    fn ulid(&self) -> String {
        self.entropy.ulid(self.clock.now())
    }
}

/// A page size as a caller may ask for it.
fn page_limit(limit: usize, max: usize) -> Result<i64> {
    if limit == 0 || limit > max {
        return Err(Error::Invalid(format!("a page has 1 to {max} entries, not {limit}")));
    }
    i64::try_from(limit).map_err(|_| Error::Invalid("the page is too large".into()))
}

/// The first string after all that start with `prefix`; `None` when there is no end.
fn prefix_end(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::prefix_end;

    #[test]
    fn the_end_of_a_prefix_is_after_every_string_that_starts_with_it() {
        assert_eq!(prefix_end("a").as_deref(), Some("b"));
        assert_eq!(prefix_end("event#").as_deref(), Some("event$"));
        assert_eq!(prefix_end("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(prefix_end("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(prefix_end("\u{10FFFF}"), None);
        assert_eq!(prefix_end(""), None);
    }
}
