//! Bad input at the gateway: HTTP-*, WEB-015, JWT-018 and LOGS-002, and junk for every route that /openapi.json lists.
//!
//! Not here: HTTP-018 (HTTP/2 is not spoken; its preface is one of the cases), the web cases about the pages themselves,
//! and everything about webhooks, secrets, import, search, invites, rollback and previews, which do not exist.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use serde_json::Value;
use workroom_tests::hostile::{Target, refused};

fn head(line: &str, rest: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{line}\r\nHost: localhost\r\n").into_bytes();
    bytes.extend(rest);
    bytes
}

#[test]
fn ambiguous_messages_get_one_refusal_and_no_second_request() {
    let target = Target::start();
    let json = "Content-Type: application/json\r\n";
    let chunked = format!("{json}Transfer-Encoding: chunked\r\n\r\n");
    let cases: [(&str, Vec<u8>); 20] = [
        ("HTTP-003 two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n".to_vec()),
        ("HTTP-006 a list of lengths", b"Content-Length: 5, 5\r\n\r\n".to_vec()),
        ("HTTP-012 bare CR", b"X: a\rb\r\n\r\n".to_vec()),
        ("HTTP-013 NUL", b"X: a\0b\r\n\r\n".to_vec()),
        ("signed length", b"Content-Length: +5\r\n\r\n".to_vec()),
        ("negative length", b"Content-Length: -1\r\n\r\n".to_vec()),
        ("endless length", b"Content-Length: 99999999999999999999999\r\n\r\n".to_vec()),
        ("length and chunks", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        ("length and good chunks", format!("{json}Content-Length: 2\r\n{chunked}2\r\n{{}}\r\n0\r\n\r\n").into_bytes()),
        ("unknown coding", b"Transfer-Encoding: xchunked\r\n\r\n".to_vec()),
        ("two codings", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n".to_vec()),
        ("coding after a control", b"Transfer-Encoding: \x0bchunked\r\n\r\n".to_vec()),
        ("space before the colon", b"Content-Length : 5\r\n\r\n".to_vec()),
        ("folded header", b"X: a\r\n b\r\n\r\n".to_vec()),
        ("chunk size that is none", format!("{chunked}zz\r\nabc\r\n0\r\n\r\n").into_bytes()),
        ("chunk size past 64 bits", format!("{chunked}ffffffffffffffff1\r\nabc\r\n0\r\n\r\n").into_bytes()),
        ("chunk extension", format!("{chunked}1;{}\r\n{{\r\n0\r\n\r\n", "a".repeat(40_000)).into_bytes()),
        ("trailers", format!("{chunked}1\r\n{{\r\n0\r\nX: {}\r\n\r\n", "a".repeat(100_000)).into_bytes()),
        ("two hosts", b"Host: localhost\r\n\r\n".to_vec()),
        ("another expectation", b"Content-Length: 2\r\nExpect: 200-maybe\r\n\r\n{}".to_vec()),
    ];
    for (case, rest) in cases {
        let mut bytes = head("POST /sessions HTTP/1.1", &rest);
        bytes.extend(head("GET /health HTTP/1.1", b"\r\n"));
        let answers = target.raw(&bytes);
        assert_eq!(answers.len(), 1, "{case}: {answers:#?}");
        assert!([400, 417, 422].contains(&answers[0].status), "{case}: {answers:#?}");
        assert!(!answers[0].text().contains(r#""ok""#), "{case}");
    }
    for (case, bytes) in
        [("HTTP-018 preface", &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]), ("TLS", &[22, 3, 1, 0, 5, 0, 0])]
    {
        assert!(target.raw(bytes).iter().all(|answer| answer.status == 400), "{case}");
    }
    target.unharmed(&[]);
}

#[test]
fn targets_and_hosts_that_are_not_ours_are_refused() {
    let target = Target::start();
    for (case, line, statuses) in [
        ("HTTP-016 absolute form", "GET http://evil/ HTTP/1.1", &[421][..]),
        ("HTTP-016 authority form", "GET evil:80 HTTP/1.1", &[400]),
        ("asterisk form", "OPTIONS * HTTP/1.1", &[400]),
        ("a tunnel", "CONNECT evil:80 HTTP/1.1", &[405]),
        ("an echo", "TRACE / HTTP/1.1", &[405]),
        ("dot segments", "GET /static/%2e%2e/workroom.db HTTP/1.1", &[400]),
        ("hidden dot segments", "GET /static/..%2f..%2fworkroom.db HTTP/1.1", &[404]),
        ("a backslash", "GET /\\evil.example HTTP/1.1", &[400]),
        ("two slashes", "GET //evil.example/ HTTP/1.1", &[404]),
        ("NUL", "GET /static/index.html%00 HTTP/1.1", &[404]),
        ("no UTF-8", "GET /static/%ff HTTP/1.1", &[404]),
        ("a bad escape", "GET /static/%zz HTTP/1.1", &[404]),
        ("an escaped route", "GET /%68ealth HTTP/1.1", &[404]),
    ] {
        let answers = target.raw(&head(line, b"Connection: close\r\n\r\n"));
        assert_eq!(answers.len(), 1, "{case}");
        assert!(statuses.contains(&answers[0].status), "{case}: {} {}", answers[0].status, answers[0].text());
        if !line.contains("/static/") {
            refused(case, &answers[0], statuses);
        }
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "a.b.localhost", "user@localhost", "[::1"]
    {
        let answers = target.raw(format!("GET /me HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
        refused(&format!("WEB-015 {host}"), &answers[0], &[400, 421]);
        assert!(!answers[0].text().contains("evil"), "{host}");
    }
    target.unharmed(&[]);
}

#[test]
fn what_is_too_large_is_refused_and_the_refusal_arrives() {
    let target = Target::start();
    let (json, person) = ("Content-Type: application/json\r\n", target.token());
    let expect = format!("{json}Content-Length: 10737418240\r\nExpect: 100-continue\r\n\r\n");
    let answers = target.raw(&head("POST /sessions HTTP/1.1", expect.as_bytes()));
    assert_eq!(answers.len(), 1, "no `100 Continue`");
    refused("HTTP-017", &answers[0], &[413]);

    let bearer = format!("{json}Authorization: Bearer {person}\r\n");
    let mut plain = format!("{bearer}Content-Length: {}\r\n\r\n", 11 << 20).into_bytes();
    plain.extend(vec![b'x'; 11 << 20]);
    let mut chunked = format!("{bearer}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..12 {
        chunked.extend(b"100000\r\n");
        chunked.extend(vec![b'x'; 1 << 20]);
        chunked.extend(b"\r\n");
    }
    for (case, body) in [("11 MB", plain), ("12 MB in chunks", chunked)] {
        refused(case, &target.raw(&head("POST /projects HTTP/1.1", &body))[0], &[413]);
    }
    let long = "a".repeat(11_000);
    refused("431", &target.send("GET", "/health", &[("X", &long)], None), &[431]);
    refused("JWT-018", &target.send("GET", "/me", &[("Authorization", &format!("Bearer {long}"))], None), &[431]);
    let many: Vec<u8> = (0..300).flat_map(|n| format!("X-{n}: a\r\n").into_bytes()).chain(*b"\r\n").collect();
    assert_eq!(target.raw(&head("GET /health HTTP/1.1", &many))[0].status, 431);
    let far = format!("GET /{} HTTP/1.1", "a".repeat(100_000));
    assert!([414, 431].contains(&target.raw(&head(&far, b"\r\n"))[0].status));
    target.unharmed(&[&person]);
}

#[test]
fn ranges_without_sense_are_answered_once() {
    let target = Target::start();
    let whole = target.send("GET", "/static/index.html", &[], None).expect(200).body;
    let many = format!("bytes={}", (0..1_000).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(","));
    for (range, status) in [
        (many.as_str(), 200),
        ("bytes=0-99999999999999999999999", 206),
        ("bytes=-99999999999999999999", 206),
        ("bytes=18446744073709551615-", 416),
        ("bytes=5-2", 200),
        ("bytes=-0", 416),
        ("lines=1-2", 200),
    ] {
        let answer = target.send("GET", "/static/index.html", &[("Range", range)], None);
        assert_eq!(answer.status, status, "HTTP-022 {}", &range[..range.len().min(40)]);
        assert!(answer.body.len() <= whole.len(), "HTTP-022 {range}");
    }
    target.unharmed(&[]);
}

#[test]
fn clients_that_never_finish_keep_nobody_out() {
    let target = Target::start();
    let mut open: Vec<_> = (0..300).map(|_| target.connect()).collect();
    for (n, stream) in open.iter_mut().enumerate() {
        let bytes: &[u8] = if n % 2 == 0 {
            b"GET / HTTP/1.1\r\nHost: local"
        } else {
            b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        };
        stream.write_all(bytes).unwrap();
    }
    for _ in 0..50 {
        target.send("GET", "/health", &[], None).expect(200);
    }
    drop(open);
    target.unharmed(&[]);
}

/// What stands for a path parameter.
const SEGMENTS: [&str; 14] = [
    "..%2f..",
    "%00",
    "%ff",
    "%F0%9F%92%A9",
    "-1",
    "99999999999999999999999",
    "null",
    "%7B%7D",
    "%0d%0aX:y",
    "%",
    "%zz",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "'%20OR%201=1",
    "*",
];
const QUERIES: [&str; 26] = [
    "cursor=AAAA",
    "cursor=eyJwayI6IlRFQU0jb3RoZXIifQ",
    "cursor=%ff",
    "limit=-1",
    "limit=0",
    "limit=99999999999999999999",
    "limit=1e3",
    "after=-1",
    "after=99999999999999999999",
    "after=9223372036854775807",
    "ref=%00",
    "ref=..",
    "ref=main&path=../..",
    "ref=main&path=%ff",
    "ref=HEAD~1",
    "ref=%40%7b1%7d",
    "base=x&head=y",
    "branch=main&path=..",
    "branch=%00&path=a",
    "ref=main&ref=main",
    "wait=-1",
    "start=-9223372036854775808",
    "start=9223372036854775807",
    "path=a%0d%0ab&ref=main&branch=main",
    "a[b]=c&%=x",
    "&&&",
];
const JSON: &str = "application/json";

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| (JSON, text.as_bytes().to_vec());
    vec![
        text(""),
        text("{"),
        text("null"),
        text("[]"),
        text("0"),
        text("{}"),
        text(r#"{"unknown":1}"#),
        (JSON, vec![b'['; 100_000]),
        (JSON, r#"{"a":"#.repeat(50_000).into_bytes()),
        (JSON, vec![0xff, 0xfe]),
        text(r#"{"slug":"\ud800","name":"\u0000"}"#),
        text(r#"{"slug":1e400}"#),
        text(r#"{"slug":"a","slug":"b"}"#),
        text(r#"{"slug":123456789012345678901234567890,"name":{}}"#),
        text("\u{feff}{}"),
        text(r#"{"email":["a","b"],"password":"x"}"#),
        text(r#"{"path":"a","length":-1}"#),
        text(r#"{"path":"../x","length":18446744073709551615,"content_type":"a\r\nb","sha256":"zz"}"#),
        text(r#"{"name":"\u0000","scopes":["admin","💩"],"expires":9223372036854775807}"#),
        text(r#"{"name":"x","scopes":["read"],"expires":-9223372036854775808}"#),
        text(r#"{"ref":"--upload-pack=x"}"#),
        text(r#"{"branch":"a..b","message":"x"}"#),
        text(r#"{"role":"god"}"#),
        (
            JSON,
            format!(r#"{{"email":"x@y","name":"{}","password":"{}"}}"#, "💩".repeat(4_000), "p".repeat(100_000))
                .into_bytes(),
        ),
        ("text/plain", b"{}".to_vec()),
        ("application/x-www-form-urlencoded", b"a=b".to_vec()),
        ("application/json; charset=utf-16", b"{}".to_vec()),
        ("application/jsonx", b"{}".to_vec()),
        ("multipart/form-data", b"--x".to_vec()),
    ]
}

#[test]
fn junk_for_every_route_is_refused_and_never_breaks_it() {
    let target = Target::start();
    let project = target.team.project("shop", "empty");
    let before = project.client.get(&project.path("/events")).text();
    let token = target.token();
    let routes = target.platform().anonymous().get("/openapi.json").expect(200).json();
    let bearer = format!("Bearer {token}");
    let send = |method: &str, path: &str, kind: &str, body: Option<&[u8]>| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
        let answer = target.send(method, path, if body.is_some() { &headers } else { &headers[..1] }, body);
        let case =
            format!("{method} {path} {:?}", body.map(|body| String::from_utf8_lossy(&body[..body.len().min(60)])));
        assert!(answer.status < 500, "{case}: {} {}", answer.status, answer.text());
        if answer.status >= 400 && method != "HEAD" {
            refused(&case, &answer, &[answer.status]);
        }
    };
    let mut sent = 0;
    for (path, methods) in routes["paths"].as_object().unwrap() {
        let parts: Vec<&str> = path.split('/').collect();
        let filled = |junk: &str, at: Option<usize>| {
            let part = |(n, part): (usize, &&str)| match *part {
                _ if Some(n) == at => junk.to_owned(),
                "{project}" => "shop".to_owned(),
                "{environment}" => "dev".to_owned(),
                part if part.starts_with('{') => "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
                part => part.to_owned(),
            };
            parts.iter().enumerate().map(part).collect::<Vec<_>>().join("/")
        };
        let whole = filled("", None);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"] {
            let listed = methods.get(method.to_lowercase()).is_some_and(Value::is_object);
            // What would do as it is told is not junk.
            let told = ["/projects/shop", "/sessions/current", "/projects/shop/builds"].contains(&whole.as_str());
            if !listed {
                send(method, &whole, JSON, None);
                continue;
            }
            let body: Option<&[u8]> = (method != "GET").then_some(b"");
            for at in (0..parts.len()).filter(|&at| parts[at].starts_with('{')) {
                SEGMENTS.iter().for_each(|junk| send(method, &filled(junk, Some(at)), JSON, body));
            }
            if method == "GET" || method == "DELETE" && !told {
                QUERIES.iter().for_each(|query| send(method, &format!("{whole}?{query}"), JSON, None));
            }
            if ["POST", "PUT", "PATCH"].contains(&method) && whole != "/projects/shop/builds" {
                bodies().iter().for_each(|(kind, body)| send(method, &whole, kind, Some(body)));
            }
            sent += 1;
        }
    }
    assert!(sent > 50, "{sent} operations");
    assert_eq!(project.client.get(&project.path("/events")).text(), before, "junk changed the project");
    target.unharmed(&[&token]);
}
