//! Dates in UTC, for names of log streams and for schedules.

use cloud::Millis;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A minute of the Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 is Sunday.
    pub weekday: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub milli: u32,
}

impl Civil {
    /// Days-to-date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub fn at(when: Millis) -> Self {
        let days = when.0.div_euclid(DAY_MS);
        let within = when.0.rem_euclid(DAY_MS);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let part = |value: i64| u32::try_from(value).unwrap_or(0);
        Self {
            year: i32::try_from(year).unwrap_or(i32::MAX),
            month: part(month),
            day: part(day_of_year - (153 * shifted_month + 2) / 5 + 1),
            weekday: part((days + 4).rem_euclid(7)),
            hour: part(within / 3_600_000),
            minute: part(within / 60_000 % 60),
            second: part(within / 1000 % 60),
            milli: part(within % 1000),
        }
    }

    pub fn days_in_month(self) -> u32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// `2026-11-21T06:00:00Z`.
    pub fn rfc3339(self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `2026-11-21T06:00:00.000Z`.
    pub fn rfc3339_millis(self) -> String {
        let seconds = self.rfc3339();
        format!("{}.{:03}Z", seconds.trim_end_matches('Z'), self.milli)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z", 4),
            (951_782_399_999, "2000-02-28T23:59:59Z", 1),
            (951_782_400_000, "2000-02-29T00:00:00Z", 2),
            (1_767_225_600_000, "2026-01-01T00:00:00Z", 4),
            (1_795_240_549_000, "2026-11-21T05:55:49Z", 6),
            (-1, "1969-12-31T23:59:59Z", 3),
        ];
        for (at, text, weekday) in cases {
            let civil = Civil::at(Millis(at));
            assert_eq!((civil.rfc3339().as_str(), civil.weekday), (text, weekday));
        }
    }
}
