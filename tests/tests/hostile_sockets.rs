//! Bad input to the WebSocket API: WS-*.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::json;
use workroom_tests::hostile::Target;
use workroom_tests::{Socket, address};

/// A connection whose frames the test writes itself.
struct Raw(TcpStream);

impl Raw {
    fn open(target: &Target) -> Self {
        let ticket = target.team.person.post("/socket-tickets", &json!({})).expect(201).json();
        let mut stream = target.connect();
        let host = target.platform().authority();
        let request = format!(
            "GET /socket?ticket={} HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            ticket["ticket"].as_str().unwrap(),
            target.platform().address,
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// Writes bytes; the code of the close that comes of it, if one comes.
    fn close_code(mut self, bytes: &[u8]) -> Option<u16> {
        let _ = self.0.write_all(bytes);
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] {
                126 => {
                    let mut long = [0; 2];
                    self.0.read_exact(&mut long).ok()?;
                    u16::from_be_bytes(long).into()
                }
                length => usize::from(length),
            };
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).ok()?;
            if head[0] == 0x88 {
                return (length >= 2).then(|| u16::from_be_bytes([body[0], body[1]]));
            }
        }
    }
}

/// A client's frame: its first byte, and its payload masked with zeroes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[test]
fn a_connection_needs_a_ticket_of_its_own_and_our_origin() {
    let target = Target::start();
    let platform = target.platform();
    let (own, port) = (platform.address.clone(), platform.port());
    let fresh = || address(&target.team.person.post("/socket-tickets", &json!({})).expect(201).json());
    for (case, origin) in [
        ("WS-003 suffix", format!("{own}.evil.example")),
        ("WS-003 prefix", format!("http://evil{}", platform.authority())),
        ("WS-003 port", format!("http://127.0.0.1:{}", port ^ 1)),
        ("WS-003 scheme", own.replace("http:", "https:")),
        ("WS-004", format!("http://dev--shop.localhost:{port}")),
        ("no one's", "null".to_owned()),
    ] {
        assert_eq!(Socket::connect(&fresh(), &origin).err(), Some(403), "{case}: {origin}");
    }
    let bare = fresh().split_once('?').unwrap().0.to_owned();
    for (case, query) in
        [("WS-005", ""), ("an empty one", "?ticket="), ("a guess", "?ticket=wrt_guess"), ("junk", "?ticket=%ff%00")]
    {
        assert_eq!(Socket::connect(&format!("{bare}{query}"), &own).err(), Some(401), "{case}");
    }
    let token = target.token();
    assert_eq!(Socket::connect(&format!("{bare}?ticket={token}"), &own).err(), Some(401), "a token is no ticket");
    target.unharmed(&[&token, "ticket="]);
}

#[test]
fn of_two_that_race_with_one_ticket_one_gets_in() {
    let target = Target::start();
    let origin: Arc<str> = target.platform().address.as_str().into();
    for round in 0..50 {
        let ticket = target.team.person.post("/socket-tickets", &json!({})).expect(201).json();
        let url: Arc<str> = address(&ticket).into();
        let both: Vec<_> = (0..2)
            .map(|_| {
                let (url, origin) = (Arc::clone(&url), Arc::clone(&origin));
                std::thread::spawn(move || Socket::connect(&url, &origin).map(drop))
            })
            .collect();
        let mut ended: Vec<_> = both.into_iter().map(|one| one.join().unwrap()).collect();
        ended.sort();
        assert_eq!(ended, [Ok(()), Err(401)], "WS-009, round {round}");
    }
    target.unharmed(&[]);
}

#[test]
fn frames_that_are_none_close_their_own_connection_alone() {
    let target = Target::start();
    let mut bystander = Socket::open(&target.team.person, &target.platform().address);
    let large: Vec<u8> =
        [frame(0x01, &vec![b'x'; 32_000]), (0..4).flat_map(|_| frame(0, &vec![b'x'; 32_000])).collect()].concat();
    for (case, bytes, code) in [
        ("WS-011 frame", frame(0x81, &vec![b'x'; 40_000]), 1009),
        ("WS-011 message", large, 1009),
        ("WS-011 declared", [vec![0x81, 0xff], vec![0x7f; 8], vec![0; 4]].concat(), 1009),
        ("WS-012 binary", frame(0x82, &[0, 255]), 1003),
        ("WS-012 no UTF-8", frame(0x81, &[255]), 1007),
        ("WS-013 unmasked", vec![0x81, 1, b'x'], 1002),
        ("WS-013 reserved bits", frame(0xf1, b"x"), 1002),
        ("WS-013 fragmented control", frame(0x09, b"x"), 1002),
        ("WS-013 large ping", frame(0x89, &[b'x'; 126]), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("continuation of nothing", frame(0x80, b"x"), 1002),
        ("close of one byte", frame(0x88, b"x"), 1002),
    ] {
        let ended = Raw::open(&target).close_code(&bytes);
        // The length's first bit may not be set (RFC 6455, 5.2), and a huge length is too large: either is right.
        assert!(ended == Some(code) || case == "close of one byte" && ended.is_none(), "{case}: {ended:?}");
        bystander.say(&json!({"action": "ping"}));
        bystander.hear();
    }
    target.unharmed(&[]);
}

#[test]
fn messages_without_sense_are_answered_and_the_connection_lives() {
    let target = Target::start();
    let origin = target.platform().address.clone();
    let mut socket = Socket::open(&target.team.person, &origin);
    let deep = "[".repeat(20_000);
    for (case, text) in [
        ("WS-012", "{"),
        ("nothing", ""),
        ("a list", "[]"),
        ("deep", deep.as_str()),
        ("no such action", r#"{"action":"evil"}"#),
        ("a route of the gateway's", r#"{"action":"$connect"}"#),
        ("not a name", r#"{"action":{}}"#),
        ("unknown fields", r#"{"action":"ping","admin":true}"#),
        ("nobody's project", r#"{"action":"subscribe","project":"absent"}"#),
        ("a path", r#"{"action":"subscribe","project":"../../x"}"#),
        ("a cursor past all", r#"{"action":"subscribe","project":"absent","after":18446744073709551615}"#),
        ("nobody's log", r#"{"action":"tail","project":"absent","job":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#),
        ("NUL", "{\"action\":\"ping\",\"x\":\"\\u0000\"}"),
    ] {
        socket.text(text);
        let heard = socket.hear();
        assert!(!heard.to_string().contains("Internal server error"), "{case}: {heard}");
    }
    let baseline = target.team.person.get("/me").expect(200).status;
    let mut flood = Socket::open(&target.team.person, &origin);
    for _ in 0..10_000 {
        flood.text(r#"{"action":"subscribe","project":"absent"}"#);
    }
    assert_eq!(target.team.person.get("/me").status, baseline, "WS-014");
    let heard = flood.hear_until(|message| message["message"] == "Too Many Requests");
    assert!(!heard.is_empty(), "WS-014");
    socket.say(&json!({"action": "ping"}));
    assert!(!socket.hear().to_string().contains("Too Many"), "WS-014: another connection is not throttled");
    target.unharmed(&[]);
}
