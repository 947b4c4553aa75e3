//! Builds of small apps in the real sandbox. This program is its own sandbox init: hence its own `main`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use build_worker::build::{Build, BuildError, Builder, BuilderSettings, Built, Output, Plan, Request, Target};
use libtest_mimic::{Arguments, Failed, Trial};
use sam::{AccountNames, Resolve, Template};
use sandbox::{Sandbox, SandboxSettings, Tools};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn main() {
    sandbox::run_if_init();
    let trials = vec![
        trial("functions_and_a_plain_front_end_become_stable_zips", stable_zips),
        trial("npm_builds_the_front_end", npm_front_end),
        trial("make_builds_into_the_artifacts_folder", makefile),
        trial("layers_lie_where_their_runtime_looks", layers),
        trial("a_stopped_build_leaves_no_process", stopped),
        trial("a_link_out_of_the_package_fails_the_build", link_out),
        trial("code_outside_the_checkout_is_not_found", code_outside),
        trial("a_build_sees_neither_hidden_folders_nor_the_loopback", hidden),
        trial("a_failing_step_names_its_exit_code_and_shows_its_output", failing),
        trial("nothing_to_install_keeps_nothing", nothing_kept),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(name: &str, test: fn(&Bench) -> Result<(), Failed>) -> Trial {
    Trial::test(name, move || test(&Bench::new()))
}

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["checkout", "hidden", "cache", "scratch-0"] {
            fs::create_dir_all(bench.path(name)).unwrap();
        }
        bench.file("../hidden/secret", "the platform's own");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.path("checkout").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn plan(&self, resources: &str) -> Plan {
        let names = AccountNames {
            stack: "s".into(),
            region: "r".into(),
            account: "1".into(),
            queue_endpoint: String::new(),
            site_host: String::new(),
            site_scheme: String::new(),
        };
        let template = Template::parse(&format!("Resources:\n{resources}")).unwrap();
        Plan::of(&sam::resolve(&template, &Resolve { parameters: BTreeMap::new(), names: &names }).unwrap())
    }

    fn builder(&self) -> Builder {
        let sandbox = Sandbox::detect(SandboxSettings {
            init_program: std::env::current_exe().unwrap(),
            hidden: vec![self.path("hidden")],
            ..SandboxSettings::default()
        });
        Builder::new(BuilderSettings {
            sandbox: sandbox.unwrap(),
            tools: Tools::new(&std::env::var("PATH").unwrap()),
            cache: self.path("cache"),
            environment: BTreeMap::new(),
            target: Target::Machine,
        })
    }

    /// Builds, and gives the log; `stop_at` stops the build when a line has that text.
    fn build(&self, resources: &str, project: &str, stop_at: Option<&str>) -> (Result<Built, BuildError>, Vec<String>) {
        let plan = self.plan(resources);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let scratch = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        runtime.block_on(async {
            let (lines, mut said) = mpsc::channel(10_000);
            let output = Output { lines, stop: CancellationToken::new() };
            let stop = output.stop.clone();
            let stop_at = stop_at.map(str::to_owned);
            let log = tokio::spawn(async move {
                let mut log = Vec::new();
                while let Some(line) = said.recv().await {
                    if stop_at.as_ref().is_some_and(|text| line.contains(text)) {
                        stop.cancel();
                    }
                    log.push(line);
                }
                log
            });
            let root = self.path("checkout");
            let request =
                Request { root: &root, base: &root, plan: &plan, scratch: &scratch, project, run: "r", blobs: None };
            let built = self.builder().build(&request, &output).await;
            drop(output);
            (built, log.await.unwrap())
        })
    }
}

/// Names, executable bits and contents of a package.
fn unpacked(built: &Built, name: &str) -> BTreeMap<String, (bool, String)> {
    let package = built.packages.iter().find(|package| package.name == name).expect("the package is there");
    let mut zip = zip::ZipArchive::new(File::open(&package.file).unwrap()).unwrap();
    let mut all = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let executable = entry.unix_mode().unwrap() & 0o111 != 0;
        all.insert(name, (executable, content));
    }
    all
}

const PYTHON: &str =
    "  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.handler, Runtime: python3.12, CodeUri: src}}\n";
const MAKE: &str = "  F:\n    Type: AWS::Serverless::Function\n    Metadata: {BuildMethod: makefile}\n    Properties: {Handler: x, Runtime: provided.al2023, CodeUri: native}\n";

fn stable_zips(bench: &Bench) -> Result<(), Failed> {
    bench.file("src/app.py", "def handler(e, c): return 1\n");
    bench.file("src/requirements.txt", "# nothing\n");
    bench.file("src/__pycache__/x.pyc", "old");
    bench.file("frontend/index.html", "<p>hello");
    let (first, log) = bench.build(PYTHON, "p", None);
    let (first, second) = (first?, bench.build(PYTHON, "p", None).0?);
    assert_eq!(unpacked(&first, "F").into_keys().collect::<Vec<_>>(), ["app.py", "requirements.txt"]);
    assert_eq!(unpacked(&first, "site")["index.html"].1, "<p>hello");
    let digests = |built: &Built| built.packages.iter().map(|package| package.sha256).collect::<Vec<_>>();
    assert_eq!(digests(&first), digests(&second));
    assert!(log.iter().any(|line| line.contains("Building F (python3.12)")), "{log:?}");
    Ok(())
}

fn npm_front_end(bench: &Bench) -> Result<(), Failed> {
    bench.file("src/app.py", "");
    bench.file("web/package.json", r#"{"name": "web", "scripts": {"build": "node build.js"}}"#);
    bench.file("web/build.js", "const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', 'made'); console.log('built it')");
    bench.file("web/dist/stale.html", "old");
    let (built, log) = bench.build(PYTHON, "p", None);
    let site = unpacked(&built.map_err(|error| format!("{error}: {log:?}"))?, "site");
    assert_eq!(site.keys().collect::<Vec<_>>(), ["index.html"]);
    assert_eq!(site["index.html"].1, "made");
    assert!(log.iter().any(|line| line == "built it"), "{log:?}");
    Ok(())
}

fn makefile(bench: &Bench) -> Result<(), Failed> {
    bench.file(
        "native/Makefile",
        "build-F:\n\tprintf '#!/bin/sh\\n' > $(ARTIFACTS_DIR)/bootstrap\n\tchmod +x $(ARTIFACTS_DIR)/bootstrap\n",
    );
    let (built, log) = bench.build(MAKE, "p", None);
    let made = unpacked(&built.map_err(|error| format!("{error}: {log:?}"))?, "F");
    assert_eq!(made["bootstrap"], (true, "#!/bin/sh\n".to_owned()));
    bench.file("native/Makefile", "build-F:\n\ttrue\n");
    let (built, _) = bench.build(MAKE, "p", None);
    assert!(built.unwrap_err().to_string().contains("bootstrap"));
    Ok(())
}

fn layers(bench: &Bench) -> Result<(), Failed> {
    bench.file("src/app.py", "");
    bench.file("layer/shared.py", "x = 1");
    let layers = "  L: {Type: AWS::Serverless::LayerVersion, Metadata: {BuildMethod: python3.12}, Properties: {ContentUri: layer}}\n  \
                  P: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}\n  \
                  I: {Type: AWS::Serverless::Function, Properties: {Handler: index.handler, Runtime: nodejs20.x, InlineCode: 'exports.handler = 1'}}\n";
    let (built, log) = bench.build(layers, "p", None);
    let built = built.map_err(|error| format!("{error}: {log:?}"))?;
    assert!(unpacked(&built, "L").contains_key("python/shared.py"));
    assert!(unpacked(&built, "P").contains_key("shared.py"));
    assert_eq!(unpacked(&built, "I")["index.js"].1, "exports.handler = 1");
    Ok(())
}

fn stopped(bench: &Bench) -> Result<(), Failed> {
    // The process is found by an argument that nobody else has.
    let seconds = format!("8{}", std::process::id());
    let script = format!(
        "build-F:\n\ttrap '' TERM; setsid sleep {seconds} & (setsid sh -c 'sleep {seconds}' &) ; echo started; sleep {seconds}\n"
    );
    bench.file("native/Makefile", &script);
    let (built, log) = bench.build(MAKE, "p", Some("started"));
    assert!(matches!(built, Err(BuildError::Stopped)), "{built:?} {log:?}");
    let alive: Vec<String> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|line| line.split('\0').collect::<Vec<_>>() == ["sleep", seconds.as_str(), ""])
        .collect();
    assert!(alive.is_empty(), "{alive:?}");
    Ok(())
}

fn link_out(bench: &Bench) -> Result<(), Failed> {
    bench.file(
        "native/Makefile",
        "build-F:\n\ttouch $(ARTIFACTS_DIR)/bootstrap\n\tln -s /etc/passwd $(ARTIFACTS_DIR)/users\n",
    );
    let (built, _) = bench.build(MAKE, "p", None);
    assert!(built.unwrap_err().to_string().contains("leads out of the package"));
    Ok(())
}

fn code_outside(bench: &Bench) -> Result<(), Failed> {
    std::os::unix::fs::symlink(bench.path("hidden"), bench.path("checkout").join("src"))?;
    let (built, _) = bench.build(PYTHON, "p", None);
    assert!(built.unwrap_err().to_string().contains("not in the repository"));
    let up = PYTHON.replace("CodeUri: src", "CodeUri: ../hidden");
    assert!(bench.build(&up, "p", None).0.unwrap_err().to_string().contains("not in the repository"));
    Ok(())
}

fn hidden(bench: &Bench) -> Result<(), Failed> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let secret = bench.path("hidden").join("secret");
    let script = format!(
        "build-F:\n\tcat {} && echo seen || echo unseen\n\tpython3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 2)' && echo reached || echo unreached\n\ttouch $(ARTIFACTS_DIR)/bootstrap\n",
        secret.display()
    );
    bench.file("native/Makefile", &script);
    let (built, log) = bench.build(MAKE, "p", None);
    built.map_err(|error| format!("{error}: {log:?}"))?;
    let said = |text: &str| log.iter().any(|line| line == text);
    assert!(said("unseen") && said("unreached") && !said("seen") && !said("reached"), "{log:?}");
    Ok(())
}

fn failing(bench: &Bench) -> Result<(), Failed> {
    bench.file("native/Makefile", "build-F:\n\techo why it failed >&2; exit 3\n");
    let (built, log) = bench.build(MAKE, "p", None);
    assert!(built.unwrap_err().to_string().contains("make build-F ended with exit code 2"));
    assert!(log.iter().any(|line| line == "why it failed"), "{log:?}");
    Ok(())
}

fn nothing_kept(bench: &Bench) -> Result<(), Failed> {
    bench.file("src/app.py", "");
    bench.file("src/package.json", r#"{"name": "f", "dependencies": {}, "scripts": {}}"#);
    let resources = "  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.handler, Runtime: nodejs20.x, CodeUri: src}}\n";
    let (built, _) = bench.build(resources, "one", None);
    assert!(unpacked(&built?, "F").contains_key("package.json"));
    assert_eq!(fs::read_dir(bench.path("cache"))?.count(), 0, "nothing to install keeps nothing");
    Ok(())
}
