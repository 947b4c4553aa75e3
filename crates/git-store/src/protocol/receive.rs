//! Receive-pack: commands, a pack, a report (gitprotocol-pack, "Pushing data to a server").

use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::Sender;

use super::commands::{Asked, COMMAND_BYTES_MAX, read_commands};
use super::keep_alive::keep_alive;
use super::pktline::{self, PacketReader};
use super::report::report;
use crate::pack::PACK_LIMITS;
use crate::push::{Push, Update, Verdict};
use crate::quarantine::{INCOMING, Received, take_in};
use crate::store::{GitStore, blocking};
use crate::{Error, RefPolicy, RepositoryId, Result};

/// Packets on their way to a slow client.
const PACKETS_AHEAD: usize = 16;

impl GitStore {
    /// Answers once the commands are read; what follows streams, so that the client hears of progress.
    pub(crate) async fn receive(
        &self,
        id: &RepositoryId,
        body: BlobStream,
        policy: Arc<dyn RefPolicy>,
    ) -> Result<BlobStream> {
        let mut reader = PacketReader::new(body, PACK_LIMITS.pack_bytes + COMMAND_BYTES_MAX);
        let asked = match read_commands(&mut reader).await {
            Ok(asked) => asked,
            Err(error) if error.is_callers() => return Ok(cloud::stream_of(pktline::error_line(&error.to_string()))),
            Err(error) => return Err(error),
        };
        if asked.commands.is_empty() {
            return Ok(cloud::stream_of(Bytes::new()));
        }
        if !asked.side_band {
            return Ok(cloud::stream_of(self.carry_out(id, &asked, reader, &*policy, None).await?));
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(PACKETS_AHEAD);
        let (store, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            let progress = (!asked.quiet).then_some(&sender);
            let answer = match store.carry_out(&id, &asked, reader, &*policy, progress).await {
                Ok(report) => report,
                Err(error) => {
                    tracing::error!(%error, repository = %id, "a push failed");
                    failure()
                }
            };
            // Whoever asked may be gone; the refs are where they are.
            let _ = sender.send(answer).await;
        });
        Ok(keep_alive(receiver, true))
    }

    /// Does what is asked; the answer is the report.
    async fn carry_out(
        &self,
        id: &RepositoryId,
        asked: &Asked,
        mut reader: PacketReader,
        policy: &dyn RefPolicy,
        progress: Option<&Sender<Bytes>>,
    ) -> Result<Bytes> {
        let outcome = async {
            let deletes_only = asked.commands.iter().all(|command| command.new.is_zero());
            let received = if deletes_only { None } else { self.receive_objects(id, &mut reader, progress).await? };
            self.push_commands(id, asked, received, policy).await
        };
        match outcome.await {
            Ok(verdicts) => Ok(report(asked, Ok(&verdicts))),
            Err(error) if error.is_callers() && !error.is_not_found() => Ok(report(asked, Err(&error))),
            Err(error) => Err(error),
        }
    }

    /// Spools the pack into a quarantine and checks it.
    async fn receive_objects(
        &self,
        id: &RepositoryId,
        reader: &mut PacketReader,
        progress: Option<&Sender<Bytes>>,
    ) -> Result<Option<Received>> {
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
        let progress = progress.cloned();
        let mut tell = move |text: &str| {
            if let Some(sender) = &progress {
                let mut out = Vec::new();
                pktline::message(&mut out, text);
                // A client that does not read loses its progress, and holds nothing up.
                let _ = sender.try_send(out.into());
            }
        };
        blocking(move || take_in(&packs, &snapshot.contents.packs, dir, upload, &mut tell)).await
    }

    async fn push_commands(
        &self,
        id: &RepositoryId,
        asked: &Asked,
        received: Option<Received>,
        policy: &dyn RefPolicy,
    ) -> Result<Vec<Verdict>> {
        if let Err(reason) = policy.options(&asked.options).await {
            return Ok(vec![Verdict::Refused(reason); asked.commands.len()]);
        }
        let named = asked.commands.iter().filter_map(|command| {
            let name = command.name.clone()?;
            Some(Update { name, old: command.old.non_zero(), new: command.new.non_zero() })
        });
        let updates: Vec<_> = named.collect();
        let all_named = updates.len() == asked.commands.len();
        let mut judged = if updates.is_empty() || (asked.atomic && !all_named) {
            vec![Verdict::Refused("atomic push failure".into()); updates.len()]
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

/// What a client hears when the platform failed; without a report it knows that it knows nothing.
fn failure() -> Bytes {
    let mut out = Vec::new();
    let text = "the push was not finished; fetch to see whether it came through, and try again\n";
    pktline::side_band(&mut out, 3, text.as_bytes(), pktline::PAYLOAD_MAX + 4);
    pktline::flush(&mut out);
    out.into()
}

/// Refuses what is no pack, or declares too much, as soon as its first bytes are here.
pub(crate) fn check_head(head: &[u8]) -> Result<()> {
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
