//! What a cold start of each package costs, beside a Node and a Python function with two SDK clients.
//!
//! Process start to the first `/next`, and to the first answer, which needs no AWS service. The others run on the
//! smallest runtime that can be written: Lambda's own costs them more.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::platform::root;
use crate::runtime_api::{Start, start};
use crate::samples::Samples;
use crate::table::{Table, milliseconds, ratio};

const RUNS: usize = 30;

/// A function, and an event that it answers by itself.
struct Function {
    name: &'static str,
    package: &'static str,
    area: &'static str,
    event: &'static str,
}

const FUNCTIONS: [Function; 4] = [
    Function {
        name: "api",
        package: "api",
        area: "public",
        event: r#"{"resource":"/health","path":"/health","httpMethod":"GET","headers":{"Host":"example.com"},
            "multiValueHeaders":{"Host":["example.com"]},"queryStringParameters":null,"pathParameters":null,
            "stageVariables":null,"requestContext":{"resourcePath":"/health","httpMethod":"GET","path":"/dev/health",
            "stage":"dev","requestId":"1","identity":{"sourceIp":"127.0.0.1"}},"body":null,"isBase64Encoded":false}"#,
    },
    Function {
        name: "authorizer",
        package: "authorizer",
        area: "",
        event: r#"{"type":"REQUEST","methodArn":"arn:aws:execute-api:eu-central-1:123456789012:api/dev/GET/me",
            "httpMethod":"GET","headers":{},"multiValueHeaders":{}}"#,
    },
    Function { name: "websocket", package: "websocket", area: "route", event: r#"{"requestContext":{}}"# },
    Function { name: "build worker", package: "build-worker", area: "", event: r#"{"Records":[]}"# },
];

/// What was taken of one function.
#[derive(Default)]
struct Taken {
    next: Samples,
    reply: Samples,
    resident: Vec<u64>,
    /// Unpacked, and as the zip file that is uploaded.
    bytes: u64,
    zip: u64,
}

impl Taken {
    fn add(&mut self, start: &Start) {
        self.next.push(start.next);
        self.reply.push(start.reply);
        self.resident.push(start.resident);
    }

    fn memory(&self) -> f64 {
        let mut sorted = self.resident.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0) as f64
    }
}

pub fn measure(table: &mut Table) -> Result<()> {
    let (mut ours, mut node, mut python) = (FUNCTIONS.map(|_| Taken::default()), Taken::default(), Taken::default());
    let prepared = root().join("target/cold-start");
    let (bundle, script) = (prepared.join("bundle.mjs"), root().join("bench/cold-start/handler.py"));
    let interpreter = root().join("target/venv/bin/python");
    // Taking turns, so that what else this machine does hits all alike.
    for _ in 0..RUNS {
        for (function, taken) in FUNCTIONS.iter().zip(&mut ours) {
            let program = package(function.package);
            taken.bytes = size(&program)?;
            taken.zip = size(&program.parent().context("a folder around the program")?.with_extension("zip"))?;
            taken.add(&start(&mut as_on_lambda(Command::new(program), function.area), function.event)?);
        }
        node.add(&start(as_on_lambda(Command::new("node"), "").arg(&bundle), "{}")?);
        python.add(&start(as_on_lambda(Command::new(&interpreter), "").arg(&script), "{}")?);
    }
    node.bytes = size(&bundle)?;
    node.zip = size(&prepared.join("bundle.zip"))?;
    for (function, taken) in FUNCTIONS.iter().zip(&ours) {
        let name = function.name;
        let with_best =
            |what: &str, samples: &Samples| format!("{name}: start to {what} (best: {})", milliseconds(samples.best()));
        table.compare(&with_best("first /next", &taken.next), &taken.next, Some(("Node", &node.next)));
        table.compare(&with_best("first answer", &taken.reply), &taken.reply, Some(("Node", &node.reply)));
        row(table, &format!("{name}: resident at first /next"), taken.memory(), node.memory());
        row(table, &format!("{name}: unpacked"), taken.bytes as f64, node.bytes as f64);
        row(table, &format!("{name}: zipped"), taken.zip as f64, node.zip as f64);
    }
    table.compare("Python: start to first /next", &python.next, Some(("Node", &node.next)));
    table.compare("Python: start to first answer", &python.reply, Some(("Node", &node.reply)));
    row(table, "Python: resident at first /next", python.memory(), node.memory());
    Ok(())
}

fn row(table: &mut Table, what: &str, bytes: f64, other: f64) {
    let megabytes = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
    let beside = format!("Node: {}", megabytes(other));
    table.add([what.to_owned(), RUNS.to_string(), megabytes(bytes), String::new(), beside, ratio(bytes, other)]);
}

/// The package for this machine, which `cargo xtask packages` built.
fn package(name: &str) -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    root().join("target/packages").join(architecture).join(name).join("bootstrap")
}

fn size(file: &Path) -> Result<u64> {
    let known = std::fs::metadata(file);
    Ok(known.with_context(|| format!("{} is not there: run `cargo xtask bench cold-start`", file.display()))?.len())
}

/// The environment that Lambda and the template give, and nothing of this one but where programs are.
fn as_on_lambda(mut program: Command, area: &str) -> Command {
    #[allow(clippy::disallowed_methods, reason = "the path of programs, handed on")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    program.env_clear().env("PATH", path).env("AREA", area).envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("WORKROOM_ENVIRONMENT", "dev"),
        ("TABLE_NAME", "table"),
        ("DATA_BUCKET", "bucket"),
        ("JOB_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs"),
        ("TAIL_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/tails"),
        ("PARAMETER_PREFIX", "/workroom/dev"),
        ("SOCKET_URL", "wss://example.com/dev"),
        ("SOCKET_MANAGEMENT_URL", "https://example.com/dev"),
        ("ISSUER", "workroom-dev"),
        ("AUDIENCE", "workroom-api"),
        ("LOG_LEVEL", "info"),
    ]);
    program
}
