//! Periods of time, and the words that name them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A period of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const YEARS: std::ops::Range<i16> = 1970..2100;
/// The words that make a number a count of days and the like.
const COUNTS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

impl Period {
    /// Whether a moment lies in it.
    pub fn contains(&self, when: Timestamp) -> bool {
        (self.from..self.to).contains(&when)
    }

    /// The period that a text names, seen from `now`: "yesterday", "last week", "two months ago", "in the last 10 days",
    /// "in May", "on 2026-05-03", "May 3, 2026", "in 2025". A month without a year is the last one of that name that
    /// has begun. Days are those of UTC, weeks begin on Monday. The first such words count.
    pub fn named(text: &str, now: Timestamp) -> Option<Self> {
        let lower = text.to_lowercase();
        let is_part = |c: char| c.is_alphanumeric() || c == '-';
        let words: Vec<&str> = lower.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()).collect();
        let today = now.to_zoned(TimeZone::UTC).date();
        (0..words.len()).find_map(|place| {
            Clock { today, words: &words[place..], before: place.checked_sub(1).map(|i| words[i]) }.read()
        })
    }

    fn days(from: Date, to: Date) -> Option<Self> {
        let start = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
        Some(Self { from: start(from)?, to: start(to)? })
    }
}

/// Reads the words at one place of a text.
struct Clock<'a> {
    today: Date,
    words: &'a [&'a str],
    before: Option<&'a str>,
}

impl Clock<'_> {
    fn word(&self, place: usize) -> &str {
        self.words.get(place).copied().unwrap_or_default()
    }

    fn read(&self) -> Option<Period> {
        let tomorrow = self.today.tomorrow().ok()?;
        match self.word(0) {
            "today" => Period::days(self.today, tomorrow),
            "yesterday" => Period::days(self.today.yesterday().ok()?, self.today),
            "last" | "past" | "previous" => self.last(),
            "this" => self.unit(1).and_then(|unit| Period::days(start_of(unit, self.today)?, tomorrow)),
            _ => self.ago().or_else(|| self.date()).or_else(|| self.month()).or_else(|| self.year()),
        }
    }

    /// "last week", "last 10 days", "last May".
    fn last(&self) -> Option<Period> {
        if let Some(count) = count(self.word(1)) {
            let from = self.today.checked_sub(span(self.unit(2)?, count)).ok()?;
            return Period::days(from, self.today.tomorrow().ok()?);
        }
        match self.unit(1) {
            Some(unit) => {
                let to = start_of(unit, self.today)?;
                Period::days(to.checked_sub(span(unit, 1)).ok()?, to)
            }
            None => month_number(self.word(1)).and_then(|month| self.latest(month)),
        }
    }

    /// "two weeks ago": that day, week, month or year.
    fn ago(&self) -> Option<Period> {
        let (unit, "ago") = (self.unit(1)?, self.word(2)) else { return None };
        let day = self.today.checked_sub(span(unit, count(self.word(0))?)).ok()?;
        let from = start_of(unit, day)?;
        Period::days(from, from.checked_add(span(unit, 1)).ok()?)
    }

    /// "2026-05-03", "3 May 2026", "May 3 2026".
    fn date(&self) -> Option<Period> {
        let day_of = |word: &str| word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<i8>().ok();
        let written = || {
            let (day, month) = (day_of(self.word(0)), month_number(self.word(1)));
            let (day, month) =
                day.zip(month).or_else(|| day_of(self.word(1)).zip(month_number(self.word(0))))?;
            Date::new(year(self.word(2))?, month, day).ok()
        };
        let date = self.word(0).parse::<Date>().ok().filter(|_| self.word(0).len() == 10).or_else(written)?;
        Period::days(date, date.tomorrow().ok()?)
    }

    /// "May 2026", "in May". Alone, "may" is mostly a verb and "march" may be one.
    fn month(&self) -> Option<Period> {
        let month = month_number(self.word(0))?;
        if let Some(year) = year(self.word(1)) {
            return whole_month(Date::new(year, month, 1).ok()?);
        }
        let is_meant = matches!(self.before, Some("in" | "since" | "during" | "of" | "early" | "late"));
        is_meant.then(|| self.latest(month))?
    }

    fn year(&self) -> Option<Period> {
        let year =
            year(self.word(0)).filter(|_| matches!(self.before, Some("in" | "during" | "of" | "since")))?;
        Period::days(Date::new(year, 1, 1).ok()?, Date::new(year + 1, 1, 1).ok()?)
    }

    /// The last month of this number that has begun.
    fn latest(&self, month: i8) -> Option<Period> {
        let year = if month > self.today.month() { self.today.year() - 1 } else { self.today.year() };
        whole_month(Date::new(year, month, 1).ok()?)
    }

    fn unit(&self, place: usize) -> Option<Unit> {
        match self.word(place).trim_end_matches('s') {
            "day" => Some(Unit::Day),
            "week" => Some(Unit::Week),
            "month" => Some(Unit::Month),
            "year" => Some(Unit::Year),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

fn span(unit: Unit, count: i64) -> Span {
    match unit {
        Unit::Day => count.days(),
        Unit::Week => count.weeks(),
        Unit::Month => count.months(),
        Unit::Year => count.years(),
    }
}

/// The first day of the day, week, month or year around a day.
fn start_of(unit: Unit, day: Date) -> Option<Date> {
    match unit {
        Unit::Day => Some(day),
        Unit::Week => day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok(),
        Unit::Month => Some(day.first_of_month()),
        Unit::Year => Some(day.first_of_year()),
    }
}

fn whole_month(first: Date) -> Option<Period> {
    Period::days(first, first.checked_add(1.months()).ok()?)
}

fn month_number(word: &str) -> Option<i8> {
    let is_named = |name: &&str| *name == word || (word.len() == 3 && name.starts_with(word));
    MONTHS.iter().position(is_named).and_then(|place| i8::try_from(place + 1).ok())
}

fn year(word: &str) -> Option<i16> {
    word.parse().ok().filter(|year| word.len() == 4 && YEARS.contains(year))
}

fn count(word: &str) -> Option<i64> {
    let written = || COUNTS.iter().position(|count| *count == word).map(|place| place as i64 + 1);
    word.parse().ok().filter(|count| (1..1_000).contains(count)).or_else(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The days that a text names, seen from Wednesday, 2026-05-20: the first and the one after the last.
    fn named(text: &str) -> Option<(String, String)> {
        let now: Timestamp = "2026-05-20T15:00:00Z".parse().unwrap();
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date().to_string();
        Period::named(text, now).map(|period| (day(period.from), day(period.to)))
    }

    fn days(from: &str, to: &str) -> Option<(String, String)> {
        Some((from.to_owned(), to.to_owned()))
    }

    #[test]
    fn words_for_periods_are_understood() {
        assert_eq!(named("what broke yesterday?"), days("2026-05-19", "2026-05-20"));
        assert_eq!(named("the deploy of last week"), days("2026-05-11", "2026-05-18"));
        assert_eq!(named("failures this month"), days("2026-05-01", "2026-05-21"));
        assert_eq!(named("in the last 10 days"), days("2026-05-10", "2026-05-21"));
        assert_eq!(named("two months ago"), days("2026-03-01", "2026-04-01"));
        assert_eq!(named("what did we decide in May"), days("2026-05-01", "2026-06-01"));
        assert_eq!(named("what did we decide in june"), days("2025-06-01", "2025-07-01"));
        assert_eq!(named("notes of Feb 2025"), days("2025-02-01", "2025-03-01"));
        assert_eq!(named("on May 3, 2025"), days("2025-05-03", "2025-05-04"));
        assert_eq!(named("on 3rd May 2025"), days("2025-05-03", "2025-05-04"));
        assert_eq!(named("before 2025-12-31 it worked"), days("2025-12-31", "2026-01-01"));
        assert_eq!(named("incidents in 2025"), days("2025-01-01", "2026-01-01"));
    }

    #[test]
    fn other_words_are_not_taken_for_periods() {
        for text in
            ["it may fail", "the last step", "port 2025", "march on", "ten files", "2 ago", "this is it"]
        {
            assert_eq!(named(text), None, "{text}");
        }
    }
}
