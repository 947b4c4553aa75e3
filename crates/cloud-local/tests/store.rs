//! The store keeps the promises of the ports, and some of its own.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::{
    BlobKey, Blobs, ChangeFeed, Clock, Error, Expect, FeedPosition, LogEvent, LogQuery, Logs, ParameterName,
    Parameters, PutOptions, Queue, RangeQuery, RecordKey, Records, Secret, SendMessage, SystemClock, SystemEntropy,
    Write,
};
use cloud_local::{
    CompletedPart, LocalRecords, ObjectEventKind, Presigner, QueueSettings, Store, StoreSettings, UserMetadata,
};
use serde_json::json;
use tempfile::TempDir;
use testkit::{SimClock, SimEntropy, conformance};

fn open_with(data: &Path, clock: Arc<dyn Clock>) -> Store {
    Store::open(StoreSettings { data: data.to_owned(), clock, entropy: Arc::new(SystemEntropy) }).unwrap()
}

fn open(data: &Path) -> Store {
    open_with(data, Arc::new(SystemClock))
}

fn fresh() -> (TempDir, Store) {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path());
    (data, store)
}

fn presigner() -> Presigner {
    Presigner {
        endpoint: "http://127.0.0.1:4001".into(),
        region: "local".into(),
        access_key_id: "AKLOCAL".into(),
        secret_access_key: Secret::new("secret"),
    }
}

fn key(raw: &str) -> BlobKey {
    BlobKey::parse(raw).unwrap()
}

fn many(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into()
}

/// Every file that holds a blob's body.
fn body_files(data: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for shard in std::fs::read_dir(data.join("blobs")).unwrap() {
        found.extend(std::fs::read_dir(shard.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    found
}

/// Deletions of bodies happen beside the caller.
async fn until_files(data: &Path, count: usize) {
    for _ in 0..500 {
        if body_files(data).len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} blob files were expected, there are {:?}", body_files(data));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_conform() {
    let (_data, store) = fresh();
    conformance::records(Arc::new(store.records())).await;
    conformance::change_feed(&store.records()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_conform() {
    let (_data, store) = fresh();
    conformance::blobs(Arc::new(store.blobs("bucket").with_presigner(presigner()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_conform() {
    let (_data, store) = fresh();
    conformance::queue(Arc::new(store.queue("queue", QueueSettings { receives_max: 3 }))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_conform() {
    let (_data, store) = fresh();
    conformance::logs(Arc::new(store.logs())).await;
}

#[tokio::test]
async fn parameters_conform() {
    let (_data, store) = fresh();
    conformance::parameters(Arc::new(store.parameters())).await;
}

#[tokio::test]
async fn a_second_process_is_told_that_the_folder_is_in_use() {
    let (data, store) = fresh();
    let settings = || StoreSettings {
        data: data.path().to_owned(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let message = Store::open(settings()).err().unwrap().to_string();
    let expected = format!("process {} uses it", std::process::id());
    assert!(message.contains(&expected) && !message.contains('\n'), "{message}");
    drop(store);
    Store::open(settings()).unwrap();
}

#[tokio::test]
async fn an_unusable_folder_is_named() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let settings =
        StoreSettings { data: file.join("data"), clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
    let message = Store::open(settings).err().unwrap().to_string();
    assert!(message.contains("file/data") && !message.contains('\n'), "{message}");
}

#[tokio::test]
async fn everything_survives_closing_and_opening() {
    let data = tempfile::tempdir().unwrap();
    let at = RecordKey::new("p", "s");
    let name = ParameterName::parse("/secret").unwrap();
    let (version, end) = {
        let store = open(data.path());
        let records: Arc<dyn Records> = Arc::new(store.records());
        let version = records.put(at.clone(), json!({"kept": true}), Expect::Absent).await.unwrap();
        store.blobs("b").put(&key("small"), many(10), PutOptions::default()).await.unwrap();
        store.blobs("b").put(&key("large"), many(100_000), PutOptions::default()).await.unwrap();
        store.parameters().put(&name, Secret::new("hidden"), true).await.unwrap();
        store.logs().ensure_group("g", None).await.unwrap();
        let event = LogEvent { at: SystemClock.now(), message: "line".into() };
        store.logs().append("g", "s", vec![event]).await.unwrap();
        (version, store.records().feed_end().await.unwrap())
    };
    let store = open(data.path());
    assert_eq!(store.records().get(&at).await.unwrap().unwrap().version, version);
    assert_eq!(store.records().feed_end().await.unwrap(), end);
    for (name, length) in [("small", 10), ("large", 100_000)] {
        let blob = store.blobs("b").get(&key(name), None).await.unwrap();
        assert_eq!(cloud::collect(blob, 1 << 20).await.unwrap(), many(length));
    }
    assert_eq!(store.parameters().get(&name).await.unwrap().unwrap().value.expose(), "hidden");
    assert_eq!(store.logs().groups("", None, 10).await.unwrap(), ["g"]);
}

#[tokio::test]
async fn a_start_gives_leases_back_and_keeps_delays() {
    let data = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3600);
    let settings = QueueSettings { receives_max: 5 };
    {
        let queue = open(data.path()).queue("q", settings.clone());
        let send = |body: &str, delay| SendMessage { body: body.into(), delay };
        queue.send(send("leased", Duration::ZERO)).await.unwrap();
        assert_eq!(queue.receive(1, hour, Duration::ZERO).await.unwrap().len(), 1);
        queue.send(send("delayed", Duration::from_secs(900))).await.unwrap();
    }
    let queue = open(data.path()).queue("q", settings);
    let again = queue.receive(10, hour, Duration::ZERO).await.unwrap();
    let bodies: Vec<_> = again.iter().map(|leased| (leased.body.as_str(), leased.attempt)).collect();
    assert_eq!(bodies, [("leased", 2)]);
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.visible, counts.leased, counts.delayed, counts.dead), (0, 1, 1, 0));
}

#[tokio::test]
async fn dead_letters_go_to_the_queue_that_is_named_for_them() {
    let (_data, store) = fresh();
    let queue = store.queue("work", QueueSettings { receives_max: 1 }).with_dead_letter_queue("dead");
    let id = queue.send(SendMessage { body: "poison".into(), delay: Duration::ZERO }).await.unwrap();
    let leased = queue.receive(1, Duration::from_secs(60), Duration::ZERO).await.unwrap();
    queue.extend(&leased[0].receipt, Duration::ZERO).await.unwrap();
    assert!(queue.receive(1, Duration::from_secs(60), Duration::ZERO).await.unwrap().is_empty());
    let dead = store.queue("dead", QueueSettings { receives_max: 9 });
    let letters = dead.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
    assert_eq!(letters.iter().map(|letter| (&letter.id, letter.attempt)).collect::<Vec<_>>(), [(&id, 1)]);
    assert!(queue.dead_letters(10).await.unwrap().is_empty());
    assert_eq!(store.queues("", None, 10).await.unwrap(), ["dead", "work"]);
}

#[tokio::test]
async fn sealed_values_are_not_in_any_file_and_do_not_open_elsewhere() {
    let data = tempfile::tempdir().unwrap();
    let canary = "canary-5f1d9c";
    let name = ParameterName::parse("/a").unwrap();
    {
        let store = open(data.path());
        store.parameters().put(&name, Secret::new(canary), true).await.unwrap();
    }
    let mode = std::fs::metadata(data.path().join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for file in ["workroom.db", "key", "lock"] {
        let bytes = std::fs::read(data.path().join(file)).unwrap();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{file}");
    }
    let database = rusqlite::Connection::open(data.path().join("workroom.db")).unwrap();
    database.execute("UPDATE parameter SET name = '/b'", []).unwrap();
    drop(database);
    let moved = open(data.path()).parameters().get(&ParameterName::parse("/b").unwrap()).await;
    assert!(matches!(moved, Err(Error::Corrupt(_))), "{moved:?}");
}

#[tokio::test]
async fn a_missing_key_is_refused_while_values_are_sealed_with_it() {
    let data = tempfile::tempdir().unwrap();
    let settings = || StoreSettings {
        data: data.path().to_owned(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let name = ParameterName::parse("/a").unwrap();
    open(data.path()).parameters().put(&name, Secret::new("x"), true).await.unwrap();
    std::fs::remove_file(data.path().join("key")).unwrap();
    let message = Store::open(settings()).err().unwrap().to_string();
    assert!(message.contains("key file"), "{message}");
    std::fs::write(data.path().join("key"), b"short").unwrap();
    assert!(Store::open(settings()).err().unwrap().to_string().contains("32 bytes"));
}

#[tokio::test]
async fn a_damaged_body_is_never_handed_out_whole() {
    for length in [40_000, 1_000_000] {
        let (data, store) = fresh();
        store.blobs("b").put(&key("k"), many(length), PutOptions::default()).await.unwrap();
        let file = body_files(data.path()).pop().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[length / 2] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let whole = match store.blobs("b").get(&key("k"), None).await {
            Ok(blob) => cloud::collect(blob, 1 << 24).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(whole.is_err(), "{length} damaged bytes arrived");
    }
}

#[tokio::test]
async fn replaced_and_deleted_bodies_leave_the_disk_and_so_do_orphans() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path());
    let blobs = store.blobs("b");
    for _ in 0..3 {
        blobs.put(&key("k"), many(100_000), PutOptions::default()).await.unwrap();
    }
    until_files(data.path(), 1).await;
    blobs.put(&key("k"), many(5), PutOptions::default()).await.unwrap();
    until_files(data.path(), 0).await;
    blobs.put(&key("k"), many(100_000), PutOptions::default()).await.unwrap();
    blobs.delete(&key("k")).await.unwrap();
    until_files(data.path(), 0).await;
    blobs.put(&key("kept"), many(100_000), PutOptions::default()).await.unwrap();
    drop((blobs, store));
    std::fs::write(data.path().join("blobs/ab/abandoned"), b"x").unwrap();
    std::fs::write(data.path().join("blobs/staging/half"), b"x").unwrap();
    let store = open(data.path());
    until_files(data.path(), 1).await;
    assert_eq!(store.blobs("b").head(&key("kept")).await.unwrap().length, 100_000);
}

#[tokio::test]
async fn an_upload_that_is_dropped_half_way_leaves_nothing() {
    let (data, store) = fresh();
    let blobs = store.blobs("b");
    let chunks = futures::stream::iter((0..10).map(|_| Ok(many(1_000_000))));
    let endless = futures::StreamExt::boxed(futures::StreamExt::chain(chunks, futures::stream::pending()));
    let at = key("k");
    let put = blobs.put_stream(&at, endless, PutOptions::default());
    assert!(tokio::time::timeout(Duration::from_millis(300), put).await.is_err());
    until_files(data.path(), 0).await;
    assert!(blobs.head(&at).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn listeners_hear_of_objects_after_they_are_stored() {
    let (_data, store) = fresh();
    let mut events = store.object_events();
    let blobs = store.blobs("stack/s/uploads");
    let etag = blobs.put(&key("in/a.txt"), many(7), PutOptions::default()).await.unwrap();
    let large = blobs.put(&key("in/b.txt"), many(70_000), PutOptions::default()).await.unwrap();
    let absent = PutOptions { condition: cloud::PutCondition::IfAbsent, ..PutOptions::default() };
    blobs.put(&key("in/a.txt"), many(8), absent).await.unwrap_err();
    blobs.delete(&key("in/a.txt")).await.unwrap();
    blobs.delete(&key("in/a.txt")).await.unwrap();
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.bucket, "stack/s/uploads");
        heard.push((event.kind, event.key.to_string(), event.length, event.etag, event.sequence));
    }
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!((heard[0].0, heard[0].2, &heard[0].3), (ObjectEventKind::Created, 7, &etag));
    assert_eq!((heard[1].0, heard[1].2, &heard[1].3), (ObjectEventKind::Created, 70_000, &large));
    assert_eq!((heard[2].0, heard[2].1.as_str()), (ObjectEventKind::Removed, "in/a.txt"));
    assert!(heard.is_sorted_by_key(|event| event.4));
}

#[tokio::test]
async fn parts_become_one_blob() {
    const MIB: usize = 1024 * 1024;
    let (data, store) = fresh();
    let blobs = store.blobs("b");
    let at = key("big");
    let options = PutOptions { content_type: Some("text/plain".into()), ..PutOptions::default() };
    let upload = blobs.start_upload(&at, options, UserMetadata::default()).await.unwrap();
    let part = |number, length| {
        let (blobs, at, upload) = (blobs.clone(), at.clone(), upload.clone());
        async move {
            let body = cloud::stream_of(many(length));
            blobs.put_part(&at, &upload, number, body, Some(length as u64), None).await
        }
    };
    let first = part(1, 5 * MIB).await.unwrap();
    part(7, 11).await.unwrap();
    let last = part(7, 13).await.unwrap();
    let small = part(3, 100).await.unwrap();
    assert!(matches!(part(0, 1).await, Err(Error::Invalid(_))));
    let listed: Vec<_> = blobs.parts(&at, &upload, 0, 10).await.unwrap().iter().map(|p| (p.number, p.length)).collect();
    assert_eq!(listed, [(1, 5 * MIB as u64), (3, 100), (7, 13)]);
    assert_eq!(blobs.uploads("b").await.unwrap().len(), 1);

    let named = |number, etag: &cloud::ETag| CompletedPart { number, etag: etag.clone() };
    let complete = |parts| blobs.join_upload(&at, &upload, parts, cloud::PutCondition::Always);
    for wrong in [
        vec![],
        vec![named(1, &last)],
        vec![named(2, &first)],
        vec![named(7, &last), named(1, &first)],
        vec![named(1, &first), named(3, &small), named(7, &last)],
    ] {
        assert!(matches!(complete(wrong.clone()).await, Err(Error::Invalid(_))), "{wrong:?}");
    }
    let meta = complete(vec![named(1, &first), named(7, &last)]).await.unwrap();
    assert_eq!((meta.length, meta.content_type.as_deref()), (5 * MIB as u64 + 13, Some("text/plain")));
    assert!(meta.etag.0.ends_with("-2"), "{:?}", meta.etag);
    let whole = cloud::collect(blobs.get(&at, None).await.unwrap(), 10 * MIB).await.unwrap();
    assert!(whole == [many(5 * MIB), many(13)].concat());
    until_files(data.path(), 1).await;
    assert!(complete(vec![named(1, &first)]).await.unwrap_err().is_not_found());
    assert!(blobs.drop_upload(&at, &cloud::UploadId("none".into())).await.unwrap_err().is_not_found());

    let upload = blobs.start_upload(&at, PutOptions::default(), UserMetadata::default()).await.unwrap();
    blobs.put_part(&at, &upload, 1, cloud::stream_of(many(100)), None, None).await.unwrap();
    until_files(data.path(), 2).await;
    blobs.drop_upload(&at, &upload).await.unwrap();
    until_files(data.path(), 1).await;
}

#[tokio::test]
async fn keys_under_a_delimiter_count_as_one() {
    let (_data, store) = fresh();
    let blobs = store.blobs("b");
    for raw in ["a", "d/1", "d/2", "d/e/3", "d0", "e/1", "f", "x/y"] {
        blobs.put(&key(raw), many(1), PutOptions::default()).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..20 {
        let page = blobs.list_delimited("", "/", after.as_deref(), 2).await.unwrap();
        let mut names: Vec<String> = page.blobs.iter().map(|meta| meta.key.to_string()).collect();
        names.extend(page.prefixes);
        names.sort();
        assert!(names.len() <= 2);
        seen.extend(names);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a", "d/", "d0", "e/", "f", "x/"]);
    let under = blobs.list_delimited("d/", "/", None, 100).await.unwrap();
    assert_eq!(under.prefixes, ["d/e/"]);
    assert_eq!(under.blobs.len(), 2);
    let after = blobs.list_delimited("", "/", Some("d/2"), 100).await.unwrap();
    assert_eq!(after.prefixes, ["d/", "e/", "x/"], "a key that comes after still counts");
}

#[tokio::test]
async fn a_dropped_namespace_takes_everything_of_its_own_and_nothing_else() {
    let (data, store) = fresh();
    for namespace in ["stack/one", "stack/one-more"] {
        let records: Arc<dyn Records> = Arc::new(store.records_in(namespace));
        records.put(RecordKey::new("p", "s"), json!(1), Expect::Absent).await.unwrap();
        let blobs = store.blobs(&format!("{namespace}/bucket"));
        blobs.put(&key("k"), many(100_000), PutOptions::default()).await.unwrap();
        blobs.start_upload(&key("k"), PutOptions::default(), UserMetadata::default()).await.unwrap();
        let queue = store.queue(&format!("{namespace}/queue"), QueueSettings { receives_max: 1 });
        queue.send(SendMessage { body: "x".into(), delay: Duration::ZERO }).await.unwrap();
        let name = ParameterName::parse("/p").unwrap();
        store.parameters_in(namespace).put(&name, Secret::new("x"), true).await.unwrap();
        let logs = store.logs_in(namespace);
        logs.ensure_group("g", None).await.unwrap();
        logs.append("g", "s", vec![LogEvent { at: SystemClock.now(), message: "x".into() }]).await.unwrap();
    }
    store.drop_namespace("stack/one").await.unwrap();
    store.drop_namespace("stack/one").await.unwrap();
    let left = |namespace: &'static str| {
        let store = store.clone();
        async move {
            let name = ParameterName::parse("/p").unwrap();
            [
                store.records_in(namespace).get(&RecordKey::new("p", "s")).await.unwrap().is_some(),
                !store.records_in(namespace).changes(None, 10).await.unwrap().changes.is_empty(),
                store.bucket_exists(&format!("{namespace}/bucket")).await.unwrap(),
                store.blobs(&format!("{namespace}/bucket")).head(&key("k")).await.is_ok(),
                !store.blobs(&format!("{namespace}/bucket")).uploads("").await.unwrap().is_empty(),
                store.queue_exists(&format!("{namespace}/queue")).await.unwrap(),
                store.parameters_in(namespace).get(&name).await.unwrap().is_some(),
                !store.logs_in(namespace).groups("", None, 10).await.unwrap().is_empty(),
            ]
        }
    };
    assert_eq!(left("stack/one").await, [false; 8]);
    assert_eq!(left("stack/one-more").await, [true; 8]);
    until_files(data.path(), 1).await;
}

#[tokio::test]
async fn namespaces_and_buckets_share_nothing() {
    let (_data, store) = fresh();
    let at = RecordKey::new("p", "s");
    let one: Arc<dyn Records> = Arc::new(store.records_in("stack/one"));
    let end = store.records().feed_end().await.unwrap();
    one.put(at.clone(), json!(1), Expect::Absent).await.unwrap();
    assert_eq!(store.records().get(&at).await.unwrap(), None);
    assert!(store.records().changes(Some(&end), 10).await.unwrap().changes.is_empty());
    let query = RangeQuery { partition: "p".into(), limit: 10, ..RangeQuery::default() };
    assert!(store.records_in("stack/two").query(query).await.unwrap().records.is_empty());
    store.blobs("one").put(&key("k"), many(1), PutOptions::default()).await.unwrap();
    assert!(store.blobs("two").head(&key("k")).await.unwrap_err().is_not_found());
    assert!(store.delete_bucket("one").await.unwrap_err().is_condition_failed());
    store.logs_in("stack/one").ensure_group("/aws/lambda/other", None).await.unwrap();
    let foreign = LogQuery {
        group: "/aws/lambda/other".into(),
        stream: None,
        start: None,
        cursor: None,
        limit: 10,
        wait: Duration::ZERO,
    };
    assert!(store.logs_in("stack/two").read(foreign).await.unwrap_err().is_not_found());
    assert!(store.logs_in("stack/two").groups("", None, 10).await.unwrap().is_empty());
}

fn sim(data: &Path) -> (Arc<SimClock>, Store) {
    let clock = Arc::new(SimClock::default());
    let entropy = Arc::new(SimEntropy::seeded(1));
    let store = Store::open(StoreSettings { data: data.to_owned(), clock: clock.clone(), entropy }).unwrap();
    (clock, store)
}

async fn all_changes(records: &LocalRecords, from: Option<&FeedPosition>) -> cloud::Result<Vec<cloud::Change>> {
    Ok(records.changes(from, 1000).await?.changes)
}

#[tokio::test]
async fn a_sweep_removes_what_has_had_its_time() {
    let data = tempfile::tempdir().unwrap();
    let (clock, store) = sim(data.path());
    let records = store.records();
    let start = records.feed_end().await.unwrap();
    let expires = Some(clock.now().plus(Duration::from_secs(60)));
    let at = RecordKey::new("p", "short");
    let put = Write::Put { key: at.clone(), value: json!("x"), expect: Expect::Absent, expires };
    records.transact(vec![put]).await.unwrap();
    store.logs().ensure_group("kept", None).await.unwrap();
    store.logs().ensure_group("short", Some(1)).await.unwrap();
    for group in ["kept", "short"] {
        let event = LogEvent { at: clock.now(), message: "old".into() };
        store.logs().append(group, "s", vec![event]).await.unwrap();
    }
    let upload =
        store.blobs("b").start_upload(&key("k"), PutOptions::default(), UserMetadata::default()).await.unwrap();
    store.blobs("b").put_part(&key("k"), &upload, 1, cloud::stream_of(many(10)), None, None).await.unwrap();

    clock.advance(Duration::from_secs(61));
    store.sweep().await.unwrap();
    assert_eq!(records.get(&at).await.unwrap(), None);
    let changes = all_changes(&records, Some(&start)).await.unwrap();
    assert_eq!(changes.last().unwrap().kind, cloud::ChangeKind::Remove, "the feed tells of an expiry");
    assert_eq!(changes.last().unwrap().old, Some(json!("x")));

    clock.advance(Duration::from_secs(25 * 3600));
    store.sweep().await.unwrap();
    assert!(matches!(all_changes(&records, Some(&start)).await, Err(Error::Stale(_))), "the feed is kept for a day");
    assert!(all_changes(&records, None).await.unwrap().is_empty());
    let end = records.feed_end().await.unwrap();
    assert!(all_changes(&records, Some(&end)).await.unwrap().is_empty(), "the end is never stale");
    let query = |group: &str| LogQuery {
        group: group.into(),
        stream: None,
        start: None,
        cursor: None,
        limit: 10,
        wait: Duration::ZERO,
    };
    assert_eq!(store.logs().read(query("kept")).await.unwrap().records.len(), 1);
    assert_eq!(store.logs().read(query("short")).await.unwrap().records.len(), 0);
    assert_eq!(body_files(data.path()).len(), 1);
    clock.advance(Duration::from_secs(7 * 24 * 3600));
    store.sweep().await.unwrap();
    assert_eq!(body_files(data.path()).len(), 0);
}

#[tokio::test]
async fn a_waiting_reader_of_the_feed_is_woken() {
    let (_data, store) = fresh();
    let records = store.records();
    let end = records.feed_end().await.unwrap();
    let waiting = tokio::spawn({
        let (records, end) = (records.clone(), end.clone());
        async move { records.wait_for_change(&end, Duration::from_secs(600)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    records.transact(vec![Write::put(RecordKey::new("p", "s"), json!(1), Expect::Absent)]).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(all_changes(&records, Some(&end)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_goes_through_when_its_caller_has_gone() {
    let (_data, store) = fresh();
    for number in 0..50 {
        let blobs = store.blobs("b");
        let at = key(&format!("{number}"));
        let put = tokio::spawn(async move { blobs.put(&at, many(50_000), PutOptions::default()).await });
        tokio::time::sleep(Duration::from_micros(number * 40)).await;
        put.abort();
        // However far it came: what the index names can be read.
        let _ = put.await;
    }
    let page = store.blobs("b").list("", None, 100).await.unwrap();
    for meta in page.blobs {
        let blob = store.blobs("b").get(&meta.key, None).await.unwrap();
        assert_eq!(cloud::collect(blob, 1 << 20).await.unwrap(), many(50_000));
    }
}

#[tokio::test]
async fn a_sweep_starts_by_itself_once_a_minute_has_passed() {
    let data = tempfile::tempdir().unwrap();
    let (clock, store) = sim(data.path());
    let records = store.records();
    let put = |sort: &str, expires| Write::Put {
        key: RecordKey::new("p", sort),
        value: json!("x"),
        expect: Expect::Absent,
        expires,
    };
    let soon = Some(clock.now().plus(Duration::from_secs(60)));
    records.transact(vec![put("short", soon)]).await.unwrap();
    clock.advance(Duration::from_secs(61));
    records.transact(vec![put("later", None)]).await.unwrap();
    for _ in 0..1000 {
        if records.get(&RecordKey::new("p", "short")).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an expired record stayed");
}
