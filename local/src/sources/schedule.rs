//! A schedule event source (EventBridge), for `rate(…)` expressions.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Entropy};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::functions::Functions;

pub struct Schedule {
    pub name: String,
    pub every: Duration,
    /// Sent instead of EventBridge's own event, when given.
    pub input: Option<Value>,
    /// Logical id.
    pub function: String,
    pub functions: Arc<dyn Functions>,
    pub account: String,
    pub region: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Reads `rate(5 minutes)`; `None` for anything else.
pub fn parse_rate(expression: &str) -> Option<Duration> {
    let inside = expression.trim().strip_prefix("rate(")?.strip_suffix(')')?;
    let (count, unit) = inside.trim().split_once(' ')?;
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

impl Schedule {
    /// Invokes once at the start, so that nothing waits a whole period after a restart, and then at each interval.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut interval = tokio::time::interval(self.every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let event = self.input.clone().unwrap_or_else(|| self.event());
            if let Err(error) = self.functions.invoke(&self.function, event.to_string().into()).await {
                tracing::error!(%error, schedule = self.name, "a scheduled invocation failed");
            }
        }
    }

    /// The "Scheduled Event" of EventBridge.
    fn event(&self) -> Value {
        let Self { account, region, name, .. } = self;
        json!({
            "version": "0",
            "id": crate::gateway::request_id(self.entropy.as_ref()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": account,
            "time": crate::events::timestamp(self.clock.now()),
            "region": region,
            "resources": [format!("arn:aws:events:{region}:{account}:rule/{name}")],
            "detail": {},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_other_expressions_are_not() {
        assert_eq!(parse_rate("rate(1 minute)"), Some(Duration::from_secs(60)));
        assert_eq!(parse_rate("rate(2 hours)"), Some(Duration::from_secs(7_200)));
        for other in ["rate(0 minutes)", "rate(-1 day)", "rate(1 year)", "cron(0 12 * * ? *)", "rate(1)", ""] {
            assert_eq!(parse_rate(other), None, "{other}");
        }
    }
}
