//! The thread that starts programs.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{OnceLock, mpsc};

use tokio::process::{Child, Command};

type Job = (Command, [Vec<OwnedFd>; 2], tokio::runtime::Handle, mpsc::SyncSender<io::Result<Child>>);

/// Starts a program from a thread that never ends: the kernel kills a sandbox when the *thread* that started it is
/// gone (prctl(2), PR_SET_PDEATHSIG). The program inherits `keep` under the same numbers, and is in the
/// control groups of `entrances` before it runs.
pub fn on_spawner_thread(mut command: Command, keep: Vec<OwnedFd>, entrances: Vec<OwnedFd>) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let numbers: Vec<i32> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    let groups: Vec<i32> = entrances.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: only async-signal-safe calls (prctl, fcntl, write) between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            for number in &numbers {
                if libc::fcntl(*number, libc::F_SETFD, 0) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            for group in &groups {
                if libc::write(*group, c"0".as_ptr().cast(), 1) != 1 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, keep, runtime, answer) in queue {
                let _entered = runtime.enter();
                let _ = answer.send(command.spawn());
                drop(keep);
            }
        });
        jobs
    });
    let (answer, answered) = mpsc::sync_channel(1);
    let gone = || io::Error::other("the spawner thread is gone");
    spawner.send((command, [keep, entrances], tokio::runtime::Handle::current(), answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
