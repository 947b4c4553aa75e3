//! Calendar dates out of milliseconds, as the events write them.

use cloud::Millis;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_A_DAY: i64 = 86_400;

/// The common log format that `requestTime` uses: `09/Apr/2015:12:34:56 +0000`.
pub fn common_log(at: Millis) -> String {
    let (year, month, day) = civil(at.as_secs().div_euclid(SECONDS_A_DAY));
    let second = at.as_secs().rem_euclid(SECONDS_A_DAY);
    format!(
        "{day:02}/{}/{year}:{:02}:{:02}:{:02} +0000",
        MONTHS[month - 1],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// RFC 3339 in whole seconds: `2015-04-09T12:34:56Z`.
pub fn timestamp(at: Millis) -> String {
    let (year, month, day) = civil(at.as_secs().div_euclid(SECONDS_A_DAY));
    let second = at.as_secs().rem_euclid(SECONDS_A_DAY);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01 (year, month 1-12, day 1-31).
fn civil(days: i64) -> (i64, usize, i64) {
    const DAYS_IN_ERA: i64 = 146_097;
    // Years that start in March put the leap day last.
    let from_march = days + 719_468;
    let era = from_march.div_euclid(DAYS_IN_ERA);
    let day_of_era = from_march.rem_euclid(DAYS_IN_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(common_log(Millis(0)), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(common_log(Millis(951_782_399_999)), "28/Feb/2000:23:59:59 +0000");
        assert_eq!(common_log(Millis(951_782_400_000)), "29/Feb/2000:00:00:00 +0000");
        assert_eq!(common_log(Millis(1_428_582_896_000)), "09/Apr/2015:12:34:56 +0000");
        assert_eq!(timestamp(Millis(1_428_582_896_000)), "2015-04-09T12:34:56Z");
        assert_eq!(common_log(Millis(-1)), "31/Dec/1969:23:59:59 +0000");
    }
}
