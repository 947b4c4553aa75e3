//! Schedules: EventBridge rules with a rate or a cron expression.

use std::time::Duration;

use cloud::Millis;
use serde_json::{Value, json};

use super::Target;
use super::cron::Schedule;
use crate::stacks::calendar::Civil;

const MINUTE_MS: i64 = 60_000;

pub(super) struct Source {
    pub schedule: Schedule,
    pub input: Option<Value>,
    /// The rule's name.
    pub rule: String,
    pub target: Target,
}

impl Source {
    pub async fn run(self) {
        let mut now = self.target.around.clock.now();
        loop {
            let next = self.next(now);
            loop {
                let left = next.since(self.target.around.clock.now());
                if left.is_zero() {
                    break;
                }
                // In steps: the clock may be set.
                tokio::time::sleep(left.min(Duration::from_secs(60))).await;
            }
            now = next;
            if self.fires(next) {
                self.target.send(self.event(next));
            }
        }
    }

    /// When to look next, after `now`. Rates count from the deploy, so that a restart does not move them.
    fn next(&self, now: Millis) -> Millis {
        match &self.schedule {
            Schedule::Every(period) => {
                let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
                let since = self.target.around.since.0;
                let passed = (now.0 - since).div_euclid(period);
                Millis(since + (passed + 1) * period)
            }
            Schedule::Cron(_) => Millis((now.0.div_euclid(MINUTE_MS) + 1) * MINUTE_MS),
        }
    }

    fn fires(&self, at: Millis) -> bool {
        match &self.schedule {
            Schedule::Every(_) => true,
            Schedule::Cron(cron) => cron.matches(Civil::at(at)),
        }
    }

    fn event(&self, at: Millis) -> Value {
        let naming = &self.target.around.naming;
        self.input.clone().unwrap_or_else(|| {
            json!({
                "version": "0",
                "id": self.target.around.entropy.ulid(at),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": naming.account(),
                "time": Civil::at(at).rfc3339(),
                "region": naming.region(),
                "resources": [naming.arn("events", &format!("rule/{}", self.rule))],
                "detail": {},
            })
        })
    }
}
