//! A record as a line for people: columns, the message with its matches highlighted, and marks.
//!
//! A column that has nothing to say for a record is left out of its line, so that a plain file's lines
//! come out as they are.

use std::ops::Range;

use anstyle::{AnsiColor, Effects, Style};
use weir_query::{Flags, Matcher, Record, RecordBatch, Stream};

use super::label::Label;
use super::{Column, Look};
use crate::timestamp::TimeWriter;
use crate::visible::{Piece, for_each_piece};

/// Marks at the end of a line.
const MARKS: [(Flags, &str); 4] = [
    (Flags::TRUNCATED, "[truncated]"),
    (Flags::MALFORMED, "[malformed]"),
    (Flags::UNFINISHED, "[unfinished]"),
    (Flags::UNFILTERED, "[unfiltered]"),
];

/// Digits of a second's fraction.
const TIME_DIGITS: usize = 3;

/// Writes records as text.
pub(crate) struct RecordText {
    columns: Vec<Column>,
    visible: bool,
    highlight: Option<Matcher>,
    paint: Paint,
    time: TimeWriter,
    spans: Vec<Range<usize>>,
}

/// Escape sequences; all empty without colours.
#[derive(Default)]
struct Paint {
    /// Times, and context.
    dim: Vec<u8>,
    /// Matches.
    found: Vec<u8>,
    /// Controls that are shown.
    control: Vec<u8>,
    /// Marks.
    mark: Vec<u8>,
    reset: Vec<u8>,
}

impl RecordText {
    /// Takes what it needs out of `look`.
    pub(crate) fn new(look: &mut Look) -> RecordText {
        RecordText {
            columns: std::mem::take(&mut look.columns),
            visible: look.visible,
            highlight: look.highlight.take(),
            paint: if look.color { Paint::colors() } else { Paint::default() },
            time: TimeWriter::default(),
            spans: Vec::new(),
        }
    }

    /// Appends one record's line.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, label: &Label, batch: &RecordBatch, record: &Record) {
        let start = out.len();
        for index in 0..self.columns.len() {
            let before = out.len();
            if before > start {
                out.push(b' ');
            }
            let from = out.len();
            match self.columns[index] {
                Column::Time => self.time(out, record.time),
                Column::Agent => out.extend_from_slice(&label.agent),
                Column::Source => out.extend_from_slice(&label.source),
                Column::Namespace => out.extend_from_slice(&label.namespace),
                Column::Pod => out.extend_from_slice(&label.pod),
                Column::Uid => out.extend_from_slice(&label.uid),
                Column::Container => out.extend_from_slice(&label.container),
                Column::Restart => out.extend_from_slice(&label.restart),
                Column::Stream => out.extend_from_slice(match record.stream {
                    Stream::Stdout => b"stdout",
                    Stream::Stderr => b"stderr",
                }),
                Column::Fields => self.show(out, batch.fields(record), b""),
                Column::Message => self.message(out, batch.message(record), record.flags),
            }
            if out.len() == from {
                out.truncate(before);
            }
        }
        for (flag, mark) in MARKS {
            if record.flags.has(flag) {
                if out.len() > start {
                    out.push(b' ');
                }
                out.extend_from_slice(&self.paint.mark);
                out.extend_from_slice(mark.as_bytes());
                out.extend_from_slice(&self.paint.reset);
            }
        }
        out.push(b'\n');
    }

    fn time(&mut self, out: &mut Vec<u8>, time: Option<i64>) {
        if let Some(nanos) = time {
            out.extend_from_slice(&self.paint.dim);
            self.time.push(out, nanos, TIME_DIGITS);
            out.extend_from_slice(&self.paint.reset);
        }
    }

    fn message(&mut self, out: &mut Vec<u8>, message: &[u8], flags: Flags) {
        if flags.has(Flags::CONTEXT) {
            if !message.is_empty() {
                self.painted(out, message, &self.paint.dim);
            }
            return;
        }
        self.spans.clear();
        if let Some(matcher) = &self.highlight {
            matcher.for_each_match(message, |span| self.spans.push(span));
            merge(&mut self.spans);
        }
        let mut done = 0;
        for span in &self.spans {
            self.show(out, &message[done..span.start], b"");
            self.painted(out, &message[span.clone()], &self.paint.found);
            done = span.end;
        }
        self.show(out, &message[done..], b"");
    }

    fn painted(&self, out: &mut Vec<u8>, bytes: &[u8], paint: &[u8]) {
        out.extend_from_slice(paint);
        self.show(out, bytes, paint);
        out.extend_from_slice(&self.paint.reset);
    }

    /// Appends log text inside of `paint`, which is taken up again after each control that is shown.
    fn show(&self, out: &mut Vec<u8>, bytes: &[u8], paint: &[u8]) {
        if !self.visible {
            out.extend_from_slice(bytes);
            return;
        }
        for_each_piece(bytes, |piece| match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            control => {
                out.extend_from_slice(&self.paint.control);
                control.push_to(out);
                out.extend_from_slice(&self.paint.reset);
                out.extend_from_slice(paint);
            }
        });
    }
}

impl Paint {
    fn colors() -> Paint {
        let style = |style: Style| style.render().to_string().into_bytes();
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        Paint {
            dim: style(Style::new().effects(Effects::DIMMED)),
            found: style(color(AnsiColor::Red).effects(Effects::BOLD)),
            control: style(Style::new().effects(Effects::INVERT)),
            mark: style(color(AnsiColor::Yellow)),
            reset: style(Style::new()).into_iter().chain(*b"\x1b[0m").collect(),
        }
    }
}

/// Sorts spans, makes those that touch one, and drops empty ones.
fn merge(spans: &mut Vec<Range<usize>>) {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable_by_key(|span| span.start);
    spans.dedup_by(|next, kept| {
        let touches = next.start <= kept.end;
        if touches {
            kept.end = kept.end.max(next.end);
        }
        touches
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_merged() {
        let mut spans = vec![5..7, 0..2, 1..3, 9..9, 3..4, 20..21];
        merge(&mut spans);
        assert_eq!(spans, [0..4, 5..7, 20..21]);
    }
}
