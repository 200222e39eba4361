//! Serial numbers of days as dates. Spreadsheets show a date in the order and language of whoever looks;
//! here it is written so that everybody reads it alike (ISO 8601).

use jiff::{ToSpan, civil};

/// 9999-12-31, the last day that Excel knows, counted from 1900.
const LAST_DAY: f64 = 2_958_465.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Which parts of a date and time a format shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub(super) year: bool,
    pub(super) month: bool,
    pub(super) day: bool,
    pub(super) hour: bool,
    pub(super) minute: bool,
    pub(super) second: bool,
    /// Hours count on past 24 (`[h]:mm`).
    pub(super) elapsed: bool,
}

impl Parts {
    /// The date or time of a serial number; `None` where there is none.
    pub(super) fn show(self, serial: f64, from_1904: bool) -> Option<String> {
        if !serial.is_finite() || !(0.0..=LAST_DAY + 1.0).contains(&serial) {
            return None;
        }
        let mut days = serial.floor();
        let mut seconds = ((serial - days) * SECONDS_PER_DAY).round() as u32;
        if seconds == SECONDS_PER_DAY as u32 {
            days += 1.0;
            seconds = 0;
        }
        let days = days as i64;
        if self.elapsed {
            let hours = days * 24 + i64::from(seconds / 3600);
            return Some(self.time(hours, seconds));
        }
        let time = self.time(i64::from(seconds / 3600), seconds);
        let has_date = self.year || self.month || self.day;
        if !has_date {
            return Some(time);
        }
        let date = self.date(days, from_1904)?;
        if self.hour || self.minute || self.second {
            Some(format!("{date} {time}"))
        } else {
            Some(date)
        }
    }

    fn date(self, days: i64, from_1904: bool) -> Option<String> {
        // Excel counts a 29 February 1900, as Lotus 1-2-3 did.
        if days == 60 && !from_1904 {
            return Some("1900-02-29".to_owned());
        }
        let zero = if from_1904 {
            civil::date(1904, 1, 1)
        } else if days < 60 {
            civil::date(1899, 12, 31)
        } else {
            civil::date(1899, 12, 30)
        };
        let date = zero.checked_add(days.days()).ok()?;
        let (year, month) = (date.year(), date.month());
        Some(if self.day || !self.year {
            date.to_string()
        } else if self.month {
            format!("{year:04}-{month:02}")
        } else {
            format!("{year:04}")
        })
    }

    fn time(self, hours: i64, seconds: u32) -> String {
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        if self.second {
            format!("{hours:02}:{minutes:02}:{seconds:02}")
        } else {
            format!("{hours:02}:{minutes:02}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Parts = Parts {
        year: true,
        month: true,
        day: true,
        hour: false,
        minute: false,
        second: false,
        elapsed: false,
    };

    const TIME: Parts = Parts {
        year: false,
        month: false,
        day: false,
        hour: true,
        minute: true,
        second: false,
        elapsed: false,
    };

    #[test]
    fn serial_numbers_are_days() {
        let both = Parts {
            second: true,
            hour: true,
            minute: true,
            ..DATE
        };
        let month = Parts { day: false, ..DATE };
        let elapsed = Parts {
            elapsed: true,
            ..TIME
        };
        for (parts, serial, from_1904, expected) in [
            (DATE, 43_363.0, false, Some("2018-09-20")),
            (DATE, 1.0, false, Some("1900-01-01")),
            (DATE, 60.0, false, Some("1900-02-29")),
            (DATE, 61.0, false, Some("1900-03-01")),
            (DATE, 0.0, true, Some("1904-01-01")),
            (DATE, 2_958_465.0, false, Some("9999-12-31")),
            (DATE, 3e9, false, None),
            (DATE, -1.0, false, None),
            (DATE, f64::NAN, false, None),
            (both, 43_363.5, false, Some("2018-09-20 12:00:00")),
            (both, 43_362.999_999_999, false, Some("2018-09-20 00:00:00")),
            (month, 43_363.0, false, Some("2018-09")),
            (TIME, 0.75, false, Some("18:00")),
            (elapsed, 1.5, false, Some("36:00")),
        ] {
            let shown = parts.show(serial, from_1904);
            assert_eq!(shown.as_deref(), expected, "{serial}");
        }
    }
}
