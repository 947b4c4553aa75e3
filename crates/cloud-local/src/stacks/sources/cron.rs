//! Schedule expressions (EventBridge User Guide, "Schedule expressions").

use std::time::Duration;

use crate::stacks::calendar::Civil;

/// When a schedule fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Every(Duration),
    Cron(Box<Cron>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Days,
    months: Vec<u32>,
    weekdays: Weekdays,
    years: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    Any,
    These(Vec<u32>),
    /// `L`
    Last,
    /// `15W`: the weekday nearest to it.
    Nearest(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Weekdays {
    Any,
    These(Vec<u32>),
    /// `5L`: the last of the month.
    Last(u32),
    /// `3#2`: the second of the month.
    Nth(u32, u32),
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Schedule {
    /// Reads `rate(5 minutes)` or `cron(0 12 * * ? *)`.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let inside = |name: &str| raw.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            let (count, unit) = rate.trim().split_once(' ').ok_or("a rate has a value and a unit")?;
            let count: u64 =
                count.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or("a rate's value is 1 or more")?;
            let seconds = match (unit.trim(), count) {
                ("minute", 1) | ("minutes", 2..) => 60,
                ("hour", 1) | ("hours", 2..) => 3600,
                ("day", 1) | ("days", 2..) => 86_400,
                _ => return Err("a rate's unit is minute(s), hour(s) or day(s), singular for 1".into()),
            };
            return Ok(Self::Every(Duration::from_secs(count * seconds)));
        }
        let cron = inside("cron").ok_or("a schedule is rate(…) or cron(…)")?;
        Ok(Self::Cron(Box::new(Cron::parse(cron)?)))
    }
}

impl Cron {
    fn parse(raw: &str) -> Result<Self, String> {
        let fields: Vec<&str> = raw.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields.as_slice() else {
            return Err("a cron expression has six fields".into());
        };
        if (*days == "?") == (*weekdays == "?") {
            return Err("of day-of-month and day-of-week exactly one is `?`".into());
        }
        Ok(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: parse_days(days)?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: parse_weekdays(weekdays)?,
            years: field(years, 1970, 2199, &[])?,
        })
    }

    /// True in the minutes in which it fires.
    pub fn matches(&self, at: Civil) -> bool {
        self.minutes.contains(&at.minute)
            && self.hours.contains(&at.hour)
            && self.months.contains(&at.month)
            && u32::try_from(at.year).is_ok_and(|year| self.years.contains(&year))
            && self.day_matches(at)
    }

    fn day_matches(&self, at: Civil) -> bool {
        let day = match &self.days {
            Days::Any => true,
            Days::These(days) => days.contains(&at.day),
            Days::Last => at.day == at.days_in_month(),
            Days::Nearest(day) => at.day == nearest_weekday(at, *day),
        };
        let weekday = match &self.weekdays {
            Weekdays::Any => true,
            Weekdays::These(weekdays) => weekdays.contains(&(at.weekday + 1)),
            Weekdays::Last(weekday) => at.weekday + 1 == *weekday && at.day + 7 > at.days_in_month(),
            Weekdays::Nth(weekday, nth) => at.weekday + 1 == *weekday && at.day.div_ceil(7) == *nth,
        };
        day && weekday
    }
}

/// The day of `at`'s month that `dayW` means.
fn nearest_weekday(at: Civil, day: u32) -> u32 {
    let day = day.min(at.days_in_month());
    let weekday = (at.weekday + 7 * 6 + day - at.day) % 7;
    match weekday {
        6 if day == 1 => 3,
        6 => day - 1,
        0 if day == at.days_in_month() => day - 2,
        0 => day + 1,
        _ => day,
    }
}

fn parse_days(raw: &str) -> Result<Days, String> {
    match raw {
        "*" | "?" => Ok(Days::Any),
        "L" => Ok(Days::Last),
        _ => match raw.strip_suffix('W') {
            Some(day) => value(day, 1, 31, &[]).map(Days::Nearest),
            None => field(raw, 1, 31, &[]).map(Days::These),
        },
    }
}

fn parse_weekdays(raw: &str) -> Result<Weekdays, String> {
    if matches!(raw, "*" | "?") {
        return Ok(Weekdays::Any);
    }
    if raw == "L" {
        return Ok(Weekdays::These(vec![7]));
    }
    if let Some((weekday, nth)) = raw.split_once('#') {
        return Ok(Weekdays::Nth(value(weekday, 1, 7, &WEEKDAYS)?, value(nth, 1, 5, &[])?));
    }
    match raw.strip_suffix('L') {
        Some(weekday) => value(weekday, 1, 7, &WEEKDAYS).map(Weekdays::Last),
        None => field(raw, 1, 7, &WEEKDAYS).map(Weekdays::These),
    }
}

/// Every value that a field with `,`, `-`, `*` and `/` names.
fn field(raw: &str, least: u32, most: u32, names: &[&str]) -> Result<Vec<u32>, String> {
    let mut values = Vec::new();
    for part in raw.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(value(step, 1, most, &[])?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (value(from, least, most, names)?, value(to, least, most, names)?),
            None => {
                let only = value(range, least, most, names)?;
                (only, if step.is_some() { most } else { only })
            }
        };
        // `FRI-MON` goes over the end.
        let span = if to >= from { to - from } else { to + (most - least + 1) - from };
        for offset in (0..=span).step_by(step.unwrap_or(1) as usize) {
            values.push((from - least + offset) % (most - least + 1) + least);
        }
    }
    Ok(values)
}

fn value(raw: &str, least: u32, most: u32, names: &[&str]) -> Result<u32, String> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(raw)).and_then(|n| u32::try_from(n).ok());
    let number = named.map(|position| position + 1).or_else(|| raw.parse().ok());
    number.filter(|n| (least..=most).contains(n)).ok_or_else(|| format!("`{raw}` is not between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::Millis;

    fn fires(expression: &str, at: i64) -> bool {
        let Ok(Schedule::Cron(cron)) = Schedule::parse(expression) else { panic!("{expression}") };
        cron.matches(Civil::at(Millis(at)))
    }

    /// 2026-11-21 is a Saturday.
    const SATURDAY_NOON: i64 = 1_795_262_400_000;
    const DAY: i64 = 86_400_000;

    #[test]
    fn the_examples_of_the_documentation_fire_when_they_say() {
        assert!(fires("cron(0 12 * * ? *)", SATURDAY_NOON));
        assert!(!fires("cron(0 12 * * ? *)", SATURDAY_NOON + 60_000));
        assert!(!fires("cron(0 12 ? * MON-FRI *)", SATURDAY_NOON));
        assert!(fires("cron(0 12 ? * MON-FRI *)", SATURDAY_NOON - DAY));
        assert!(fires("cron(0/15 * * * ? *)", SATURDAY_NOON + 45 * 60_000));
        assert!(!fires("cron(0/15 * * * ? *)", SATURDAY_NOON + 46 * 60_000));
        assert!(fires("cron(0 12 ? * 7#3 *)", SATURDAY_NOON));
        assert!(!fires("cron(0 12 ? * 7#2 *)", SATURDAY_NOON));
        assert!(fires("cron(0 12 ? NOV 7L 2026)", SATURDAY_NOON + 7 * DAY));
        assert!(!fires("cron(0 12 ? NOV 7L 2026)", SATURDAY_NOON));
        assert!(fires("cron(0 12 L * ? *)", SATURDAY_NOON + 9 * DAY));
        // The weekday nearest to Saturday the 21st is Friday the 20th.
        assert!(fires("cron(0 12 21W * ? *)", SATURDAY_NOON - DAY));
        assert!(!fires("cron(0 12 21W * ? *)", SATURDAY_NOON));
        assert!(fires("cron(0 12 ? * FRI-MON *)", SATURDAY_NOON + 2 * DAY));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in [
            "",
            "rate(1 minutes)",
            "rate(0 minutes)",
            "rate(5 weeks)",
            "cron(* * * * *)",
            "cron(0 12 * * * *)",
            "cron(60 * * * ? *)",
            "cron(0 0 ? * 8 *)",
            "at(now)",
        ] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Schedule::parse("rate(5 minutes)"), Ok(Schedule::Every(Duration::from_secs(300))));
        assert_eq!(Schedule::parse("rate(1 day)"), Ok(Schedule::Every(Duration::from_secs(86_400))));
    }
}
