//! Log lines: JSON in a function, text in a terminal.

use tracing::level_filters::LevelFilter;

use crate::metrics;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, as CloudWatch reads it. Metrics are written too.
    Json,
    /// For people.
    Text,
}

/// Starts logging to standard error; does nothing when it was started before.
pub fn init(level: LevelFilter, format: Format) {
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(true);
    if format == Format::Json {
        metrics::enable();
    }
    // A second call loses the race on purpose: the first subscriber stays.
    let _already_started = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        Format::Text => builder.compact().try_init(),
    };
}
