//! A cable to an emulator that can be cut and held up: streams pass as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the system keeps of a stream that is held up (bytes): little, so that its sender notices.
const BUFFER: u32 = 64 * 1024;

/// Connections to one server. Those on which a live tail was asked for are counted, cut and held up.
pub struct Cable {
    endpoint: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    open: AtomicUsize,
    begun: AtomicUsize,
    cuts: watch::Sender<u32>,
    held: watch::Sender<bool>,
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cable {
    pub async fn to(endpoint: &str) -> Self {
        let upstream = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            cuts: watch::Sender::new(0),
            held: watch::Sender::new(false),
        });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream.clone(), shared.clone()));
            }
        });
        Self { endpoint, state, task }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Live tails that are open now.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Live tails so far.
    pub fn begun(&self) -> usize {
        self.state.begun.load(Ordering::SeqCst)
    }

    /// Breaks every live tail.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Passes nothing of a live tail on for as long as it is held.
    pub fn hold(&self, held: bool) {
        self.state.held.send_replace(held);
    }

    /// Waits for so many live tails in all.
    pub async fn until_begun(&self, count: usize) {
        for _ in 0..600 {
            if self.begun() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} live tails were asked for, not {count}", self.begun());
    }

    /// Waits until so many live tails are open.
    pub async fn until_open(&self, count: usize) {
        for _ in 0..600 {
            if self.open() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} live tails are open, not {count}", self.open());
    }
}

async fn carry(client: TcpStream, upstream: String, state: Arc<State>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(BUFFER).unwrap();
    let Ok(server) = socket.connect(upstream.parse().unwrap()).await else { return };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let tail = watch::Sender::new(false);
    let (up, down) = (tail.clone(), tail.clone());
    tokio::select! {
        () = send(client_read, server_write, up, &state) => {}
        () = receive(server_read, client_write, down.subscribe(), &state) => {}
        () = cut(tail.subscribe(), &state) => {}
    }
    if *tail.borrow() {
        state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends when a live tail on this connection is cut.
async fn cut(mut tail: watch::Receiver<bool>, state: &State) {
    let _ = tail.wait_for(|is_tail| *is_tail).await;
    let mut cuts = state.cuts.subscribe();
    cuts.mark_unchanged();
    let _ = cuts.changed().await;
}

async fn send(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, tail: watch::Sender<bool>, state: &State) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        let part = &buffer[..length];
        if part.windows(14).any(|window| window == b".StartLiveTail") && !tail.send_replace(true) {
            state.begun.fetch_add(1, Ordering::SeqCst);
            state.open.fetch_add(1, Ordering::SeqCst);
        }
        if length == 0 || to.write_all(part).await.is_err() {
            return;
        }
    }
}

async fn receive(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, tail: watch::Receiver<bool>, state: &State) {
    let mut held = state.held.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if *tail.borrow() && held.wait_for(|held| !*held).await.is_err() {
            return;
        }
        let Ok(length) = from.read(&mut buffer).await else { return };
        if *tail.borrow() && held.wait_for(|held| !*held).await.is_err() {
            return;
        }
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
