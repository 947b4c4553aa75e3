//! `Stacks` on CloudFormation and Lambda.

mod ends;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloud::{
    BlobKey, Blobs, DeployRun, DeployStack, Error, Inspect, Invoke, PutOptions, Result, Stack, StackEvent, StackName,
    StackStatus, StackTarget, Stacks,
};
use cloud_aws::{CloudFormationStacks, StacksSettings};
use serde_json::{Value, json};
use testkit::conformance::Except;
use testkit::emulator::Emulator;
use testkit::{FaultProxy, Rule, WireCall, WireFault};

use crate::{aws, config_as, fresh};

const BOUNDARY: &str = "arn:aws:iam::000000000000:policy/apps";
const POLL: Duration = Duration::from_millis(20);

/// A stack of one test, with a bucket of its own.
struct Place {
    stacks: Arc<CloudFormationStacks>,
    blobs: cloud_aws::S3Blobs,
    name: StackName,
    bucket: String,
}

async fn bucket_at(endpoint: &str, name: &str) -> cloud_aws::S3Blobs {
    let client = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(aws(endpoint).config()).force_path_style(true).build(),
    );
    client.create_bucket().bucket(name).send().await.unwrap();
    aws(endpoint).blobs(name)
}

async fn place(endpoint: &str) -> Place {
    let bucket = fresh("stacks");
    let blobs = bucket_at(endpoint, &bucket).await;
    let settings = StacksSettings {
        bucket: bucket.clone(),
        role_arn: "arn:aws:iam::000000000000:role/people".into(),
        boundary_arn: BOUNDARY.into(),
        deploy_role_arn: None,
    };
    let stacks = Arc::new(aws(endpoint).stacks(settings).polling(POLL));
    let name = StackName::parse(format!("{}--dev", fresh("shop"))).unwrap();
    Place { stacks, blobs, name, bucket }
}

fn zip(answer: &str) -> bytes::Bytes {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("app.py", zip::write::SimpleFileOptions::default()).unwrap();
    write!(zip, "def handler(event, context):\n    return {{'says': '{answer}'}}\n").unwrap();
    zip.finish().unwrap().into_inner().into()
}

fn hello() -> Value {
    json!({
        "Type": "AWS::Serverless::Function",
        "Properties": {"Handler": "app.handler", "Runtime": "python3.11", "CodeUri": "src", "PermissionsBoundary": BOUNDARY},
    })
}

/// CloudFormation makes an inline policy only if its document has statements.
fn impossible() -> Value {
    json!({"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "p", "PolicyDocument": {}, "Roles": []}})
}

fn template(resources: Value) -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"Word": {"Type": "String", "Default": "none"}},
        "Resources": resources,
        "Outputs": {"Url": {"Value": "https://example.com/"}, "Said": {"Value": {"Ref": "Word"}}},
    })
}

impl Place {
    async fn what(&self, release: &str, resources: Value) -> DeployStack {
        let key = BlobKey::parse(format!("projects/1/artifacts/{release}.zip")).unwrap();
        self.blobs.put(&key, zip(release), PutOptions::default()).await.unwrap();
        DeployStack {
            name: self.name.clone(),
            host_label: "dev--shop".into(),
            release: release.into(),
            template: template(resources),
            parameters: [("Word".to_owned(), release.to_owned())].into(),
            tags: [("workroom:release".to_owned(), release.to_owned())].into(),
            packages: [("Hello".to_owned(), key)].into(),
            site: None,
            run: DeployRun { token: release.into(), ..DeployRun::default() },
        }
    }

    async fn deploy(&self, release: &str, resources: Value) -> (Result<Stack>, Vec<StackEvent>) {
        deploy(self.stacks.as_ref(), self.what(release, resources).await).await
    }

    async fn says(&self) -> Value {
        let call = Invoke { stack: self.name.clone(), function: "Hello".into(), payload: "{}".into() };
        let answer = self.stacks.invoke(call).await.unwrap();
        assert_eq!(answer.function_error, None, "{}", String::from_utf8_lossy(&answer.payload));
        serde_json::from_slice::<Value>(&answer.payload).unwrap()["says"].clone()
    }
}

async fn deploy(stacks: &dyn Stacks, what: DeployStack) -> (Result<Stack>, Vec<StackEvent>) {
    let (sink, events) = futures::channel::mpsc::unbounded();
    let outcome = stacks.deploy(what, sink).await;
    (outcome, futures::StreamExt::collect(events).await)
}

fn refusal(outcome: Result<Stack>) -> String {
    match outcome {
        Err(Error::Invalid(text)) => text,
        other => panic!("a refusal is expected, not {other:?}"),
    }
}

fn is(call: &WireCall, action: &str) -> bool {
    let body = String::from_utf8_lossy(&call.body);
    body.split('&').any(|pair| pair.strip_prefix("Action=") == Some(action))
}

fn error(status: u16, code: &str, message: &str) -> WireFault {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    WireFault::Answer { status, headers: vec![("content-type".into(), "text/xml".into())], body: body.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_stacks() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let except = Except::of(
        "ministack",
        &[
            ("a call is answered with its log and figures", "its answers have no LogResult"),
            ("an error has its type", "it calls every error Runtime.HandlerError"),
            ("a reference to nothing is refused", "it makes change sets of templates that refer to nothing"),
        ],
    );
    testkit::conformance::stacks_except(place.stacks.as_ref(), &place.blobs, &except).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_plans_changes_and_tells_each_event_once() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let (outcome, events) = place.deploy("r1", json!({"Hello": hello()})).await;
    let stack = outcome.unwrap();
    assert_eq!((stack.status, stack.release.as_str()), (StackStatus::Ready, "r1"));
    assert_eq!(stack.url.as_deref(), Some("https://example.com/"));
    assert_eq!(stack.outputs["Said"], "r1");
    assert_eq!(stack.functions.len(), 1);
    assert_eq!((stack.functions[0].logical_id.as_str(), stack.functions[0].runtime.as_str()), ("Hello", "python3.11"));
    assert_eq!(place.says().await, "r1");

    let planned: Vec<(&str, &str)> = events
        .iter()
        .filter_map(|event| event.change.as_ref())
        .map(|change| (change.action.as_str(), change.resource.as_str()))
        .collect();
    assert_eq!(planned, [("Add", "Hello"), ("Add", "HelloRole")]);
    let told: Vec<&StackEvent> = events.iter().filter(|event| !event.id.is_empty()).collect();
    let mut ids: Vec<&str> = told.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "an event was told twice");
    assert_eq!(told.last().unwrap().status, "CREATE_COMPLETE", "{told:?}");
    assert_eq!(told.last().unwrap().resource, place.name.as_str());

    let (outcome, events) = place.deploy("r2", json!({"Hello": hello(), "Orders": {"Type": "AWS::SQS::Queue"}})).await;
    assert_eq!(outcome.unwrap().release, "r2");
    assert_eq!(place.says().await, "r2");
    let modified = events.iter().filter_map(|event| event.change.as_ref()).find(|change| change.resource == "Hello");
    assert_eq!(modified.unwrap().action, "Modify");
    assert!(events.iter().all(|event| event.status != "CREATE_COMPLETE"), "events of the deploy before: {events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_016_a_failed_update_names_its_cause_and_keeps_the_version_before() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    place.deploy("r1", json!({"Hello": hello()})).await.0.unwrap();
    let (outcome, events) = place.deploy("r2", json!({"Hello": hello(), "Broken": impossible()})).await;
    let text = refusal(outcome);
    assert!(text.contains("UPDATE_ROLLBACK_COMPLETE") && text.contains("Broken (AWS::IAM::Policy)"), "{text}");
    assert!(text.contains("the version before it serves"), "{text}");
    assert!(events.iter().any(|event| event.status == "UPDATE_ROLLBACK_COMPLETE"));
    assert_eq!(place.says().await, "r1");
    assert_eq!(place.stacks.describe(&place.name).await.unwrap().unwrap().status, StackStatus::Ready);
    // And the next deploy is none the worse for it.
    place.deploy("r3", json!({"Hello": hello()})).await.0.unwrap();
    assert_eq!(place.says().await, "r3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_first_deploy_left_is_deleted_before_the_next() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let (outcome, _) = place.deploy("r1", json!({"Hello": hello(), "Broken": impossible()})).await;
    let text = refusal(outcome);
    assert!(text.contains("ROLLBACK_COMPLETE") && text.contains("nothing serves"), "{text}");
    let (outcome, events) = place.deploy("r2", json!({"Hello": hello()})).await;
    assert_eq!(outcome.unwrap().release, "r2");
    assert!(events.iter().any(|event| event.status == "NOTE" && event.reason.as_ref().unwrap().contains("deleted")));
    assert_eq!(place.says().await, "r2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_again_goes_on_and_repeats_nothing() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let what = place.what("r1", json!({"Hello": hello()})).await;
    let (first, events) = deploy(place.stacks.as_ref(), what.clone()).await;
    first.unwrap();
    let told = events.iter().rev().find(|event| !event.id.is_empty()).unwrap().id.clone();
    let again = DeployStack { run: DeployRun { told: Some(told), ..what.run.clone() }, ..what.clone() };
    let (second, events) = deploy(place.stacks.as_ref(), again).await;
    assert_eq!(second.unwrap().release, "r1");
    assert!(events.iter().all(|event| event.change.is_none() && event.id.is_empty()), "told again: {events:?}");
    // A token that is no name is refused before anything is called.
    let odd = DeployStack { run: DeployRun { token: "a/b".into(), ..DeployRun::default() }, ..what };
    refusal(deploy(place.stacks.as_ref(), odd).await.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expanded_template_that_is_refused_changes_nothing() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let looked = Arc::new(AtomicUsize::new(0));
    let seen = looked.clone();
    let inspect = Inspect::by(Arc::new(move |template: &Value| {
        seen.fetch_add(1, Ordering::SeqCst);
        // SAM has made a role of its own, and the code is in the platform's bucket.
        assert_eq!(template["Resources"]["HelloRole"]["Type"], "AWS::IAM::Role");
        assert!(template["Resources"]["Hello"]["Properties"]["Code"]["S3Bucket"].is_string());
        Err("HelloRole: refused".into())
    }));
    let mut what = place.what("r1", json!({"Hello": hello()})).await;
    what.run.inspect = inspect;
    let (outcome, events) = deploy(place.stacks.as_ref(), what).await;
    assert_eq!(refusal(outcome), "HelloRole: refused");
    assert_eq!(looked.load(Ordering::SeqCst), 1);
    assert!(events.is_empty(), "{events:?}");
    assert!(place.stacks.describe(&place.name).await.unwrap().is_none(), "an empty stack was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_none_is_refused_in_cloudformations_words() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let odd = json!({"Hello": hello(), "Odd": {"Type": "AWS::No::Such"}});
    let text = refusal(place.deploy("r1", odd).await.0);
    assert!(text.contains("AWS::No::Such"), "{text}");
    let what = place.what("r2", json!({})).await;
    assert!(refusal(deploy(place.stacks.as_ref(), what).await.0).contains("no resource `Hello`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_template_goes_by_its_place_in_the_bucket() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let mut what = place.what("r1", json!({"Hello": hello()})).await;
    what.template["Metadata"] = json!({"Notes": "n".repeat(60_000)});
    deploy(place.stacks.as_ref(), what).await.0.unwrap();
    assert_eq!(place.says().await, "r1");
    assert_eq!(place.blobs.list("templates/", None, 10).await.unwrap().blobs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_of_a_large_stack_is_listed() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    let mut resources = json!({"Hello": hello()});
    for n in 0..120 {
        resources[format!("Queue{n}")] = json!({"Type": "AWS::SQS::Queue"});
    }
    let stack = place.deploy("r1", resources).await.0.unwrap();
    assert_eq!(stack.resources.len(), 122);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stack_is_gone_and_deleting_it_again_succeeds() {
    let place = place(Emulator::shared_ministack().endpoint()).await;
    place.deploy("r1", json!({"Hello": hello()})).await.0.unwrap();
    place.stacks.delete(&place.name).await.unwrap();
    assert!(place.stacks.describe(&place.name).await.unwrap().is_none());
    place.stacks.delete(&place.name).await.unwrap();
    place.stacks.cancel(&place.name, "r1").await.unwrap();
    let call = Invoke { stack: place.name.clone(), function: "Hello".into(), payload: "{}".into() };
    assert!(matches!(place.stacks.invoke(call).await, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_and_lost_answers_neither_fail_nor_double_a_deploy() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let throttled = || error(400, "Throttling", "Rate exceeded");
    proxy.inject(Rule::new(throttled()).when(|call| is(call, "DescribeStacks")).times(2));
    proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| is(call, "CreateChangeSet")));
    proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| is(call, "ExecuteChangeSet")));
    proxy.inject(Rule::new(throttled()).when(|call| is(call, "DescribeStackEvents")));
    let (outcome, events) = place.deploy("r1", json!({"Hello": hello()})).await;
    assert_eq!(outcome.unwrap().release, "r1");
    let done = events.iter().filter(|event| event.status == "CREATE_COMPLETE" && event.resource == "Hello").count();
    assert_eq!(done, 1, "{events:?}");
    assert!(proxy.calls(|call| is(call, "CreateChangeSet")) >= 2, "the lost call was not made again");
    assert_eq!(place.says().await, "r1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_empty_is_named_with_what_to_do() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    place.deploy("r1", json!({"Hello": hello()})).await.0.unwrap();
    // The emulator deletes buckets with what is in them: these are CloudFormation's answers.
    let stack = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>x</StackName>\
        <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>DELETE_FAILED</StackStatus></member></Stacks>\
        </DescribeStacksResult></DescribeStacksResponse>";
    let resources = "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries><member>\
        <LogicalResourceId>Pictures</LogicalResourceId><PhysicalResourceId>pictures-1</PhysicalResourceId>\
        <ResourceType>AWS::S3::Bucket</ResourceType><LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp>\
        <ResourceStatus>DELETE_FAILED</ResourceStatus><ResourceStatusReason>The bucket you tried to delete is not \
        empty</ResourceStatusReason></member></StackResourceSummaries></ListStackResourcesResult>\
        </ListStackResourcesResponse>";
    let answer = |body: &'static str| WireFault::Answer {
        status: 200,
        headers: vec![("content-type".into(), "text/xml".into())],
        body: body.into(),
    };
    proxy.inject(Rule::new(answer(stack)).when(|call| is(call, "DescribeStacks")).nth(2).always());
    proxy.inject(Rule::new(answer(resources)).when(|call| is(call, "ListStackResources")).always());
    match place.stacks.delete(&place.name).await {
        Err(Error::Invalid(text)) => {
            assert!(
                text.contains("Pictures (AWS::S3::Bucket)") && text.contains("empty the bucket pictures-1"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_stack_is_refused_with_the_way_out() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let stack = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>x</StackName>\
        <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>UPDATE_ROLLBACK_FAILED</StackStatus></member>\
        </Stacks></DescribeStacksResult></DescribeStacksResponse>";
    let headers = vec![("content-type".into(), "text/xml".into())];
    let answer = WireFault::Answer { status: 200, headers, body: stack.into() };
    proxy.inject(Rule::new(answer).when(|call| is(call, "DescribeStacks")).always());
    let text = refusal(place.deploy("r1", json!({"Hello": hello()})).await.0);
    assert!(text.contains("continue-update-rollback") && text.contains("UPDATE_ROLLBACK_FAILED"), "{text}");
    assert_eq!(proxy.calls(|call| is(call, "CreateChangeSet")), 0);
}

fn target(bucket: &str) -> StackTarget {
    StackTarget {
        name: "customer".into(),
        role_arn: "arn:aws:iam::123456789012:role/workroom-deploy".into(),
        external_id: "workroom-0123456789".into(),
        region: "eu-central-1".into(),
        boundary: "arn:aws:iam::123456789012:policy/apps".into(),
        bucket: bucket.into(),
        session_tags: [("project".to_owned(), "shop".to_owned()), ("environment".to_owned(), "dev".to_owned())].into(),
    }
}

/// A bucket in the target's account, which only its role can make.
async fn their_bucket(endpoint: &str) -> StackTarget {
    let target = target(&fresh("customer"));
    let sts = aws_sdk_sts::Client::new(aws(endpoint).config());
    let role = sts.assume_role().role_arn(&target.role_arn).role_session_name("setup").send().await.unwrap();
    let keys = role.credentials().unwrap();
    let (key, secret, token) = (keys.access_key_id(), keys.secret_access_key(), keys.session_token().to_owned());
    let keys = aws_sdk_s3::config::Credentials::new(key, secret, Some(token), None, "setup");
    let config = config_as(endpoint, &target.region, keys);
    let client =
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::EuCentral1)
        .build();
    client.create_bucket().bucket(&target.bucket).create_bucket_configuration(place).send().await.unwrap();
    target
}

/// The access key that signed a call.
fn signer(call: &WireCall) -> String {
    let header = call.header("authorization").unwrap_or_default();
    header.split("Credential=").nth(1).unwrap_or_default().split('/').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_deployed_to_as_its_role_with_copied_packages() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let target = their_bucket(emulator.endpoint()).await;
    let stacks = place.stacks.at(&target).unwrap();
    let rules = stacks.rules(&place.name).unwrap();
    assert_eq!((&rules.boundary, &rules.bucket), (&target.boundary, &target.bucket));
    let what = place.what("r1", json!({"Hello": hello()})).await;
    let packages = what.packages.clone();
    deploy(stacks.as_ref(), what).await.0.unwrap();

    let seen = proxy.seen();
    let assumed: Vec<&WireCall> = seen.iter().filter(|call| is(call, "AssumeRole")).collect();
    assert_eq!(assumed.len(), 1, "one session serves a deploy");
    let body = String::from_utf8_lossy(&assumed[0].body).into_owned();
    for part in ["ExternalId=workroom-0123456789", "RoleSessionName=workroom-shop-dev", "Tags.member.1.Key=environment"]
    {
        assert!(body.contains(part), "{part} in {body}");
    }
    for action in ["CreateChangeSet", "ExecuteChangeSet", "DescribeStacks", "DescribeStackEvents"] {
        let calls: Vec<&WireCall> = seen.iter().filter(|call| is(call, action)).collect();
        assert!(
            !calls.is_empty() && calls.iter().all(|call| signer(call) != "test"),
            "{action} as the platform itself"
        );
        assert!(calls.iter().all(|call| call.header("authorization").unwrap().contains("/eu-central-1/")), "{action}");
    }
    let copied = |call: &&WireCall| call.method == "PUT" && call.target.contains(&format!("/{}/", target.bucket));
    let copies: Vec<&WireCall> = seen.iter().filter(copied).collect();
    assert!(copies.len() == packages.len() && copies.iter().all(|call| signer(call) != "test"), "{copies:?}");
    assert!(
        place.stacks.describe(&place.name).await.unwrap().is_none(),
        "the platform's own account has no such stack"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_is_renewed_within_a_deploy() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let stacks = place.stacks.at(&their_bucket(emulator.endpoint()).await).unwrap();
    let expired = || error(403, "ExpiredToken", "The security token included in the request is expired");
    proxy.inject(Rule::new(expired()).when(|call| is(call, "ExecuteChangeSet")));
    proxy.inject(Rule::new(expired()).when(|call| is(call, "DescribeStackEvents")));
    deploy(stacks.as_ref(), place.what("r1", json!({"Hello": hello()})).await).await.0.unwrap();
    assert_eq!(proxy.calls(|call| is(call, "AssumeRole")), 3);
    let executed: Vec<String> = proxy.seen().iter().filter(|call| is(call, "ExecuteChangeSet")).map(signer).collect();
    assert!(executed.len() == 2 && executed[0] != executed[1], "{executed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_assumed_is_named_with_what_to_mend() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    proxy.inject(
        Rule::new(error(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole"))
            .when(|call| is(call, "AssumeRole"))
            .always(),
    );
    let target = target("theirs");
    let stacks = place.stacks.at(&target).unwrap();
    let text = refusal(deploy(stacks.as_ref(), place.what("r1", json!({"Hello": hello()})).await).await.0);
    for part in ["`customer`", &target.role_arn, "sts:TagSession", &target.external_id, "not authorized"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(proxy.calls(|call| is(call, "CreateChangeSet")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_lacks_a_permission_is_named() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    proxy.inject(
        Rule::new(error(403, "AccessDenied", "not authorized to perform: cloudformation:CreateChangeSet"))
            .when(|call| is(call, "CreateChangeSet"))
            .always(),
    );
    let stacks = place.stacks.at(&their_bucket(emulator.endpoint()).await).unwrap();
    let text = refusal(deploy(stacks.as_ref(), place.what("r1", json!({"Hello": hello()})).await).await.0);
    assert!(text.contains("`customer`") && text.contains("cloudformation:CreateChangeSet"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_of_sts_takes_the_session_as_it_is_asked_for() {
    // moto checks the parameters of AssumeRole: names, tags, duration, the size of the policy.
    let place = place(Emulator::shared_moto().endpoint()).await;
    let keys = place.stacks.credentials(&place.name, Duration::from_secs(3_600)).await.unwrap();
    assert!(keys.access_key_id.starts_with("ASIA") && keys.session_token.is_some(), "{keys:?}");
    let stacks = place.stacks.at(&target(&place.bucket)).unwrap();
    assert!(stacks.describe(&place.name).await.unwrap().is_none());
}

fn answer(body: String) -> WireFault {
    WireFault::Answer { status: 200, headers: vec![("content-type".into(), "text/xml".into())], body: body.into() }
}

/// CloudFormation's word on a stack.
fn standing(status: &str) -> WireFault {
    answer(format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>x</StackName>\
         <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>{status}</StackStatus></member></Stacks>\
         </DescribeStacksResult></DescribeStacksResponse>"
    ))
}

/// A page of events, newest first: id, token, whether it is the stack's own, state.
fn events(page: &[(&str, &str, bool, &str)], next: Option<&str>) -> WireFault {
    let event = |(id, token, of_stack, status): &(&str, &str, bool, &str)| {
        let (resource, kind, physical) = match of_stack {
            true => ("workroom-app-x", "AWS::CloudFormation::Stack", "the-stack"),
            false => ("Hello", "AWS::Lambda::Function", "a-function"),
        };
        format!(
            "<member><StackId>the-stack</StackId><StackName>workroom-app-x</StackName><EventId>{id}</EventId>\
             <LogicalResourceId>{resource}</LogicalResourceId><ResourceType>{kind}</ResourceType>\
             <PhysicalResourceId>{physical}</PhysicalResourceId><Timestamp>2026-01-01T00:00:00Z</Timestamp>\
             <ResourceStatus>{status}</ResourceStatus><ClientRequestToken>{token}</ClientRequestToken></member>"
        )
    };
    let all: String = page.iter().map(event).collect();
    let next = next.map(|next| format!("<NextToken>{next}</NextToken>")).unwrap_or_default();
    answer(format!(
        "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents>{all}</StackEvents>{next}\
         </DescribeStackEventsResult></DescribeStackEventsResponse>"
    ))
}

fn asks_for_events(call: &WireCall, page: Option<&str>) -> bool {
    let body = String::from_utf8_lossy(&call.body).into_owned();
    is(call, "DescribeStackEvents") && page.map_or(!body.contains("NextToken"), |page| body.contains(page))
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_several_pages_are_told_in_order_down_to_the_deploys_first() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let first = events(&[("e4", "r1", true, "CREATE_COMPLETE"), ("e3", "r1", false, "CREATE_COMPLETE")], Some("page2"));
    let second = events(
        &[
            ("e2", "r1", false, "CREATE_IN_PROGRESS"),
            ("e1", "r1", true, "CREATE_IN_PROGRESS"),
            ("e0", "before", true, "DELETE_COMPLETE"),
        ],
        Some("page3"),
    );
    proxy.inject(Rule::new(first).when(|call| asks_for_events(call, None)).always());
    proxy.inject(Rule::new(second).when(|call| asks_for_events(call, Some("page2"))).always());
    let ids = |events: &[StackEvent]| -> Vec<String> {
        events.iter().filter(|event| !event.id.is_empty()).map(|event| event.id.clone()).collect()
    };
    let (outcome, told) = place.deploy("r1", json!({"Hello": hello()})).await;
    outcome.unwrap();
    assert_eq!(ids(&told), ["e1", "e2", "e3", "e4"]);
    assert_eq!(proxy.calls(|call| asks_for_events(call, Some("page3"))), 0, "older pages are another deploy's");
    // Whoever goes on tells only what is new.
    let mut again = place.what("r1", json!({"Hello": hello()})).await;
    again.run.told = Some("e2".into());
    let (outcome, told) = deploy(place.stacks.as_ref(), again).await;
    outcome.unwrap();
    assert_eq!(ids(&told), ["e3", "e4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_deploy_is_stopped_by_its_token_alone() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let newest = || events(&[("e1", "r1", true, "UPDATE_IN_PROGRESS")], None);
    let done = || answer("<CancelUpdateStackResponse/>".into());
    for (status, token, cancelled, deleted) in [
        ("UPDATE_IN_PROGRESS", "r1", 1, 0),
        ("UPDATE_IN_PROGRESS", "r2", 0, 0),
        ("CREATE_IN_PROGRESS", "r1", 0, 1),
        ("UPDATE_COMPLETE", "r1", 0, 0),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "r1", 0, 0),
    ] {
        proxy.heal();
        proxy.inject(Rule::new(standing(status)).when(|call| is(call, "DescribeStacks")).always());
        proxy.inject(Rule::new(newest()).when(|call| is(call, "DescribeStackEvents")).always());
        proxy.inject(Rule::new(done()).when(|call| is(call, "CancelUpdateStack")).always());
        place.stacks.cancel(&place.name, token).await.unwrap();
        let called = |action: &str| proxy.calls(|call| is(call, action));
        assert_eq!((called("CancelUpdateStack"), called("DeleteStack")), (cancelled, deleted), "{status} {token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_change_that_still_runs_is_waited_for() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    place.deploy("r1", json!({"Hello": hello()})).await.0.unwrap();
    proxy.inject(Rule::new(standing("UPDATE_ROLLBACK_IN_PROGRESS")).when(|call| is(call, "DescribeStacks")).times(4));
    let (outcome, events) = place.deploy("r2", json!({"Hello": hello()})).await;
    assert_eq!(outcome.unwrap().release, "r2");
    assert!(events.iter().any(|event| event.reason.as_deref().is_some_and(|reason| reason.contains("still running"))));
    assert_eq!(place.says().await, "r2");
}
