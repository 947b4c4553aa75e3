//! Scripts of clients, made at random, against `git http-backend` and against the store: what happens must be the same.

use std::num::NonZero;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;

use crate::machine::{Machine, git_command};
use crate::stock::serve_stock;

/// Scripts in a run of all tests. `WORKROOM_TEST_SCRIPTS` asks for more, `WORKROOM_TEST_SEED` for others: the first has
/// that number, the next ones follow (`cargo xtask git-scripts`).
const SCRIPTS: u64 = 3;
const STEPS: usize = 24;
/// Commands that were run on each side.
static COMMANDS: AtomicU64 = AtomicU64::new(0);

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// Two servers, and for each of them the same clients in folders of the same names.
struct Both {
    machine: Machine,
    stock: String,
    /// Makes the same commits on both sides.
    time: u64,
    /// The number of the script.
    seed: u64,
}

const SIDES: [&str; 2] = ["stock", "ours"];

impl Both {
    async fn start(seed: u64) -> Self {
        let machine = Machine::start().await;
        let stock = serve_stock(machine.path("server")).await;
        std::fs::create_dir_all(machine.path("server")).unwrap();
        let init = ["init", "-q", "--bare", "-b", "main", "one.git"];
        let done = git_command(&machine.path("server"), machine.dir.path()).args(init).status().await.unwrap();
        assert!(done.success());
        for side in SIDES {
            std::fs::create_dir_all(machine.path(side)).unwrap();
        }
        // What the store always does.
        for key in ["allowFilter", "allowReachableSHA1InWant"] {
            machine.git("server/one.git", &["config", &format!("uploadpack.{key}"), "true"]).await;
        }
        Self { stock: format!("{stock}/one.git"), machine, time: 1_700_000_000, seed }
    }

    fn url(&self, side: &str) -> &str {
        if side == "stock" { &self.stock } else { &self.machine.url }
    }

    async fn on(&self, side: &str, at: &str, args: &[String]) -> Output {
        let folder = self.machine.path(side).join(at);
        let args = args.iter().map(|arg| arg.replace("URL", self.url(side)));
        let date = format!("{} +0000", self.time);
        let mut command = git_command(&folder, self.machine.dir.path());
        command.args(args).env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command.output().await.unwrap()
    }

    /// Runs the same on both sides; whether it succeeded and what it printed must be the same.
    async fn run(&mut self, at: &str, line: &str) -> bool {
        self.time += 60;
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (stock, ours) = (self.on("stock", at, &args).await, self.on("ours", at, &args).await);
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let (theirs, own) = (stock.status.code(), ours.status.code());
        let seed = self.seed;
        assert_eq!(theirs, own, "script {seed}: git {line}\nstock: {}\nours: {}", said(&stock), said(&ours));
        assert!(stock.stdout == ours.stdout, "script {seed}: git {line}: {stock:?} {ours:?}");
        COMMANDS.fetch_add(1, Ordering::Relaxed);
        ours.status.success()
    }

    fn write(&self, at: &str, path: &str, text: &str) {
        for side in SIDES {
            let file = self.machine.path(side).join(at).join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }
}

async fn step(both: &mut Both, numbers: &mut Numbers, n: usize) {
    let at = ["a", "b"][numbers.below(2)];
    let branch = ["main", "side", "x/y", "x"][numbers.below(4)];
    match numbers.below(14) {
        0..=3 => {
            let path = ["a.txt", "b/c.txt", "b/d/e.txt"][numbers.below(3)];
            let text: String =
                (0..40).map(|line| format!("{line} {}\n", if line % 7 == 0 { numbers.below(9) } else { 0 })).collect();
            both.write(at, path, &text);
            both.run(at, "add -A").await;
            both.run(at, &format!("commit -q --allow-empty -m {n}")).await;
        }
        4 => drop(both.run(at, &format!("checkout -q -B {branch}")).await),
        5 => drop(both.run(at, "push -q origin HEAD").await),
        6 => drop(both.run(at, "push -q --force origin HEAD").await),
        7 => drop(both.run(at, &format!("push -q --atomic origin HEAD HEAD:refs/heads/{branch}")).await),
        8 => drop(both.run(at, &format!("push -q origin :{branch}")).await),
        9 => {
            both.run(at, &format!("tag -f -a t{} -m t", numbers.below(4))).await;
            both.run(at, "push -q origin --tags").await;
        }
        10 => drop(both.run(at, "fetch -q --prune --tags origin").await),
        11 => {
            if !both.run(at, "pull -q --no-rebase --no-edit origin main").await {
                both.run(at, "reset -q --hard").await;
            }
        }
        12 => drop(both.run(at, "reset -q --hard HEAD~1").await),
        _ => clone(both, numbers, n).await,
    }
}

async fn clone(both: &mut Both, numbers: &mut Numbers, n: usize) {
    let how =
        ["--depth=1", "--depth=3", "--filter=blob:none", "--filter=tree:0", "--single-branch", "--shallow-exclude=t0"];
    let how = how[numbers.below(how.len())];
    let version = [0, 2][numbers.below(2)];
    if both.run(".", &format!("-c protocol.version={version} clone -q {how} URL c{n}")).await {
        let to = format!("c{n}");
        both.run(&to, "for-each-ref").await;
        both.run(&to, "rev-list --all --count").await;
        both.run(&to, "rev-parse --is-shallow-repository").await;
        both.run(&to, "fetch -q --depth=2 origin").await;
        both.run(&to, "rev-list --all --count").await;
        both.run(&to, "fsck --strict").await;
    }
}

async fn script(seed: u64) {
    let mut both = Both::start(seed).await;
    let mut numbers = Numbers(seed);
    for at in ["a", "b"] {
        both.run(".", &format!("clone -q URL {at}")).await;
        both.run(at, "config push.default current").await;
    }
    both.write("a", "a.txt", "first\n");
    both.run("a", "add -A").await;
    both.run("a", "commit -q -m first").await;
    both.run("a", "push -q origin HEAD:main").await;
    for n in 0..STEPS {
        step(&mut both, &mut numbers, n).await;
        both.run("a", "ls-remote --symref origin").await;
    }
    both.run(".", "clone -q --mirror URL last").await;
    both.run("last", "for-each-ref").await;
    both.run("last", "rev-parse --verify -q HEAD^{tree}").await;
    both.run("last", "fsck --strict --full").await;
    assert!(
        !both.machine.git("ours/last", &["for-each-ref"]).await.is_empty(),
        "a script that pushes nothing shows nothing"
    );
}

#[allow(clippy::disallowed_methods, reason = "how much is tried is named by the environment")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_the_same_of_git_and_of_the_store() {
    let (first, scripts) =
        (asked("WORKROOM_TEST_SEED").unwrap_or(0), asked("WORKROOM_TEST_SCRIPTS").unwrap_or(SCRIPTS));
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    let running = futures::stream::iter(first..first + scripts).map(|seed| tokio::spawn(script(seed)));
    running.buffer_unordered(at_once).for_each(|done| async { done.unwrap() }).await;
    let commands = COMMANDS.load(Ordering::Relaxed);
    println!("{scripts} scripts from number {first}: {commands} commands, the same on both sides");
}
