//! Whoever waits for an answer, and may leave before it has come.

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use crate::{Error, Result};

/// The default is nobody: such work is done to its end.
#[derive(Clone, Default)]
pub(crate) struct Asker(Option<Sender<Bytes>>);

impl Asker {
    /// The client that reads what is sent to `answer`.
    pub(crate) fn client(answer: &Sender<Bytes>) -> Self {
        Self(Some(answer.clone()))
    }

    /// `Error::Abandoned` when nobody reads the answer any more.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.0 {
            Some(answer) if answer.is_closed() => Err(Error::Abandoned),
            _ => Ok(()),
        }
    }
}
