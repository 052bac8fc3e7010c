//! The filter `time-window`: keeps lines by when they were written. It reads nothing but the timestamp.
//!
//! Parameters and their meaning are in the README; here they become a [`Window`], which answers for stretches of
//! time, so that a run of lines costs two comparisons each.

#![forbid(unsafe_code)]

mod calendar;
mod window;
mod zone;

use weir_sdk::params::nearest;
use weir_sdk::prelude::*;

use calendar::{DAY, parse_rfc3339};
use window::{Span, WEEK, Weekly, Window};
use zone::Zone;

/// Parameters of `time-window`; at least one of `from`, `to`, `days` and `hours` is needed.
#[derive(Params, Clone, Debug)]
pub struct Args {
    /// First instant of the window, in RFC 3339: `2026-03-01T12:00:00Z`.
    pub from: Option<String>,
    /// First instant after the window, in RFC 3339.
    pub to: Option<String>,
    /// Weekdays and ranges of them, in the zone's time: `mon-fri`, `sat`. All days if missing.
    #[param(default)]
    pub days: Vec<String>,
    /// Times of day in the zone's time, the end excluded: `09:00-17:30`. A window whose end is not after its start
    /// goes over midnight, and belongs to the day it starts on. The whole day if missing.
    #[param(default)]
    pub hours: Vec<String>,
    /// IANA time zone of `days` and `hours`, daylight saving included: `Europe/Berlin`.
    #[param(default = "UTC")]
    pub zone: String,
    /// Keeps what lies outside of the window instead.
    #[param(default)]
    pub invert: bool,
    /// What to do with lines that have no time.
    #[param(default = Untimed::Drop)]
    pub untimed: Untimed,
}

/// What to do with lines that have no time.
#[derive(Params, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untimed {
    /// Leave them out.
    Drop,
    /// Keep them.
    Keep,
}

/// Keeps lines by the time they were written at.
#[derive(Debug)]
pub struct TimeWindow {
    window: Window,
    invert: bool,
    keep_untimed: bool,
    /// The last answer: lines come in order of time, nearly.
    span: Span,
}

#[filter(
    name = "time-window",
    summary = "Keeps lines written in a window of time, absolute or recurring by days and hours"
)]
impl Select for TimeWindow {
    type Params = Args;
    const COLUMNS: Columns = Columns::TIMESTAMP;

    fn open(args: Args) -> Result<TimeWindow, ParamError> {
        let recurs = !args.days.is_empty() || !args.hours.is_empty();
        if !recurs && args.from.is_none() && args.to.is_none() {
            return Err(ParamError::new("", "no window is given; give `from`, `to`, `days` or `hours`"));
        }
        let from = instant("from", args.from.as_deref(), i64::MIN)?;
        let to = instant("to", args.to.as_deref(), i64::MAX)?;
        if from >= to {
            return Err(ParamError::new("to", "is not after `from`; give a later time"));
        }
        let zone = Zone::get(&args.zone).ok_or_else(|| unknown_zone(&args.zone))?;
        let weekly = if recurs { Some(Weekly::new(&stretches(&args)?, zone)) } else { None };
        Ok(TimeWindow {
            window: Window { from, to, weekly },
            invert: args.invert,
            keep_untimed: args.untimed == Untimed::Keep,
            span: Span::NONE,
        })
    }

    fn keep(&mut self, line: Line<'_>) -> bool {
        let Some(at) = line.time_ns() else {
            return self.keep_untimed;
        };
        if !self.span.contains(at) {
            self.span = self.window.span(at);
        }
        self.span.inside != self.invert
    }
}

fn instant(field: &str, text: Option<&str>, missing: i64) -> Result<i64, ParamError> {
    let Some(text) = text else { return Ok(missing) };
    parse_rfc3339(text).map_err(|reason| ParamError::new(field, format!("is \"{text}\": {reason}")))
}

fn unknown_zone(given: &str) -> ParamError {
    let names: Vec<&str> = zone::names().map(|(name, _)| name).collect();
    let hint = match nearest(given, &names) {
        Some(near) => format!("did you mean {near}?"),
        None => "give one such as Europe/Berlin or UTC".to_owned(),
    };
    ParamError::new("zone", format!("is \"{given}\", which is no IANA time zone; {hint}"))
}

/// Days and hours as stretches of the week.
fn stretches(args: &Args) -> Result<Vec<(i64, i64)>, ParamError> {
    let mut days = [args.days.is_empty(); 7];
    for (i, item) in words(&args.days) {
        let (first, last) = parse_days(item).map_err(|e| e.within(&format!("days.{i}")))?;
        let mut day = first;
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    let mut hours = Vec::new();
    for (i, item) in words(&args.hours) {
        hours.push(parse_hours(item).map_err(|e| e.within(&format!("hours.{i}")))?);
    }
    if hours.is_empty() {
        hours.push((0, DAY));
    }
    let each_day = (0..WEEK).step_by(DAY as usize).zip(days).filter(|&(_, chosen)| chosen);
    Ok(each_day
        .flat_map(|(midnight, _)| hours.iter().map(move |&(s, e)| (midnight + s, midnight + e)))
        .collect())
}

/// The words of all items, each with its item's index.
fn words(items: &[String]) -> impl Iterator<Item = (usize, &str)> {
    items.iter().enumerate().flat_map(|(i, item)| item.split_whitespace().map(move |word| (i, word)))
}

/// `mon`, `mon-fri`, `fri-mon`: first and last day, Monday being 0.
fn parse_days(text: &str) -> Result<(usize, usize), ParamError> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        let known = |full: &&str| name.len() >= 3 && full.starts_with(&*name);
        NAMES.iter().position(known).ok_or_else(|| {
            ParamError::new(
                "",
                format!("is \"{text}\"; give mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri"),
            )
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok((day(first)?, day(last)?))
}

/// `09:00-17:30`: start and end in seconds of the day, the end of a window over midnight past it.
fn parse_hours(text: &str) -> Result<(i64, i64), ParamError> {
    let wrong = |what: &str| ParamError::new("", format!("is \"{text}\"{what}"));
    let parsed = text.split_once('-').and_then(|(start, end)| Some((time_of_day(start)?, time_of_day(end)?)));
    let (start, end) = parsed.ok_or_else(|| wrong("; give two times of day such as 09:00-17:30"))?;
    if start == end || start == DAY {
        return Err(wrong(", which is no stretch of time; give 00:00-24:00 for the whole day"));
    }
    Ok((start, if end > start { end } else { end + DAY }))
}

/// `9:00`, `09:00`, `09:00:30`, `24:00`, in seconds.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if digits { part.parse::<i64>().ok() } else { None }
    });
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let time = hour * 3600 + minute * 60 + second;
    (parts.next().is_none() && minute < 60 && second < 60 && time <= DAY).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    weir_sdk::golden_tests!(TimeWindow);

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day("9:05"), Some(9 * 3600 + 300));
        assert_eq!(time_of_day("24:00"), Some(DAY));
        for bad in ["", "9", "24:01", "09:60", "+9:00", "09:00:00:00", "009:00"] {
            assert_eq!(time_of_day(bad), None, "{bad}");
        }
    }
}
