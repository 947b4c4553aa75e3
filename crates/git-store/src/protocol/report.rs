//! What a client is told of its push (gitprotocol-pack, "Report Status").

use bytes::Bytes;

use super::commands::Asked;
use super::pktline;
use crate::Error;
use crate::push::Verdict;

/// The report of a push, or of a pack that could not be taken in.
pub(super) fn report(asked: &Asked, outcome: Result<&[Verdict], &Error>) -> Bytes {
    if !asked.report {
        return if asked.side_band { Bytes::from_static(b"0000") } else { Bytes::new() };
    }
    let mut lines = Vec::new();
    match outcome {
        // The pack itself is sound: git finds what it lacks when it looks at the refs.
        Ok(_) | Err(Error::Disconnected(_)) => pktline::line(&mut lines, "unpack ok"),
        Err(error) => pktline::line(&mut lines, &format!("unpack {}", pktline::plain(&error.to_string()))),
    }
    for (at, command) in asked.commands.iter().enumerate() {
        let name = pktline::plain(&command.raw_name);
        let text = match outcome.map(|verdicts| &verdicts[at]) {
            Ok(Verdict::Done) => format!("ok {name}"),
            Ok(Verdict::Moved(_)) => format!("ng {name} the ref has moved: fetch first"),
            Ok(Verdict::InTheWay(other)) => format!("ng {name} `{}` is in the way", pktline::plain(other)),
            Ok(Verdict::Refused(reason)) => format!("ng {name} {}", pktline::plain(reason)),
            Err(Error::Disconnected(_)) if asked.is_shallow => format!("ng {name} shallow update not allowed"),
            Err(Error::Disconnected(_)) => format!("ng {name} missing necessary objects"),
            Err(_) => format!("ng {name} unpacker error"),
        };
        pktline::line(&mut lines, &text);
    }
    pktline::flush(&mut lines);
    if !asked.side_band {
        return lines.into();
    }
    let mut out = Vec::new();
    if let Err(error @ Error::Disconnected(_)) = outcome {
        pktline::message(&mut out, &format!("error: {error}"));
    }
    pktline::side_band(&mut out, 1, &lines, pktline::PAYLOAD_MAX + 4);
    pktline::flush(&mut out);
    out.into()
}
