//! What a sandboxed program can see, reach and survive, with each kind of sandbox.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::{Allowed, Bridge, Exit, Limits, Mount, Network, Sandbox, SandboxSettings, SpawnError, Spec};
use tokio::io::AsyncReadExt;

const BUBBLEWRAP: Allowed = Allowed { bubblewrap: true, landlock: false, slirp4netns: true, cgroups: true };
const WATCHED: Allowed = Allowed { cgroups: false, ..BUBBLEWRAP };
const LANDLOCK: Allowed = Allowed { bubblewrap: false, landlock: true, slirp4netns: false, cgroups: false };
const KINDS: [Allowed; 2] = [BUBBLEWRAP, LANDLOCK];

fn sandbox(allowed: Allowed, hidden: &[&Path]) -> Sandbox {
    Sandbox::detect(SandboxSettings {
        init_program: PathBuf::from(env!("CARGO_BIN_EXE_sandbox-init")),
        hidden: hidden.iter().map(|path| path.to_path_buf()).collect(),
        allowed,
        ..SandboxSettings::default()
    })
    .unwrap()
}

/// A sandbox on a machine that is said to be the program's own.
fn own_machine() -> Sandbox {
    let init_program = PathBuf::from(env!("CARGO_BIN_EXE_sandbox-init"));
    Sandbox::detect(SandboxSettings { init_program, own_machine: true, ..SandboxSettings::default() }).unwrap()
}

fn shell(script: &str) -> Spec {
    Spec {
        program: "/bin/bash".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        cwd: "/".into(),
        ..Spec::default()
    }
}

async fn run(sandbox: &Sandbox, spec: Spec) -> (Exit, String) {
    let mut running = sandbox.spawn(spec).await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (running.stdout.take().unwrap(), running.stderr.take().unwrap());
    let both = async { tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err)) };
    let _ = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the sandbox closes its output");
    (running.wait().await, out + &err)
}

#[tokio::test]
async fn the_environment_is_what_is_given_and_nothing_else() {
    for kind in KINDS {
        let mut spec = shell("");
        spec.program = "/usr/bin/env".into();
        spec.args = Vec::new();
        spec.env = BTreeMap::from([("ONLY".into(), "this".into())]);
        let (exit, said) = run(&sandbox(kind, &[]), spec).await;
        assert!(exit.success(), "{said}");
        let names: Vec<&str> = said.lines().filter(|line| !line.starts_with("TMPDIR=")).collect();
        assert_eq!(names, ["ONLY=this"], "{kind:?}");
    }
}

#[tokio::test]
async fn files_of_the_data_folder_are_invisible() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("workroom.db"), "canary").unwrap();
    for kind in KINDS {
        let path = data.path().join("workroom.db");
        let (exit, said) =
            run(&sandbox(kind, &[data.path()]), shell(&format!("cat {0} && echo x > {0}", path.display()))).await;
        assert!(exit.code != 0 && !said.contains("canary"), "{kind:?}: {said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "canary");
    }
}

#[tokio::test]
async fn a_mount_that_would_show_a_hidden_folder_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    std::fs::create_dir_all(data.join("work")).unwrap();
    let sandbox = sandbox(BUBBLEWRAP, &[&data]);
    for shown in [outer.path().to_owned(), data.clone(), data.join("work/..")] {
        let refused = sandbox.spawn(Spec { mounts: vec![Mount::read(&shown)], ..shell("true") }).await;
        assert!(matches!(refused, Err(SpawnError::Invalid(_))), "{}", shown.display());
    }
    let (exit, said) = run(&sandbox, Spec { mounts: vec![Mount::write(data.join("work"))], ..shell("true") }).await;
    assert!(exit.success(), "{said}");
}

#[tokio::test]
async fn keys_and_accounts_of_the_machine_are_unreadable() {
    for kind in KINDS {
        let (_, said) = run(&sandbox(kind, &[]), shell("cat /etc/shadow; ls /root /home/*; echo done")).await;
        assert!(said.contains("done") && !said.contains("root:"), "{kind:?}: {said}");
        assert!(!said.lines().any(|line| line.starts_with('.')), "{kind:?}: {said}");
    }
}

#[tokio::test]
async fn the_system_cannot_be_written() {
    for kind in KINDS {
        let script = "for f in /usr/bin/x /etc/x /x /var/tmp/x /dev/shm/../x; do touch $f 2>/dev/null && ls -l $f; done; \
                      rm -f /usr/bin/env; test -x /usr/bin/env && echo kept";
        let (_, said) = run(&sandbox(kind, &[]), shell(script)).await;
        assert!(said.contains("kept"), "{kind:?}: {said}");
        for path in ["/usr/bin/x", "/etc/x", "/var/tmp/x"] {
            assert!(!Path::new(path).exists(), "{kind:?} wrote {path}");
        }
    }
}

#[tokio::test]
async fn mounts_are_read_only_or_writable_as_asked() {
    let (read, write) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(read.path().join("in"), "hello").unwrap();
    for kind in KINDS {
        let sandbox = sandbox(kind, &[]);
        let mounts = vec![Mount::read(read.path()).at("/task"), Mount::write(write.path()).at("/out")];
        let (from, to) = (sandbox.inside(&mounts[0]).to_owned(), sandbox.inside(&mounts[1]).to_owned());
        let script = format!("cat {0}/in > {1}/copy; touch {0}/no; echo $?", from.display(), to.display());
        let (exit, said) = run(&sandbox, Spec { mounts, ..shell(&script) }).await;
        assert!(exit.success() && said.contains('1'), "{kind:?}: {said}");
        assert_eq!(std::fs::read_to_string(write.path().join("copy")).unwrap(), "hello", "{kind:?}");
        assert!(!read.path().join("no").exists(), "{kind:?}");
        std::fs::remove_file(write.path().join("copy")).unwrap();
    }
}

#[tokio::test]
async fn ports_of_the_platform_are_unreachable() {
    let platform = TcpListener::bind("127.0.0.1:0").unwrap();
    platform.set_nonblocking(true).unwrap();
    let port = platform.local_addr().unwrap().port();
    for kind in KINDS {
        let script = format!("(echo hi > /dev/tcp/127.0.0.1/{port}) && echo reached; echo end");
        let (_, said) = run(&sandbox(kind, &[]), shell(&script)).await;
        assert!(said.contains("end") && !said.contains("reached"), "{kind:?}: {said}");
        assert!(platform.accept().is_err(), "{kind:?}");
    }
}

#[tokio::test]
async fn with_the_way_out_the_platform_and_metadata_stay_unreachable() {
    let platform = TcpListener::bind("0.0.0.0:0").unwrap();
    platform.set_nonblocking(true).unwrap();
    let port = platform.local_addr().unwrap().port();
    let own: Vec<String> = nix::ifaddrs::getifaddrs()
        .unwrap()
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip().to_string()))
        .collect();
    let sandbox = sandbox(BUBBLEWRAP, &[]);
    assert!(sandbox.reaches_outside(), "slirp4netns is needed to run this test: {:?}", sandbox.missing());
    let mut script = String::from("ls /sys/class/net 2>/dev/null; cat /proc/net/route; ");
    for host in own.iter().map(String::as_str).chain(["10.0.2.2", "127.0.0.1"]) {
        script += &format!("(timeout 3 bash -c 'echo hi > /dev/tcp/{host}/{port}') && echo reached {host}; ");
    }
    script += "python3 -c 1; timeout 3 bash -c 'echo > /dev/tcp/169.254.169.254/80' && echo reached metadata; \
               timeout 3 bash -c 'echo > /dev/tcp/169.254.169.254/80' 2>&1 | grep -ci 'unreachable\\|invalid\\|denied'; echo end";
    let spec = Spec { network: Network { outside: true, bridges: Vec::new() }, ..shell(&script) };
    let (_, said) = run(&sandbox, spec).await;
    assert!(said.contains("end") && !said.contains("reached"), "{said}");
    assert!(said.contains("tap0"), "the way out is there: {said}");
    assert!(platform.accept().is_err(), "{said}");
}

#[tokio::test]
async fn without_a_way_out_asking_for_one_is_an_error_that_says_what_to_install() {
    for allowed in [Allowed { slirp4netns: false, ..BUBBLEWRAP }, LANDLOCK] {
        let sandbox = sandbox(allowed, &[]);
        assert!(!sandbox.reaches_outside() && sandbox.missing().iter().any(|what| what.contains("slirp4netns")));
        let spec = Spec { network: Network { outside: true, bridges: Vec::new() }, ..shell("true") };
        let refused = sandbox.spawn(spec).await.err().unwrap();
        assert!(matches!(&refused, SpawnError::NoNetwork(why) if why.contains("slirp4netns")), "{refused}");
    }
}

#[tokio::test]
async fn a_bridge_leads_to_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("runtime.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut word = [0; 5];
            connection.read_exact(&mut word).unwrap();
            std::io::Write::write_all(&mut connection, if &word == b"hello" { b"world\n" } else { b"what\n" }).unwrap();
        }
    });
    for kind in KINDS {
        let bridge = Bridge { port: 9001, socket: socket.clone() };
        let script = format!(
            "A={}; exec 3<>/dev/tcp/${{A%:*}}/${{A#*:}}; printf hello >&3; head -n1 <&3; echo $A",
            bridge.address()
        );
        let spec = Spec { network: Network { outside: false, bridges: vec![bridge] }, ..shell(&script) };
        let (_, said) = run(&sandbox(kind, &[]), spec).await;
        assert!(said.starts_with("world\n127.0.0.1:"), "{kind:?}: {said}");
    }
}

/// Processes whose command line holds the mark.
fn alive(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
        })
        .count()
}

fn escaping(mark: &str) -> String {
    format!(
        "trap '' TERM INT HUP; (setsid bash -c 'trap \"\" TERM; (bash -c \"exec -a {mark} sleep 300\" &) ; exec -a {mark} sleep 300' &) ; \
         setsid -f bash -c 'exec -a {mark} sleep 300'; exec -a {mark} sleep 300"
    )
}

#[tokio::test]
async fn kill_ends_the_whole_tree_with_setsid_and_double_forks() {
    for (n, kind) in [BUBBLEWRAP, WATCHED, LANDLOCK].into_iter().enumerate() {
        let mark = format!("escapee-{}-{n}", std::process::id());
        let running = sandbox(kind, &[]).spawn(shell(&escaping(&mark))).await.unwrap();
        for _ in 0..500 {
            if alive(&mark) >= 4 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(alive(&mark) >= 4, "{kind:?}: the tree grew");
        let exit = running.kill().await;
        assert!(exit.killed, "{kind:?}");
        assert_eq!(alive(&mark), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn the_end_of_the_program_and_a_drop_end_what_it_left_behind() {
    for (n, kind) in KINDS.into_iter().enumerate() {
        let mark = format!("leftover-{}-{n}", std::process::id());
        let (exit, _) = run(
            &sandbox(kind, &[]),
            shell(&format!("setsid -f bash -c 'exec -a {mark} sleep 300' >/dev/null 2>&1; exit 7")),
        )
        .await;
        assert_eq!((exit.code, alive(&mark)), (7, 0), "{kind:?}");

        let running = sandbox(kind, &[]).spawn(shell(&escaping(&mark))).await.unwrap();
        let killer = running.killer();
        drop(running);
        assert!(killer.ended().await.killed, "{kind:?}");
        assert_eq!(alive(&mark), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_memory_limit_holds_over_all_processes() {
    let hog = "exec python3 -c \"x = bytearray(400 * 1024 * 1024); print('held', len(x), flush=True); import time; time.sleep(60)\"";
    for kind in [BUBBLEWRAP, WATCHED, LANDLOCK] {
        let limits = Limits { memory_bytes: Some(100 << 20), ..Limits::default() };
        let (exit, said) = run(&sandbox(kind, &[]), Spec { limits, ..system_python(hog) }).await;
        assert!(exit.out_of_memory && exit.code != 0, "{kind:?}: {exit:?} {said}");
    }
}

fn system_python(script: &str) -> Spec {
    let mut spec = shell(script);
    let tools = sandbox::Tools::new(&path());
    let python = tools.python(None).expect("python3 is needed to run this test");
    spec.args[1] = script.replace("python3", &python.program.display().to_string());
    spec.mounts = python.mounts;
    spec
}

#[allow(clippy::disallowed_methods)]
fn path() -> String {
    std::env::var("PATH").unwrap()
}

#[tokio::test]
async fn a_process_limit_stops_a_fork_bomb() {
    for kind in [BUBBLEWRAP, WATCHED, LANDLOCK] {
        let limits = Limits { processes: Some(20), ..Limits::default() };
        let script = "exec python3 -c \"\nimport os, time\nn = 0\nfor _ in range(200):\n    try: child = os.fork()\n    \
                      except OSError: break\n    if child == 0: time.sleep(20); os._exit(0)\n    n += 1\n\
                      print(n, flush=True); time.sleep(2)\"";
        let (exit, said) = run(&sandbox(kind, &[]), Spec { limits, ..system_python(script) }).await;
        let started: usize = said.lines().find_map(|line| line.trim().parse().ok()).unwrap_or(0);
        assert!(exit.killed || started <= 24, "{kind:?}: {exit:?} {said}");
    }
}

#[tokio::test]
async fn file_size_and_processor_time_are_limited() {
    for kind in KINDS {
        let limits = Limits { file_bytes: Some(1 << 20), cpu_s: Some(1), ..Limits::default() };
        let folder = tempfile::tempdir().unwrap();
        let mounts = vec![Mount::write(folder.path())];
        let script = format!("head -c 9000000 /dev/zero > {}/big; while :; do :; done", folder.path().display());
        let (exit, said) = run(&sandbox(kind, &[]), Spec { limits, mounts, ..shell(&script) }).await;
        assert_eq!(std::fs::metadata(folder.path().join("big")).unwrap().len(), 1 << 20, "{kind:?}: {said}");
        assert!(exit.code > 128, "{kind:?}: {exit:?}");
    }
}

#[tokio::test]
async fn namespaces_mounts_and_tracing_are_denied() {
    for kind in KINDS {
        let script = "unshare -Ur true && echo made a namespace; mount -t tmpfs x /tmp && echo mounted; echo end";
        let (_, said) = run(&sandbox(kind, &[]), shell(script)).await;
        assert!(said.contains("end") && !said.contains("made") && !said.contains("mounted"), "{kind:?}: {said}");
    }
}

#[tokio::test]
async fn landlock_holds_signals_datagrams_and_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("other.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let victim = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    let script = format!(
        "kill -9 {} && echo signalled; (echo x > /dev/udp/127.0.0.1/9) && echo datagram; \
         python3 -c \"import socket; s=socket.socket(socket.AF_UNIX); s.connect('{}'); print('connected')\"; echo end",
        victim.id(),
        socket.display()
    );
    let (_, said) = run(&sandbox(LANDLOCK, &[]), system_python(&script)).await;
    let mut victim = victim;
    assert!(victim.try_wait().unwrap().is_none(), "{said}");
    victim.kill().unwrap();
    victim.wait().unwrap();
    for word in ["signalled", "datagram", "connected"] {
        assert!(said.contains("end") && !said.contains(word), "{word}: {said}");
    }
}

#[tokio::test]
async fn on_a_machine_of_its_own_a_program_has_the_given_environment_the_way_out_and_no_life_of_its_own() {
    let sandbox = own_machine();
    assert!(sandbox.reaches_outside());
    let mut spec = shell("");
    (spec.program, spec.args) = ("/usr/bin/env".into(), Vec::new());
    spec.env = BTreeMap::from([("ONLY".into(), "this".into())]);
    spec.network.outside = true;
    let (exit, said) = run(&sandbox, spec).await;
    assert!(exit.success(), "{said}");
    assert_eq!(said.lines().filter(|line| !line.starts_with("TMPDIR=")).collect::<Vec<_>>(), ["ONLY=this"]);

    let mark = format!("own-machine-{}", std::process::id());
    let left = format!("setsid -f bash -c 'exec -a {mark} sleep 300' >/dev/null 2>&1; exit 7");
    let (exit, _) = run(&sandbox, shell(&left)).await;
    assert_eq!((exit.code, alive(&mark)), (7, 0));
}

#[tokio::test]
async fn a_process_that_hides_is_not_read_by_its_own_users_programs() {
    let environment = format!("tr '\\0' '\\n' < /proc/{}/environ", std::process::id());
    sandbox::hide_this_process().unwrap();
    let (exit, said) = run(&own_machine(), shell(&environment)).await;
    assert!(exit.code != 0 && said.contains("denied") && !said.contains("PATH="), "{said}");
}

#[tokio::test]
async fn a_machine_of_its_own_hides_nothing_and_says_so() {
    let hidden = vec![PathBuf::from("/srv/data")];
    let why =
        Sandbox::detect(SandboxSettings { own_machine: true, hidden, ..SandboxSettings::default() }).err().unwrap();
    assert!(why.to_string().contains("/srv/data"), "{why}");
}

#[tokio::test]
async fn without_any_layer_nothing_is_run_and_the_reason_is_told() {
    let settings = SandboxSettings {
        allowed: Allowed { bubblewrap: false, landlock: false, ..Allowed::default() },
        ..SandboxSettings::default()
    };
    let why = Sandbox::detect(settings).err().unwrap().to_string();
    assert!(why.contains("bubblewrap") && why.contains("landlock"), "{why}");
}

#[tokio::test]
async fn a_program_that_does_not_exist_says_so() {
    for kind in KINDS {
        let (exit, said) = run(&sandbox(kind, &[]), Spec { program: "/usr/bin/no-such".into(), ..shell("") }).await;
        assert!(exit.setup_failed() && said.contains("/usr/bin/no-such"), "{kind:?}: {exit:?} {said}");
    }
}

/// BUILD-003: the machine's settings are no one's to change from inside, also where the platform runs as root.
#[tokio::test]
async fn the_kernels_settings_cannot_be_written() {
    // Each file is opened for writing and nothing is written: the open itself must fail.
    let script = "for f in $(find /proc/sys/kernel /proc/sys/vm /proc/sys/fs /proc/irq /proc/fs /proc/mtrr \
        -maxdepth 2 -type f 2>/dev/null); do (exec 3>>$f) 2>/dev/null && echo \"$f opened\"; done; echo end";
    for kind in KINDS {
        let (exit, said) = run(&sandbox(kind, &[]), shell(script)).await;
        assert!(exit.success(), "{kind:?} {said}");
        assert_eq!(said.trim(), "end", "{kind:?}");
    }
}

/// Neither bubblewrap's first process nor the init can be taken over.
#[tokio::test]
async fn the_processes_that_hold_the_sandbox_cannot_be_written() {
    let script = "for f in /proc/[0-9]*/mem; do [ $f = /proc/$$/mem ] || { (exec 3<>$f) 2>/dev/null && echo $f; }; done; \
        t=${TMPDIR:-/tmp}; mkdir -p $t/a $t/b && echo moved > $t/a/f && mv $t/a/f $t/b/f && cat $t/b/f";
    for kind in KINDS {
        let (exit, said) = run(&sandbox(kind, &[]), shell(script)).await;
        assert!(exit.success(), "{kind:?} {said}");
        assert_eq!(said.trim(), "moved", "{kind:?}");
    }
}
