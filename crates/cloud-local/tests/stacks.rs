//! Stacks with real functions: deployed, invoked, crashed, timed out, replaced and brought back.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::Queue;
use cloud::{
    BlobKey, Blobs, DeployStack, Error, Invocation, Invoke, LogQuery, Logs, PutOptions, SendMessage, Stack, StackName,
    Stacks, SystemClock, SystemEntropy,
};
use cloud_local::access_keys::{AccessKeys, AccessKeysSettings, Scope};
use cloud_local::wire::{DynamoDb, DynamoDbSettings, Queues, WireSettings, serve};
use cloud_local::{LocalStacks, LocalStacksSettings, Store, StoreSettings};
use sandbox::{Allowed, Sandbox, SandboxSettings};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

struct Machine {
    store: Store,
    stacks: LocalStacks,
    data: PathBuf,
    allowed: Allowed,
    stop: CancellationToken,
    endpoint: tokio::task::JoinHandle<cloud::Result<()>>,
}

impl Machine {
    async fn new(data: &std::path::Path) -> Self {
        Self::with(data, Allowed::default()).await
    }

    async fn with(data: &std::path::Path, allowed: Allowed) -> Self {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let settings = StoreSettings { data: data.to_owned(), clock: clock.clone(), entropy: entropy.clone() };
        let store = Store::open(settings).unwrap();
        store.ensure_bucket("artifacts").await.unwrap();
        let keys = AccessKeys::open(AccessKeysSettings {
            parameters: Arc::new(store.parameters()),
            clock: clock.clone(),
            entropy: entropy.clone(),
            region: "eu-central-1".into(),
            endpoint: None,
        });
        let keys = keys.await.unwrap();
        let sandbox = Sandbox::detect(SandboxSettings {
            init_program: env!("CARGO_BIN_EXE_cloud-local-init").into(),
            hidden: vec![data.to_owned()],
            allowed,
            ..SandboxSettings::default()
        });
        let stacks = LocalStacks::open(LocalStacksSettings {
            store: store.clone(),
            sandbox,
            artifacts: Arc::new(store.blobs("artifacts")),
            work: data.join("work"),
            site_host: "localhost:4000".into(),
            endpoint: "http://127.0.0.1:4001".into(),
            endpoint_port: 4001,
            endpoint_socket: data.join("endpoint.sock"),
            keys: keys.clone(),
            dynamodb: None,
            search_path: std::env::var("PATH").unwrap(),
            clock: clock.clone(),
            entropy,
        });
        let stacks = stacks.await.unwrap();
        let stop = CancellationToken::new();
        let settings = WireSettings {
            store: store.clone(),
            keys,
            clock,
            stacks: Arc::new(stacks.clone()),
            dynamodb: DynamoDb::new(DynamoDbSettings {
                program: data.join("none"),
                data: data.join("dynamodb"),
                region: "eu-central-1".into(),
            }),
            emulator: None,
            endpoint: "http://127.0.0.1:4001".into(),
            origins: vec![],
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = tokio::spawn(serve(listener, Some(data.join("endpoint.sock")), settings, stop.clone()));
        Self { stacks, store, data: data.to_owned(), allowed, stop, endpoint }
    }

    async fn restart(self) -> Self {
        let Self { store, stacks, data, allowed, stop, endpoint } = self;
        stop.cancel();
        endpoint.await.unwrap().unwrap();
        drop((store, stacks));
        // Tasks of the old one let go of the store as they end.
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if std::fs::File::open(data.join("lock")).is_ok_and(|file| file.try_lock().is_ok()) {
                break;
            }
        }
        Self::with(&data, allowed).await
    }

    async fn package(&self, files: &[(&str, &str)]) -> BlobKey {
        let bytes = zipped(files);
        let key = BlobKey::parse(format!("{}.zip", cloud::Sha256Digest::of(&bytes))).unwrap();
        self.store.blobs("artifacts").put(&key, bytes, PutOptions::default()).await.unwrap();
        key
    }

    async fn deploy(&self, template: Value, packages: &[(&str, &[(&str, &str)])]) -> Result<Stack, Error> {
        let mut keys = BTreeMap::new();
        for (id, files) in packages {
            keys.insert((*id).to_owned(), self.package(files).await);
        }
        let what = DeployStack {
            name: name(),
            host_label: "dev--shop".into(),
            release: "r1".into(),
            template,
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
            site: keys.remove("site"),
            run: Default::default(),
            packages: keys,
        };
        let (events, _) = futures::channel::mpsc::unbounded();
        self.stacks.deploy(what, events).await
    }

    async fn invoke(&self, function: &str, event: Value) -> Invocation {
        let payload = event.to_string().into();
        self.stacks.invoke(Invoke { stack: name(), function: function.into(), payload }).await.unwrap()
    }

    async fn answer(&self, function: &str, event: Value) -> Value {
        let done = self.invoke(function, event).await;
        assert_eq!(done.function_error, None, "{} {}", String::from_utf8_lossy(&done.payload), done.log_tail);
        serde_json::from_slice(&done.payload).unwrap()
    }

    /// The log of a function, once it holds `wanted`.
    async fn log(&self, group: &str, wanted: &str) -> String {
        let logs = self.store.logs_in("stack/shop-dev");
        for _ in 0..200 {
            let query = LogQuery {
                group: group.into(),
                stream: None,
                start: None,
                cursor: None,
                limit: 1000,
                wait: Duration::ZERO,
            };
            let page = logs.read(query).await.unwrap();
            let text: Vec<String> = page.records.into_iter().map(|record| record.message).collect();
            let text = text.join("\n");
            if text.contains(wanted) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the log of {group} never had {wanted}");
    }
}

fn name() -> StackName {
    StackName::parse("shop-dev").unwrap()
}

fn zipped(files: &[(&str, &str)]) -> Bytes {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        let mode = if *name == "bootstrap" { 0o755 } else { 0o644 };
        zip.start_file(*name, zip::write::SimpleFileOptions::default().unix_permissions(mode)).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

fn function(runtime: &str, handler: &str) -> Value {
    json!({"Type": "AWS::Serverless::Function", "Properties": {
        "CodeUri": "src/", "Runtime": runtime, "Handler": handler, "Timeout": 5, "MemorySize": 256}})
}

fn template(resources: Value) -> Value {
    json!({"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::Serverless-2016-10-31", "Resources": resources})
}

const PYTHON: &str = r#"
import json, os, sys, time
count = 0
def handler(event, context):
    global count
    count += 1
    print("hello from python", count)
    kind = event.get("do")
    if kind == "raise":
        raise KeyError("missing")
    if kind == "exit":
        os._exit(3)
    if kind == "sleep":
        time.sleep(event["seconds"])
    if kind == "big":
        return "x" * event["size"]
    if kind == "hog":
        return len(bytearray(700 * 1024 * 1024))
    if kind == "env":
        return dict(os.environ)
    if kind == "read":
        try:
            return open(event["path"]).read()
        except OSError as error:
            return type(error).__name__
    return {"count": count, "event": event, "left": context.get_remaining_time_in_millis(), "pid": os.getpid(),
            "name": context.function_name, "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn}
"#;

const NODE: &str = r#"
let count = 0;
exports.handler = async (event, context) => {
  count += 1;
  console.log('hello from node', count);
  if (event.do === 'throw') throw new TypeError('no such thing');
  if (event.do === 'reject') { Promise.reject(new Error('left alone')); await new Promise(() => setTimeout(() => {}, 4000)); }
  return { count, event, node: process.versions.node, name: context.functionName };
};
exports.callback = (event, context, done) => { setTimeout(() => done(null, { called: back(event) }), 5); };
const back = (event) => event.x;
exports.stream = awslambda.streamifyResponse(async (event, stream, context) => {
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' } });
  for (let i = 0; i < event.pieces; i += 1) stream.write(`piece ${i}\n`);
  stream.end();
});
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_function_answers_and_its_log_has_the_figures() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let stack = machine
        .deploy(template(json!({"Hello": function("python3.12", "app.handler")})), &[("Hello", &[("app.py", PYTHON)])])
        .await
        .unwrap();
    assert_eq!(stack.functions[0].log_group, "/aws/lambda/shop-dev-Hello");
    let note = stack.functions[0].note.clone().unwrap();
    assert!(note.contains("boto3"), "{note}");

    let cold = machine.invoke("Hello", json!({"a": [1, "ü"]})).await;
    let answer: Value = serde_json::from_slice(&cold.payload).unwrap();
    assert_eq!(answer["event"], json!({"a": [1, "ü"]}));
    assert_eq!((answer["name"].as_str(), answer["memory"].as_str()), (Some("shop-dev-Hello"), Some("256")));
    assert!(
        answer["left"].as_u64().unwrap() <= 5000
            && answer["arn"].as_str().unwrap().ends_with("function:shop-dev-Hello")
    );
    let report = cold.report.unwrap();
    assert!(report.init_duration_ms.is_some() && report.billed_duration_ms >= 1 && report.max_memory_used_mb >= 1);
    assert!(
        cold.log_tail.starts_with("START RequestId: ") && cold.log_tail.contains("hello from python 1\nEND"),
        "{}",
        cold.log_tail
    );

    let warm = machine.invoke("shop-dev-Hello", json!({})).await;
    assert_eq!(serde_json::from_slice::<Value>(&warm.payload).unwrap()["count"], 2, "the instance is used again");
    assert_eq!(warm.report.unwrap().init_duration_ms, None);

    let log = machine.log("/aws/lambda/shop-dev-Hello", "hello from python 2").await;
    let order = ["START RequestId", "hello from python 1", "END RequestId", "REPORT RequestId", "hello from python 2"];
    let places: Vec<usize> = order.iter().map(|text| log.find(text).unwrap()).collect();
    assert!(places.is_sorted(), "{log}");
    let streams =
        machine.store.logs_in("stack/shop-dev").streams("/aws/lambda/shop-dev-Hello", None, 10).await.unwrap();
    assert!(streams.len() == 1 && streams[0].name.contains("/[$LATEST]"), "{streams:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_crashes_and_timeouts_are_told_and_the_next_event_is_answered() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let mut hello = function("python3.11", "app.handler");
    hello["Properties"]["Timeout"] = 2.into();
    machine.deploy(template(json!({"Hello": hello})), &[("Hello", &[("app.py", PYTHON)])]).await.unwrap();

    let raised = machine.invoke("Hello", json!({"do": "raise"})).await;
    let error: Value = serde_json::from_slice(&raised.payload).unwrap();
    assert_eq!((raised.function_error.as_deref(), error["errorType"].as_str()), (Some("Unhandled"), Some("KeyError")));
    assert!(
        error["stackTrace"][0].as_str().unwrap().contains("app.py") && raised.log_tail.contains("[ERROR] KeyError")
    );
    assert_eq!(machine.answer("Hello", json!({})).await["count"], 2, "an exception keeps the instance");

    let crashed = machine.invoke("Hello", json!({"do": "exit"})).await;
    let error: Value = serde_json::from_slice(&crashed.payload).unwrap();
    assert_eq!(error["errorType"], "Runtime.ExitError");
    assert!(error["errorMessage"].as_str().unwrap().ends_with("exit status 3"), "{error}");
    assert_eq!(machine.answer("Hello", json!({})).await["count"], 1, "a crash starts a new instance");

    let late = machine.invoke("Hello", json!({"do": "sleep", "seconds": 30})).await;
    assert!(String::from_utf8_lossy(&late.payload).contains("Task timed out after 2.00 seconds"));
    assert!(late.log_tail.contains("Status: timeout") && late.report.unwrap().duration_ms >= 2000.0);
    assert_eq!(machine.answer("Hello", json!({})).await["count"], 1);

    let hog = machine.invoke("Hello", json!({"do": "hog"})).await;
    assert!(String::from_utf8_lossy(&hog.payload).contains("signal: killed"), "{:?}", hog.payload);
    assert_eq!(machine.answer("Hello", json!({})).await["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_handlers_of_every_form_answer() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let resources = json!({"Async": function("nodejs20.x", "index.handler"), "Callback": function("nodejs22.x", "index.callback"),
        "Stream": function("nodejs20.x", "index.stream"), "Module": function("nodejs20.x", "lib/app.handler")});
    let module = "import { x } from './x.mjs';\nexport const handler = async () => x;";
    let stack = machine
        .deploy(
            template(resources),
            &[
                ("Async", &[("index.js", NODE)]),
                ("Callback", &[("index.js", NODE)]),
                ("Stream", &[("index.js", NODE)]),
                ("Module", &[("lib/app.mjs", module), ("lib/x.mjs", "export const x = [1];")]),
            ],
        )
        .await
        .unwrap();
    assert!(stack.functions.iter().any(|f| f.note.as_ref().is_some_and(|note| note.contains("nodejs22.x runs on"))));
    let answer = machine.answer("Async", json!({"x": 1})).await;
    assert_eq!((answer["count"].as_u64(), &answer["event"]["x"]), (Some(1), &json!(1)));
    assert_eq!(machine.answer("Async", json!({"x": 2})).await["count"], 2);
    assert_eq!(machine.answer("Callback", json!({"x": 7})).await, json!({"called": 7}));
    assert_eq!(machine.answer("Callback", json!({"x": 8})).await, json!({"called": 8}));
    assert_eq!(machine.answer("Module", json!({})).await, json!([1]));

    let thrown = machine.invoke("Async", json!({"do": "throw"})).await;
    let error: Value = serde_json::from_slice(&thrown.payload).unwrap();
    assert_eq!(
        (error["errorType"].as_str(), error["errorMessage"].as_str()),
        (Some("TypeError"), Some("no such thing"))
    );
    let log = machine.log("/aws/lambda/shop-dev-Async", "hello from node 1").await;
    assert!(log.contains("\tINFO\thello from node 1"), "{log}");
    let rejected = machine.invoke("Async", json!({"do": "reject"})).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&rejected.payload).unwrap()["errorType"],
        "Runtime.UnhandledPromiseRejection"
    );
    assert_eq!(machine.answer("Async", json!({})).await["count"], 1);

    let site = machine.stacks.site("dev--shop").unwrap();
    let mut streamed = site.invoke_streamed("Stream", r#"{"pieces":3}"#.into()).unwrap();
    let mut body = Vec::new();
    while let Some(piece) = streamed.body.recv().await {
        body.extend_from_slice(&piece);
    }
    let done = streamed.done.await.unwrap().unwrap();
    let end = body.windows(8).position(|window| window == [0; 8]);
    let end = end.unwrap_or_else(|| panic!("no prelude in {:?}: {done:?}", String::from_utf8_lossy(&body)));
    let prelude: Value = serde_json::from_slice(&body[..end]).unwrap();
    assert_eq!((done.function_error, prelude["statusCode"].as_u64()), (None, Some(201)));
    assert_eq!(&body[end + 8..], b"piece 0\npiece 1\npiece 2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_cannot_start_says_why() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let resources = json!({"Missing": function("python3.11", "nothere.handler"), "Syntax": function("nodejs20.x", "index.handler"),
        "Exits": function("provided.al2023", "x")});
    let packages: [(&str, &[(&str, &str)]); 3] = [
        ("Missing", &[("app.py", PYTHON)]),
        ("Syntax", &[("index.js", "exports.handler = async ( => 1;")]),
        ("Exits", &[("bootstrap", "#!/bin/sh\necho going\nexit 4\n")]),
    ];
    machine.deploy(template(resources), &packages).await.unwrap();
    for (function, wanted) in [
        ("Missing", "Runtime.ImportModuleError"),
        ("Syntax", "Runtime.UserCodeSyntaxError"),
        ("Exits", "exit status 4"),
    ] {
        let failed = machine.invoke(function, json!({})).await;
        let payload = String::from_utf8_lossy(&failed.payload).into_owned();
        assert!(
            failed.function_error.is_some() && payload.contains(wanted),
            "{function}: {payload}\n{}",
            failed.log_tail
        );
        assert!(failed.log_tail.contains("REPORT RequestId"), "{}", failed.log_tail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_of_its_own_speaks_the_runtime_api() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let bootstrap = "#!/bin/sh\nset -u\nwhile true; do\n  H=$(mktemp)\n  EVENT=$(curl -sS -D $H http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next)\n  \
        ID=$(grep -i Lambda-Runtime-Aws-Request-Id $H | tr -d '\\r' | cut -d' ' -f2)\n  \
        curl -sS -o /dev/null -X POST http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$ID/response -d \"{\\\"got\\\":$EVENT,\\\"cwd\\\":\\\"$PWD\\\"}\"\ndone\n";
    machine
        .deploy(template(json!({"Own": function("provided.al2023", "x")})), &[("Own", &[("bootstrap", bootstrap)])])
        .await
        .unwrap();
    assert_eq!(machine.answer("Own", json!({"a": 1})).await, json!({"got": {"a": 1}, "cwd": "/var/task"}));
    assert_eq!(machine.answer("Own", json!({"a": 2})).await["got"]["a"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_at_once_run_on_several_instances_and_limits_of_size_hold() {
    let data = tempfile::tempdir().unwrap();
    let machine = Arc::new(Machine::new(data.path()).await);
    machine
        .deploy(template(json!({"Hello": function("python3.11", "app.handler")})), &[("Hello", &[("app.py", PYTHON)])])
        .await
        .unwrap();
    let mut running = tokio::task::JoinSet::new();
    for n in 0..4 {
        let machine = machine.clone();
        running.spawn(async move { machine.answer("Hello", json!({"do": "sleep", "seconds": 1, "n": n})).await });
    }
    let mut pieces: Vec<u64> =
        running.join_all().await.iter().map(|answer| answer["event"]["n"].as_u64().unwrap()).collect();
    pieces.sort_unstable();
    assert_eq!(pieces, [0, 1, 2, 3]);

    let fits = machine.invoke("Hello", json!({"do": "big", "size": 5_000_000})).await;
    assert_eq!(fits.payload.len(), 5_000_002);
    let large = machine.invoke("Hello", json!({"do": "big", "size": 7_000_000})).await;
    assert!(
        String::from_utf8_lossy(&large.payload).contains("Function.ResponseSizeTooLarge"),
        "{:?}",
        large.function_error
    );
    let payload = Bytes::from(format!("\"{}\"", "x".repeat(7_000_000)));
    let refused = machine.stacks.invoke(Invoke { stack: name(), function: "Hello".into(), payload }).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    let payload = Bytes::from_static(b"{not json");
    let refused = machine.stacks.invoke(Invoke { stack: name(), function: "Hello".into(), payload }).await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_its_own_variables_and_not_the_platform() {
    let data = tempfile::tempdir().unwrap();
    for allowed in
        [Allowed::default(), Allowed { bubblewrap: false, slirp4netns: false, cgroups: false, landlock: true }]
    {
        let data = data.path().join(format!("{}", allowed.bubblewrap));
        let machine = Machine::with(&data, allowed).await;
        let mut hello = function("python3.11", "app.handler");
        hello["Properties"]["Environment"] =
            json!({"Variables": {"STAGE": "dev", "AWS_REGION_X": {"Ref": "AWS::Region"}}});
        machine.deploy(template(json!({"Hello": hello})), &[("Hello", &[("app.py", PYTHON)])]).await.unwrap();
        let env = machine.answer("Hello", json!({"do": "env"})).await;
        assert_eq!(
            (&env["STAGE"], &env["AWS_REGION"], &env["AWS_REGION_X"]),
            (&json!("dev"), &json!("eu-central-1"), &json!("eu-central-1"))
        );
        assert!(env["AWS_ACCESS_KEY_ID"].as_str().unwrap().starts_with("ASIA"));
        assert_eq!(env["CARGO_MANIFEST_DIR"], Value::Null);
        for path in [data.join("workroom.db"), data.join("key")] {
            assert!(path.exists());
            let read = machine.answer("Hello", json!({"do": "read", "path": path.display().to_string()})).await;
            assert!(read == "FileNotFoundError" || read == "PermissionError", "{read}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_over_while_the_old_one_finishes_and_both_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let resources = template(json!({"Hello": function("python3.11", "app.handler")}));
    let version = |n: u32| format!("import time\ndef handler(e, c):\n    time.sleep(e.get('s', 0))\n    return {n}\n");
    machine.deploy(resources.clone(), &[("Hello", &[("app.py", &version(1))])]).await.unwrap();
    let old = machine.stacks.site("dev--shop").unwrap();
    let running = tokio::spawn(async move { old.invoke("Hello", r#"{"s":2}"#.into()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    machine
        .deploy(
            resources.clone(),
            &[("Hello", &[("app.py", &version(2))]), ("site", &[("index.html", "<h1>two</h1>")])],
        )
        .await
        .unwrap();
    assert_eq!(machine.answer("Hello", json!({})).await, 2);
    assert_eq!(running.await.unwrap().unwrap().payload, "1", "what began on the old version ends there");

    let broken = machine.deploy(template(json!({"Hello": function("ruby3.3", "app.handler")})), &[]).await;
    assert!(matches!(&broken, Err(Error::Invalid(why)) if why.contains("ruby3.3")), "{broken:?}");
    assert_eq!(machine.answer("Hello", json!({})).await, 2, "a refused deploy leaves the version");

    let machine = machine.restart().await;
    assert_eq!(machine.answer("Hello", json!({})).await, 2);
    let stack = machine.stacks.describe(&name()).await.unwrap().unwrap();
    assert_eq!(stack.url.as_deref(), Some("http://dev--shop.localhost:4000/"));
    let site = machine.stacks.site("dev--shop").unwrap();
    let file = site.file("/").await.unwrap().unwrap();
    assert_eq!((file.status, file.length, file.content_type.as_str()), (200, 12, "text/html; charset=utf-8"));
    assert!(site.file("/no").await.unwrap().is_none() && site.file("/../../../etc/hostname").await.unwrap().is_none());

    drop((site, file));
    machine.stacks.delete(&name()).await.unwrap();
    assert!(machine.stacks.describe(&name()).await.unwrap().is_none() && machine.stacks.site("dev--shop").is_none());
    let machine = machine.restart().await;
    assert!(machine.stacks.describe(&name()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_objects_and_schedules_call_their_functions() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let app = "import json\nseen = set()\ndef queue(event, context):\n    failed = []\n    for r in event['Records']:\n        \
        print('message', r['body'], r['attributes']['ApproximateReceiveCount'], r['eventSourceARN'])\n        \
        if r['body'] == 'bad' and r['attributes']['ApproximateReceiveCount'] == '1':\n            failed.append({'itemIdentifier': r['messageId']})\n    \
        return {'batchItemFailures': failed}\n\
        def objects(event, context):\n    s3 = event['Records'][0]['s3']\n    print('object', event['Records'][0]['eventName'], s3['bucket']['name'], s3['object']['key'], s3['object']['size'])\n\
        def tick(event, context):\n    print('tick', event['source'], event['resources'][0])\n";
    let with = |handler: &str, event: Value| {
        let mut function = function("python3.11", handler);
        function["Properties"]["Events"] = json!({"Source": event});
        function
    };
    let arn = json!({"Fn::GetAtt": ["Jobs", "Arn"]});
    let resources = json!({
        "Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 1}},
        "Uploads": {"Type": "AWS::S3::Bucket"},
        "Worker": with("app.queue", json!({"Type": "SQS", "Properties": {"Queue": arn, "FunctionResponseTypes": ["ReportBatchItemFailures"]}})),
        "Thumbs": with("app.objects", json!({"Type": "S3", "Properties": {"Bucket": {"Ref": "Uploads"}, "Events": "s3:ObjectCreated:*",
            "Filter": {"S3Key": {"Rules": [{"Name": "suffix", "Value": ".jpg"}]}}}})),
        "Tick": with("app.tick", json!({"Type": "Schedule", "Properties": {"Schedule": "rate(1 minute)"}})),
    });
    let files: &[(&str, &str)] = &[("app.py", app)];
    machine.deploy(template(resources), &[("Worker", files), ("Thumbs", files), ("Tick", files)]).await.unwrap();

    let scope = Scope::Stack(name());
    let queue = Queues::new(machine.store.clone()).open(&scope, "shop-dev-Jobs").await.unwrap().unwrap().queue;
    for body in ["good", "bad"] {
        queue.send(SendMessage { body: body.into(), delay: Duration::ZERO }).await.unwrap();
    }
    let log = machine.log("/aws/lambda/shop-dev-Worker", "message bad 2").await;
    assert!(log.contains("message good 1 arn:aws:sqs:eu-central-1:000000000000:shop-dev-Jobs"), "{log}");
    assert!(!log.contains("message good 2"), "only what failed comes again: {log}");

    let bucket = machine.store.blobs(&scope.bucket("shop-dev-uploads"));
    for key in ["a b/ü.txt", "a b/ü.jpg"] {
        bucket.put(&BlobKey::parse(key).unwrap(), Bytes::from_static(b"1234"), PutOptions::default()).await.unwrap();
    }
    let log = machine.log("/aws/lambda/shop-dev-Thumbs", "object").await;
    assert!(
        log.contains("object ObjectCreated:Put shop-dev-uploads a+b/%C3%BC.jpg 4") && !log.contains(".txt"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sandbox_functions_are_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let none = Allowed { bubblewrap: false, landlock: false, slirp4netns: false, cgroups: false };
    let machine = Machine::with(data.path(), none).await;
    let refused = machine
        .deploy(template(json!({"Hello": function("python3.11", "app.handler")})), &[("Hello", &[("app.py", PYTHON)])])
        .await;
    assert!(matches!(&refused, Err(Error::Invalid(why)) if why.contains("landlock")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_would_lose_their_guard_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let mut hello = function("python3.11", "app.handler");
    hello["Properties"]["Events"] =
        json!({"Get": {"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Front"}, "Path": "/", "Method": "get"}}});
    let front = json!({"Type": "AWS::Serverless::HttpApi", "Properties": {"Auth": {"DefaultAuthorizer": "Login", "Authorizers": {"Login": {
        "IdentitySource": "$request.header.Authorization",
        "JwtConfiguration": {"issuer": "https://login.example.com", "audience": ["shop"]}}}}}});
    let refused =
        machine.deploy(template(json!({"Hello": hello, "Front": front})), &[("Hello", &[("app.py", PYTHON)])]).await;
    assert!(matches!(&refused, Err(Error::Invalid(why)) if why.contains("JWT")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_packages_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let mut link = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    link.add_symlink("out", "../../..", zip::write::SimpleFileOptions::default()).unwrap();
    let link: Bytes = link.finish().unwrap().into_inner().into();
    let cases = [zipped(&[("../escape.py", "x")]), zipped(&[("/abs.py", "x")]), link, Bytes::from_static(b"no zip")];
    for (n, bytes) in cases.into_iter().enumerate() {
        let key = BlobKey::parse(format!("hostile-{n}.zip")).unwrap();
        machine.store.blobs("artifacts").put(&key, bytes, PutOptions::default()).await.unwrap();
        let what = DeployStack {
            name: name(),
            host_label: "dev--shop".into(),
            release: "r".into(),
            template: template(json!({"Hello": function("python3.11", "app.handler")})),
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
            packages: BTreeMap::from([("Hello".into(), key)]),
            site: None,
            run: Default::default(),
        };
        let (events, _) = futures::channel::mpsc::unbounded();
        let refused = machine.stacks.deploy(what, events).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "case {n}: {refused:?}");
    }
    assert!(!data.path().join("work/escape.py").exists() && !data.path().join("work/packages/escape.py").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_sdk_of_a_function_finds_its_own_stack() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    let app = "import boto3, os\ndef handler(event, context):\n    s3 = boto3.client('s3')\n    \
               s3.put_object(Bucket=os.environ['BUCKET'], Key='made', Body=b'by boto3')\n    \
               return s3.get_object(Bucket=os.environ['BUCKET'], Key='made')['Body'].read().decode()\n";
    let mut hello = function("python3.11", "app.handler");
    hello["Properties"]["Environment"] = json!({"Variables": {"BUCKET": {"Ref": "Uploads"}}});
    let resources = template(json!({"Hello": hello, "Uploads": {"Type": "AWS::S3::Bucket"}}));
    let stack = machine.deploy(resources, &[("Hello", &[("app.py", app)])]).await.unwrap();
    if stack.functions[0].note.as_ref().is_some_and(|note| note.contains("boto3 is not installed")) {
        let failed = machine.invoke("Hello", json!({})).await;
        assert!(String::from_utf8_lossy(&failed.payload).contains("Runtime.ImportModuleError"));
        return;
    }
    assert_eq!(machine.answer("Hello", json!({})).await, "by boto3");
    let bucket = machine.store.blobs("stack/shop-dev/shop-dev-uploads");
    assert_eq!(bucket.head(&BlobKey::parse("made").unwrap()).await.unwrap().length, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn stacks_on_one_machine_conform() {
    let data = tempfile::tempdir().unwrap();
    let machine = Machine::new(data.path()).await;
    testkit::conformance::stacks(&machine.stacks, &machine.store.blobs("artifacts")).await;
}
