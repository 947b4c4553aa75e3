//! What a build and a deployed function can reach, and templates that must not be deployed: BUILD-*, DEPLOY-*.
//!
//! Not here: BUILD-007 (no secrets), -010 to -014 (no hooks, filters or log tokens exist; checkouts are tests of
//! `git-store`), DEPLOY-002 (no account to bound), DEPLOY-016 (no rollback).
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use workroom_tests::hostile::Target;

/// Tries everything and prints `ESCAPED` for what works. `PORT`, `SERVICES` and `DATA` are filled in.
const ATTACK: &str = r#"
import os, socket, subprocess
def tried(name, attempt):
    try:
        found = attempt()
    except BaseException as error:
        print('held', name, type(error).__name__)
    else:
        print('ESCAPED' if found else 'held', name, repr(found)[:80])
def reach(host, port):
    with socket.create_connection((host, port), timeout=2):
        return True
for port in (PORT, SERVICES):
    for host in ('127.0.0.1', 'localhost', '0.0.0.0', '::1', '::ffff:127.0.0.1', '10.0.2.2', 'HOSTIP'):
        tried(f'reach {host} {port}', lambda: reach(host, port))
for host in ('169.254.169.254', 'fd00:ec2::254', '169.254.170.2'):
    tried(f'metadata {host}', lambda: reach(host, 80))
for path in ('DATA', 'DATA/workroom.db', 'DATA/key', '/etc/shadow', '/root/.ssh', '/home'):
    tried(f'see {path}', lambda: os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1))
def opened(path):
    os.close(os.open(path, os.O_WRONLY))
    return True
for path in ('/etc/passwd', '/usr/bin/env', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/panic',
             '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches', '/proc/sysrq-trigger', '/proc/1/mem', '/proc/mtrr'):
    tried(f'write {path}', lambda: opened(path))
tried('create in /usr', lambda: open('/usr/planted', 'w'))
tried('processes of the machine', lambda: [p for p in os.listdir('/proc') if p.isdigit() and
      b'--data' in open(f'/proc/{p}/cmdline', 'rb').read()])
tried('the data folder in the environment', lambda: [k for k, v in os.environ.items() if 'DATA' in v])
for command in (['unshare', '-Ur', 'true'], ['mount', '-t', 'tmpfs', 'x', '/mnt'], ['chroot', '/', 'true']):
    tried(' '.join(command), lambda: subprocess.run(command, capture_output=True).returncode == 0)
tried('become root', lambda: os.setuid(0) or True)
"#;

/// More than any sandbox gives, in children that end by themselves.
const FORKS: &str = r#"
forked = 0
try:
    while forked < 4000:
        if os.fork() == 0:
            import time; time.sleep(3); os._exit(0)
        forked += 1
except OSError:
    pass
print('ESCAPED forks' if forked >= 4000 else 'held forks', forked)
"#;

/// `services` are AWS's, as far as they belong to whoever attacks: a function has its own stack's, a build none.
fn attack(target: &Target, services: u16) -> String {
    let host = std::process::Command::new("hostname").arg("-I").output().map(|out| out.stdout).unwrap_or_default();
    let host = String::from_utf8_lossy(&host).split_whitespace().next().unwrap_or("127.0.0.1").to_owned();
    ATTACK
        .replace("PORT", &target.platform().port().to_string())
        .replace("SERVICES", &services.to_string())
        .replace("HOSTIP", &host)
        .replace("DATA", &target.platform().data().display().to_string())
}

#[track_caller]
fn held(said: &str) {
    let escaped: Vec<&str> = said.lines().filter(|line| line.contains("ESCAPED")).collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
    assert!(said.matches("held").count() > 20, "the attack did not run: {said}");
}

#[test]
fn a_build_reaches_nothing_of_the_platform_and_leaves_nothing_behind() {
    let target = Target::start();
    let mark = format!("7777{}", target.platform().port());
    let makefile = format!(
        "build-Evil:\n\tpython3 attack.py\n\tpython3 forks.py\n\t(setsid setsid sleep {mark} >/dev/null 2>&1 &)\n\
         \tprintf '#!/bin/sh\\n' > $(ARTIFACTS_DIR)/bootstrap; chmod +x $(ARTIFACTS_DIR)/bootstrap\n"
    );
    let template = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Evil:\n    Type: AWS::Serverless::Function\n    \
        Metadata: { BuildMethod: makefile }\n    Properties: { CodeUri: evil/, Handler: bootstrap, Runtime: provided.al2023 }\n";
    let services = target.platform().services.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let forks = format!("import os\n{FORKS}");
    let files = [
        ("template.yaml", template),
        ("evil/Makefile", makefile.as_str()),
        ("evil/attack.py", &attack(&target, services)),
        ("evil/forks.py", &forks),
    ];
    let project = target.team.written("evil", &files);
    let job = project.build("main");
    let log =
        project.client.get(&project.path(&format!("/jobs/{}/log?limit=1000", job["id"].as_str().unwrap()))).json();
    let said: Vec<&str> =
        log["lines"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap()).collect();
    held(&said.join("\n"));
    let left = std::process::Command::new("pgrep").args(["-f", &format!("sleep {mark}")]).output().unwrap().stdout;
    assert!(left.is_empty(), "BUILD-006: {}", String::from_utf8_lossy(&left));
    target.unharmed(&[]);
}

#[test]
fn a_package_that_leads_out_of_itself_is_refused() {
    let target = Target::start();
    let template = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Evil:\n    Type: AWS::Serverless::Function\n    \
        Metadata: { BuildMethod: makefile }\n    Properties: { CodeUri: ., Handler: bootstrap, Runtime: provided.al2023 }\n";
    let project = target.team.written("links", &[("template.yaml", template), ("Makefile", "")]);
    for link in ["/etc/passwd", "../../../../../../etc/passwd", "/proc/self/root"] {
        project.commit(&[("Makefile", &format!("build-Evil:\n\tln -s {link} $(ARTIFACTS_DIR)/bootstrap\n"))]);
        let job = project.build("main");
        assert_eq!(job["state"], "failed", "{link}: {job:#}");
    }
    target.unharmed(&[]);
}

#[test]
fn a_function_reaches_nothing_of_the_platform() {
    let target = Target::start();
    let attack = attack(&target, target.platform().port());
    let indented = |code: &str| code.lines().map(|line| format!("      {line}\n")).collect::<String>();
    let code = format!(
        "import contextlib, io, os\ndef handler(event, context):\n  out = io.StringIO()\n  with contextlib.redirect_stdout(out):\n    \
         if event.get('fork'):\n{}    else:\n{}  return out.getvalue()\n",
        indented(FORKS),
        indented(&attack)
    );
    let template = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Evil:\n    Type: AWS::Serverless::Function\n    \
        Properties: { CodeUri: evil/, Handler: app.handler, Runtime: python3.12, Timeout: 60, MemorySize: 512 }\n";
    let project = target.team.written("fevil", &[("template.yaml", template), ("evil/app.py", &code)]);
    project.succeeded(project.deploy("dev", "main"));
    let path = project.path("/environments/dev/functions/Evil/invocations");
    let invoke = |event: Value| project.client.post(&path, &json!({"event": event})).expect(200).json();
    let answer = invoke(json!({}));
    held(answer["result"].as_str().unwrap_or_else(|| panic!("{answer:#}")));
    // The bomb ends against one limit or another: no more processes, or no more memory.
    let bomb = invoke(json!({"fork": true}));
    assert!(!bomb.to_string().contains("ESCAPED"), "{bomb:#}");
    let after = invoke(json!({}));
    held(after["result"].as_str().unwrap_or_else(|| panic!("the function does not recover: {after:#}")));
    target.unharmed(&[]);
}

#[test]
fn templates_that_reach_out_are_rejected_and_the_deployed_one_stays() {
    let target = Target::start();
    let function = |more: &str| {
        format!(
            "  Greet:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: app.handler\n      Runtime: python3.12\n{more}"
        )
    };
    let with = |more: &str| format!("Transform: AWS::Serverless-2016-10-31\nResources:\n{more}");
    let good = with(&function("      CodeUri: code/\n"));
    let project = target.team.written(
        "shop",
        &[("template.yaml", &good), ("code/app.py", "def handler(event, context):\n    return 'first'\n")],
    );
    project.succeeded(project.deploy("dev", "main"));
    let invoke = || {
        let path = project.path("/environments/dev/functions/Greet/invocations");
        project.client.post(&path, &json!({"event": {}})).expect(200).json()["result"].clone()
    };
    assert_eq!(invoke(), "first");
    let bomb: String =
        (1..12).map(|n| format!("  a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","))).collect();
    let nested = "  N: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: https://s3.amazonaws.com/other/t.yaml } }\n";
    let include = "  I: { Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://other/t.yaml } } }\n";
    let open = "      CodeUri: code/\n      FunctionUrlConfig: { AuthType: NONE }\n";
    for (case, template) in [
        (
            "DEPLOY-004 macro",
            good.replace("Transform: AWS::Serverless-2016-10-31", "Transform: [AWS::Serverless-2016-10-31, Evil]"),
        ),
        ("DEPLOY-004 include", with(include)),
        ("DEPLOY-006", with(nested)),
        ("DEPLOY-007", with(&function("      CodeUri: s3://platform/other/x.zip\n"))),
        ("DEPLOY-010", with(&function(open))),
        ("DEPLOY-012 twice", format!("{good}{}", function("      CodeUri: code/\n"))),
        ("DEPLOY-012 tag", good.replace("app.handler", "!!python/object/apply:os.system ['true']")),
        ("BUILD-015", format!("Metadata:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n{bomb}{good}")),
        ("out of the repository", with(&function("      CodeUri: ../../../../etc\n"))),
        ("an absolute path", with(&function("      CodeUri: /etc\n"))),
        ("no template", "- just\n- a list\n".to_owned()),
        ("no YAML", "\u{0}{[".to_owned()),
    ] {
        // Bytes that the editor refuses go in as they are, by way of a replacement.
        project.commit(&[("template.yaml", &template.replace('\u{0}', "\t"))]);
        let job: Value = project.deploy("dev", "main");
        assert_eq!(job["state"], "failed", "{case}: {job:#}");
        assert!(job["error"].as_str().is_some_and(|error| error.len() > 5), "{case}: {job:#}");
        assert_eq!(job["attempt"], 1, "{case} was tried again: {job:#}");
        assert_eq!(invoke(), "first", "{case}");
    }
    target.unharmed(&[]);
}
