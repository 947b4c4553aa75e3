//! Receive-pack: commands, a pack, a report (gitprotocol-pack, "Pushing data to a server").

use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;
use tokio::sync::mpsc::Sender;

use super::commands::{Asked, COMMAND_BYTES_MAX, read_commands};
use super::keep_alive::keep_alive;
use super::pktline::{self, PacketReader};
use super::report::report;
use crate::asker::Asker;
use crate::pack::PACK_LIMITS;
use crate::push::{Push, Update, Verdict};
use crate::quarantine::{Received, take_in};
use crate::spool::Spool;
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
        let (sender, receiver) = tokio::sync::mpsc::channel(PACKETS_AHEAD);
        let (store, id, side_band) = (self.clone(), id.clone(), asked.side_band);
        // A task of its own: the client may leave at any moment, and the work decides where it can end.
        let work = tokio::spawn(async move {
            let answer = store.carry_out(&id, &asked, reader, &*policy, &sender).await;
            if !asked.side_band {
                return answer;
            }
            let answer = match answer {
                Ok(report) => report,
                Err(Error::Abandoned) => {
                    tracing::info!(repository = %id, "a push was given up: its client has gone");
                    return Ok(Bytes::new());
                }
                Err(error) => {
                    tracing::error!(%error, repository = %id, "a push failed");
                    failure()
                }
            };
            // Whoever asked may be gone; the refs are where they are.
            let _ = sender.send(answer).await;
            Ok(Bytes::new())
        });
        if side_band {
            return Ok(keep_alive(receiver, true));
        }
        let report = work.await.map_err(|error| cloud::Error::other("taking in a push", error))?;
        drop(receiver);
        report.map(cloud::stream_of)
    }

    /// Does what is asked; the answer is the report. What is read at the other end of `answer` is progress.
    async fn carry_out(
        &self,
        id: &RepositoryId,
        asked: &Asked,
        mut reader: PacketReader,
        policy: &dyn RefPolicy,
        answer: &Sender<Bytes>,
    ) -> Result<Bytes> {
        let outcome = async {
            let deletes_only = asked.commands.iter().all(|command| command.new.is_zero());
            let received = match deletes_only {
                true => None,
                false => self.receive_objects(id, &mut reader, asked.side_band && !asked.quiet, answer).await?,
            };
            self.push_commands(id, asked, received, policy, Asker::client(answer)).await
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
        tells: bool,
        answer: &Sender<Bytes>,
    ) -> Result<Option<Received>> {
        let snapshot = self.snapshot(id).await?;
        let packs = self.packs(id, &snapshot).await?;
        let mut spool = Spool::open(self.cache().quarantine()?);
        while let Some(chunk) = reader.rest().await? {
            spool.write(chunk).await?;
        }
        let spooled = spool.finish().await?;
        let upload = self.new_push_id();
        let (answer, asker) = (answer.clone(), Asker::client(answer));
        let mut tell = move |text: &str| {
            if tells {
                let mut out = Vec::new();
                pktline::message(&mut out, text);
                // A client that does not read loses its progress, and holds nothing up.
                let _ = answer.try_send(out.into());
            }
        };
        blocking(move || take_in(&packs, &snapshot.contents.packs, spooled, upload, &mut tell, asker)).await
    }

    async fn push_commands(
        &self,
        id: &RepositoryId,
        asked: &Asked,
        received: Option<Received>,
        policy: &dyn RefPolicy,
        asker: Asker,
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
            let push = Push { updates, received, atomic: asked.atomic, id: self.new_push_id(), asker };
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
