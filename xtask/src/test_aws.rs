//! `cargo xtask test-aws`: the platform's template deployed into an emulator that strangers wrote, and the end-to-end
//! suite run against what came up.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::deploy::{Account, deploy_stack, json as ask, output, outputs, publish};
use crate::emulator::Emulator;
use crate::environments::Environments;
use crate::packages::{self, FUNCTIONS};
use crate::run::{cargo, program, root, succeed};
use crate::tools::{setup, with_environments};

/// The suites that run on one machine and on AWS alike. The others look at one machine alone: its processes, its
/// memory, its own gateway and its doors.
const SUITES: [&str; 6] = ["people_and_git", "editing", "deploying", "files", "logs", "sockets"];
/// One test for each thing that people do: the short form.
const SHORT: [&str; 7] = [
    "a_person_works_with_stock_git",
    "drafts_become_a_commit",
    "the_python_starter_serves",
    "a_builds_events_and_a_push_arrive_in_order_at_two_clients",
    "a_read_that_waits_wakes_with_the_line",
    "a_functions_log_is_followed_over_the_socket",
    "curl_uploads_and_downloads_a_part",
];
const ADMIN: &str = "admin@example.com";
/// The emulator runs a process for each function that answers, so a few tests at a time use the machine whole.
const TESTS_AT_ONCE: &str = "4";

/// `test-aws [--short] [NAME...]`: deploys the packages that AWS would get, and runs the suite. With `--short`, what
/// is deployed is built as for the tests of one machine, which is quicker, and one test of each kind runs. With names,
/// only the tests whose name contains one of them.
pub fn test_aws(arguments: &[String]) -> Result<()> {
    setup()?;
    let short = arguments.first().is_some_and(|first| first == "--short");
    let names: Vec<&str> = arguments.iter().skip(usize::from(short)).map(String::as_str).collect();
    if short && names.is_empty() {
        return self::short();
    }
    let built = if short { timed("built", built_for_tests)? } else { timed("packaged", packaged)? };
    replayed(&built)?;
    Deployed::start(&built)?.suite(&names)
}

/// The short form, which is a part of `cargo xtask test`.
pub fn short() -> Result<()> {
    let built = timed("built", built_for_tests)?;
    replayed(&built)?;
    Deployed::start(&built)?.suite(&SHORT)
}

/// Events as the services send them, and as nobody does, to each program under AWS's runtime interface emulator.
fn replayed(packages: &Path) -> Result<()> {
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--exclude", "cloud-aws", "--test", "packages", "--", "--ignored"]);
    succeed(with_environments(&mut tests).env("WORKROOM_TEST_PACKAGES", packages))
}

/// The platform in an emulator. It ends when this is dropped.
struct Deployed {
    emulator: Emulator,
    url: String,
    admin_password: String,
}

impl Deployed {
    /// Deploys the programs of a folder.
    fn start(packages: &Path) -> Result<Self> {
        let folder = work();
        let emulator = Emulator::start(&folder.join("emulator"))?;
        let template = folder.join("template.yaml");
        let builds = Environments::start(packages.join("build-worker/bootstrap"), &folder.join("builds"))?;
        std::fs::write(&template, adapted(&apart(packages)?, &emulator.endpoint(), &builds.url())?)?;
        let account = emulator.account();
        timed("deployed", || deploy_stack(&account, "dev", &template, &[]))?;
        let outputs = outputs(&account, "workroom-dev")?;
        timed("published", || publish(&account, &outputs, &folder))?;
        let url = output(&outputs, "Url")?.to_owned();
        let admin_password = first_admin(&account, output(&outputs, "SetupFunctionName")?, &folder)?;
        rotated(&account, output(&outputs, "KeysFunctionName")?, &folder)?;
        Ok(Self { emulator, url, admin_password })
    }

    fn suite(&self, names: &[&str]) -> Result<()> {
        let mut tests = cargo();
        // The selection of `cargo xtask test`, so that nothing is compiled twice.
        tests.args(["test", "--workspace", "--exclude", "cloud-aws", "--no-fail-fast"]);
        for suite in SUITES {
            tests.args(["--test", suite]);
        }
        with_environments(&mut tests)
            .env("WORKROOM_TEST_PLATFORM_URL", &self.url)
            .env("WORKROOM_TEST_AWS_ENDPOINT", self.emulator.endpoint())
            .env("WORKROOM_TEST_ADMIN_EMAIL", ADMIN)
            .env("WORKROOM_TEST_ADMIN_PASSWORD", &self.admin_password)
            .args(["--", "--test-threads", TESTS_AT_ONCE])
            .args(names);
        timed("tested", || succeed(&mut tests))
    }
}

/// Says how long `work` took.
fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work()?;
    eprintln!("{what} in {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

/// What this command writes lies here.
fn work() -> PathBuf {
    root().join("target/aws")
}

/// The folder with the programs that AWS would get, for this machine's architecture.
fn packaged() -> Result<PathBuf> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    packages::packages(&["--arch".to_owned(), architecture.to_owned()])?;
    Ok(packages::folder(architecture))
}

/// The same, of programs built as those of the other tests are.
fn built_for_tests() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet"]);
    for function in FUNCTIONS {
        build.args(["-p", function, "--features", &format!("{function}/aws")]);
    }
    succeed(&mut build)?;
    let folder = work().join("packages");
    for function in FUNCTIONS {
        let staged = folder.join(function);
        std::fs::create_dir_all(&staged).with_context(|| format!("{} cannot be made", staged.display()))?;
        let built = root().join("target/debug").join(function);
        succeed(program("strip").arg("-o").arg(staged.join("bootstrap")).arg(built))?;
    }
    Ok(folder)
}

/// Runs a function in a `/tmp` of its own, as each execution environment of Lambda has one.
const ALONE: &str = r#"#!/bin/sh
own=$(mktemp -d)
exec bwrap --unsetenv TMPDIR --dev-bind / / --bind "$own" /tmp --ro-bind "$(dirname "$0")" /tmp/task -- /tmp/task/function "$@"
"#;

/// Zip files that the emulator can run beside each other: the program of each of these, started by `ALONE`.
fn apart(packages: &Path) -> Result<PathBuf> {
    let folder = work().join("apart");
    for function in FUNCTIONS {
        let staged = folder.join(function);
        std::fs::create_dir_all(&staged).with_context(|| format!("{} cannot be made", staged.display()))?;
        std::fs::copy(packages.join(function).join("bootstrap"), staged.join("function"))
            .with_context(|| format!("copying the program of {function}"))?;
        std::fs::write(staged.join("bootstrap"), ALONE)?;
        for file in ["bootstrap", "function"] {
            std::fs::set_permissions(staged.join(file), std::fs::Permissions::from_mode(0o755))?;
        }
        // `zip` is not everywhere, Python is. It keeps the files' modes.
        let mut zip = program("python3");
        zip.current_dir(&staged).args(["-m", "zipfile", "-c"]).arg(folder.join(format!("{function}.zip")));
        succeed(zip.args(["bootstrap", "function"]))?;
    }
    Ok(folder)
}

/// The platform's template as the emulator can take it: see docs/emulators.md for each line's reason.
fn adapted(packages: &Path, endpoint: &str, builds: &str) -> Result<String> {
    let mut text = std::fs::read_to_string(root().join("template.yaml")).context("template.yaml")?;
    for function in FUNCTIONS {
        let zip = packages.join(format!("{function}.zip"));
        replace(&mut text, &format!("CodeUri: {function}\n"), &format!("CodeUri: {}\n", zip.display()))?;
    }
    // What was built is for this machine.
    let architecture = if cfg!(target_arch = "aarch64") { "[arm64]" } else { "[x86_64]" };
    replace(&mut text, "Architectures: [arm64]", &format!("Architectures: {architecture}"))?;
    // It streams no answers.
    replace(&mut text, ", ResponseTransferMode: RESPONSE_STREAM, TimeoutInMillis: 900000", "")?;
    replace(&mut text, "RESPONSE_TRANSFER_MODE: STREAM", "RESPONSE_TRANSFER_MODE: BUFFERED")?;
    // It knows neither wrappers of runtimes nor streamed answers that are no JSON, but hands an event on.
    replace(&mut text, "{ AREA: build,", &format!("{{ AREA: build, MINISTACK_LAMBDA_PROXY_URL: '{builds}',"))?;
    // It has no CodeDeploy.
    remove(&mut text, "    DeploymentPreference:\n", "    Environment:\n")?;
    // No name server knows its APIs; it serves them by path.
    let by_path = |scheme: &str, api: &str| {
        let rest = endpoint.trim_start_matches("http");
        format!("{scheme}{rest}/_aws/execute-api/${{{api}}}/")
    };
    let by_name =
        |scheme: &str, api: &str| format!("{scheme}://${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/");
    replace(&mut text, &by_name("https", "RestApi"), &by_path("http", "RestApi"))?;
    replace(&mut text, &by_name("https", "SocketApi"), &by_path("http", "SocketApi"))?;
    replace(&mut text, &by_name("wss", "SocketApi"), &by_path("ws", "SocketApi"))?;
    Ok(text)
}

/// Replaces every occurrence; an error when there is none, so that the list of adaptations stays true.
fn replace(text: &mut String, from: &str, to: &str) -> Result<()> {
    if !text.contains(from) {
        bail!("template.yaml has no `{}` any more", from.trim());
    }
    *text = text.replace(from, to);
    Ok(())
}

/// Removes what is from the first `from` up to the next `until`.
fn remove(text: &mut String, from: &str, until: &str) -> Result<()> {
    let start = text.find(from).with_context(|| format!("template.yaml has no `{}` any more", from.trim()))?;
    let length = text[start..].find(until).with_context(|| format!("nothing follows `{}`", from.trim()))?;
    text.replace_range(start..start + length, "");
    Ok(())
}

/// Invokes the setup function as docs/operations.md says, and gives the password that it answers.
fn first_admin(account: &Account, function: &str, folder: &Path) -> Result<String> {
    let made = invoke(account, function, &json!({ "email": ADMIN }), folder)?;
    made["password"].as_str().map(str::to_owned).with_context(|| format!("the setup function made no admin: {made}"))
}

/// A new key for access tokens: what follows is signed in with it.
fn rotated(account: &Account, function: &str, folder: &Path) -> Result<()> {
    let [first, second] = [(); 2].map(|()| invoke(account, function, &json!({ "revoke": true }), folder));
    let (first, second) = (first?, second?);
    if !first["kid"].is_string() || first["kid"] == second["kid"] {
        bail!("the keys were not replaced: {first} {second}");
    }
    let unknown = invoke(account, function, &json!({ "revoke": "all" }), folder);
    if unknown.is_ok() {
        bail!("the function of keys took what it does not know");
    }
    Ok(())
}

/// A function's answer; an error when it ended with one.
fn invoke(account: &Account, function: &str, event: &serde_json::Value, folder: &Path) -> Result<serde_json::Value> {
    let answer = folder.join("answer.json");
    let mut invoke: Command = account.aws();
    invoke.args(["lambda", "invoke", "--function-name", function]);
    invoke.args(["--payload", &event.to_string()]).arg(&answer);
    let said = ask(&mut invoke)?;
    let text = std::fs::read_to_string(&answer).with_context(|| format!("the answer of {function}"))?;
    // It may have a password in it.
    std::fs::remove_file(&answer)?;
    if !said["FunctionError"].is_null() {
        bail!("{function} ended with an error: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("the answer of {function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_every_place_that_is_adapted() {
        let text = adapted(Path::new("/packages"), "http://127.0.0.1:1", "http://127.0.0.1:2/").unwrap();
        assert!(text.contains("http://127.0.0.1:1/_aws/execute-api/${RestApi}/${Environment}"), "{text}");
        assert!(text.contains("ws://127.0.0.1:1/_aws/execute-api/${SocketApi}/${Environment}"), "{text}");
        assert!(!text.contains(".execute-api.${AWS::Region}"), "{text}");
        assert!(!text.contains("STREAM,") && !text.contains("STREAM }"), "{text}");
    }
}
