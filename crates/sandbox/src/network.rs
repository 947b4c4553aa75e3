//! The way out of a sandbox: slirp4netns, with the machine's own addresses cut off.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socket};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// Where slirp4netns answers name queries (slirp4netns(1)).
pub const RESOLVER: &str = "10.0.2.3";
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// An IPv4 network that the sandbox must not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Blocked {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

/// Link-local addresses (where clouds serve instance metadata) and this machine's own.
pub fn blocked() -> Vec<Blocked> {
    let mut blocked = vec![Blocked { address: Ipv4Addr::new(169, 254, 0, 0), prefix: 16 }];
    let own = nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|interface| {
        let address = interface.address?.as_sockaddr_in()?.ip();
        (!address.is_loopback() && !address.is_link_local()).then_some(Blocked { address, prefix: 32 })
    });
    blocked.extend(own);
    blocked
}

/// Starts slirp4netns for the network namespace of `pid` and waits until it is configured.
pub async fn start_slirp(program: &Path, pid: i32) -> io::Result<Child> {
    let (ready, ready_child) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let mut command = Command::new(program);
    command
        .args(["--configure", "--mtu=65520", "--disable-host-loopback"])
        .arg(format!("--ready-fd={}", ready_child.as_raw_fd()));
    if !nix::unistd::geteuid().is_root() {
        command.arg(format!("--userns-path=/proc/{pid}/ns/user"));
    }
    command.arg("--netns-type=path").arg(format!("/proc/{pid}/ns/net")).arg("tap0");
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = crate::spawner::on_spawner_thread(command, vec![ready_child], Vec::new())?;
    let mut ready = tokio::fs::File::from_std(std::fs::File::from(ready));
    let mut answer = [0];
    match tokio::time::timeout(READY_TIMEOUT, ready.read_exact(&mut answer)).await {
        Ok(Ok(_)) => Ok(child),
        failed => {
            let _ = child.start_kill();
            let mut said = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                let _ = tokio::time::timeout(READY_TIMEOUT, stderr.read_to_string(&mut said)).await;
            }
            let why = if failed.is_err() { "did not become ready" } else { "ended" };
            Err(io::Error::other(format!("slirp4netns {why}: {}", said.trim())))
        }
    }
}

/// Adds a blackhole route to this process's network namespace (rtnetlink(7)). Needs CAP_NET_ADMIN there.
pub fn block(network: Blocked) -> io::Result<()> {
    const RTM_NEWROUTE: u16 = 24;
    const REQUEST_ACK_CREATE: u16 = 0x1 | 0x4 | 0x400;
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_STATIC: u8 = 4;
    const RTN_BLACKHOLE: u8 = 6;
    const RTA_DST: u16 = 1;
    let mut message = Vec::with_capacity(36);
    message.extend_from_slice(&36_u32.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWROUTE.to_ne_bytes());
    message.extend_from_slice(&REQUEST_ACK_CREATE.to_ne_bytes());
    message.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(&[libc::AF_INET as u8, network.prefix, 0, 0]);
    message.extend_from_slice(&[RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_BLACKHOLE, 0, 0, 0, 0]);
    message.extend_from_slice(&8_u16.to_ne_bytes());
    message.extend_from_slice(&RTA_DST.to_ne_bytes());
    message.extend_from_slice(&network.address.octets());

    let netlink: OwnedFd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        nix::sys::socket::SockProtocol::NetlinkRoute,
    )?;
    send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0_u8; 1024];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let code = answer.get(16..20).filter(|_| length >= 20).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::Error::other("a short netlink answer")),
    }
}
