//! Log lines: JSON in a function, text in a terminal.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::metrics;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, as CloudWatch reads it. Metrics are written too.
    Json,
    /// For people.
    Text,
}

/// Whose lines come at the level that was asked for; of everyone else warnings are enough: the AWS SDK alone writes
/// a hundred kilobytes a request at `debug`.
const OWN: [&str; 14] = [
    "api",
    "authorizer",
    "build_worker",
    "cloud",
    "cloud_aws",
    "cloud_local",
    "domain",
    "function",
    "git_store",
    "identity",
    "local",
    "sandbox",
    "websocket",
    "workroom",
];

fn filter(level: LevelFilter) -> EnvFilter {
    let others = level.min(LevelFilter::WARN);
    let own: Vec<String> = OWN.iter().map(|name| format!("{name}={level}")).collect();
    EnvFilter::new(format!("{others},{}", own.join(",")))
}

/// Starts logging to standard error; does nothing when it was started before.
pub fn init(level: LevelFilter, format: Format) {
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(std::io::stderr).with_target(true);
    if format == Format::Json {
        metrics::enable();
    }
    // A second call loses the race on purpose: the first subscriber stays.
    let _already_started = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        Format::Text => builder.compact().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_heard_from_warnings_on_and_never_more_than_we_are() {
        assert_eq!(filter(LevelFilter::DEBUG).max_level_hint(), Some(LevelFilter::DEBUG));
        assert!(filter(LevelFilter::DEBUG).to_string().split(',').any(|directive| directive == "warn"));
        assert!(filter(LevelFilter::DEBUG).to_string().split(',').any(|directive| directive == "domain=debug"));
        assert!(filter(LevelFilter::ERROR).to_string().split(',').any(|directive| directive == "error"));
        assert_eq!(filter(LevelFilter::OFF).max_level_hint(), Some(LevelFilter::OFF));
    }
}
