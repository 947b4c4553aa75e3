//! The one table that a run prints.

use std::fmt;

use crate::samples::Samples;

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
}

impl Table {
    /// A line for what took `samples`, beside what `other` took: the ratio is of the medians.
    pub fn compare(&mut self, what: &str, samples: &Samples, other: Option<(&str, &Samples)>) {
        let (beside, ratio) = match other {
            Some((name, other)) => {
                (format!("{name}: {}", milliseconds(other.median())), ratio(samples.median(), other.median()))
            }
            None => Default::default(),
        };
        let tail = if samples.len() >= 20 {
            milliseconds(samples.at(0.99))
        } else {
            format!("max {}", milliseconds(samples.at(1.0)))
        };
        self.add([what.to_owned(), samples.len().to_string(), milliseconds(samples.median()), tail, beside, ratio]);
    }

    /// What was measured, runs, p50, p99, compared with, ratio.
    pub fn add(&mut self, row: [String; 6]) {
        eprintln!("  {}", row.join(" | "));
        self.rows.push(row);
    }
}

/// Two digits that mean something.
pub fn ratio(one: f64, other: f64) -> String {
    let ratio = one / other;
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// `seconds` as people read it.
pub fn milliseconds(seconds: f64) -> String {
    let value = seconds * 1000.0;
    match value {
        0.0..10.0 => format!("{value:.2} ms"),
        10.0..100.0 => format!("{value:.1} ms"),
        _ => format!("{value:.0} ms"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "| measured | runs | p50 | p99 | compared with | ratio |")?;
        writeln!(out, "| --- | ---: | ---: | ---: | --- | ---: |")?;
        for row in &self.rows {
            writeln!(out, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}
