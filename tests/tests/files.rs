//! The files area: large bodies over presigned URLs, what is refused, and boto3 as a signer of its own.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use workroom_tests::tools::{keys, python, succeed};
use workroom_tests::{Client, Project, Team, deployed};

const LARGE: u64 = 200 * 1024 * 1024;
/// How much the platform's memory may grow while the large file passes (bytes): a small part of it.
const GROWTH_MAX: u64 = 64 * 1024 * 1024;

/// Bytes that do not compress and that are the same each time; never all in memory.
struct Noise {
    state: u64,
    left: u64,
}

impl Noise {
    fn new(length: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, left: length }
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        for chunk in buffer[..length].chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            chunk.copy_from_slice(&self.state.to_le_bytes()[..chunk.len()]);
        }
        self.left -= length as u64;
        Ok(length)
    }
}

fn digest(mut from: impl Read) -> (u64, String) {
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 256 * 1024]);
    loop {
        let read = from.read(&mut buffer).unwrap();
        if read == 0 {
            return (length, hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into()
}

/// A line of `/proc/{pid}/status` (bytes).
fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn upload(project: &Project, path: &str, length: u64, sha256: &str) -> Value {
    let body = json!({"path": path, "length": length, "content_type": "application/octet-stream", "sha256": sha256});
    project.client.post(&project.path("/uploads"), &body).expect(201).json()
}

/// The headers that must go along, without those that a client writes by itself.
fn headers(presigned: &Value) -> Vec<(String, String)> {
    let all = presigned["headers"].as_object().unwrap().iter();
    all.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn complete(project: &Project, upload: &Value) -> workroom_tests::Answer {
    let path = project.path(&format!("/uploads/{}/completion", upload["id"].as_str().unwrap()));
    project.client.post(&path, &json!({}))
}

fn files(project: &Project) -> Vec<Value> {
    project.client.get(&project.path("/files")).expect(200).json()["items"].as_array().unwrap().clone()
}

fn content_url(project: &Project, file: &Value) -> String {
    let path = project.path(&format!("/files/{}/content", file["id"].as_str().unwrap()));
    project.client.get(&path).expect(200).json()["url"].as_str().unwrap().to_owned()
}

#[test]
fn two_hundred_megabytes_go_up_and_come_down_in_bounded_memory() {
    let team = Team::start();
    let project = team.project("large", "empty");
    let (_, sha256) = digest(Noise::new(LARGE));
    let waiting = upload(&project, "films/large.bin", LARGE, &sha256);
    assert_eq!(files(&project), Vec::<Value>::new(), "nothing is shown before it has arrived");
    complete(&project, &waiting).expect(409);

    let before = team.platform.process_id().map(|pid| memory(pid, "VmRSS:"));
    let mut noise = Noise::new(LARGE);
    for part in waiting["parts"].as_array().unwrap() {
        let mut bytes = Vec::new();
        (&mut noise).take(part["size"].as_u64().unwrap()).read_to_end(&mut bytes).unwrap();
        let put = sign(&project, waiting["id"].as_str().unwrap(), &part["number"], &digest(&bytes[..]).1);
        assert_eq!(send_part(&put, &bytes), 200);
    }

    let file = complete(&project, &waiting).expect(201).json();
    let again = complete(&project, &waiting);
    assert_eq!((again.status, &again.json()), (200, &file), "completed twice is one file");
    let listed = files(&project);
    assert_eq!(listed, std::slice::from_ref(&file));
    assert_eq!(
        (&file["path"], &file["length"], &file["sha256"]),
        (&json!("films/large.bin"), &json!(LARGE), &json!(sha256))
    );
    let events = project.client.get(&project.path("/events?after=0&limit=100")).expect(200).json();
    let completed = events["items"].as_array().unwrap().iter().filter(|e| e["type"] == "upload.completed").count();
    assert_eq!(completed, 1);

    let mut answer = agent().get(content_url(&project, &file)).call().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().contains("large.bin"));
    assert_eq!(digest(answer.body_mut().as_reader()), (LARGE, sha256));

    // A deployed platform has no process that the file could pass through.
    if let (Some(pid), Some(before)) = (team.platform.process_id(), before) {
        let peak = memory(pid, "VmHWM:");
        println!("memory: {} KiB before, {} KiB at its peak", before / 1024, peak / 1024);
        assert!(peak < before + GROWTH_MAX, "from {before} to {peak} bytes");
    }
}

#[test]
fn curl_uploads_and_downloads_a_part() {
    let team = Team::start();
    let project = team.project("curl", "empty");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.bin");
    let length = 5 * 1024 * 1024 + 3;
    std::io::copy(&mut Noise::new(length), &mut std::fs::File::create(&source).unwrap()).unwrap();
    let waiting = upload(&project, "source.bin", length, &digest(Noise::new(length)).1);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail-with-body", "--upload-file"]).arg(&source);
    for (name, value) in headers(&waiting["put"]) {
        curl.args(["--header", &format!("{name}: {value}")]);
    }
    succeed(curl.arg(waiting["put"]["url"].as_str().unwrap()));
    let file = complete(&project, &waiting).expect(201).json();
    let target = folder.path().join("target.bin");
    let fetch = |extra: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--output"]).arg(&target).args(extra);
        succeed(curl.arg(content_url(&project, &file)));
        std::fs::read(&target).unwrap()
    };
    let whole = std::fs::read(&source).unwrap();
    assert!(fetch(&[]) == whole);
    assert!(fetch(&["--range", "1000-4999"]) == whole[1000..5000]);
}

#[test]
fn an_upload_that_is_not_what_was_signed_is_refused() {
    let team = Team::start();
    let project = team.project("refused", "empty");
    let body = b"exactly these bytes".to_vec();
    let sha256 = digest(&body[..]).1;
    let waiting = upload(&project, "note.bin", body.len() as u64, &sha256);
    let url = waiting["put"]["url"].as_str().unwrap().to_owned();
    let signed = headers(&waiting["put"]);
    let storage = Client::new("http://unused.invalid");
    let put = |url: &str, change: Option<(&str, &str)>, body: &[u8]| -> u16 {
        let mut all: Vec<(&str, &str)> = signed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .collect();
        if let Some((name, value)) = change {
            let found = all.iter_mut().find(|(signed, _)| signed.eq_ignore_ascii_case(name));
            found.unwrap_or_else(|| panic!("{name} is not signed: {signed:?}")).1 = value;
        }
        storage.send("PUT", url, &all, Some(body)).status
    };
    let flip = |name: &str| {
        let (before, value) = url.split_once(&format!("{name}=")).unwrap();
        let first = if value.starts_with('1') { '2' } else { '1' };
        format!("{before}{name}={first}{}", &value[1..])
    };
    let refused = |status: u16, why: &str| assert!([400, 403, 411].contains(&status), "{why}: {status}");
    refused(put(&flip("X-Amz-Signature"), None, &body), "the signature");
    refused(put(&flip("X-Amz-Date"), None, &body), "the date");
    refused(put(&flip("X-Amz-Expires"), None, &body), "a longer life");
    refused(put(&url.replace("/projects/", "/project2/"), None, &body), "another key");
    refused(put(&url, Some(("content-type", "text/html")), &body), "the type");
    let other = base64_of(&Sha256::digest(b"something else"));
    refused(put(&url, Some(("x-amz-checksum-sha256", &other)), &body), "the checksum");
    refused(put(&url, None, b"exactly those bytes"), "the body");
    refused(put(&url, None, b"exactly these bytes and more"), "too long");
    refused(put(&url, None, b"exactly"), "too short");
    refused(storage.send("DELETE", &url, &[], None).status, "another method");
    refused(storage.send("GET", &url, &[], None).status, "another method");
    complete(&project, &waiting).expect(409);
    assert_eq!(files(&project), Vec::<Value>::new(), "nothing of it arrived");
    assert_eq!(put(&url, None, &body), 200, "what was signed is taken");
    let file = complete(&project, &waiting).expect(201).json();
    let get = content_url(&project, &file);
    assert_eq!(storage.get(&get).expect(200).body, body);
    refused(storage.get(&get.replace("X-Amz-Expires=300", "X-Amz-Expires=900")).status, "a longer life");
    // The emulator gives what a bucket holds to everyone who asks without a signature.
    if !team.platform.is_deployed() {
        refused(storage.get(get.split('?').next().unwrap()).status, "no signature");
    }

    let much = json!({"path": "much.bin", "length": 6_u64 << 30, "content_type": "a/b", "sha256": sha256});
    project.client.post(&project.path("/uploads"), &much).expect(413);
    for bad in ["../up", "/root", "a//b", ".git/config"] {
        let body = json!({"path": bad, "length": 1, "content_type": "a/b", "sha256": sha256});
        let status = project.client.post(&project.path("/uploads"), &body).status;
        assert!([400, 422].contains(&status), "{bad}: {status}");
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A bucket of the user's own, and nothing else.
const BUCKET_TEMPLATE: &str = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\nResources:\n  \
    Store: { Type: AWS::S3::Bucket }\nOutputs:\n  Store: { Value: !Ref Store }\n";

/// A project with a bucket: its physical name and the stack's keys.
fn bucket(team: &Team, slug: &str) -> (String, Value) {
    let project = team.project(slug, "empty");
    let head = project.client.get(&project.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
    let changes = json!([{"action": "put", "path": "template.yaml", "content": BUCKET_TEMPLATE}]);
    let body = json!({"branch": "main", "expected_head": head, "message": "bucket", "changes": changes});
    project.client.post(&project.path("/commits"), &body).expect(201);
    let job = project.succeeded(project.deploy("dev", "main"));
    let keys = project.client.post(&project.path("/environments/dev/credentials"), &json!({})).expect(200).json();
    (job["result"]["outputs"]["Store"].as_str().unwrap().to_owned(), keys)
}

const BOTO: &str = r#"
import hashlib, sys, time, urllib.error, urllib.request
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, bucket, other, scratch = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(signature_version="s3v4"))

def status(url, method="GET", body=None, headers={}):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()

def refused(call, code):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError("taken")

s3.put_object(Bucket=bucket, Key="a/one.txt", Body=b"one", ContentType="text/plain")
found = s3.get_object(Bucket=bucket, Key="a/one.txt")
assert found["Body"].read() == b"one" and found["ContentType"] == "text/plain", found

# Twenty megabytes go in parts and come in parts.
noise = hashlib.shake_256(b"noise").digest(20 * 1024 * 1024)
with open(scratch + "/up", "wb") as file:
    file.write(noise)
s3.upload_file(scratch + "/up", bucket, "a/parts.bin")
s3.download_file(bucket, "a/parts.bin", scratch + "/down")
assert open(scratch + "/down", "rb").read() == noise
assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="a/")["Contents"]] == ["a/one.txt", "a/parts.bin"]

key = "b/ä name+.txt"
put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key, "ContentType": "text/plain"}, 60)
assert status(put, "PUT", b"signed", {"Content-Type": "text/plain"})[0] == 200
assert status(put, "PUT", b"signed", {"Content-Type": "text/html"})[0] == 403
get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, 60)
assert status(get) == (200, b"signed"), status(get)
assert status(get[:-1] + ("0" if get[-1] != "0" else "1"))[0] == 403
assert status(get, "DELETE")[0] == 403
brief = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, 1)
time.sleep(2.5)
code, said = status(brief)
assert code == 403 and b"expired" in said, said

refused(lambda: s3.get_object(Bucket=bucket, Key="absent"), "NoSuchKey")
refused(lambda: s3.get_object(Bucket=other, Key="a/one.txt"), "NoSuchBucket")
refused(lambda: s3.put_object(Bucket=other, Key="a/one.txt", Body=b"x"), "NoSuchBucket")
assert other not in [b["Name"] for b in s3.list_buckets()["Buckets"]]
keys = boto3.Session().get_credentials()
wrong = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=keys.access_key,
                     aws_secret_access_key="wrong", aws_session_token=keys.token)
refused(lambda: wrong.get_object(Bucket=bucket, Key=key), "SignatureDoesNotMatch")
"#;

#[test]
fn boto3_signs_for_a_stacks_bucket_and_reaches_no_other() {
    if deployed::leaves_out("what a role may do is IAM's to decide, which the emulator does not play") {
        return;
    }
    let team = Team::start();
    let (own, credentials) = bucket(&team, "store");
    let (other, _) = bucket(&team, "neighbour");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check.py");
    std::fs::write(&script, BOTO).unwrap();
    boto(&script, &credentials, &[&endpoint(&credentials), &own, &other], folder.path());
}

fn endpoint(credentials: &Value) -> String {
    credentials["endpoint"].as_str().unwrap().to_owned()
}

fn boto(script: &Path, credentials: &Value, arguments: &[&str], scratch: &Path) {
    let mut command = python();
    command.arg(script).args(arguments).arg(scratch).envs(keys(credentials));
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
    succeed(command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("NO_PROXY", "*"));
}

/// More than goes in one PUT: six parts, the last of 5 MiB and a byte.
const LONG: u64 = 85 * 1024 * 1024 + 1;

/// The bytes of one part of the noise, and their digest.
fn part_of(plan: &Value) -> (Vec<u8>, String) {
    let (offset, size) = (plan["offset"].as_u64().unwrap(), plan["size"].as_u64().unwrap());
    let mut noise = Noise::new(LONG);
    std::io::copy(&mut (&mut noise).take(offset), &mut std::io::sink()).unwrap();
    let mut bytes = Vec::new();
    (&mut noise).take(size).read_to_end(&mut bytes).unwrap();
    let sha256 = hex::encode(Sha256::digest(&bytes));
    (bytes, sha256)
}

fn sign(project: &Project, upload: &str, number: &Value, sha256: &str) -> Value {
    let body = json!({"numbers": [{"number": number, "sha256": sha256}]});
    let signed = project.client.post(&project.path(&format!("/uploads/{upload}/parts")), &body).expect(200).json();
    signed["parts"][0]["put"].clone()
}

fn send_part(put: &Value, body: &[u8]) -> u16 {
    let all = headers(put);
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
        .collect();
    Client::new("http://unused.invalid").send("PUT", put["url"].as_str().unwrap(), &all, Some(body)).status
}

fn received(project: &Project, upload: &str) -> Vec<bool> {
    let status = project.client.get(&project.path(&format!("/uploads/{upload}"))).expect(200).json();
    assert_eq!(status["state"], "waiting");
    status["parts"].as_array().unwrap().iter().map(|part| part["received"].as_bool().unwrap()).collect()
}

#[test]
fn a_long_upload_goes_on_after_a_power_cut() {
    if deployed::leaves_out("a deployed platform is not killed") {
        return;
    }
    let team = Team::start();
    let project = team.project("resumed", "empty");
    let (_, sha256) = digest(Noise::new(LONG));
    let waiting = upload(&project, "films/long.bin", LONG, &sha256);
    assert!(waiting.get("put").is_none(), "{waiting}");
    let (id, plans) = (waiting["id"].as_str().unwrap().to_owned(), waiting["parts"].as_array().unwrap().clone());
    assert_eq!(plans.len(), 6);
    for plan in &plans[..2] {
        let (bytes, sha256) = part_of(plan);
        assert_eq!(send_part(&sign(&project, &id, &plan["number"], &sha256), &bytes), 200);
    }
    // The power goes while the third part is on its way.
    let (bytes, sha256_of_third) = part_of(&plans[2]);
    let put = sign(&project, &id, &plans[2]["number"], &sha256_of_third);
    let address = put["url"].as_str().unwrap().split_once("://").unwrap().1.to_owned();
    let (host, path) = address.split_once('/').unwrap();
    let mut head = format!("PUT /{path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers(&put) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    std::io::Write::write_all(&mut stream, format!("{head}\r\n").as_bytes()).unwrap();
    std::io::Write::write_all(&mut stream, &bytes[..bytes.len() / 2]).unwrap();
    let Team { platform, .. } = team;
    let platform = platform.kill_and_restart();
    drop(stream);

    let client = platform.sign_in(workroom_tests::PERSON.0, workroom_tests::PERSON.1);
    let project = Project { slug: project.slug, client };
    assert_eq!(received(&project, &id), [true, true, false, false, false, false]);
    complete(&project, &waiting).expect(409);
    for plan in plans[2..].iter().rev() {
        let (bytes, sha256) = part_of(plan);
        assert_eq!(send_part(&sign(&project, &id, &plan["number"], &sha256), &bytes), 200);
    }
    assert_eq!(received(&project, &id), [true; 6]);
    let file = complete(&project, &waiting).expect(201).json();
    assert_eq!(complete(&project, &waiting).expect(200).json(), file);
    let status = project.client.get(&project.path(&format!("/uploads/{id}"))).expect(200).json();
    assert_eq!((&status["state"], &status["parts"]), (&json!("completed"), &json!([])));
    let mut answer = agent().get(content_url(&project, &file)).call().unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(digest(answer.body_mut().as_reader()), (LONG, sha256));
}

#[test]
fn a_part_that_is_not_what_was_signed_is_refused_and_a_cancelled_upload_is_gone() {
    let team = Team::start();
    let (project, other) = (team.project("parts", "empty"), team.project("elsewhere", "empty"));
    let waiting = upload(&project, "long.bin", LONG, &digest(Noise::new(LONG)).1);
    let (id, plans) = (waiting["id"].as_str().unwrap(), waiting["parts"].as_array().unwrap());
    let (bytes, sha256) = part_of(&plans[5]);
    let put = sign(&project, id, &plans[5]["number"], &sha256);
    let url = put["url"].as_str().unwrap();
    let refused = |put: &Value, body: &[u8], why: &str| {
        let status = send_part(put, body);
        assert!([400, 403, 411].contains(&status), "{why}: {status}");
    };
    let changed = |url: String| {
        let mut put = put.clone();
        put["url"] = json!(url);
        put
    };
    let mut flipped = bytes.clone();
    flipped[7] ^= 1;
    refused(&put, &flipped, "another body");
    refused(&put, &bytes[1..], "too short");
    refused(&changed(url.replace("partNumber=6", "partNumber=1")), &bytes, "another part");
    refused(&changed(url.replace("/projects/", "/project2/")), &bytes, "another key");
    assert_eq!(received(&project, id), [false; 6]);
    assert_eq!(send_part(&put, &bytes), 200);
    assert_eq!(received(&project, id), [false, false, false, false, false, true]);

    let parts = |project: &Project, body: Value| {
        project.client.post(&project.path(&format!("/uploads/{id}/parts")), &body).status
    };
    let one = |number: Value, sha256: &str| json!({"numbers": [{"number": number, "sha256": sha256}]});
    for bad in [
        json!({"numbers": []}),
        json!({"numbers": vec![json!({"number": 1, "sha256": sha256}); 101]}),
        json!({}),
        one(json!(0), &sha256),
        one(json!(7), &sha256),
        one(json!(-1), &sha256),
        one(json!("1"), &sha256),
        one(json!(4_294_967_296_u64), &sha256),
        one(json!(1), "00"),
        one(json!(1), &"z".repeat(64)),
    ] {
        assert_eq!(parts(&project, bad.clone()), 422, "{bad}");
    }
    // The upload is this project's alone.
    assert_eq!(parts(&other, one(json!(1), &sha256)), 404);
    other.client.get(&other.path(&format!("/uploads/{id}"))).expect(404);
    other.client.delete(&other.path(&format!("/uploads/{id}"))).expect(404);
    let small = upload(&project, "small.bin", 5, &hex::encode(Sha256::digest(b"hello")));
    let small = project.path(&format!("/uploads/{}/parts", small["id"].as_str().unwrap()));
    project.client.post(&small, &one(json!(1), &sha256)).expect(409);

    project.client.delete(&project.path(&format!("/uploads/{id}"))).expect(204);
    project.client.delete(&project.path(&format!("/uploads/{id}"))).expect(404);
    project.client.get(&project.path(&format!("/uploads/{id}"))).expect(404);
    complete(&project, &waiting).expect(404);
    assert!([403, 404].contains(&send_part(&put, &bytes)), "its URLs lead nowhere");
    assert_eq!(files(&project), Vec::<Value>::new());
}
