//! What a push asks for: commands, capabilities, options (gitprotocol-pack, "Reference Update Request").

use super::pktline::{Packet, PacketReader};
use crate::{Error, Oid, RefName, Result};

/// Refs that one push may change.
const COMMANDS_MAX: usize = 10_000;
/// What the commands may take besides the pack (bytes).
pub(super) const COMMAND_BYTES_MAX: u64 = 16 << 20;
/// Options of a push, and one of them (bytes).
const OPTIONS_MAX: usize = 256;
const OPTION_BYTES_MAX: usize = 4096;
/// Places where the client's history ends.
const SHALLOW_MAX: usize = 200_000;

pub(crate) const CAPABILITIES: &str = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta \
                                       push-options object-format=sha1";

/// One command as it was sent.
pub(super) struct Command {
    /// What the report calls it.
    pub raw_name: String,
    pub old: Oid,
    pub new: Oid,
    pub name: Option<RefName>,
}

#[derive(Default)]
pub(super) struct Asked {
    pub commands: Vec<Command>,
    pub report: bool,
    pub side_band: bool,
    pub atomic: bool,
    pub quiet: bool,
    pub options: Vec<String>,
    /// Whether the client's history is cut somewhere.
    pub is_shallow: bool,
    has_options: bool,
}

/// Reads up to the pack.
pub(super) async fn read_commands(reader: &mut PacketReader) -> Result<Asked> {
    let mut asked = Asked::default();
    let (mut bytes, mut shallow, mut first) = (0, 0, true);
    loop {
        let payload = match reader.next().await? {
            Some(Packet::Data(payload)) => payload,
            Some(Packet::Flush) => break,
            None if first => return Ok(asked),
            _ => return Err(Error::Protocol("the list of commands is cut short".into())),
        };
        first = false;
        bytes += payload.len() as u64;
        if asked.commands.len() >= COMMANDS_MAX || bytes > COMMAND_BYTES_MAX {
            return Err(Error::TooLarge(format!("one push may change at most {COMMANDS_MAX} refs")));
        }
        let mut halves = payload.splitn(2, |b| *b == 0);
        let text = halves.next().unwrap_or_default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if let Some(oid) = text.strip_prefix(b"shallow ") {
            Oid::parse_bytes(oid).ok_or_else(|| Error::Protocol("a shallow line names no object".into()))?;
            shallow += 1;
            if shallow > SHALLOW_MAX {
                return Err(Error::TooLarge("the client's history is cut in too many places".into()));
            }
            asked.is_shallow = true;
            continue;
        }
        if let Some(capabilities) = halves.next().filter(|_| asked.commands.is_empty()) {
            read_capabilities(&mut asked, &String::from_utf8_lossy(capabilities))?;
        }
        if text.starts_with(b"push-cert") {
            return Err(Error::Protocol("signed pushes are not taken here".into()));
        }
        asked.commands.push(parse_command(text)?);
    }
    if asked.has_options {
        read_options(&mut asked, reader).await?;
    }
    Ok(asked)
}

fn read_capabilities(asked: &mut Asked, capabilities: &str) -> Result<()> {
    for word in capabilities.split_ascii_whitespace() {
        match word {
            "report-status" | "report-status-v2" => asked.report = true,
            "side-band-64k" => asked.side_band = true,
            "atomic" => asked.atomic = true,
            "quiet" => asked.quiet = true,
            "push-options" => asked.has_options = true,
            word if word.starts_with("object-format=") && word != "object-format=sha1" => {
                return Err(Error::Protocol("repositories here use SHA-1".into()));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn read_options(asked: &mut Asked, reader: &mut PacketReader) -> Result<()> {
    loop {
        let packet = reader.next().await?;
        let line = match &packet {
            Some(Packet::Flush) => return Ok(()),
            Some(packet) => packet.line(),
            None => None,
        };
        let line = line.ok_or_else(|| Error::Protocol("the list of push options is cut short".into()))?;
        if asked.options.len() >= OPTIONS_MAX || line.len() > OPTION_BYTES_MAX {
            let limits = format!("{OPTIONS_MAX} options of {OPTION_BYTES_MAX} bytes");
            return Err(Error::TooLarge(format!("one push may carry at most {limits}")));
        }
        let option = std::str::from_utf8(line).map_err(|_| Error::Protocol("a push option is not UTF-8".into()))?;
        asked.options.push(option.to_owned());
    }
}

fn parse_command(text: &[u8]) -> Result<Command> {
    let bad = || Error::Protocol("a command is not `old new ref`".into());
    let old = text.get(..40).and_then(Oid::parse_bytes).ok_or_else(bad)?;
    let new = text.get(41..81).and_then(Oid::parse_bytes).ok_or_else(bad)?;
    if text.get(40) != Some(&b' ') || text.get(81) != Some(&b' ') {
        return Err(bad());
    }
    let name = std::str::from_utf8(&text[82..]).ok().and_then(|name| RefName::parse(name).ok());
    Ok(Command { raw_name: String::from_utf8_lossy(&text[82..]).into_owned(), old, new, name })
}
