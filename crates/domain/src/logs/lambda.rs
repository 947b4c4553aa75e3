//! What the Lambda service writes around a function's own lines, as text and as JSON ("Lambda log formats" and
//! "platform.* events" in the AWS Lambda documentation).

use std::collections::BTreeMap;

use cloud::{LogRecord, Millis};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The function's own output.
    Output,
    InitStart,
    Start,
    End,
    Report,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub id: String,
    pub at: Millis,
    pub stream: String,
    pub message: String,
    pub kind: LineKind,
    /// The request that it belongs to, when that can be told.
    pub request_id: Option<String>,
    /// Of a REPORT line.
    pub figures: Option<RequestFigures>,
}

/// What one request took. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestFigures {
    pub request_id: String,
    pub duration_ms: f64,
    pub billed_duration_ms: u64,
    pub memory_mb: u32,
    pub max_memory_used_mb: u32,
    /// Only of a cold start.
    pub init_duration_ms: Option<f64>,
    pub cold_start: bool,
    /// `timeout`, `error`, … when the request did not succeed and the line says so.
    pub status: Option<String>,
}

impl LogLine {
    /// A line that is not Lambda's.
    pub fn plain(record: LogRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            stream: record.stream,
            message: record.message,
            kind: LineKind::Output,
            request_id: None,
            figures: None,
        }
    }
}

/// Reads records in order; a line between START and END belongs to that request (an instance runs one at a time).
pub fn read(records: Vec<LogRecord>) -> Vec<LogLine> {
    let mut running: BTreeMap<String, String> = BTreeMap::new();
    let mut lines = Vec::with_capacity(records.len());
    for record in records {
        let mut line = LogLine::plain(record);
        if let Some(found) = platform_line(&line.message) {
            match (found.kind, &found.request_id) {
                (LineKind::Start, Some(id)) => drop(running.insert(line.stream.clone(), id.clone())),
                (LineKind::Report, _) => drop(running.remove(&line.stream)),
                _ => {}
            }
            line.kind = found.kind;
            line.request_id = found.request_id;
            line.figures = found.figures;
        } else {
            line.request_id = own_request_id(&line.message).or_else(|| running.get(&line.stream).cloned());
        }
        lines.push(line);
    }
    lines
}

struct PlatformLine {
    kind: LineKind,
    request_id: Option<String>,
    figures: Option<RequestFigures>,
}

fn platform_line(message: &str) -> Option<PlatformLine> {
    let message = message.trim();
    if message.starts_with('{') { platform_json(message) } else { platform_text(message) }
}

fn platform_text(message: &str) -> Option<PlatformLine> {
    if message.starts_with("INIT_START ") {
        return Some(PlatformLine { kind: LineKind::InitStart, request_id: None, figures: None });
    }
    let (word, rest) = message.split_once(" RequestId: ")?;
    let kind = match word {
        "START" => LineKind::Start,
        "END" => LineKind::End,
        "REPORT" => LineKind::Report,
        _ => return None,
    };
    let id = rest.split(|c: char| c.is_whitespace()).next().filter(|id| !id.is_empty())?.to_owned();
    let figures = (kind == LineKind::Report).then(|| text_figures(&id, rest));
    Some(PlatformLine { kind, request_id: Some(id), figures })
}

/// Parts divided by tabs: `Duration: 1.50 ms`, `Billed Duration: 2 ms`, `Memory Size: 128 MB`, …
fn text_figures(id: &str, rest: &str) -> RequestFigures {
    let mut figures = RequestFigures { request_id: id.to_owned(), ..RequestFigures::default() };
    for part in rest.split(['\t', '\n']) {
        let Some((name, value)) = part.trim().split_once(": ") else { continue };
        let number = value.split(' ').next().and_then(|raw| raw.parse::<f64>().ok()).filter(|n| n.is_finite());
        match (name, number) {
            ("Duration", Some(n)) => figures.duration_ms = n,
            ("Billed Duration", Some(n)) => figures.billed_duration_ms = whole(n),
            ("Memory Size", Some(n)) => figures.memory_mb = small(n),
            ("Max Memory Used", Some(n)) => figures.max_memory_used_mb = small(n),
            ("Init Duration", Some(n)) => figures.init_duration_ms = Some(n),
            ("Status", None) => figures.status = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    figures.cold_start = figures.init_duration_ms.is_some();
    figures
}

fn platform_json(message: &str) -> Option<PlatformLine> {
    let event: Value = serde_json::from_str(message).ok()?;
    let kind = match event.get("type")?.as_str()? {
        "platform.initStart" => LineKind::InitStart,
        "platform.start" => LineKind::Start,
        "platform.runtimeDone" => LineKind::End,
        "platform.report" => LineKind::Report,
        _ => return None,
    };
    let record = event.get("record")?;
    let id = record.get("requestId").and_then(Value::as_str).map(str::to_owned);
    let figures = match (kind, &id) {
        (LineKind::Report, Some(id)) => Some(json_figures(id, record)),
        _ => None,
    };
    Some(PlatformLine { kind, request_id: id, figures })
}

fn json_figures(id: &str, record: &Value) -> RequestFigures {
    let metric = |name: &str| record.get("metrics").and_then(|m| m.get(name)).and_then(Value::as_f64);
    let init = metric("initDurationMs");
    let status = record.get("status").and_then(Value::as_str).filter(|status| *status != "success");
    RequestFigures {
        request_id: id.to_owned(),
        duration_ms: metric("durationMs").unwrap_or(0.0),
        billed_duration_ms: whole(metric("billedDurationMs").unwrap_or(0.0)),
        memory_mb: small(metric("memorySizeMB").unwrap_or(0.0)),
        max_memory_used_mb: small(metric("maxMemoryUsedMB").unwrap_or(0.0)),
        init_duration_ms: init,
        cold_start: init.is_some(),
        status: status.map(str::to_owned),
    }
}

/// The request id in a line that a runtime wrote as JSON (`requestId`, `AWSRequestId`).
fn own_request_id(message: &str) -> Option<String> {
    if !message.starts_with('{') {
        return None;
    }
    let line: Value = serde_json::from_str(message).ok()?;
    ["requestId", "AWSRequestId"].iter().find_map(|name| line.get(name)?.as_str().map(str::to_owned))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut at the bounds of the type")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut at the bounds of the type")]
fn small(number: f64) -> u32 {
    number.max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: &str, message: &str) -> LogRecord {
        LogRecord { id: "1".into(), stream: stream.into(), at: Millis(1), ingested: Millis(1), message: message.into() }
    }

    #[test]
    fn text_lines_of_a_cold_start_become_figures() {
        let lines = read(vec![
            record("a", "INIT_START Runtime Version: python:3.11.v1\tRuntime Version ARN: arn:x"),
            record("a", "START RequestId: 8f5 Version: $LATEST\n"),
            record("a", "hello"),
            record("b", "other instance"),
            record("a", "END RequestId: 8f5\n"),
            record(
                "a",
                "REPORT RequestId: 8f5\tDuration: 12.34 ms\tBilled Duration: 113 ms\tMemory Size: 128 MB\tMax Memory Used: 45 MB\tInit Duration: 99.9 ms\t\n",
            ),
            record("a", "after"),
        ]);
        let kinds: Vec<_> = lines.iter().map(|line| line.kind).collect();
        use LineKind::{End, InitStart, Output, Report, Start};
        assert_eq!(kinds, [InitStart, Start, Output, Output, End, Report, Output]);
        assert_eq!(lines[2].request_id.as_deref(), Some("8f5"));
        assert_eq!((&lines[3].request_id, &lines[6].request_id), (&None, &None));
        let expected = RequestFigures {
            request_id: "8f5".into(),
            duration_ms: 12.34,
            billed_duration_ms: 113,
            memory_mb: 128,
            max_memory_used_mb: 45,
            init_duration_ms: Some(99.9),
            cold_start: true,
            status: None,
        };
        assert_eq!(lines[5].figures.as_ref(), Some(&expected));
    }

    #[test]
    fn json_lines_become_the_same_figures() {
        let lines = read(vec![
            record("a", r#"{"time":"t","type":"platform.start","record":{"requestId":"8f5","version":"$LATEST"}}"#),
            record("a", r#"{"level":"INFO","message":"x","requestId":"8f5"}"#),
            record(
                "a",
                r#"{"time":"t","type":"platform.report","record":{"requestId":"8f5","metrics":{"durationMs":1.5,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":40},"status":"timeout"}}"#,
            ),
        ]);
        assert_eq!(lines[1].request_id.as_deref(), Some("8f5"));
        let figures = lines[2].figures.clone().unwrap();
        assert_eq!((figures.duration_ms, figures.billed_duration_ms, figures.cold_start), (1.5, 2, false));
        assert_eq!(figures.status.as_deref(), Some("timeout"));
    }

    #[test]
    fn lines_that_only_look_like_it_are_output() {
        let odd = [
            "REPORT RequestId:",
            "REPORT RequestId: ",
            "{",
            "{\"type\":\"platform.report\"}",
            "a START RequestId: x",
            "",
            "REPORT RequestId: x\tDuration: NaN ms",
        ];
        for message in odd {
            let line = read(vec![record("a", message)]).remove(0);
            assert!(line.figures.is_none_or(|f| f.duration_ms == 0.0), "{message}");
        }
    }
}
