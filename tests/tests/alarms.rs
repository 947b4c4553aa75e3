//! What can fail on AWS has an alarm, and every alarm is told to someone and explained.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;

fn resources() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(workroom_tests::root().join("template.yaml")).unwrap();
    let template = sam::Template::parse(&text).unwrap().to_json();
    template["Resources"].as_object().unwrap().clone()
}

fn of_type<'a>(all: &'a serde_json::Map<String, Value>, kind: &str) -> Vec<(&'a String, &'a Value)> {
    all.iter().filter(|(_, resource)| resource["Type"] == kind).map(|(id, it)| (id, &it["Properties"])).collect()
}

/// The metrics that have an alarm, as `metric of resource`; `metric of *` for those of the whole account.
fn watched(all: &serde_json::Map<String, Value>) -> BTreeSet<String> {
    let name = |value: &Value| match (&value["Ref"], &value["Fn::GetAtt"], &value["Fn::Sub"]) {
        (Value::String(id), ..) => id.clone(),
        (_, Value::Array(path), _) => path[0].as_str().unwrap().to_owned(),
        (_, Value::String(path), _) => path.split('.').next().unwrap().to_owned(),
        (.., Value::String(text)) => text.clone(),
        _ => panic!("{value} names nothing"),
    };
    let metric = |alarm: &Value| {
        let of = alarm["Dimensions"].as_array().map_or_else(|| "*".to_owned(), |all| name(&all[0]["Value"]));
        format!("{} of {of}", alarm["MetricName"].as_str().unwrap())
    };
    of_type(all, "AWS::CloudWatch::Alarm").into_iter().map(|(_, alarm)| metric(alarm)).collect()
}

#[test]
fn every_function_has_an_alarm_for_its_errors() {
    let all = resources();
    let watched = watched(&all);
    let functions = of_type(&all, "AWS::Serverless::Function");
    assert!(functions.len() > 10, "the platform's functions are found");
    for (id, _) in functions {
        assert!(watched.contains(&format!("Errors of {id}")), "{id} fails unheard");
    }
    assert!(watched.contains("Throttles of *"));
}

#[test]
fn every_queue_has_an_alarm_for_its_age_and_every_dead_letter_rings() {
    let all = resources();
    let watched = watched(&all);
    let queues = of_type(&all, "AWS::SQS::Queue");
    let mut dead = BTreeSet::new();
    for (id, queue) in &queues {
        let Some(target) = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].as_array() else { continue };
        dead.insert(target[0].as_str().unwrap().to_owned());
        assert!(watched.contains(&format!("ApproximateAgeOfOldestMessage of {id}")), "{id} may wait for ever");
    }
    // What is no source of a function holds what was given up.
    dead.extend(queues.iter().filter(|(_, queue)| queue["RedrivePolicy"].is_null()).map(|(id, _)| (*id).clone()));
    assert!(dead.len() >= 3, "{dead:?}");
    for id in dead {
        assert!(watched.contains(&format!("ApproximateNumberOfMessagesVisible of {id}")), "{id} fills unseen");
    }
}

#[test]
fn the_gateway_the_table_and_the_consumer_of_the_stream_have_alarms() {
    let all = resources();
    let watched = watched(&all);
    for wanted in [
        "5XXError of workroom-${Environment}",
        "Latency of workroom-${Environment}",
        "ReadThrottleEvents of Table",
        "WriteThrottleEvents of Table",
    ] {
        assert!(watched.contains(wanted), "{wanted} is not watched: {watched:?}");
    }
    let mut consumers = 0;
    for (id, function) in of_type(&all, "AWS::Serverless::Function") {
        for event in function["Events"].as_object().into_iter().flat_map(serde_json::Map::values) {
            if event["Type"] == "DynamoDB" {
                consumers += 1;
                assert!(watched.contains(&format!("IteratorAge of {id}")), "{id} may fall behind unseen");
            }
        }
    }
    assert!(consumers > 0, "the change feed has a consumer");
}

#[test]
fn every_alarm_is_told_to_the_topic_and_has_a_runbook() {
    let all = resources();
    let guide = std::fs::read_to_string(workroom_tests::root().join("docs/operations.md")).unwrap();
    let alarms = of_type(&all, "AWS::CloudWatch::Alarm");
    for (id, alarm) in &alarms {
        assert_eq!(alarm["AlarmActions"][0]["Ref"], "AlarmTopic", "{id} is told to nobody");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id} rings when nobody works");
        assert!(alarm["AlarmDescription"].as_str().unwrap().len() > 10);
        let family = if id.ends_with("ErrorsAlarm") && *id != "GatewayErrorsAlarm" { "…ErrorsAlarm" } else { id };
        assert!(guide.contains(&format!("`{family}`")), "docs/operations.md says nothing of {id}");
    }
    assert!(alarms.len() > 20);
}

#[test]
fn the_dashboard_is_json_and_shows_only_metrics_that_exist() {
    let all = resources();
    let body = all["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let board: Value = serde_json::from_str(body).unwrap();
    let mut own = 0;
    for widget in board["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            let shown = metric.to_string();
            if !shown.contains("Workroom") {
                continue;
            }
            own += 1;
            let named = function::metrics::NAMES.iter().any(|name| shown.contains(&format!("\"{name}")));
            assert!(named, "no function measures {shown}");
        }
    }
    assert!(own >= 4, "the platform's own metrics are on the dashboard");
}
