//! Event sources: what polls queues and the change feed on the functions' behalf.

mod queue;
mod stream;

pub use queue::QueuePoll;
pub use stream::{StartAt, StreamPoll};
