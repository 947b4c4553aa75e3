//! `Records`.

use std::sync::Arc;
use std::time::Duration;

use cloud::limits::{RECORD_MAX, RECORD_PAGE_MAX, TRANSACTION_MAX, TRANSACTION_WRITES_MAX};
use cloud::{Clock, Expect, RangeQuery, Record, RecordKey, Records, SystemClock, Version, Write};
use serde_json::{Value, json};

use super::{fresh, invalid, lost, ok, too_large};

/// Tasks that write to one record at once, and how often each.
const WRITERS: usize = 8;
const WRITES_EACH: usize = 5;

/// Everything that `Records` promises.
pub async fn records(adapter: Arc<dyn Records>) {
    what_is_written_is_read(&*adapter).await;
    conditions_hold_or_nothing_is_written(&*adapter).await;
    a_version_is_never_given_twice(&*adapter).await;
    one_of_many_creators_wins(&adapter).await;
    no_increment_is_lost(&adapter).await;
    ranges_are_in_byte_order(&*adapter).await;
    pages_join_to_the_whole(&*adapter).await;
    pages_are_bounded(&*adapter).await;
    limits_are_kept(&*adapter).await;
    expired_records_are_not_listed(&*adapter).await;
}

pub(super) fn key(partition: &str, sort: &str) -> RecordKey {
    RecordKey::new(partition, sort)
}

async fn read(adapter: &dyn Records, at: &RecordKey) -> Option<Record> {
    ok(adapter.get(at).await)
}

async fn what_is_written_is_read(adapter: &dyn Records) {
    let at = key(&fresh("kept"), "s/ü 1");
    assert_eq!(read(adapter, &at).await, None);
    let value =
        json!({"text": "ü\u{0}\n", "number": 3, "nothing": null, "list": [1, 2.5, -7, true], "deep": {"a": {}}});
    let version = ok(adapter.put(at.clone(), value.clone(), Expect::Absent).await);
    let record = read(adapter, &at).await.expect("the record is there");
    assert_eq!((&record.key, &record.value, &record.version), (&at, &value, &version));
    ok(adapter.put(at.clone(), json!("second"), Expect::Anything).await);
    assert_eq!(read(adapter, &at).await.expect("still there").value, json!("second"));
    ok(adapter.delete(at.clone(), Expect::Anything).await);
    assert_eq!(read(adapter, &at).await, None);
    ok(adapter.delete(at, Expect::Anything).await);
}

async fn conditions_hold_or_nothing_is_written(adapter: &dyn Records) {
    let partition = fresh("conditions");
    let (a, b, c) = (key(&partition, "a"), key(&partition, "b"), key(&partition, "c"));
    let first = ok(adapter.put(a.clone(), json!(1), Expect::Absent).await);
    let second = ok(adapter.put(a.clone(), json!(2), Expect::At(first.clone())).await);
    lost(adapter.put(a.clone(), json!(0), Expect::Absent).await, "a put that expects nothing there");
    lost(adapter.put(a.clone(), json!(0), Expect::At(first.clone())).await, "a put at an old version");
    lost(adapter.put(b.clone(), json!(0), Expect::Present).await, "a put that expects something there");
    lost(adapter.put(b.clone(), json!(0), Expect::At(second.clone())).await, "a put at a version of another record");
    lost(adapter.delete(a.clone(), Expect::At(first.clone())).await, "a deletion of an old version");
    lost(adapter.delete(b.clone(), Expect::Present).await, "a deletion of nothing");
    let none_such = Expect::At(Version("no such version".into()));
    lost(adapter.put(a.clone(), json!(0), none_such).await, "a put at a version that never was");

    let writes = vec![
        Write::put(b.clone(), json!("b"), Expect::Absent),
        Write::Check { key: a.clone(), expect: Expect::At(first) },
        Write::put(c.clone(), json!("c"), Expect::Anything),
    ];
    let index = lost(adapter.transact(writes).await, "a transaction whose check fails");
    assert!(matches!(index, None | Some(1)), "the second write lost, not {index:?}");
    assert_eq!(read(adapter, &b).await, None, "a lost transaction wrote its first part");
    assert_eq!(read(adapter, &c).await, None, "a lost transaction wrote its last part");
    assert_eq!(read(adapter, &a).await.map(|r| r.value), Some(json!(2)));

    let writes = vec![
        Write::put(b.clone(), json!("b"), Expect::Absent),
        Write::Check { key: a.clone(), expect: Expect::At(second) },
        Write::Check { key: key(&partition, "nowhere"), expect: Expect::Absent },
        Write::put(c.clone(), json!("c"), Expect::Absent),
        Write::Delete { key: key(&partition, "gone"), expect: Expect::Absent },
    ];
    let versions = ok(adapter.transact(writes).await);
    let has: Vec<bool> = versions.iter().map(Option::is_some).collect();
    assert_eq!(has, [true, false, false, true, false], "each put has a version, in order");
    assert_eq!(read(adapter, &b).await.map(|r| Some(r.version)), Some(versions[0].clone()));
    assert_eq!(read(adapter, &c).await.map(|r| Some(r.version)), Some(versions[3].clone()));
}

async fn a_version_is_never_given_twice(adapter: &dyn Records) {
    let at = key(&fresh("versions"), "a");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(ok(adapter.put(at.clone(), json!("same"), Expect::Absent).await));
        seen.push(ok(adapter.put(at.clone(), json!("same"), Expect::Present).await));
        ok(adapter.delete(at.clone(), Expect::Present).await);
    }
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "a version came back: {seen:?}");
    ok(adapter.put(at.clone(), json!("same"), Expect::Absent).await);
    let old = seen.swap_remove(0);
    lost(adapter.put(at, json!(0), Expect::At(old)).await, "a put at the version of a record deleted since");
}

async fn one_of_many_creators_wins(adapter: &Arc<dyn Records>) {
    let at = key(&fresh("race"), "one");
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (adapter, at) = (adapter.clone(), at.clone());
            tokio::spawn(async move { adapter.put(at, json!(writer), Expect::Absent).await })
        })
        .collect();
    let mut winners = Vec::new();
    for (writer, task) in tasks.into_iter().enumerate() {
        match task.await.expect("a writer panicked") {
            Ok(_) => winners.push(writer),
            // A service may also say that it is busy with the other one: then nothing was written.
            Err(error) => assert!(
                error.is_condition_failed() || matches!(error, cloud::Error::Unavailable(_)),
                "a losing creator got {error:?}"
            ),
        }
    }
    assert_eq!(winners.len(), 1, "creators {winners:?} won");
    assert_eq!(read(&**adapter, &at).await.map(|r| r.value), Some(json!(winners[0])));
}

async fn no_increment_is_lost(adapter: &Arc<dyn Records>) {
    let at = key(&fresh("counter"), "n");
    ok(adapter.put(at.clone(), json!(0), Expect::Absent).await);
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (adapter, at) = (adapter.clone(), at.clone());
            tokio::spawn(async move {
                for _ in 0..WRITES_EACH {
                    increment(&*adapter, &at).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a writer panicked");
    }
    assert_eq!(read(&**adapter, &at).await.map(|r| r.value), Some(json!(WRITERS * WRITES_EACH)));
}

async fn increment(adapter: &dyn Records, at: &RecordKey) {
    for _ in 0..1000 {
        let record = read(adapter, at).await.expect("the counter is there");
        let next = json!(record.value.as_u64().expect("a number") + 1);
        match adapter.put(at.clone(), next, Expect::At(record.version)).await {
            Ok(_) => return,
            Err(error) => assert!(
                error.is_condition_failed() || matches!(error, cloud::Error::Unavailable(_)),
                "an increment got {error:?}"
            ),
        }
    }
    panic!("an increment lost 1,000 times");
}

fn range(partition: &str, prefix: &str) -> RangeQuery {
    RangeQuery { partition: partition.into(), prefix: prefix.into(), limit: 1000, ..RangeQuery::default() }
}

async fn sorts(adapter: &dyn Records, query: RangeQuery) -> Vec<String> {
    ok(adapter.query(query).await).records.into_iter().map(|record| record.key.sort).collect()
}

async fn ranges_are_in_byte_order(adapter: &dyn Records) {
    let partition = fresh("ranges");
    let all = ["A", "a", "a#", "a#1", "a#10", "a#2", "a#~", "a$", "b", "z", "é", "\u{FFFD}", "\u{1F600}"];
    let writes = all.iter().rev().map(|sort| Write::put(key(&partition, sort), json!(sort), Expect::Absent)).collect();
    ok(adapter.transact(writes).await);
    ok(adapter.put(key(&format!("{partition}x"), "a#3"), json!("a neighbour"), Expect::Absent).await);
    assert_eq!(sorts(adapter, range(&partition, "")).await, all);
    assert_eq!(sorts(adapter, range(&partition, "a#")).await, ["a#", "a#1", "a#10", "a#2", "a#~"]);
    assert_eq!(sorts(adapter, range(&partition, "nothing")).await, Vec::<String>::new());
    assert_eq!(sorts(adapter, range(&partition, "\u{1F600}")).await, ["\u{1F600}"]);

    let after = |after: &str| RangeQuery { after: Some(after.into()), ..range(&partition, "a#") };
    assert_eq!(sorts(adapter, after("a#10")).await, ["a#2", "a#~"], "after is exclusive");
    assert_eq!(sorts(adapter, after("a#11")).await, ["a#2", "a#~"], "after need not exist");
    assert_eq!(sorts(adapter, after("A")).await.len(), 5, "after may lie before the prefix");
    assert_eq!(sorts(adapter, after("b")).await.len(), 0, "after may lie past the prefix");

    let down = |query: RangeQuery| RangeQuery { descending: true, ..query };
    assert_eq!(sorts(adapter, down(range(&partition, "a#"))).await, ["a#~", "a#2", "a#10", "a#1", "a#"]);
    assert_eq!(sorts(adapter, down(after("a#2"))).await, ["a#10", "a#1", "a#"]);
    assert_eq!(sorts(adapter, down(after("a#11"))).await, ["a#10", "a#1", "a#"]);
    assert_eq!(sorts(adapter, down(after("A"))).await.len(), 0);
    assert_eq!(sorts(adapter, down(after("z"))).await.len(), 5);
}

async fn pages_join_to_the_whole(adapter: &dyn Records) {
    let partition = fresh("pages");
    let all: Vec<String> = (0..25).map(|number| format!("s{number:02}")).collect();
    let writes = all.iter().map(|sort| Write::put(key(&partition, sort), json!(0), Expect::Absent)).collect();
    ok(adapter.transact(writes).await);
    for descending in [false, true] {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..100 {
            let query = RangeQuery { after, descending, limit: 10, ..range(&partition, "s") };
            let page = ok(adapter.query(query).await);
            assert!(page.records.len() <= 10, "a page has more than was asked for");
            found.extend(page.records.into_iter().map(|record| record.key.sort));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if descending {
            found.reverse();
        }
        assert_eq!(found, all, "descending: {descending}");
    }
}

async fn pages_are_bounded(adapter: &dyn Records) {
    let partition = fresh("large");
    let text = "x".repeat(RECORD_MAX * 3 / 4);
    for sort in ["1", "2", "3", "4"] {
        ok(adapter.put(key(&partition, sort), json!(text), Expect::Absent).await);
    }
    let page = ok(adapter.query(range(&partition, "")).await);
    let bytes: usize = page.records.iter().map(|record| record.value.to_string().len()).sum();
    assert!(bytes <= RECORD_PAGE_MAX && !page.records.is_empty(), "a page of {bytes} bytes");
    let next = page.next.expect("there is more");
    let rest = ok(adapter.query(RangeQuery { after: Some(next), ..range(&partition, "") }).await);
    assert_eq!(page.records.len() + rest.records.len(), 4);
}

async fn limits_are_kept(adapter: &dyn Records) {
    let partition = fresh("limits");
    let put = |number: usize, value: Value| Write::put(key(&partition, &format!("{number}")), value, Expect::Anything);
    invalid(adapter.transact(Vec::new()).await, "an empty transaction");
    let many = (0..=TRANSACTION_WRITES_MAX).map(|number| put(number, json!(0))).collect();
    invalid(adapter.transact(many).await, "101 writes");
    invalid(adapter.transact(vec![put(1, json!(0)), put(1, json!(1))]).await, "a key named twice");
    too_large(adapter.transact(vec![put(1, json!("x".repeat(RECORD_MAX)))]).await, "a record");
    let half = "x".repeat(RECORD_MAX - 1024);
    let heavy = (0..TRANSACTION_MAX / half.len() + 1).map(|number| put(number, json!(half))).collect();
    too_large(adapter.transact(heavy).await, "a transaction");
    invalid(adapter.put(key("", "a"), json!(0), Expect::Anything).await, "an empty partition");
    invalid(adapter.put(key(&partition, ""), json!(0), Expect::Anything).await, "an empty sort");
    invalid(adapter.put(key(&partition, &"s".repeat(1025)), json!(0), Expect::Anything).await, "a long sort");
    for limit in [0, 1001] {
        invalid(adapter.query(RangeQuery { limit, ..range(&partition, "") }).await, "a page size");
    }
    let exact = (0..TRANSACTION_WRITES_MAX).map(|number| put(number, json!(0))).collect();
    assert_eq!(ok(adapter.transact(exact).await).len(), TRANSACTION_WRITES_MAX, "100 writes fit");
    assert_eq!(ok(adapter.query(range(&partition, "")).await).records.len(), TRANSACTION_WRITES_MAX);
}

async fn expired_records_are_not_listed(adapter: &dyn Records) {
    let partition = fresh("expiry");
    let now = SystemClock.now();
    let put = |sort: &str, expires| Write::Put {
        key: key(&partition, sort),
        value: json!(sort),
        expect: Expect::Absent,
        expires,
    };
    let gone = cloud::Millis(now.0 - 86_400_000);
    let later = now.plus(Duration::from_secs(400 * 86_400));
    ok(adapter.transact(vec![put("gone", Some(gone)), put("kept", None), put("later", Some(later))]).await);
    assert_eq!(sorts(adapter, range(&partition, "")).await, ["kept", "later"]);
    let record = read(adapter, &key(&partition, "later")).await.expect("it has time");
    let kept = record.expires.expect("it expires");
    assert_eq!(kept.as_secs(), later.as_secs(), "the time of expiry is kept to the second");
}
