//! Ends of every kind: killed, interrupted, refused to start. What was acknowledged stays, what ran is gone.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workroom_tests::tools::{git, succeed};
use workroom_tests::{Answer, Client, PERSON, Platform, Project, Socket, Team, program, root};

const PATIENCE: Duration = Duration::from_secs(120);
/// Ctrl-C ends it within a few seconds; a loaded machine gets more.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A Makefile build that says when it started, then takes `seconds`.
fn slow_build(project: &Project, seconds: &str) {
    let template = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Slow:\n    Type: AWS::Serverless::Function\n    \
        Metadata: { BuildMethod: makefile }\n    Properties: { Runtime: provided.al2023, Handler: bootstrap, CodeUri: . }\n";
    let makefile = format!("build-Slow:\n\techo started; sleep {seconds}; cp Makefile $(ARTIFACTS_DIR)/bootstrap\n");
    let head = head(&project.client, project).expect(200).json()["items"][0]["id"].clone();
    let changes = json!([
        {"action": "put", "path": "template.yaml", "content": template},
        {"action": "put", "path": "Makefile", "content": makefile},
    ]);
    let body = json!({"branch": "main", "expected_head": head, "message": "slow", "changes": changes});
    project.client.post(&project.path("/commits"), &body).expect(201);
}

fn head(client: &Client, project: &Project) -> Answer {
    client.get(&project.path("/commits?ref=main&limit=1"))
}

fn start_build(project: &Project) -> String {
    let job = project.client.post(&project.path("/builds"), &json!({"ref": "main"})).expect(202).json();
    job["id"].as_str().unwrap().to_owned()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn site(platform: &Platform, label: &str, path: &str) -> Answer {
    let host = format!("{label}.localhost:{}", platform.port());
    Client::new(&format!("http://127.0.0.1:{}", platform.port())).send("GET", path, &[("Host", &host)], None)
}

/// All that the project's journal has, in order.
fn journal(project: &Project) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event["sequence"].as_u64().unwrap());
        let page = project.client.get(&project.path(&format!("/events?after={after}"))).expect(200).json();
        let items = page["items"].as_array().unwrap();
        if items.is_empty() {
            return events;
        }
        events.extend(items.iter().cloned());
    }
}

/// One who writes until the platform is gone, and what was acknowledged to them.
struct Writer {
    thread: JoinHandle<()>,
    acknowledged: Arc<Mutex<Vec<String>>>,
}

impl Writer {
    /// `write` is given a number and answers with what was acknowledged, or `None` once nobody answers.
    fn start(mut write: impl FnMut(usize) -> Option<String> + Send + 'static) -> Self {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let noted = acknowledged.clone();
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                let Some(done) = write(number) else { return };
                noted.lock().unwrap().push(done);
            }
        });
        Self { thread, acknowledged }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    fn end(self) -> Vec<String> {
        self.thread.join().unwrap();
        let acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.clone()
    }
}

fn pushes(work: std::path::PathBuf, url: String, round: usize) -> Writer {
    Writer::start(move |number| {
        let message = format!("push {round} {number}");
        std::fs::write(work.join(format!("file-{number}.txt")), &message).unwrap();
        succeed(&mut git(&work, &["add", "."]));
        succeed(&mut git(&work, &["commit", "-q", "--allow-empty", "-m", &message]));
        let oid = succeed(&mut git(&work, &["rev-parse", "HEAD"])).trim().to_owned();
        let pushed = git(&work, &["push", "-q", "-f", &url, "HEAD:refs/heads/work"]).stderr(Stdio::null()).status();
        pushed.unwrap().success().then_some(oid)
    })
}

fn drafts(client: Client, project: String, round: usize) -> Writer {
    Writer::start(move |number| {
        let path = format!("draft-{round}-{number}.txt");
        let address = format!("/projects/{project}/draft?branch=main&path={path}");
        let headers = [("Content-Type", "application/octet-stream"), ("If-None-Match", "*")];
        let answer = client.try_send("PUT", &address, &headers, Some(path.as_bytes())).ok()?;
        assert!(answer.status < 300 || answer.status >= 500, "{}", answer.text());
        (answer.status < 300).then_some(path)
    })
}

fn commits(client: Client, project: String, mut head: Value, round: usize) -> Writer {
    Writer::start(move |number| {
        let changes = json!([{"action": "put", "path": format!("c/{round}-{number}.txt"), "content": "x"}]);
        let body = json!({"branch": "main", "expected_head": head, "message": "write", "changes": changes});
        let headers = [("Content-Type", "application/json")];
        let address = format!("/projects/{project}/commits");
        let answer = client.try_send("POST", &address, &headers, Some(body.to_string().as_bytes())).ok()?;
        assert!(answer.status == 201 || answer.status >= 500, "{}", answer.text());
        if answer.status != 201 {
            return None;
        }
        head = answer.json()["id"].clone();
        Some(head.as_str().unwrap().to_owned())
    })
}

#[test]
fn what_was_acknowledged_survives_a_kill_in_the_middle_of_writes() {
    let Team { mut platform, .. } = {
        let team = Team::start();
        team.project("steady", "empty");
        team
    };
    let project = |platform: &Platform| Project { slug: "steady".into(), client: platform.sign_in(PERSON.0, PERSON.1) };
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", &project(&platform).git_url(&platform), "work"]));
    let work = folder.path().join("work");
    let (mut pushed, mut saved, mut committed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..3 {
        let before = project(&platform);
        let head = head(&before.client, &before).expect(200).json()["items"][0]["id"].clone();
        let writers = [
            pushes(work.clone(), before.git_url(&platform), round),
            drafts(before.client.clone(), before.slug.clone(), round),
            commits(before.client.clone(), before.slug.clone(), head, round),
        ];
        wait_for("nobody gets to write", || writers.iter().all(|writer| writer.count() >= 3));
        platform = platform.kill_and_restart();
        let [pushes, drafts, commits] = writers.map(Writer::end);
        println!("round {round}: {} pushes, {} drafts, {} commits", pushes.len(), drafts.len(), commits.len());
        pushed.extend(pushes);
        saved.extend(drafts);
        committed.extend(commits);

        let project = project(&platform);
        let name = format!("fresh-{round}");
        succeed(&mut git(folder.path(), &["clone", "-q", &project.git_url(&platform), &name]));
        let fresh = folder.path().join(&name);
        succeed(&mut git(&fresh, &["fsck", "--strict", "--full"]));
        for (branch, acknowledged) in [("origin/work", &pushed), ("origin/main", &committed)] {
            let reached = succeed(&mut git(&fresh, &["rev-list", branch]));
            for oid in acknowledged {
                assert!(reached.lines().any(|line| line == oid), "{oid} is not on {branch}");
            }
        }
        for path in &saved {
            let found = project.client.get(&project.path(&format!("/draft?branch=main&path={path}"))).expect(200);
            assert_eq!(found.text(), *path);
        }
        let sequences: Vec<u64> = journal(&project).iter().map(|e| e["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "the journal has no gap");
    }
}

#[test]
fn a_job_whose_platform_was_killed_ends_once_and_a_site_serves_again() {
    let team = Team::start();
    let served = team.project("served", "python");
    served.succeeded(served.deploy("dev", "main"));
    site(&team.platform, "dev--served", "/api/greeting").expect(200);
    let slow = team.project("slow", "empty");
    let marker = format!("4.{}", std::process::id());
    slow_build(&slow, &marker);
    let running = start_build(&slow);
    wait_for("the build runs", || slow.log(&running).contains("started"));
    let queued = start_build(&slow);

    let began = Instant::now();
    let platform = team.platform.kill_and_restart();
    println!("ready again after {:?}", began.elapsed());
    let greeting = site(&platform, "dev--served", "/api/greeting?name=Ada").expect(200).json();
    assert_eq!(greeting["greeting"], "Hello, Ada!");
    assert!(site(&platform, "dev--served", "/").expect(200).text().contains("<title>Starter</title>"));

    let slow = Project { slug: slow.slug, client: platform.sign_in(PERSON.0, PERSON.1) };
    for job in [&running, &queued] {
        slow.succeeded(slow.wait(job));
    }
    let finals = |job: &str| {
        let events = journal(&slow);
        let of_job = events.iter().filter(|e| e["resource"] == format!("job/{job}"));
        of_job.filter(|e| !["queued", "running"].contains(&e["detail"]["state"].as_str().unwrap())).count()
    };
    assert_eq!((finals(&running), finals(&queued)), (1, 1), "each ends once");
}

/// A process, told apart from a later one of the same number: number, start time, name.
type Process = (u32, u64, String);

fn process(pid: u32) -> Option<(u32, Process)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // A zombie is no longer running: whoever adopted it has yet to look.
    if fields.first() == Some(&"Z") {
        return None;
    }
    let name = head.split_once('(')?.1.to_owned();
    Some((fields.get(1)?.parse().ok()?, (pid, fields.get(19)?.parse().ok()?, name)))
}

/// Everything that descends from a process, itself not included.
fn descendants(of: u32) -> Vec<Process> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, Process)> = pids.filter_map(process).collect();
    let (mut found, mut parents): (Vec<Process>, Vec<u32>) = (Vec::new(), vec![of]);
    while let Some(parent) = parents.pop() {
        for (_, child) in all.iter().filter(|(its_parent, _)| *its_parent == parent) {
            parents.push(child.0);
            found.push(child.clone());
        }
    }
    found
}

/// What is left of `processes`, and whoever else names the data folder.
fn left(processes: &[Process], data: &Path) -> Vec<Process> {
    let alive = |one: &Process| process(one.0).is_some_and(|(_, now)| now == *one);
    let mut left: Vec<Process> = processes.iter().filter(|one| alive(one)).cloned().collect();
    let data = data.to_str().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let named =
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|l| String::from_utf8_lossy(&l).contains(data));
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if named && let Some((_, found)) = pid.and_then(process) {
            left.push(found);
        }
    }
    left
}

fn busy_platform() -> (Team, Vec<Process>, Socket) {
    let team = Team::start();
    for starter in ["python", "node"] {
        let project = team.project(starter, starter);
        project.succeeded(project.deploy("dev", "main"));
        site(&team.platform, &format!("dev--{starter}"), "/api/greeting").expect(200);
    }
    let slow = team.project("slow", "empty");
    slow_build(&slow, &format!("600.{}", std::process::id()));
    let job = start_build(&slow);
    wait_for("the build runs", || slow.log(&job).contains("started"));
    let mut socket = Socket::open(&team.person, &team.platform.address);
    socket.subscribe("slow", None);
    socket.say(&json!({"action": "tail", "project": "slow", "job": job}));
    socket.hear();
    let children = descendants(team.platform.pid());
    let names: Vec<&str> = children.iter().map(|child| child.2.as_str()).collect();
    for name in ["python", "node", "sleep"] {
        assert!(names.iter().any(|found| found.contains(name)), "{name} runs: {names:?}");
    }
    (team, children, socket)
}

#[test]
fn an_interrupt_ends_everything_in_a_few_seconds() {
    let (mut team, children, _socket) = busy_platform();
    let began = Instant::now();
    team.platform.signal(libc::SIGINT);
    let status = team.platform.ended(STOP_MAX);
    println!("ended after {:?}", began.elapsed());
    assert!(status.success(), "{status}");
    wait_for(&format!("left: {:?}", left(&children, team.platform.data())), || {
        left(&children, team.platform.data()).is_empty()
    });
}

#[test]
fn a_kill_leaves_no_child_either() {
    let (mut team, children, _socket) = busy_platform();
    team.platform.signal(libc::SIGKILL);
    team.platform.ended(STOP_MAX);
    wait_for(&format!("left: {:?}", left(&children, team.platform.data())), || {
        left(&children, team.platform.data()).is_empty()
    });
}

/// Starts it where it cannot run; the answer is its one line.
fn refusal(data: &Path, port: u16) -> String {
    let mut command = Command::new(program());
    command.current_dir(root()).arg("--data").arg(data).args(["--port", &port.to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it started");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.starts_with("workroom: "), "{said}");
    said
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = refusal(&folder.path().join("a"), port);
    assert!(said.contains(&format!("port {port} is taken")) && said.contains("--port"), "{said}");
    let said = refusal(&folder.path().join("b"), port - 1);
    assert!(said.contains("is taken"), "the port after it is needed as well: {said}");

    std::fs::write(folder.path().join("file"), "").unwrap();
    for data in [folder.path().join("file/data"), folder.path().join("file"), "/proc/workroom".into()] {
        let said = refusal(&data, 0);
        assert!(said.contains(data.to_str().unwrap()) && said.contains("cannot be used"), "{said}");
    }
    let platform = Platform::start();
    let said = refusal(platform.data(), 0);
    assert!(said.contains(&platform.pid().to_string()) && said.contains("another folder"), "{said}");
    platform.anonymous().get("/health").expect(200);
}

#[test]
fn a_second_start_is_quick() {
    let team = Team::start();
    team.project("any", "python");
    let mut platform = team.platform;
    for start in 2..5 {
        let began = Instant::now();
        platform = platform.kill_and_restart();
        println!("start {start} took {:?}", began.elapsed());
        platform.sign_in(PERSON.0, PERSON.1).get("/projects/any").expect(200);
    }
}
