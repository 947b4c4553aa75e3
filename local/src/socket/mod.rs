//! The WebSocket API: connections, the events they cause, and the messages posted to them.

mod connection;
mod handshake;
mod hub;
mod route;
mod server;
mod throttle;

pub use handshake::{HandshakeError, accept_key};
pub use hub::Hub;
pub use server::{SocketLimits, SocketServer, SocketSettings};
