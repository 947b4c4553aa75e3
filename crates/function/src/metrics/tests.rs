use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn request(code: Option<&'static str>, git: Option<(u64, u64)>) -> Answered<'static> {
    Answered {
        area: "git",
        route: "/git/{proxy}",
        method: "GET",
        status: 404,
        ms: 12,
        code,
        git,
        request_id: "r-1",
        correlation_id: "c-1",
    }
}

/// What CloudWatch requires of a line ("Specification: Embedded metric format"): every dimension is a string at the
/// root, every metric a number at the root, at most 30 dimensions and 100 metrics a directive.
fn check(line: &Value) -> BTreeSet<String> {
    assert!(line["_aws"]["Timestamp"].is_u64());
    let mut names = BTreeSet::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], NAMESPACE);
        for set in directive["Dimensions"].as_array().unwrap() {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 30 && set[0] == "Environment");
            assert!(set.iter().all(|name| line[name.as_str().unwrap()].is_string()), "{set:?} of {line}");
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_u64(), "{name} of {line}");
            assert!(NAMES.contains(&name), "{name} is not in the list of metrics");
            assert!(names.insert(name.to_owned()), "{name} is there twice");
        }
    }
    names
}

#[test]
fn every_line_is_one_that_cloudwatch_reads_and_together_they_have_every_metric() {
    let run = Ran { kind: "build", outcome: "failed", ms: 9, correlation_id: "c-1" };
    let lines = [
        request_line(&request(Some("not-found"), Some((3, 4))), true).at(1),
        begin_line("build", Some(4), "c-1").at(1),
        run_line(&run).at(1),
        batch_line(2, 1, 30, [5, 1, 2]).at(1),
        Line::new().counted(&[], "CacheHits", 1).counted(&[], "CacheMisses", 0).at(1),
    ];
    let seen: BTreeSet<String> = lines.iter().flat_map(check).collect();
    assert_eq!(seen, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn a_request_is_counted_by_area_and_class_and_its_route_is_no_dimension() {
    let line = request_line(&request(None, None), false).at(7);
    check(&line);
    assert_eq!((&line["Requests"], &line["StatusClass"], &line["Area"]), (&1.into(), &"4xx".into(), &"git".into()));
    assert_eq!(line["ColdStarts"], 0);
    assert_eq!(line["route"], "/git/{proxy}");
    let dimensions = line["_aws"]["CloudWatchMetrics"].to_string();
    assert!(!dimensions.contains("route") && !dimensions.contains("_id"), "{dimensions}");
    assert!(line["Problems"].is_null() && line["GitBytesIn"].is_null());
}

#[test]
fn a_later_run_of_a_job_does_not_count_as_waiting() {
    let first = check(&begin_line("deploy", Some(5), "").at(1));
    let later = check(&begin_line("deploy", None, "").at(1));
    assert!(first.contains("JobWait") && !later.contains("JobWait"));
}

#[test]
fn every_metric_is_explained_to_who_runs_the_platform() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for name in NAMES {
        assert!(guide.contains(&format!("`{name}`")), "docs/operations.md does not explain {name}");
    }
}
