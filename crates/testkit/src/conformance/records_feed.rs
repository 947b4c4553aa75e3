//! `ChangeFeed`. Others may write meanwhile; the suite looks at its own partition.

use cloud::{Change, ChangeFeed, ChangeKind, Expect, FeedPosition, Records, Write};
use serde_json::{Value, json};

use super::records::key;
use super::{fresh, ok};

/// Pages that the suite reads before it gives up.
const PAGES_MAX: usize = 1000;

/// Everything that `ChangeFeed` promises of what is written to the same records.
pub async fn change_feed<A: Records + ChangeFeed>(adapter: &A) {
    changes_come_in_order_with_before_and_after(adapter).await;
    any_position_can_be_read_on_from(adapter).await;
    a_lost_transaction_leaves_no_change(adapter).await;
    a_foreign_position_is_refused(adapter).await;
}

fn records(adapter: &impl Records) -> &dyn Records {
    adapter
}

/// Reads on until nothing comes; only what concerns `partition`.
async fn drain(
    adapter: &impl ChangeFeed,
    from: &FeedPosition,
    partition: &str,
    limit: usize,
) -> (Vec<Change>, FeedPosition) {
    let (mut found, mut at) = (Vec::new(), from.clone());
    for _ in 0..PAGES_MAX {
        let page = ok(adapter.changes(Some(&at), limit).await);
        assert!(page.changes.len() <= limit, "a page has more than was asked for");
        if page.changes.is_empty() && page.next == at {
            return (found, at);
        }
        at = page.next;
        found.extend(page.changes.into_iter().filter(|change| change.key.partition == partition));
    }
    panic!("the feed has no end");
}

fn told(change: &Change) -> (ChangeKind, &str, Option<Value>, Option<Value>) {
    (change.kind, &change.key.sort, change.old.clone(), change.new.clone())
}

async fn changes_come_in_order_with_before_and_after(adapter: &(impl Records + ChangeFeed)) {
    let partition = fresh("feed");
    let start = ok(adapter.feed_end().await);
    let (a, b) = (key(&partition, "a"), key(&partition, "b"));
    ok(records(adapter).put(a.clone(), json!(1), Expect::Absent).await);
    let both =
        vec![Write::put(a.clone(), json!(2), Expect::Present), Write::put(b.clone(), json!("b"), Expect::Absent)];
    ok(adapter.transact(both).await);
    ok(records(adapter).delete(b.clone(), Expect::Present).await);
    ok(records(adapter).delete(b, Expect::Absent).await);
    ok(records(adapter).delete(a, Expect::Present).await);
    let expected = [
        (ChangeKind::Insert, "a", None, Some(json!(1))),
        (ChangeKind::Modify, "a", Some(json!(1)), Some(json!(2))),
        (ChangeKind::Insert, "b", None, Some(json!("b"))),
        (ChangeKind::Remove, "b", Some(json!("b")), None),
        (ChangeKind::Remove, "a", Some(json!(2)), None),
    ];
    for limit in [1, 2, 1000] {
        let (changes, end) = drain(adapter, &start, &partition, limit).await;
        assert_eq!(changes.iter().map(told).collect::<Vec<_>>(), expected, "read {limit} at a time");
        let (none, still) = drain(adapter, &end, &partition, limit).await;
        assert!(none.is_empty() && still == end, "the end of the feed is not its end");
    }
}

async fn any_position_can_be_read_on_from(adapter: &(impl Records + ChangeFeed)) {
    let partition = fresh("positions");
    let start = ok(adapter.feed_end().await);
    for number in 0..10 {
        ok(records(adapter).put(key(&partition, &format!("{number}")), json!(number), Expect::Absent).await);
    }
    let (changes, _) = drain(adapter, &start, &partition, 100).await;
    assert_eq!(changes.len(), 10);
    for (index, change) in changes.iter().enumerate() {
        let (rest, _) = drain(adapter, &change.position, &partition, 3).await;
        let numbers: Vec<_> = rest.iter().filter_map(|change| change.new.clone()).collect();
        let expected: Vec<_> = (index + 1..10).map(|number| json!(number)).collect();
        assert_eq!(numbers, expected, "after change {index}");
    }
    let oldest = ok(adapter.changes(None, 1).await);
    assert_eq!(oldest.changes.len(), 1, "without a position the feed begins with the oldest change kept");
}

async fn a_lost_transaction_leaves_no_change(adapter: &(impl Records + ChangeFeed)) {
    let partition = fresh("unfed");
    let start = ok(adapter.feed_end().await);
    let writes = vec![
        Write::put(key(&partition, "a"), json!(1), Expect::Anything),
        Write::put(key(&partition, "b"), json!(1), Expect::Present),
    ];
    assert!(adapter.transact(writes).await.is_err());
    let (changes, _) = drain(adapter, &start, &partition, 100).await;
    assert!(changes.is_empty(), "the feed tells of {changes:?}");
}

async fn a_foreign_position_is_refused(adapter: &(impl Records + ChangeFeed)) {
    let foreign = FeedPosition("not a position \u{1F600}".into());
    match adapter.changes(Some(&foreign), 10).await {
        Err(cloud::Error::Invalid(_) | cloud::Error::Stale(_)) => {}
        other => panic!("a foreign position got {other:?}"),
    }
}
