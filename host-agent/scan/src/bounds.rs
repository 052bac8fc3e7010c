//! Which files of a set, and which part of each, a time window needs. What can't be told is read.

use std::ops::Range;

use crate::bisect::{SLACK_NANOS, Span, is_in_order, span};
use crate::discover::ends;
use crate::lines::Lines;
use crate::probe::{Stamp, stamp_near};
use crate::search::Search;
use crate::source::{Input, LogFile, LogSet, Source};

/// How many times smaller a compressed file may be than a plain one to be worth a look.
const GZIP_RATIO: u64 = 16;

/// What is known of a set's files for one search.
#[derive(Default)]
pub(crate) struct Bounds {
    set: Option<SetBounds>,
    /// Number of the file that was the first of the set then.
    first: usize,
    /// Of the file that was asked for last.
    span: Option<(usize, Span)>,
    /// Bytes read to find out, besides those that the set's own files count.
    pub(crate) bytes_read: u64,
}

/// What the first times of a set's files tell.
enum SetBounds {
    /// Files that can't hold a record of the window, from the first on.
    Skipped(Vec<bool>),
    /// The first times aren't in order: a clock was set back, so all is to be read.
    Unordered,
}

impl Bounds {
    /// The part of a file that is to be searched. Looks into the set's files when it is asked first, and
    /// into each file when that is asked for first.
    pub(crate) fn span(&mut self, lines: &mut Lines, file: usize, search: &Search) -> Span {
        let Some(window) = &search.time else {
            return Span::WHOLE;
        };
        if let Some((known, span)) = self.span
            && known == file
        {
            return span;
        }
        let least = search.limits.bisect_bytes;
        let Bounds { set, first, bytes_read, .. } = self;
        let set = set.get_or_insert_with(|| {
            *first = lines.files.first;
            let files = lines.files.slots.iter().map(|slot| slot.file.clone()).collect();
            let (bounds, bytes) = set_bounds(files, window, least);
            *bytes_read += bytes;
            bounds
        });
        let span = match set {
            SetBounds::Unordered => Span::WHOLE,
            SetBounds::Skipped(skipped) if skipped.get(file - *first) == Some(&true) => Span::NOTHING,
            SetBounds::Skipped(_) => {
                let span = span(lines, file, window, least);
                // Of a set that is followed, what is still to be written counts, whatever its time says.
                Span { end: span.end.filter(|_| lines.files.growth.is_none()), ..span }
            }
        };
        self.span = Some((file, span));
        span
    }
}

/// Bounds compressed files, which can't be bisected: by their own first time and that of the next newer
/// file. Returns how many bytes were read for it too.
///
/// The files are opened apart from the scan's own, so that what goes wrong here is told when they are read.
fn set_bounds(files: Vec<LogFile>, window: &Range<i64>, least: u64) -> (SetBounds, u64) {
    let is_asked = |size: u64| size >= least / GZIP_RATIO;
    let can_skip = |input: &Input, size| matches!(input, Input::Gzip(_)) && is_asked(size);
    let has_pipe = files.iter().any(|file| matches!(file.input, Input::Pipe(_)));
    if has_pipe || files.len() < 2 && !files.iter().any(|file| can_skip(&file.input, file.size)) {
        return (SetBounds::Skipped(Vec::new()), 0);
    }
    let set = LogSet { source: Source::default(), files, dirs: Vec::new() };
    let (mut lines, count) = ends(&set);
    lines.files.note_identities();
    let mut firsts = Vec::with_capacity(count);
    for file in 0..count {
        firsts.push(stamp_near(&mut lines, file, false));
        lines.files.close_file(file);
    }
    let bytes_read = lines.files.bytes_read;
    if !is_in_order(firsts.iter().flatten().map(|stamp| stamp.time)) {
        return (SetBounds::Unordered, bytes_read);
    }
    let oldest = window.start.saturating_sub(SLACK_NANOS);
    let newest = window.end.saturating_add(SLACK_NANOS);
    let skipped = set.files.iter().enumerate().map(|(index, file)| {
        let next = firsts[index + 1..].iter().flatten().next();
        let is_older = next.is_some_and(|next| next.time < oldest);
        // Lines without a time at its head count as old as the end of the file before.
        let is_outside = |first: Stamp| is_older || first.start == 0 && first.time >= newest;
        can_skip(&file.input, file.size) && firsts[index].is_some_and(is_outside)
    });
    (SetBounds::Skipped(skipped.collect()), bytes_read)
}
