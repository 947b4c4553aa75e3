//! Receive-pack: commands, a pack, a report (gitprotocol-pack, "Pushing data to a server").

use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;
use tokio::sync::mpsc::Sender;

use super::commands::{Asked, COMMAND_BYTES_MAX, read_commands};
use super::keep_alive::keep_alive;
use super::pktline::{self, PacketReader};
use super::report::report;
use crate::pack::PACK_LIMITS;
use crate::push::{Push, Update, Verdict};
use crate::quarantine::{Received, take_in};
use crate::spool::Spool;
use crate::store::{GitStore, blocking};
use crate::{RefPolicy, RepositoryId, Result};

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
        let mut spool = Spool::open(self.cache().quarantine()?);
        while let Some(chunk) = reader.rest().await? {
            spool.write(chunk).await?;
        }
        let spooled = spool.finish().await?;
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
        blocking(move || take_in(&packs, &snapshot.contents.packs, spooled, upload, &mut tell)).await
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
