//! What was acknowledged is there after `kill -9`, at any moment, again and again.
//!
//! The test runs its own program as a child that writes and says what was acknowledged; the parent kills it while it
//! writes and looks at what is left.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::{
    BlobKey, Blobs, Clock, Expect, LogEvent, LogQuery, Logs, ParameterName, Parameters, PutOptions, Queue, RecordKey,
    Records, Secret, SendMessage, SystemClock, SystemEntropy, Write,
};
use cloud_local::{QueueSettings, Store, StoreSettings};
use serde_json::json;
use testkit::SimEntropy;

const ROUNDS: u64 = 12;
/// Writers of each child; they share commits.
const WRITERS: u64 = 6;

fn open(data: &Path) -> Store {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Store::open(StoreSettings { data: data.to_owned(), clock, entropy }).unwrap()
}

fn queue(store: &Store) -> cloud_local::LocalQueue {
    store.queue("q", QueueSettings { receives_max: 1000 })
}

/// A body that tells its own name; every third is large enough for a file.
fn body(name: &str, number: u64) -> Bytes {
    let times = if number.is_multiple_of(3) { 5_000 } else { 10 };
    format!("{name};").repeat(times).into()
}

/// Says what was acknowledged, past the test harness, which holds back what is printed.
fn say(kind: &str, name: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "acknowledged {kind} {name}").unwrap();
    out.flush().unwrap();
}

/// Writes one thing of each kind, and says so as soon as it is acknowledged.
async fn write(store: &Store, name: &str, number: u64) {
    // Two records in one transaction: both or none.
    let pair =
        ["left", "right"].map(|side| Write::put(RecordKey::new(side, name), json!({"number": number}), Expect::Absent));
    store.records().transact(pair.to_vec()).await.unwrap();
    say("record", name);
    store.blobs("b").put(&BlobKey::parse(name).unwrap(), body(name, number), PutOptions::default()).await.unwrap();
    say("blob", name);
    queue(store).send(SendMessage { body: name.into(), delay: Duration::ZERO }).await.unwrap();
    say("message", name);
    let event = LogEvent { at: SystemClock.now(), message: name.into() };
    store.logs().append("g", "s", vec![event]).await.unwrap();
    say("line", name);
    let parameter = ParameterName::parse(format!("/{name}")).unwrap();
    store.parameters().put(&parameter, Secret::new(name), true).await.unwrap();
    say("parameter", name);
}

#[test]
#[ignore = "the child of the test below"]
fn child() {
    let mut first = String::new();
    std::io::stdin().lock().read_line(&mut first).unwrap();
    let (round, data) = first.trim().split_once(' ').unwrap();
    let (round, store) = (round.to_owned(), open(Path::new(data)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        store.logs().ensure_group("g", None).await.unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, round) = (store.clone(), round.clone());
                tokio::spawn(async move {
                    for number in 0.. {
                        let name = format!("{round}-{writer}-{number}");
                        write(&store, &name, number).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// Runs a child, kills it after `kill_after` acknowledgements and a moment; answers what it acknowledged.
fn run_and_kill(data: &Path, round: u64, kill_after: u64, moment: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{round} {}", data.display()).unwrap();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // What was said before the kill is still in the pipe after it.
    while lines.read_line(&mut line).unwrap() > 0 {
        // A last line may be cut: then nobody heard it.
        if let Some(name) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('\n')) {
            acknowledged.push(name.to_owned());
        }
        line.clear();
        if !killed && acknowledged.len() as u64 >= kill_after {
            std::thread::sleep(moment);
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "the child ended by itself");
    acknowledged
}

async fn check(store: &Store, acknowledged: &[String]) {
    let mut messages: BTreeMap<String, u32> = BTreeMap::new();
    loop {
        let leased = queue(store).receive(10, Duration::from_secs(3600), Duration::ZERO).await.unwrap();
        if leased.is_empty() {
            break;
        }
        leased.into_iter().for_each(|message| *messages.entry(message.body).or_default() += 1);
    }
    let (mut lines, mut cursor) = (std::collections::HashSet::new(), None);
    loop {
        let (group, wait) = ("g".into(), Duration::ZERO);
        let page = store.logs().read(LogQuery { group, stream: None, start: None, cursor, limit: 1000, wait }).await;
        let page = page.unwrap();
        if page.records.is_empty() {
            break;
        }
        lines.extend(page.records.into_iter().map(|record| record.message));
        cursor = Some(page.next);
    }
    for said in acknowledged {
        let (kind, name) = said.split_once(' ').unwrap();
        match kind {
            "message" => assert_eq!(messages.get(name), Some(&1), "message {name}"),
            "line" => assert!(lines.contains(name), "log line {name}"),
            _ => check_kept(store, kind, name).await,
        }
    }
    whole_or_absent(store).await;
}

async fn check_kept(store: &Store, kind: &str, name: &str) {
    let number: u64 = name.rsplit('-').next().unwrap().parse().unwrap();
    match kind {
        "record" => {
            let record = store.records().get(&RecordKey::new("left", name)).await.unwrap();
            assert_eq!(record.map(|record| record.value), Some(json!({"number": number})), "record {name}");
        }
        "blob" => {
            let blob = store.blobs("b").get(&BlobKey::parse(name).unwrap(), None).await.unwrap();
            assert!(cloud::collect(blob, 1 << 20).await.unwrap() == body(name, number), "blob {name}");
        }
        "parameter" => {
            let parameter = ParameterName::parse(format!("/{name}")).unwrap();
            let found = store.parameters().get(&parameter).await.unwrap();
            assert_eq!(found.map(|found| found.value), Some(Secret::new(name)), "parameter {name}");
        }
        other => panic!("the child acknowledged a {other}"),
    }
}

/// Also what was not acknowledged is whole: both records of a transaction, and every blob that is listed.
async fn whole_or_absent(store: &Store) {
    let mut sides = Vec::new();
    for side in ["left", "right"] {
        let (mut sorts, mut after) = (Vec::new(), None);
        loop {
            let query = cloud::RangeQuery { partition: side.into(), after, limit: 1000, ..Default::default() };
            let page = store.records().query(query).await.unwrap();
            sorts.extend(page.records.into_iter().map(|record| record.key.sort));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        sides.push(sorts);
    }
    assert_eq!(sides[0], sides[1], "a transaction was cut in two");
    let mut after = None;
    loop {
        let page = store.blobs("b").list("", after.as_deref(), 1000).await.unwrap();
        for meta in page.blobs {
            let number: u64 = meta.key.as_str().rsplit('-').next().unwrap().parse().unwrap();
            let blob = store.blobs("b").get(&meta.key, None).await.unwrap();
            let whole = cloud::collect(blob, 1 << 20).await.unwrap();
            assert!(whole == body(meta.key.as_str(), number), "blob {} is not whole", meta.key);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let entropy = SimEntropy::seeded(9);
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let kill_after = 1 + entropy.number() % 200;
        // At once every other time: a commit that comes after its acknowledgement is then cut off.
        let moment = Duration::from_micros(entropy.number() % 3000 * (round % 2));
        let said = run_and_kill(data.path(), round, kill_after, moment);
        assert!(said.len() as u64 >= kill_after);
        acknowledged.extend(said);
        let store = open(data.path());
        runtime.block_on(check(&store, &acknowledged));
    }
    assert!(acknowledged.len() as u64 >= ROUNDS);
}
