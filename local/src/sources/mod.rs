//! Event sources: what polls queues, the change feed and the clock on the functions' behalf.

mod dead_letters;
mod queue;
mod schedule;
mod stream;

pub use dead_letters::DeadLetters;
pub use queue::QueuePoll;
pub use schedule::{Schedule, parse_rate};
pub use stream::{StartAt, StreamPoll};
