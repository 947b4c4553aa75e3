//! The build function: takes an order, builds, and hands the packages over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::Sha256Digest;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::order::{Order, Outcome, Said, Upload};
use super::shelf::Shelf;
use super::{LOOK, SOURCE_BYTES_MAX, Transfers};
use crate::build::{Build, BuildError, Builder, Built, Output, Request, blocking, unpack};

/// Lines that wait at most.
const WAITING_MAX: usize = 1_024;
/// Bytes of log in one answer, which has 200 MB at most ("Lambda quotas").
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Builds what it is asked for.
pub struct BuildFunction {
    pub builder: Builder,
    pub transfers: Arc<dyn Transfers>,
    /// A folder for checkouts and packages.
    pub work: PathBuf,
}

impl BuildFunction {
    /// Answers an order. The last thing said is the outcome; a listener that is gone ends the build.
    pub async fn answer(&self, order: Value, said: mpsc::Sender<Said>) {
        let last = match serde_json::from_value::<Order>(order) {
            Ok(order) if order.version == Order::VERSION => self.run(order, &said).await,
            Ok(order) => Said::Broken(format!("this function reads orders of version 1, not {}", order.version)),
            Err(error) => Said::Broken(format!("the order cannot be read: {error}")),
        };
        let _ = said.send(last).await;
    }

    async fn run(&self, order: Order, said: &mpsc::Sender<Said>) -> Said {
        let stop = CancellationToken::new();
        let (lines, heard) = mpsc::channel(WAITING_MAX);
        let output = Output { lines, stop: stop.clone() };
        let told = tokio::spawn(tell(heard, said.clone()));
        let late = Duration::from_secs(order.seconds);
        let watched = self.watch(&order, said, &stop);
        let done = tokio::select! {
            done = self.build(&order, &output) => done,
            // Only returns when there is no build to wait for any more.
            () = watched => Err(BuildError::Stopped),
            () = tokio::time::sleep(late) => {
                stop.cancel();
                Err(BuildError::Failed(format!("the build took longer than {} minutes", order.seconds.div_ceil(60))))
            }
        };
        drop(output);
        let _ = told.await;
        match done {
            Ok(outcome) => Said::Done(outcome),
            Err(BuildError::Stopped) => Said::Stopped,
            Err(BuildError::Failed(text)) => Said::Failed(text),
            Err(error) => Said::Broken(chain(&error)),
        }
    }

    /// Returns when the build is to stop: somebody asked for it, or nobody listens.
    async fn watch(&self, order: &Order, said: &mpsc::Sender<Said>, stop: &CancellationToken) {
        loop {
            tokio::time::sleep(LOOK).await;
            let asked = self.transfers.exists(&order.stop).await.unwrap_or(false);
            if asked || said.send(Said::Alive).await.is_err() {
                stop.cancel();
                return;
            }
        }
    }

    async fn build(&self, order: &Order, output: &Output) -> Result<Outcome, BuildError> {
        let folder = tempfile::Builder::new().prefix("build-").tempdir_in(&self.work);
        let folder = folder.map_err(BuildError::io("making a folder for the build"))?;
        let (checkout, scratch, entries) =
            (folder.path().join("source"), folder.path().join("scratch"), folder.path().join("entries"));
        self.fetch(order, folder.path().join("source.zip"), checkout.clone()).await?;
        for made in [&scratch, &entries] {
            std::fs::create_dir(made).map_err(BuildError::io("making a folder"))?;
        }
        let shelf = Arc::new(Shelf {
            transfers: self.transfers.clone(),
            cache: order.cache.clone(),
            keeps: order.keeps.clone(),
            folder: entries,
            kept: Mutex::default(),
        });
        let request = Request {
            root: &checkout,
            base: &checkout.join(&order.base),
            plan: &order.plan,
            scratch: &scratch,
            project: &order.project,
            run: "",
            blobs: Some(shelf.clone()),
        };
        let built = self.builder.build(&request, output).await?;
        let packages = self.hand_over(order, &built).await?;
        // What could not be sent has no length, and is not kept.
        let kept = shelf.take().into_iter().filter(|kept| kept.length > 0).collect();
        Ok(Outcome { packages, kept, notes: built.notes })
    }

    async fn fetch(&self, order: &Order, zip: PathBuf, checkout: PathBuf) -> Result<(), BuildError> {
        self.transfers.get(&order.source.at, &zip, SOURCE_BYTES_MAX).await.map_err(broken)?;
        let expected = order.source.sha256;
        let unpacked = blocking(move || {
            if digest(&zip)? != expected {
                return Err(std::io::Error::other("it is not what was sent"));
            }
            unpack(&zip, &checkout)?;
            std::fs::remove_file(&zip)
        });
        unpacked.await?.map_err(BuildError::io("unpacking the checkout"))
    }

    /// Puts each file to a place of its own, once.
    async fn hand_over(&self, order: &Order, built: &Built) -> Result<Vec<Upload>, BuildError> {
        let (mut uploads, mut placed): (Vec<Upload>, BTreeMap<&Path, usize>) = (Vec::new(), BTreeMap::new());
        for package in &built.packages {
            let place = match placed.get(package.file.as_path()) {
                Some(place) => *place,
                None => {
                    let place = placed.len();
                    let to = order.packages.get(place);
                    let to =
                        to.ok_or_else(|| broken(super::TransferError("there is no place for a package".into())))?;
                    self.transfers.put(to, &package.file).await.map_err(broken)?;
                    placed.insert(&package.file, place);
                    place
                }
            };
            uploads.push(Upload {
                name: package.name.clone(),
                kind: package.kind,
                sha256: package.sha256,
                length: package.length,
                place,
            });
        }
        Ok(uploads)
    }
}

fn broken(error: super::TransferError) -> BuildError {
    BuildError::Cloud(cloud::Error::Unavailable(error.to_string()))
}

fn digest(file: &Path) -> std::io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut std::fs::File::open(file)?, &mut hasher)?;
    Ok(Sha256Digest(hasher.finalize().into()))
}

/// An error with its causes: it is read by an operator, elsewhere.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

/// Passes lines on, as many as an answer has room for.
async fn tell(mut lines: mpsc::Receiver<String>, said: mpsc::Sender<Said>) {
    let mut left = LOG_BYTES_MAX;
    while let Some(line) = lines.recv().await {
        if let Some(rest) = left.checked_sub(line.len()) {
            left = rest;
            let _ = said.send(Said::Line(line)).await;
        } else {
            left = 0;
        }
    }
}
