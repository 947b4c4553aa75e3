//! `Stacks`, with real packages of a small Python function.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use cloud::{
    BlobKey, Blobs, Clock, DeployStack, Invocation, Invoke, PutOptions, Result, Sha256Digest, Stack, StackEvent,
    StackName, StackStatus, Stacks, SystemClock,
};
use serde_json::{Value, json};

use super::{Except, absent, fresh, invalid, ok, too_large};

/// The shortest role session that every service gives.
const SESSION: Duration = Duration::from_secs(15 * 60);
/// By how much two clocks may differ.
const SKEW: Duration = Duration::from_secs(60);

/// Gives its event back, fails when asked to, and prints a line each time.
const CODE: &str = r#"
import os

def handler(event, context):
    print("asked for", event.get("do"))
    if event.get("do") == "fail":
        raise ValueError("as asked")
    return {"version": VERSION, "event": event, "greeting": os.environ["GREETING"]}
"#;

/// Everything that `Stacks` promises. `blobs` is where the adapter reads packages.
pub async fn stacks(adapter: &dyn Stacks, blobs: &dyn Blobs) {
    stacks_except(adapter, blobs, &Except::nothing()).await;
}

/// As `stacks`, for a stranger that does some of it wrong.
pub async fn stacks_except(adapter: &dyn Stacks, blobs: &dyn Blobs, except: &Except) {
    let name = ok(StackName::parse(fresh("conform").to_ascii_lowercase()));
    let suite = Suite { adapter, blobs, name, except };
    suite.what_was_never_deployed_is_absent().await;
    let first = suite.a_deploy_serves_and_tells_its_progress().await;
    suite.a_function_answers_with_its_log_and_figures().await;
    suite.a_failing_function_is_an_answer().await;
    suite.calls_of_what_is_not_there_or_too_large_are_refused().await;
    let second = suite.an_update_replaces_the_code_without_a_failed_call(&first).await;
    suite.a_template_that_is_refused_leaves_the_old_version(&second).await;
    suite.the_same_again_is_fine(&second).await;
    suite.credentials_end_in_time().await;
    suite.what_is_deleted_is_gone().await;
    except.check();
}

struct Suite<'a> {
    adapter: &'a dyn Stacks,
    blobs: &'a dyn Blobs,
    name: StackName,
    except: &'a Except,
}

fn template() -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"Greeting": {"Type": "String"}, "Unused": {"Type": "String", "Default": "as it is"}},
        "Resources": {"Echo": {"Type": "AWS::Serverless::Function", "Properties": {
            "CodeUri": "src/", "Runtime": "python3.12", "Handler": "app.handler", "Timeout": 10, "MemorySize": 256,
            "Environment": {"Variables": {"GREETING": {"Fn::Sub": "${Greeting}!"}}},
        }}},
        "Outputs": {
            "Greeting": {"Value": {"Fn::Join": ["-", [{"Ref": "Greeting"}, {"Ref": "Unused"}]]}},
            "EchoName": {"Value": {"Ref": "Echo"}},
        },
    })
}

fn zipped(version: u32) -> std::io::Result<Bytes> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("app.py", zip::write::SimpleFileOptions::default().unix_permissions(0o644))?;
    write!(zip, "VERSION = {version}\n{CODE}")?;
    Ok(zip.finish()?.into_inner().into())
}

impl Suite<'_> {
    async fn package(&self, version: u32) -> BlobKey {
        let bytes = zipped(version).expect("a zip in memory");
        let key = ok(BlobKey::parse(format!("{}/{}.zip", self.name, Sha256Digest::of(&bytes))));
        ok(self.blobs.put(&key, bytes, PutOptions::default()).await);
        key
    }

    async fn deploy(&self, version: u32, greeting: &str, template: Value) -> (Result<Stack>, Vec<StackEvent>) {
        let what = DeployStack {
            name: self.name.clone(),
            host_label: self.name.to_string(),
            release: format!("release-{version}"),
            template,
            parameters: BTreeMap::from([("Greeting".to_owned(), greeting.to_owned())]),
            tags: BTreeMap::from([("suite".to_owned(), "conformance".to_owned())]),
            packages: BTreeMap::from([("Echo".to_owned(), self.package(version).await)]),
            site: None,
            run: Default::default(),
        };
        let (sink, mut told) = futures::channel::mpsc::unbounded();
        let stack = self.adapter.deploy(what, sink).await;
        // The deploy has let go of the sink: what was told is all there.
        let mut events = Vec::new();
        while let Ok(event) = told.try_recv() {
            events.push(event);
        }
        (stack, events)
    }

    async fn call(&self, function: &str, event: &Value) -> Result<Invocation> {
        let payload = event.to_string().into();
        self.adapter.invoke(Invoke { stack: self.name.clone(), function: function.into(), payload }).await
    }

    async fn answer(&self, function: &str) -> Value {
        let done = ok(self.call(function, &json!({"do": "answer"})).await);
        assert_eq!(done.function_error, None, "{}", done.log_tail);
        serde_json::from_slice(&done.payload).expect("the function answers with JSON")
    }

    async fn serves(&self, version: u32, greeting: &str) {
        let answer = self.answer("Echo").await;
        assert_eq!((&answer["version"], &answer["greeting"]), (&json!(version), &json!(greeting)));
    }

    async fn what_was_never_deployed_is_absent(&self) {
        assert!(ok(self.adapter.describe(&self.name).await).is_none(), "a new name is free");
        absent(self.call("Echo", &json!({})).await, "a call in a stack that is not there");
        ok(self.adapter.delete(&self.name).await);
    }

    async fn a_deploy_serves_and_tells_its_progress(&self) -> Stack {
        let (stack, events) = self.deploy(1, "hello", template()).await;
        let stack = ok(stack);
        in_order(&events, &self.name);
        assert_eq!((stack.status, stack.release.as_str()), (StackStatus::Ready, "release-1"));
        assert_eq!(stack.name, self.name);
        assert_eq!(stack.outputs.get("Greeting").map(String::as_str), Some("hello-as it is"));
        let [function] = &stack.functions[..] else { panic!("one function was expected: {:?}", stack.functions) };
        assert_eq!((function.logical_id.as_str(), function.handler.as_str()), ("Echo", "app.handler"));
        assert_eq!((function.runtime.as_str(), function.memory_mb, function.timeout_s), ("python3.12", 256, 10));
        assert_eq!(function.log_group, format!("/aws/lambda/{}", function.name));
        assert_eq!(stack.outputs.get("EchoName"), Some(&function.name));
        assert!(stack.resources.iter().any(|one| one.logical_id == "Echo" && one.physical_id == function.name));
        assert!(stack.unsupported.is_empty(), "{:?}", stack.unsupported);
        self.is_described_as(&stack).await;
        stack
    }

    async fn is_described_as(&self, stack: &Stack) {
        let found = ok(self.adapter.describe(&self.name).await).expect("what was deployed is described");
        assert_eq!((found.status, &found.release), (StackStatus::Ready, &stack.release));
        assert_eq!((&found.outputs, &found.url), (&stack.outputs, &stack.url));
        assert_eq!(names(&found), names(stack));
    }

    async fn a_function_answers_with_its_log_and_figures(&self) {
        let event = json!({"do": "answer", "text": "Grüße 👋", "list": [1, 2.5, null, true]});
        let done = ok(self.call("Echo", &event).await);
        assert_eq!(done.function_error, None, "{}", done.log_tail);
        let answer: Value = serde_json::from_slice(&done.payload).expect("the function answers with JSON");
        assert_eq!(answer, json!({"version": 1, "event": event, "greeting": "hello!"}));
        if self.except.leaves_out("a call is answered with its log and figures") {
            return;
        }
        assert!(done.log_tail.contains("asked for answer"), "{}", done.log_tail);
        let report = done.report.expect("a call has figures");
        assert!(!report.request_id.is_empty() && report.memory_mb == 256, "{report:?}");
        assert!(report.duration_ms >= 0.0 && report.billed_duration_ms >= 1, "{report:?}");
    }

    async fn a_failing_function_is_an_answer(&self) {
        let done = ok(self.call("Echo", &json!({"do": "fail"})).await);
        assert_eq!(done.function_error.as_deref(), Some("Unhandled"));
        let error: Value = serde_json::from_slice(&done.payload).expect("an error object");
        assert_eq!(error["errorMessage"], "as asked");
        if !self.except.leaves_out("an error has its type") {
            assert_eq!(error["errorType"], "ValueError");
        }
        if !self.except.leaves_out("a call is answered with its log and figures") {
            assert!(done.log_tail.contains("as asked"), "{}", done.log_tail);
        }
        self.serves(1, "hello!").await;
    }

    async fn calls_of_what_is_not_there_or_too_large_are_refused(&self) {
        absent(self.call("Nobody", &json!({})).await, "a call of an unknown function");
        let other = ok(StackName::parse(fresh("other").to_ascii_lowercase()));
        let elsewhere = Invoke { stack: other, function: "Echo".into(), payload: Bytes::from_static(b"{}") };
        absent(self.adapter.invoke(elsewhere).await, "a call in an unknown stack");
        too_large(self.call("Echo", &json!("x".repeat(FUNCTION_PAYLOAD_MAX))).await, "an event");
        self.serves(1, "hello!").await;
    }

    async fn an_update_replaces_the_code_without_a_failed_call(&self, first: &Stack) -> Stack {
        let done = std::sync::atomic::AtomicBool::new(false);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        let update = async {
            let (stack, events) = self.deploy(2, "welcome", template()).await;
            done.store(true, relaxed);
            (ok(stack), events)
        };
        let calls = async {
            let mut versions = Vec::new();
            while !done.load(relaxed) {
                versions.push(self.answer("Echo").await["version"].as_u64().unwrap_or_default());
            }
            versions
        };
        let ((second, events), versions) = futures::join!(update, calls);
        in_order(&events, &self.name);
        assert!(versions.iter().all(|version| [1, 2].contains(version)), "{versions:?}");
        assert!(!versions.is_empty(), "nothing was called during the update");
        assert_eq!((second.status, second.release.as_str()), (StackStatus::Ready, "release-2"));
        assert_eq!(names(&second), names(first), "an update keeps the physical names");
        assert_eq!(second.outputs.get("Greeting").map(String::as_str), Some("welcome-as it is"));
        self.serves(2, "welcome!").await;
        self.is_described_as(&second).await;
        second
    }

    async fn a_template_that_is_refused_leaves_the_old_version(&self, second: &Stack) {
        let mut dangling = template();
        dangling["Resources"]["Echo"]["Properties"]["Environment"]["Variables"]["GREETING"] = json!({"Ref": "Nowhere"});
        if !self.except.leaves_out("a reference to nothing is refused") {
            invalid(self.deploy(3, "never", dangling).await.0, "a reference to nothing");
        }
        let mut empty = template();
        empty["Resources"] = json!({});
        invalid(self.deploy(3, "never", empty).await.0, "a template without resources");
        self.serves(2, "welcome!").await;
        self.is_described_as(second).await;
    }

    async fn the_same_again_is_fine(&self, second: &Stack) {
        let again = ok(self.deploy(2, "welcome", template()).await.0);
        assert_eq!((again.status, &again.release), (StackStatus::Ready, &second.release));
        assert_eq!((names(&again), &again.outputs), (names(second), &second.outputs));
        self.serves(2, "welcome!").await;
    }

    async fn credentials_end_in_time(&self) {
        let before = Clock::now(&SystemClock);
        let keys = ok(self.adapter.credentials(&self.name, SESSION).await);
        let after = Clock::now(&SystemClock);
        assert!(!keys.access_key_id.is_empty() && !keys.region.is_empty());
        assert!(keys.expires > before, "the keys have ended before they were given");
        assert!(keys.expires <= after.plus(SESSION + SKEW), "the keys outlive what was asked for");
    }

    async fn what_is_deleted_is_gone(&self) {
        ok(self.adapter.delete(&self.name).await);
        assert!(ok(self.adapter.describe(&self.name).await).is_none(), "a deleted stack is described");
        absent(self.call("Echo", &json!({})).await, "a call in a deleted stack");
        ok(self.adapter.delete(&self.name).await);
    }
}

/// Logical id -> physical name of each function.
fn names(stack: &Stack) -> BTreeMap<&str, &str> {
    stack.functions.iter().map(|one| (one.logical_id.as_str(), one.name.as_str())).collect()
}

/// The plan comes first, times do not go back, nothing is complete before it began, and the stack itself ends it.
#[track_caller]
fn in_order(events: &[StackEvent], name: &StackName) {
    let planned = events.iter().take_while(|event| event.status == "PLANNED").count();
    let progress = &events[planned..];
    assert!(progress.iter().all(|event| event.status != "PLANNED"), "a plan after the start: {events:#?}");
    assert!(progress.is_sorted_by_key(|event| event.at), "times go back: {events:#?}");
    for (place, event) in progress.iter().enumerate() {
        if event.status.ends_with("_COMPLETE") && !event.status.contains("CLEANUP") {
            let begun = progress[..place].iter();
            let begun = begun.rev().any(|one| one.resource == event.resource && one.status.contains("_IN_PROGRESS"));
            assert!(begun, "{} is complete and never began: {events:#?}", event.resource);
        }
    }
    let last = progress.iter().rev().find(|event| event.resource == name.as_str());
    assert!(last.is_some_and(|event| event.status.ends_with("_COMPLETE")), "the stack's end was not told: {events:#?}");
}
