//! Each function's policies in the template against the calls that its code can make: nothing missing, nothing more.
//!
//! Three steps, each checked: the adapters' source against the table of calls (`cloud_aws::access`), the rights that a
//! function declares against that table, and the result against the template. That the declared rights are enough is
//! seen by every end-to-end test: on one machine a function can do no more than it declares.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cloud::Access;
use cloud_aws::access::{BY_NO_FUNCTION, On, calls};
use serde_json::{Value, json};

/// Every right there is; of those with a pattern, one.
const EVERY: &[Access] = &[
    Access::GetRecords,
    Access::QueryRecords,
    Access::PutRecords,
    Access::DeleteRecords,
    Access::CheckRecords,
    Access::ReadBlobs("*"),
    Access::WriteBlobs("*"),
    Access::UploadBlobs("*"),
    Access::DeleteBlobs("*"),
    Access::ListBlobs("*"),
    Access::SendJobs,
    Access::SendTails,
    Access::PostToSockets,
    Access::PublishEvents,
    Access::WriteLogs,
    Access::ReadLogs,
    Access::FollowLogs,
    Access::ReadStackLogs,
    Access::FollowStackLogs,
    Access::ListLogs,
    Access::DeleteLogs,
    Access::ReadParameters,
    Access::ListParameters,
    Access::WriteParameters,
    Access::DescribeStacks,
    Access::DeployStacks,
    Access::CancelDeploys,
    Access::ReachTargets,
    Access::DeleteStacks,
    Access::InvokeStacks,
    Access::StackCredentials,
    Access::InvokeBuilds,
];

fn template() -> Value {
    let text = std::fs::read_to_string(workroom_tests::root().join("template.yaml")).unwrap();
    sam::Template::parse(&text).unwrap().to_json()
}

/// What a function of the template declares in its code.
fn declared(folder: &str, area: Option<&str>) -> &'static [Access] {
    match (folder, area) {
        ("authorizer", _) => authorizer::ACCESS,
        ("build-worker", Some(build_worker::apart::AREA)) => build_worker::BUILD_ACCESS,
        ("build-worker", _) => build_worker::ACCESS,
        ("api", Some(area)) => area.parse::<api::Area>().unwrap().access(),
        ("websocket", Some(area)) => area.parse::<websocket::Area>().unwrap().access(),
        other => panic!("no code is known for {other:?}"),
    }
}

/// The resource as the template writes it.
fn resource(on: On) -> Value {
    let arn = |logical: &str| json!({ "Fn::GetAtt": [logical, "Arn"] });
    let here = |service: &str, rest: &str| {
        let text = format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}");
        json!({ "Fn::Sub": text })
    };
    match on {
        On::Table => arn("Table"),
        On::Bucket => arn("DataBucket"),
        On::Objects(keys) => json!({ "Fn::Sub": format!("${{DataBucket.Arn}}/{keys}") }),
        On::JobQueue => arn("JobQueue"),
        On::TailQueue => arn("TailQueue"),
        On::EventBus => arn("EventBus"),
        On::Sockets => here("execute-api", "${SocketApi}/*"),
        On::JobLogs => here("logs", "log-group:/workroom/jobs/*"),
        On::AppLogs => here("logs", "log-group:/aws/lambda/workroom-app-*"),
        On::LogGroups => here("logs", "log-group:*"),
        On::Parameters => here("ssm", "parameter/workroom/${Environment}/*"),
        On::AppStacks => here("cloudformation", "stack/workroom-app-*"),
        On::AppFunctions => here("lambda", "function:workroom-app-*"),
        On::AppObjects => json!({ "Fn::Sub": "arn:${AWS::Partition}:s3:::workroom-app-*/*" }),
        On::SamTransform => json!({ "Fn::Sub":
            "arn:${AWS::Partition}:cloudformation:${AWS::Region}:aws:transform/Serverless-2016-10-31" }),
        On::DeployRole => arn("AppDeployRole"),
        On::AppBuckets => json!({ "Fn::Sub": "arn:${AWS::Partition}:s3:::workroom-app-*" }),
        On::PeopleRole => arn("AppPeopleRole"),
        On::BuildNode => arn("BuildNodeFunction"),
        On::BuildPython => arn("BuildPythonFunction"),
        On::TargetRoles => json!({ "Fn::Sub": "arn:${AWS::Partition}:iam::*:role/*" }),
    }
}

fn needed(access: &[Access]) -> BTreeSet<String> {
    let calls = access.iter().flat_map(|access| calls(*access));
    calls.map(|call| format!("{} on {}", call.action, resource(call.on))).collect()
}

fn several(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// `GetAtt` in its one form.
fn plain(value: &Value) -> Value {
    match value.get("Fn::GetAtt") {
        Some(Value::String(path)) => json!({ "Fn::GetAtt": path.split('.').collect::<Vec<_>>() }),
        _ => value.clone(),
    }
}

fn given(function: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for policy in function["Properties"]["Policies"].as_array().into_iter().flatten() {
        for statement in several(&policy["Statement"]) {
            assert_eq!(statement["Effect"], "Allow");
            for action in several(&statement["Action"]) {
                let action = action.as_str().unwrap().to_owned();
                assert!(!action.contains('*'), "{action} is more than one action");
                for on in several(&statement["Resource"]) {
                    let fresh = all.insert(format!("{action} on {}", plain(&on)));
                    assert!(fresh, "{action} is allowed twice on {on}");
                }
            }
        }
    }
    all
}

/// Where users' code runs, it can at most write the function's log: by the role, and by nothing that SAM adds to one.
#[test]
fn what_runs_users_builds_may_write_its_own_log_and_no_more() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let builds = |function: &&Value| function["Properties"]["Environment"]["Variables"]["AREA"] == "build";
    let mut logs = Vec::new();
    for function in resources.values().filter(builds) {
        let properties = &function["Properties"];
        assert_eq!(plain(&properties["Role"]), json!({ "Fn::GetAtt": ["BuildRole", "Arn"] }));
        assert!(properties["Policies"].is_null() && properties["Tracing"] == "PassThrough", "{properties}");
        assert_eq!(properties["TenancyConfig"]["TenantIsolationMode"], "PER_TENANT");
        let group = properties["LoggingConfig"]["LogGroup"]["Ref"].as_str().unwrap();
        logs.push(json!({ "Fn::GetAtt": [group, "Arn"] }));
    }
    assert_eq!(logs.len(), 2);
    let policies = resources["BuildRole"]["Properties"]["Policies"].as_array().unwrap();
    assert!(resources["BuildRole"]["Properties"]["ManagedPolicyArns"].is_null());
    let [policy] = policies.as_slice() else { panic!("one policy, not {policies:?}") };
    let [statement] = policy["PolicyDocument"]["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
    assert_eq!(statement["Action"], json!(["logs:CreateLogStream", "logs:PutLogEvents"]));
    assert_eq!(several(&statement["Resource"]).iter().map(plain).collect::<Vec<_>>(), logs);
}

#[test]
fn each_functions_policies_are_what_its_code_can_call() {
    let template = template();
    let mut wrong = BTreeMap::new();
    let mut seen = 0;
    for (name, function) in template["Resources"].as_object().unwrap() {
        if function["Type"] != "AWS::Serverless::Function" {
            continue;
        }
        seen += 1;
        let properties = &function["Properties"];
        let area = properties["Environment"]["Variables"]["AREA"].as_str();
        let needed = needed(declared(properties["CodeUri"].as_str().unwrap(), area));
        let given = given(function);
        let missing: Vec<_> = needed.difference(&given).cloned().collect();
        let more: Vec<_> = given.difference(&needed).cloned().collect();
        if !missing.is_empty() || !more.is_empty() {
            wrong.insert(name.clone(), json!({ "missing": missing, "more than needed": more }));
        }
    }
    assert!(wrong.is_empty(), "{}", serde_json::to_string_pretty(&wrong).unwrap());
    assert!(seen >= 12, "the template has functions");
}

/// The operations of an SDK crate: one file each in its `client` module.
fn operations(manifest: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(manifest.parent().unwrap().join("src/client")).unwrap();
    let names = files.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned());
    // Not operations: how any of them is sent.
    names.filter(|name| name != "customize").collect()
}

/// The SDK crates of the adapters, by the name after `aws-sdk-`.
fn sdks() -> BTreeMap<String, PathBuf> {
    // What this platform needs is here; what others would need is not.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--features", "cloud-aws/all"])
        .args(["--filter-platform", &platform])
        .current_dir(workroom_tests::root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let named = packages.filter_map(|package| {
        let service = package["name"].as_str()?.strip_prefix("aws-sdk-")?;
        Some((service.to_owned(), PathBuf::from(package["manifest_path"].as_str()?)))
    });
    named.collect()
}

fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// `.name()` anywhere in the text, over line ends.
fn calls_method(text: &str, name: &str) -> bool {
    let call = format!("{name}()");
    text.match_indices(&call).any(|(at, _)| text[..at].trim_end().ends_with('.'))
}

#[test]
fn every_call_of_the_adapters_is_in_the_table_and_the_other_way_round() {
    let mut texts = Vec::new();
    sources(&workroom_tests::root().join("crates/cloud-aws/src"), &mut texts);
    let listed: BTreeSet<(String, String)> = EVERY
        .iter()
        .flat_map(|access| calls(*access))
        .map(|call| (call.service, call.operation))
        .chain(BY_NO_FUNCTION.iter().copied())
        .map(|(service, operation)| (service.to_owned(), operation.to_owned()))
        .collect();
    let mut made = BTreeSet::new();
    for (service, manifest) in sdks() {
        for operation in operations(&manifest) {
            // A file uses the client of the service that it imports, or is within that service's module.
            let named = texts.iter().filter(|text| calls_method(text, &operation));
            let ambiguous = listed.iter().any(|(other, name)| *name == operation && *other != service);
            if named.count() > 0 && !ambiguous {
                made.insert((service.clone(), operation));
            }
        }
    }
    let unlisted: Vec<_> = made.difference(&listed).collect();
    assert!(unlisted.is_empty(), "calls that no right stands for: {unlisted:?}");
    let unmade: Vec<_> = listed.difference(&made).collect();
    assert!(unmade.is_empty(), "rights for calls that nobody makes: {unmade:?}");
}

#[test]
fn no_right_reaches_further_than_the_platform() {
    for access in EVERY {
        for call in calls(*access) {
            let text = resource(call.on).to_string();
            assert!(text != "\"*\"" && !text.contains(":*:*"), "{access} reaches {text}");
        }
    }
}
