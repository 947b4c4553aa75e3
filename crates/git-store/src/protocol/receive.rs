//! Receive-pack: commands, a pack, a report (gitprotocol-pack, "Pushing data to a server").

use bytes::Bytes;
use cloud::BlobStream;
use tokio::io::AsyncWriteExt;

use super::pktline::{self, Packet, PacketReader};
use crate::pack::PACK_LIMITS;
use crate::push::{Push, Update, Verdict};
use crate::quarantine::{INCOMING, Received, take_in};
use crate::store::{GitStore, blocking};
use crate::{Error, Oid, RefName, RefPolicy, RepositoryId, Result};

/// Refs that one push may change.
const COMMANDS_MAX: usize = 10_000;
/// What the commands may take besides the pack (bytes).
const COMMAND_BYTES_MAX: u64 = 16 << 20;

pub(crate) const CAPABILITIES: &str =
    "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1";

/// One command as it was sent.
struct Command {
    /// What the report calls it.
    raw_name: String,
    old: Oid,
    new: Oid,
    name: Option<RefName>,
}

#[derive(Default)]
struct Asked {
    commands: Vec<Command>,
    report: bool,
    side_band: bool,
    atomic: bool,
}

impl GitStore {
    pub(crate) async fn receive(&self, id: &RepositoryId, body: BlobStream, policy: &dyn RefPolicy) -> Result<Bytes> {
        let mut reader = PacketReader::new(body, PACK_LIMITS.pack_bytes + COMMAND_BYTES_MAX);
        let asked = match read_commands(&mut reader).await {
            Ok(asked) => asked,
            Err(error) if error.is_callers() => return Ok(pktline::error_line(&error.to_string())),
            Err(error) => return Err(error),
        };
        if asked.commands.is_empty() {
            return Ok(Bytes::new());
        }
        let deletes_only = asked.commands.iter().all(|command| command.new.is_zero());
        let received = if deletes_only { Ok(None) } else { self.receive_objects(id, &mut reader).await };
        let report = match received {
            Ok(received) => {
                let verdicts = self.push_commands(id, &asked, received, policy).await?;
                report(&asked, Ok(&verdicts))
            }
            Err(error) if error.is_callers() && !error.is_not_found() => report(&asked, Err(&error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(if asked.report { report } else { Bytes::new() })
    }

    /// Spools the pack into a quarantine and checks it.
    async fn receive_objects(&self, id: &RepositoryId, reader: &mut PacketReader) -> Result<Option<Received>> {
        let snapshot = self.snapshot(id).await?;
        let packs = self.packs(id, &snapshot).await?;
        let dir = self.cache().quarantine()?;
        let file = tokio::fs::File::create(dir.path().join(INCOMING)).await;
        let mut file = file.map_err(Error::io("spooling a pack"))?;
        let mut bytes = 0;
        let mut head = Vec::new();
        while let Some(chunk) = reader.rest().await? {
            if head.len() < 12 {
                head.extend_from_slice(&chunk[..chunk.len().min(12 - head.len())]);
                check_head(&head)?;
            }
            bytes += chunk.len() as u64;
            if bytes > PACK_LIMITS.pack_bytes {
                let limit = PACK_LIMITS.pack_bytes;
                return Err(Error::TooLarge(format!("the pack is more than {limit} bytes")));
            }
            file.write_all(&chunk).await.map_err(Error::io("spooling a pack"))?;
        }
        file.flush().await.map_err(Error::io("spooling a pack"))?;
        drop(file);
        let upload = self.new_push_id();
        blocking(move || take_in(&packs, dir, upload)).await
    }

    async fn push_commands(
        &self,
        id: &RepositoryId,
        asked: &Asked,
        received: Option<Received>,
        policy: &dyn RefPolicy,
    ) -> Result<Vec<Verdict>> {
        let named = asked.commands.iter().filter_map(|command| {
            let name = command.name.clone()?;
            Some(Update { name, old: command.old.non_zero(), new: command.new.non_zero() })
        });
        let updates: Vec<_> = named.collect();
        let all_named = updates.len() == asked.commands.len();
        let mut judged = if updates.is_empty() || (asked.atomic && !all_named) {
            vec![Verdict::Refused("atomic push failed: another ref was refused".into()); updates.len()]
        } else {
            let push = Push { updates, received, atomic: asked.atomic, id: self.new_push_id() };
            self.push(id, push, policy).await?
        }
        .into_iter();
        let bad_name = || Verdict::Refused("funny refname".into());
        let verdicts = asked.commands.iter().map(|command| match command.name {
            Some(_) => judged.next().unwrap_or_else(bad_name),
            None => bad_name(),
        });
        Ok(verdicts.collect())
    }
}

/// Refuses what is no pack, or declares too much, as soon as its first bytes are here.
fn check_head(head: &[u8]) -> Result<()> {
    if !b"PACK".starts_with(&head[..head.len().min(4)]) {
        return Err(Error::Unpack("what was sent is no pack".into()));
    }
    if let [_, _, _, _, _, _, _, _, a, b, c, d] = *head {
        let count = u32::from_be_bytes([a, b, c, d]);
        if count > PACK_LIMITS.objects {
            return Err(Error::TooLarge(format!("the pack has {count} objects, the limit is {}", PACK_LIMITS.objects)));
        }
    }
    Ok(())
}

async fn read_commands(reader: &mut PacketReader) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut bytes = 0;
    let mut first = true;
    loop {
        let packet = match reader.next().await? {
            Some(packet @ Packet::Data(_)) => packet,
            Some(Packet::Flush) => return Ok(asked),
            None if first => return Ok(asked),
            _ => return Err(Error::Protocol("the list of commands is cut short".into())),
        };
        let Packet::Data(payload) = &packet else { continue };
        bytes += payload.len() as u64;
        if asked.commands.len() >= COMMANDS_MAX || bytes > COMMAND_BYTES_MAX {
            return Err(Error::TooLarge(format!("one push may change at most {COMMANDS_MAX} refs")));
        }
        let mut halves = payload.splitn(2, |b| *b == 0);
        let text = halves.next().unwrap_or_default();
        if let Some(capabilities) = halves.next().filter(|_| asked.commands.is_empty()) {
            let capabilities = String::from_utf8_lossy(capabilities);
            let has = |wanted: &str| capabilities.split_ascii_whitespace().any(|word| word == wanted);
            (asked.report, asked.side_band, asked.atomic) = (has("report-status"), has("side-band-64k"), has("atomic"));
            if capabilities
                .split_ascii_whitespace()
                .any(|w| w.starts_with("object-format=") && w != "object-format=sha1")
            {
                return Err(Error::Protocol("repositories here use SHA-1".into()));
            }
        }
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        first = false;
        if text.starts_with(b"shallow ") {
            continue;
        }
        asked.commands.push(parse_command(text)?);
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

/// The report of a push, or of a pack that could not be unpacked.
fn report(asked: &Asked, outcome: Result<&[Verdict], &str>) -> Bytes {
    let mut lines = Vec::new();
    match outcome {
        Ok(_) => pktline::line(&mut lines, "unpack ok"),
        Err(reason) => pktline::line(&mut lines, &format!("unpack {}", pktline::plain(reason))),
    }
    for (at, command) in asked.commands.iter().enumerate() {
        let name = pktline::plain(&command.raw_name);
        let text = match outcome.map(|verdicts| &verdicts[at]) {
            Ok(Verdict::Done) => format!("ok {name}"),
            Ok(Verdict::Moved(_)) => format!("ng {name} the ref has moved: fetch first"),
            Ok(Verdict::Refused(reason)) => format!("ng {name} {}", pktline::plain(reason)),
            Err(_) => format!("ng {name} unpacker error"),
        };
        pktline::line(&mut lines, &text);
    }
    pktline::flush(&mut lines);
    if !asked.side_band {
        return lines.into();
    }
    let mut out = Vec::new();
    pktline::side_band(&mut out, 1, &lines, pktline::PAYLOAD_MAX + 4);
    pktline::flush(&mut out);
    out.into()
}
