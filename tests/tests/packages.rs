//! The packages under AWS's own runtime interface emulator: events as the services send them, and events as nobody does.
//!
//! `cargo xtask test-aws` runs them, with the folder of the packages in `WORKROOM_TEST_PACKAGES`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const STARTUP: Duration = Duration::from_secs(10);
const NO_EVENTS: [&str; 3] = ["", "not json", "{\"a\":"];

/// One package behind the emulator; its process group ends with the value.
struct Function {
    emulator: Child,
    address: String,
    /// What the emulator and the package print.
    printed: tempfile::NamedTempFile,
}

impl Drop for Function {
    fn drop(&mut self) {
        // SAFETY: the group is the emulator's own, made when it was started.
        unsafe { libc::kill(-i32::try_from(self.emulator.id()).unwrap(), libc::SIGKILL) };
        let _ = self.emulator.wait();
    }
}

/// Two that differ.
fn free_addresses() -> [String; 2] {
    let doors = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    doors.map(|door| door.local_addr().unwrap().to_string())
}

fn emulator() -> PathBuf {
    let name = if cfg!(target_arch = "aarch64") { "aws-lambda-rie-arm64" } else { "aws-lambda-rie-x86_64" };
    let libraries = std::fs::read_dir(workroom_tests::root().join("target/venv-sam/lib")).expect("cargo xtask setup");
    let found = libraries.map(|python| python.unwrap().path().join("site-packages/samcli/local/rapid").join(name));
    found.into_iter().find(|path| path.exists()).expect("the emulator in the SAM CLI")
}

impl Function {
    fn start(name: &str, area: &str, mode: &str) -> Self {
        Self::start_with(name, &[("AREA", area), ("RESPONSE_TRANSFER_MODE", mode)], "10", &[])
    }

    #[allow(clippy::disallowed_methods, reason = "the test command says where the packages are")]
    fn start_with(name: &str, own: &[(&str, &str)], timeout: &str, args: &[&str]) -> Self {
        let packages = std::env::var_os("WORKROOM_TEST_PACKAGES").expect("`cargo xtask test-aws` runs this");
        let program = PathBuf::from(packages).join(name).join("bootstrap");
        let [address, runtime] = free_addresses();
        let url = "https://example.com/dev";
        let printed = tempfile::NamedTempFile::new().unwrap();
        let output = printed.reopen().unwrap();
        let emulator = Command::new(emulator())
            .args(["--runtime-interface-emulator-address", &address, "--runtime-api-address", &runtime])
            .arg(program)
            .args(args)
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("HOME", "/tmp")])
            .envs(own.iter().copied())
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", timeout)
            .envs([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")])
            .envs([("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("WORKROOM_ENVIRONMENT", "dev"), ("TABLE_NAME", "t")])
            .envs([("DATA_BUCKET", "b"), ("JOB_QUEUE_URL", url), ("TAIL_QUEUE_URL", url), ("LOG_LEVEL", "error")])
            .envs([("PARAMETER_PREFIX", "/workroom/dev"), ("SOCKET_URL", "wss://example.com/dev")])
            .envs([("SOCKET_MANAGEMENT_URL", url), ("ISSUER", "workroom-dev"), ("AUDIENCE", "workroom-api")])
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap();
        let function = Self { emulator, address, printed };
        let began = Instant::now();
        while std::net::TcpStream::connect(&function.address).is_err() {
            assert!(began.elapsed() < STARTUP, "the emulator does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        function
    }

    fn raw(&self, event: &str) -> Vec<u8> {
        let url = format!("http://{}/2015-03-31/functions/function/invocations", self.address);
        let answer = ureq::post(&url).send(event);
        let mut answer = answer.unwrap_or_else(|error| {
            let printed = std::fs::read(self.printed.path()).unwrap();
            panic!("{error}:\n{}", String::from_utf8_lossy(&printed));
        });
        answer.body_mut().read_to_vec().unwrap()
    }

    fn ask(&self, event: &Value) -> Value {
        serde_json::from_slice(&self.raw(&event.to_string())).unwrap()
    }

    /// What is no event gets an error as its answer, and the next event the same answer as before.
    fn survives(&self, good: &Value) {
        let before = self.ask(good);
        for event in NO_EVENTS {
            let answer: Value = serde_json::from_slice(&self.raw(event)).unwrap();
            assert!(answer["errorMessage"].is_string(), "{event}: {answer}");
        }
        assert_eq!(self.ask(good), before);
    }
}

/// A REST API's proxy event at the stage `dev`.
fn rest_event() -> Value {
    json!({ "resource": "/health", "path": "/health", "httpMethod": "GET",
        "headers": { "Host": "example.com", "Accept": "text/html" },
        "multiValueHeaders": { "Host": ["example.com"], "Accept": ["text/html", "*/*"] },
        "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": null,
        "stageVariables": null, "requestContext": { "resourcePath": "/health", "httpMethod": "GET",
            "path": "/dev/health", "stage": "dev", "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": { "sourceIp": "192.0.2.1" } },
        "body": null, "isBase64Encoded": false })
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn a_rest_event_is_answered_as_a_proxy_response() {
    let function = Function::start("api", "public", "BUFFERED");
    let answer = function.ask(&rest_event());
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)), "{answer}");
    assert_eq!(answer["multiValueHeaders"]["content-type"], json!(["application/json"]));
    assert_eq!(answer["body"], r#"{"status":"ok"}"#);
    // A route of another area is none of this function's.
    let mut other = rest_event();
    other["path"] = json!("/projects");
    assert_eq!(function.ask(&other)["statusCode"], 404);
    function.survives(&rest_event());
    let refused = function.ask(&json!({ "a": 1 }));
    assert!(refused["errorMessage"].is_string(), "{refused}");
}

/// `method` and `path` at the route `resource`, by someone whom the authorizer has let in.
fn signed_in_event(method: &str, resource: &str, path: &str) -> Value {
    let mut event = rest_event();
    event["resource"] = json!(resource);
    event["path"] = json!(path);
    event["httpMethod"] = json!(method);
    let id = "01KAKZ6V6Q3S1RVY2JY8H1W8QM";
    event["requestContext"] = json!({ "resourcePath": resource, "httpMethod": method, "path": format!("/dev{path}"),
        "stage": "dev", "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "identity": { "sourceIp": "192.0.2.1" }, "authorizer": { "principalId": id, "integrationLatency": 3,
            "account": id, "email": "a@example.com", "name": "A", "admin": "false", "channel": "bearer", "scopes": "" } });
    event
}

fn problem(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn a_path_is_routed_behind_a_stage_and_behind_a_base_path() {
    let function = Function::start("api", "public", "BUFFERED");
    // What API Gateway sends: by its own address; by a domain with a base path; and by one whose mapping names no stage.
    for (path, context) in
        [("/health", "/dev/health"), ("/room/health", "/room/health"), ("/room/dev/health", "/room/dev/health")]
    {
        let mut event = rest_event();
        event["path"] = json!(path);
        event["requestContext"]["path"] = json!(context);
        assert_eq!(function.ask(&event)["body"], r#"{"status":"ok"}"#, "{path}");
    }
    let mut elsewhere = rest_event();
    elsewhere["path"] = json!("/room/healthy");
    assert_eq!(function.ask(&elsewhere)["statusCode"], 404);
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn every_value_of_a_query_counts() {
    let function = Function::start("api", "identity", "BUFFERED");
    let mut event = signed_in_event("GET", "/tokens", "/tokens");
    let mut ask = |values: Value| {
        event["queryStringParameters"] = json!({ "limit": "1" });
        event["multiValueQueryStringParameters"] = values;
        let answer = function.ask(&event);
        (answer["statusCode"].clone(), problem(&answer)["code"].clone())
    };
    // One value passes, and then the records cannot be reached.
    let (alone, code) = ask(json!({ "limit": ["1"] }));
    assert_eq!((alone, code), (json!(503), json!("unavailable")));
    for values in [json!({ "limit": ["0", "1"] }), json!({ "limit": ["1"], "lim&t": ["a b", "&=%"] })] {
        let (status, code) = ask(values.clone());
        assert!(status.as_u64().is_some_and(|status| (400..500).contains(&status)), "{values}: {status} {code}");
    }
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn a_binary_body_is_read_as_the_bytes_that_were_sent() {
    let function = Function::start("api", "identity", "BUFFERED");
    let mut event = rest_event();
    event["resource"] = json!("/sessions");
    event["path"] = json!("/sessions");
    event["httpMethod"] = json!("POST");
    event["multiValueHeaders"]["Content-Type"] = json!(["application/json"]);
    let mut ask = |body: &str, binary: bool| {
        event["body"] = json!(body);
        event["isBase64Encoded"] = json!(binary);
        let answer = function.ask(&event);
        (answer["statusCode"].clone(), problem(&answer)["detail"].clone())
    };
    // {"email":1} as text, and as the gateway sends it with binary media types.
    let text = ask("{\"email\":1}", false);
    assert_eq!(ask("eyJlbWFpbCI6MX0=", true), text);
    assert!(text.0.as_u64().is_some_and(|status| (400..500).contains(&status)), "{text:?}");
    // Bytes that are no text, and a text that is no base64.
    let (bytes, _) = ask("//79AAE=", true);
    assert!(bytes.as_u64().is_some_and(|status| (400..500).contains(&status)), "{bytes}");
    event["body"] = json!("{\"email\":1}");
    event["isBase64Encoded"] = json!(true);
    let refused = function.ask(&event);
    assert!(refused["errorMessage"].is_string() || refused["statusCode"] == 400, "{refused}");
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn a_streamed_answer_is_a_head_eight_zero_bytes_and_the_body() {
    let answer = Function::start("api", "public", "STREAM").raw(&rest_event().to_string());
    let at = answer.windows(8).position(|part| part == [0; 8]).expect("the delimiter");
    let head: Value = serde_json::from_slice(&answer[..at]).unwrap();
    assert_eq!((&head["statusCode"], &head["headers"]["content-type"]), (&json!(200), &json!("application/json")));
    assert_eq!(&answer[at + 8..], br#"{"status":"ok"}"#);
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn the_authorizer_refuses_in_the_words_that_the_gateway_reads() {
    let function = Function::start("authorizer", "", "");
    let event = json!({ "type": "REQUEST", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
        "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:api/dev/GET/me" });
    assert_eq!(function.ask(&event)["errorMessage"], "Unauthorized");
    function.survives(&event);
    let refused = function.ask(&json!({ "type": "TOKEN" }));
    assert!(refused["errorMessage"].as_str().unwrap().contains("REQUEST authorizer"), "{refused}");
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn batches_and_routes_have_their_own_answers() {
    let route = Function::start("websocket", "route", "");
    assert_eq!(route.ask(&json!({ "requestContext": {} })), json!({ "statusCode": 400 }));
    let foreign = json!({ "requestContext": { "connectionId": "a", "eventType": "CONNECT" },
        "headers": { "Origin": "https://elsewhere.example" } });
    assert_eq!(route.ask(&foreign), json!({ "statusCode": 403 }));
    route.survives(&foreign);
    let nothing = json!({ "Records": [] });
    for area in ["fan-out", "tail"] {
        let function = Function::start("websocket", area, "");
        assert_eq!(function.ask(&nothing), json!({ "batchItemFailures": [] }));
        function.survives(&nothing);
    }
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn a_message_that_could_not_be_handled_is_named() {
    let tail = Function::start("websocket", "tail", "");
    let body = json!({ "connection": "a", "tail": "01ARZ3NDEKTSV4RRFFQ69G5FAV" }).to_string();
    // The records cannot be reached: the one message that means something comes again, the other never.
    let batch = json!({ "Records": [{ "messageId": "1", "body": "nonsense" }, { "messageId": "2", "body": body }] });
    assert_eq!(tail.ask(&batch), json!({ "batchItemFailures": [{ "itemIdentifier": "2" }] }));
}

fn stream_record(name: &str, project: &str, number: u32, value: Option<&Value>) -> Value {
    let path = workroom_tests::root().join("websocket/tests/events").join(name);
    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let partition = json!(format!("project#{project}"));
    record["dynamodb"]["Keys"]["pk"]["S"] = partition.clone();
    record["dynamodb"]["NewImage"]["pk"]["S"] = partition;
    record["dynamodb"]["SequenceNumber"] = json!(format!("44215845000000000174504390{number:02}"));
    if let Some(value) = value {
        record["dynamodb"]["NewImage"]["value"]["S"] = json!(value.to_string());
    }
    record
}

/// What presigned addresses lead to: bodies by path, over HTTP.
#[derive(Clone)]
struct Shelf {
    address: String,
    bodies: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Shelf {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shelf = Self { address: listener.local_addr().unwrap().to_string(), bodies: Arc::default() };
        let own = shelf.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| own.answer(stream)));
        shelf
    }

    fn answer(&self, mut stream: TcpStream) {
        let (mut asked, mut byte) = (Vec::new(), [0]);
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            asked.push(byte[0]);
        }
        let head = String::from_utf8(asked).unwrap().to_ascii_lowercase();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let (status, answer) = if head.starts_with("put ") {
            self.bodies.lock().unwrap().insert(path, body);
            (200, Vec::new())
        } else {
            let found = self.bodies.lock().unwrap().get(&path).cloned();
            found.map_or((404, Vec::new()), |body| (200, body))
        };
        let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
        let _ = stream.write_all(&[head.into_bytes(), answer].concat());
    }

    fn address(&self, method: &str, path: &str) -> Value {
        json!({ "method": method, "url": format!("http://{}{path}", self.address), "headers": [], "expires": 0 })
    }
}

/// A checkout with a function, and with pages whose build shows what it can see of its surroundings.
fn checkout() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("src/app.py", "def handler(event, context):\n    return 1\n");
    // The function's own process, told apart from others by its name and the command that it stands for.
    let script = "env; for p in /proc/[0-9]*; do \
        if [ \"$(cat $p/comm)\" = bootstrap ] && grep -q index.mjs $p/cmdline; then \
        echo the function is here; tr '\\0' '\\n' < $p/environ; fi; done; mkdir dist; echo hello > dist/index.html";
    write("web/package.json", &json!({ "scripts": { "build": script } }).to_string());
    let zip = folder.path().join("source.zip");
    let mut packed = Command::new("python3");
    packed.current_dir(folder.path()).args(["-m", "zipfile", "-c"]).arg(&zip).args(["src", "web"]);
    assert!(packed.status().unwrap().success());
    std::fs::read(zip).unwrap()
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn a_batch_of_the_stream_names_the_first_record_that_failed() {
    let project = "01KAKZ6V6Q3S1RVY2JY8H1W8QM";
    let event = json!({ "id": "01KAKZ6V6Q3S1RVY2JY8H1W8QN", "type": "project.updated", "source": "workroom",
        "time": 1_763_731_873_000_u64, "project": project, "actor": project, "resource": format!("project/{project}"),
        "correlation_id": "c", "idempotency_token": null, "sequence": 1, "detail": {} });
    let fan_out = Function::start("websocket", "fan-out", "");
    // What is no event is passed over; a stored event that cannot be read too, for it never could be.
    let passed = [
        stream_record("record-modified.json", project, 1, None),
        stream_record("event-inserted.json", project, 2, Some(&json!("no event"))),
    ];
    assert_eq!(fan_out.ask(&json!({ "Records": passed })), json!({ "batchItemFailures": [] }));
    // Who follows the project cannot be read: the batch comes again from the first event on.
    let [modified, unreadable] = passed;
    let (first, second) = (
        stream_record("event-inserted.json", project, 3, Some(&event)),
        stream_record("event-inserted.json", project, 4, Some(&event)),
    );
    let answer = fan_out.ask(&json!({ "Records": [modified, unreadable, first, second] }));
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "4421584500000000017450439003" }] }));
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn the_schedule_is_no_batch() {
    let worker = Function::start("build-worker", "", "");
    let tick = json!({ "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": "123456789012", "time": "2026-11-21T12:00:00Z", "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:123456789012:rule/workroom-dev-Sweep"], "detail": {} });
    assert_eq!(worker.ask(&tick), json!({}), "what could not be looked after is looked after at the next tick");
    assert_eq!(worker.ask(&json!({ "Records": [] })), json!({ "batchItemFailures": [] }));
    worker.survives(&tick);
}

#[test]
#[ignore = "needs packages: `cargo xtask test-aws` runs it"]
fn the_build_function_in_a_languages_place_builds_and_shows_nobody_its_keys() {
    let shelf = Shelf::start();
    let source = checkout();
    shelf.bodies.lock().unwrap().insert("/source".into(), source.clone());
    // As Lambda starts a wrapper: with the command of the runtime that it stands for.
    let wrapped = ["/var/lang/bin/node", "/var/runtime/index.mjs"];
    let function = Function::start_with("build-worker", &[("AREA", "build")], "120", &wrapped);
    let order = json!({
        "version": 1, "project": "p", "base": "", "seconds": 100,
        "plan": { "functions": [{ "logical_id": "F", "runtime": "python3.12", "code": { "path": "src" },
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" },
            "build": { "method": null, "properties": null, "skip": false } }], "layers": [], "front_end": true },
        "source": { "at": shelf.address("GET", "/source"), "sha256": hex::encode(Sha256::digest(&source)) },
        "cache": {}, "packages": [shelf.address("PUT", "/0"), shelf.address("PUT", "/1")],
        "keeps": [], "stop": shelf.address("GET", "/stop"),
    });
    let answer = function.raw(&order.to_string());
    let at = answer.windows(8).position(|part| part == [0; 8]).expect("a streamed answer has a head");
    let said = String::from_utf8(answer[at + 8..].to_vec()).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let packages = lines.last().unwrap()["done"]["packages"].as_array().unwrap_or_else(|| panic!("{said}")).clone();
    let names: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["F", "site"], "{said}");
    for package in packages {
        let body = shelf.bodies.lock().unwrap()[&format!("/{}", package["place"])].clone();
        assert_eq!(package["sha256"], hex::encode(Sha256::digest(&body)), "{package}");
        assert_eq!(package["length"], body.len());
    }
    assert!(said.contains("CI=true") && said.contains("the function is here"), "the step looked around: {said}");
    for secret in ["AWS_SECRET_ACCESS_KEY", "AWS_LAMBDA_RUNTIME_API=", "TABLE_NAME", "AREA="] {
        assert!(!said.contains(secret), "a step sees {secret}: {said}");
    }
    // What is no order is answered, and the next one is taken.
    let refused = function.raw("{\"version\":1}");
    assert!(String::from_utf8_lossy(&refused).contains("cannot be read"), "{refused:?}");
}
