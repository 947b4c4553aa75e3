//! What a power cut leaves: everything that was acknowledged. One push is traced, call by call: each file is on the
//! disk, under its name, and its folder too, and the record is on the disk, before the answer leaves.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use workroom_tests::tools::{git, succeed};
use workroom_tests::{Team, deployed};

/// More than a page of the database has (bytes).
const SEEN_OF_A_CALL: &str = "5000";
const CALLS: &str =
    "trace=fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,write,pwrite64,writev,sendto,sendmsg";
const PATIENCE: Duration = Duration::from_secs(60);

/// What the kernel was asked, in the order in which it answered.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    /// A file or folder is on the disk.
    Synced(PathBuf),
    Named {
        from: PathBuf,
        to: PathBuf,
    },
    /// The text is what of it can be read.
    Written {
        file: PathBuf,
        text: String,
    },
    /// The report of the push, on its way to the client.
    Reported,
}

struct Trace {
    strace: Child,
    lines: PathBuf,
}

impl Trace {
    /// Follows all threads of a process; `None` where the system does not let anyone.
    fn of(pid: u32, folder: &Path) -> Option<Self> {
        let lines = folder.join("calls");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-s", SEEN_OF_A_CALL, "-e", CALLS, "-p", &pid.to_string(), "-o"]).arg(&lines);
        let mut strace = strace.stderr(Stdio::piped()).spawn().ok()?;
        let mut said = std::io::BufReader::new(strace.stderr.take()?);
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).ok()?;
        if !line.contains("attached") {
            println!("left out: the calls of a process cannot be followed here: {line}");
            let _ = (strace.kill(), strace.wait());
            return None;
        }
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(Self { strace, lines })
    }

    /// The calls up to the report.
    fn calls(mut self) -> Vec<Call> {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read(&self.lines).unwrap_or_default();
            let calls = parse(&String::from_utf8_lossy(&text));
            if calls.contains(&Call::Reported) {
                let _ = (self.strace.kill(), self.strace.wait());
                return calls;
            }
            assert!(Instant::now() < end, "the report was not seen in {} bytes of calls", text.len());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A call that was interrupted by another thread's counts when it is over: only then is anything on the disk.
fn parse(text: &str) -> Vec<Call> {
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            // What is sent has left when the call begins, as far as anybody can tell.
            if is_report(start) {
                calls.push(Call::Reported);
            }
            begun.insert(thread, start.to_owned());
            continue;
        }
        let whole = match call.strip_prefix("<... ").and_then(|rest| rest.split_once("resumed>")) {
            Some((_, rest)) => begun.remove(thread).unwrap_or_default() + rest,
            None => call.to_owned(),
        };
        if whole.contains(" = -1 ") {
            continue;
        }
        calls.extend(one(&whole));
    }
    calls
}

fn is_report(call: &str) -> bool {
    ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|name| call.starts_with(name)) && call.contains("unpack ok")
}

fn one(call: &str) -> Option<Call> {
    if is_report(call) {
        return Some(Call::Reported);
    }
    let (name, rest) = call.split_once('(')?;
    let in_angles = || Some(PathBuf::from(rest.split_once('<')?.1.split_once('>')?.0));
    match name {
        "fsync" | "fdatasync" => in_angles().map(Call::Synced),
        "write" | "pwrite64" | "writev" => {
            let file = in_angles().filter(|path| path.is_absolute())?;
            Some(Call::Written { file, text: rest.split_once('"')?.1.rsplit_once('"')?.0.to_owned() })
        }
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
            let mut quoted = rest.split('"').skip(1).step_by(2).map(PathBuf::from);
            Some(Call::Named { from: quoted.next()?, to: quoted.next()? })
        }
        _ => None,
    }
}

/// Bytes that no deflating makes shorter (xorshift64, Marsaglia 2003).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes / 8).flat_map(|_| next()).collect()
}

#[test]
fn everything_of_a_push_is_on_the_disk_before_it_is_acknowledged() {
    if deployed::leaves_out("its disk is not ours to watch") {
        return;
    }
    let team = Team::start();
    let project = team.project("durable", "python");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("clone");
    succeed(&mut git(folder.path(), &["clone", "-q", &project.git_url(&team.platform), "clone"]));
    // Too large, and too random, to lie in the database.
    std::fs::write(at.join("more.bin"), noise(1_000_000)).unwrap();
    succeed(&mut git(&at, &["add", "-A"]));
    succeed(&mut git(&at, &["commit", "-q", "-m", "more"]));
    let Some(trace) = Trace::of(team.platform.pid(), folder.path()) else { return };
    let commit = succeed(&mut git(&at, &["rev-parse", "HEAD"]));
    succeed(&mut git(&at, &["push", "-q", "origin", "HEAD:main"]));
    let calls = trace.calls();

    let report = calls.iter().position(|call| *call == Call::Reported).unwrap();
    let before = &calls[..report];
    let data = team.platform.data().to_owned();
    let is_blob = |path: &Path| path.starts_with(&data) && path.components().any(|part| part.as_os_str() == "blobs");
    let named: Vec<(usize, &PathBuf, &PathBuf)> = before
        .iter()
        .enumerate()
        .filter_map(|(at, call)| match call {
            Call::Named { from, to } if is_blob(to) => Some((at, from, to)),
            _ => None,
        })
        .collect();
    assert!(!named.is_empty(), "the pack is a file: {before:#?}");
    let is_synced = |calls: &[Call], path: &Path| calls.contains(&Call::Synced(path.to_owned()));
    let mut last = 0;
    for (at, from, to) in named {
        assert!(is_synced(&before[..at], from), "{} has its name before it is on the disk", to.display());
        let folder = to.parent().unwrap();
        let synced = before[at..].iter().position(|call| *call == Call::Synced(folder.to_owned()));
        last = last.max(at + synced.unwrap_or_else(|| panic!("{} is not synced", folder.display())));
    }
    // Others write to the log as well: the record is what names the new commit.
    let is_log = |path: &Path| path.to_string_lossy().ends_with("-wal");
    let is_record =
        |call: &Call| matches!(call, Call::Written { file, text } if is_log(file) && text.contains(commit.trim()));
    let recorded = before.iter().position(is_record).expect("the record is written");
    assert!(recorded > last, "the record names packs that may not be on the disk");
    let is_on_disk = |call: &Call| matches!(call, Call::Synced(path) if is_log(path));
    assert!(before[recorded..].iter().any(is_on_disk), "the record is on the disk before the answer leaves");
}

#[test]
fn the_order_of_interrupted_calls_is_that_of_their_ends() {
    let text = "7 fsync(5</d/a> <unfinished ...>\n8 sendto(9<TCP:[x]>, \"unpack ok\\n\", 10, 0) = 10\n7 <... fsync resumed>) = 0\n";
    assert_eq!(parse(text), [Call::Reported, Call::Synced("/d/a".into())]);
    let text = "7 fsync(5</d/a>) = -1 EIO (x)\n7 rename(\"/d/t\", \"/d/a\") = 0\n7 pwrite64(3</d/x-wal>, \"seen\"..., 9, 0) = 9\n";
    let named = Call::Named { from: "/d/t".into(), to: "/d/a".into() };
    let written = Call::Written { file: "/d/x-wal".into(), text: "seen".into() };
    assert_eq!(parse(text), [named, written]);
}
