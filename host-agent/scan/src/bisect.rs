//! The part of one file that can hold the records of a time window, found by bisection and verified.
//!
//! Times in a log are nearly in order: neighbours change places under load, and clocks are set back. So
//! both ends are widened, and the times at many places of what would be left out are looked at. If any of
//! them is out of order, the whole file counts.

use std::ops::Range;

use crate::lines::{Line, Lines};
use crate::probe::{Probe, Stamp, stamp_near};
use crate::source::Format;

/// How much older than a record before it a record may be, in nanoseconds, for times to count as in order.
pub(crate) const SLACK_NANOS: i64 = 2_000_000_000;

/// Bytes read beyond both ends, so that small steps of the clock of a slow writer do no harm either.
const SLACK_BYTES: u64 = 64 << 10;

/// Bisecting ends at this many bytes: to read them costs less than to find out more.
const NEAR_BYTES: u64 = 16 << 10;

/// Places at which what would be left out is looked at, evenly spaced over it.
const SAMPLES: u64 = 32;

/// The part of a file that is to be searched. Both ends are starts of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    /// `None` for all there is, also what is still to be written.
    pub(crate) end: Option<u64>,
}

impl Span {
    /// All of a file.
    pub(crate) const WHOLE: Span = Span { start: 0, end: None };
    /// Nothing of a file.
    pub(crate) const NOTHING: Span = Span { start: 0, end: Some(0) };

    /// Whether the record at a place can be in the window, going by its place.
    fn holds(&self, place: u64) -> bool {
        self.start <= place && self.end.is_none_or(|end| place < end)
    }
}

/// The part of a file that holds every line whose time is in `window`, if its times are in order within
/// [`SLACK_NANOS`]. All of it where that can't be told: for streams, plain lines, and files of less than
/// `least` bytes.
pub(crate) fn span(lines: &mut Lines, file: usize, window: &Range<i64>, least: u64) -> Span {
    if !lines.files.is_seekable(file) || lines.files.len(file) < least {
        return Span::WHOLE;
    }
    let format = lines.format(file);
    if format == Format::Plain {
        return Span::WHOLE;
    }
    let (first, last) = (stamp_near(lines, file, false), stamp_near(lines, file, true));
    let (Some(first), Some(last)) = (first, last) else {
        return Span::WHOLE;
    };
    let len = lines.files.len(file);
    // A last line without its end is still being written.
    let is_whole = |line: &Line| line.end < line.next;
    let len = lines.line_before(file, len).map_or(0, |line| if is_whole(&line) { len } else { line.start });
    let probe = Probe::new(&mut lines.files, file, format);
    let mut bisection = Bisection { probe, len, seen: vec![first, last] };
    let span = bisection.find(first, last, window);
    if span == Span::WHOLE {
        return span;
    }
    bisection.sample(span);
    if bisection.is_sound(span, window) { span } else { Span::WHOLE }
}

struct Bisection<'a> {
    probe: Probe<'a>,
    /// Where the last whole line ends.
    len: u64,
    /// Every line that was looked at.
    seen: Vec<Stamp>,
}

impl Bisection<'_> {
    fn find(&mut self, first: Stamp, last: Stamp, window: &Range<i64>) -> Span {
        let oldest = window.start.saturating_sub(SLACK_NANOS);
        let newest = window.end.saturating_add(SLACK_NANOS);
        if first.time >= newest {
            // Lines without a time before it count as old as the end of the file before.
            return Span { start: 0, end: Some(first.start) };
        }
        if last.time < oldest {
            return Span { start: self.len, end: None };
        }
        let mut span = Span::WHOLE;
        if first.time < oldest {
            let (older, _) = self.narrow(first, last, oldest);
            let wide = self.look(older.start.saturating_sub(SLACK_BYTES));
            span.start = wide.map_or(older.start, |wide| wide.start.min(older.start));
        }
        if last.time >= newest {
            let (_, newer) = self.narrow(first, last, newest);
            span.end = self.look(newer.start.saturating_add(SLACK_BYTES)).map(|wide| wide.start);
        }
        span
    }

    /// Two lines near each other, the first older than `time` and the second not, between two such.
    fn narrow(&mut self, mut older: Stamp, mut newer: Stamp, time: i64) -> (Stamp, Stamp) {
        let (mut from, mut to) = (older.start, newer.start);
        while to.saturating_sub(from) > NEAR_BYTES {
            let middle = from + (to - from) / 2;
            match self.look(middle).filter(|stamp| stamp.start < newer.start) {
                Some(stamp) if stamp.time < time => (older, from) = (stamp, stamp.start),
                Some(stamp) => (newer, to) = (stamp, middle),
                // Only lines that were seen bound anything, so nothing is lost by going on to the left.
                None => to = middle,
            }
        }
        (older, newer)
    }

    /// Looks at what `span` leaves out: densely near it, where a clock that was set back would have misled
    /// the bisection, and evenly over all.
    fn sample(&mut self, span: Span) {
        let end = span.end.unwrap_or(self.len);
        let mut away = NEAR_BYTES;
        while away < span.start.max(self.len.saturating_sub(end)) {
            if away < span.start {
                self.look(span.start - away);
            }
            if away < self.len.saturating_sub(end) {
                self.look(end + away);
            }
            away += away / 2;
        }
        let left_out = span.start + self.len.saturating_sub(end);
        for sample in 1..=SAMPLES {
            let at = left_out / (SAMPLES + 1) * sample;
            self.look(if at < span.start { at } else { end + (at - span.start) });
        }
    }

    /// Whether all times seen are in order, and those outside of the span are outside of the window.
    fn is_sound(&mut self, span: Span, window: &Range<i64>) -> bool {
        self.seen.sort_unstable();
        let is_placed = |stamp: &Stamp| span.holds(stamp.start) || !window.contains(&stamp.time);
        is_in_order(self.seen.iter().map(|stamp| stamp.time)) && self.seen.iter().all(is_placed)
    }

    fn look(&mut self, at: u64) -> Option<Stamp> {
        let stamp = self.probe.stamp_from(at)?;
        self.seen.push(stamp);
        Some(stamp)
    }
}

/// Whether no time is older than one before it by more than the slack.
pub(crate) fn is_in_order(times: impl IntoIterator<Item = i64>) -> bool {
    let mut newest = i64::MIN;
    times.into_iter().all(|time| {
        newest = newest.max(time);
        time.saturating_add(SLACK_NANOS) >= newest
    })
}
