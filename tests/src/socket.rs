//! A WebSocket client as a browser would be one.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::Client;

/// How long a test waits for a message that must come.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Socket {
    inner: WebSocket<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Takes a ticket and connects with it.
    pub fn open(client: &Client, origin: &str) -> Self {
        let ticket = client.post("/socket-tickets", &json!({})).expect(201).json();
        Self::connect(&address(&ticket), origin).unwrap_or_else(|status| panic!("the handshake answered {status}"))
    }

    /// Connects to `url`; the handshake's status when it is refused.
    pub fn connect(url: &str, origin: &str) -> Result<Self, u16> {
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        match tungstenite::connect(request) {
            Ok((inner, _)) => {
                if let MaybeTlsStream::Plain(stream) = inner.get_ref() {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                }
                Ok(Self { inner })
            }
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    pub fn say(&mut self, message: &Value) {
        self.inner.send(Message::text(message.to_string())).unwrap();
    }

    /// Follows a project, after a sequence or from now, up to the message that says it is live. The answer is the
    /// events that came before that.
    pub fn subscribe(&mut self, project: &str, after: Option<u64>) -> Vec<Value> {
        let mut message = json!({ "action": "subscribe", "project": project });
        if let Some(after) = after {
            message["after"] = json!(after);
        }
        self.say(&message);
        let heard = self.hear_until(|m| m["type"] == "live" || m["type"] == "error");
        assert_eq!(heard.last().unwrap()["type"], "live", "{heard:#?}");
        heard.into_iter().filter(|m| m["type"] == "event").collect()
    }

    /// Sends text that need not be JSON.
    pub fn text(&mut self, text: &str) {
        self.inner.send(Message::text(text)).unwrap();
    }

    /// The next JSON message.
    pub fn hear(&mut self) -> Value {
        loop {
            match self.inner.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Reads until the platform ends the connection.
    pub fn until_closed(mut self) {
        loop {
            match self.inner.read() {
                Ok(Message::Close(_))
                | Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => return,
                Ok(_) => {}
                Err(error) => panic!("not closed: {error}"),
            }
        }
    }

    /// Reads until `wanted` says so; the answer is all that was heard, the last one included.
    pub fn hear_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let message = self.hear();
            let done = wanted(&message);
            heard.push(message);
            if done {
                return heard;
            }
        }
    }
}

/// Where a ticket opens a connection.
pub fn address(ticket: &Value) -> String {
    format!("{}?ticket={}", ticket["url"].as_str().unwrap(), ticket["ticket"].as_str().unwrap())
}
