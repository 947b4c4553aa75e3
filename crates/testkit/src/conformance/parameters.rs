//! `Parameters`.

use std::sync::Arc;

use cloud::limits::PARAMETER_MAX;
use cloud::{ParameterName, Parameters, Secret};

use super::{fresh, invalid, ok, too_large};

/// Everything that `Parameters` promises.
pub async fn parameters(adapter: Arc<dyn Parameters>) {
    let root = fresh("/parameters");
    what_is_put_is_got(&*adapter, &root).await;
    lists_are_by_name_and_by_prefix(&*adapter, &root).await;
    limits_are_kept(&*adapter, &root).await;
}

fn name(raw: String) -> ParameterName {
    ok(ParameterName::parse(raw))
}

async fn what_is_put_is_got(adapter: &dyn Parameters, root: &str) {
    for sealed in [false, true] {
        let at = name(format!("{root}/kept/{sealed}"));
        assert!(ok(adapter.get(&at).await).is_none());
        assert_eq!(ok(adapter.put(&at, Secret::new("first ü"), sealed).await), 1);
        assert_eq!(ok(adapter.put(&at, Secret::new("second"), sealed).await), 2);
        let found = ok(adapter.get(&at).await).expect("the parameter is there");
        assert_eq!((found.value.expose(), found.version, found.sealed), ("second", 2, sealed));
        assert_eq!(found.name, at);
        assert!(!format!("{found:?}").contains("second"), "a parameter prints its value");
        ok(adapter.delete(&at).await);
        assert!(ok(adapter.get(&at).await).is_none());
        ok(adapter.delete(&at).await);
    }
    let at = name(format!("{root}/kept/changed"));
    ok(adapter.put(&at, Secret::new("open"), false).await);
    ok(adapter.put(&at, Secret::new("closed"), true).await);
    let found = ok(adapter.get(&at).await).expect("the parameter is there");
    assert_eq!((found.value.expose(), found.sealed), ("closed", true));
    ok(adapter.delete(&at).await);
}

async fn lists_are_by_name_and_by_prefix(adapter: &dyn Parameters, root: &str) {
    let all: Vec<ParameterName> =
        ["/l/a", "/l/b/1", "/l/b/2", "/l/c", "/lz"].iter().map(|rest| name(format!("{root}{rest}"))).collect();
    for (index, at) in all.iter().enumerate().rev() {
        ok(adapter.put(at, Secret::new(format!("value {index}")), index % 2 == 0).await);
    }
    let names = |found: Vec<cloud::Parameter>| found.into_iter().map(|p| p.name).collect::<Vec<_>>();
    let within = format!("{root}/l/");
    assert_eq!(names(ok(adapter.list(&within, None, 100).await)), all[..4]);
    assert_eq!(names(ok(adapter.list(&format!("{root}/l/b"), None, 100).await)), all[1..3]);
    assert_eq!(names(ok(adapter.list(&within, Some(&all[1]), 2).await)), all[2..4]);
    assert_eq!(names(ok(adapter.list(&within, None, 3).await)), all[..3]);
    assert!(ok(adapter.list(&within, Some(&all[3]), 10).await).is_empty());
    let values = ok(adapter.list(&within, None, 100).await);
    assert_eq!(values[2].value.expose(), "value 2", "a list opens what is sealed");
    for at in &all {
        ok(adapter.delete(at).await);
    }
}

async fn limits_are_kept(adapter: &dyn Parameters, root: &str) {
    let at = name(format!("{root}/limits"));
    too_large(adapter.put(&at, Secret::new("x".repeat(PARAMETER_MAX + 1)), false).await, "a parameter");
    invalid(adapter.put(&at, Secret::new(""), false).await, "an empty parameter");
    assert!(ok(adapter.get(&at).await).is_none(), "a refused parameter was stored");
    ok(adapter.put(&at, Secret::new("x".repeat(PARAMETER_MAX)), true).await);
    ok(adapter.delete(&at).await);
}
