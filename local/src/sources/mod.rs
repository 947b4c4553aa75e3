//! Event sources: what polls queues, the change feed and the clock on the functions' behalf.

mod queue;
mod schedule;
mod stream;

pub use queue::QueuePoll;
pub use schedule::{Schedule, parse_rate};
pub use stream::{StartAt, StreamPoll};
