//! Redacts lines: finds, joins, replaces.

use crate::detector::Detector;
use crate::finder::{Finder, Look};
use crate::marker;
use crate::replace::{Form, Style};
use crate::span::{Span, merge};
use crate::text::{backslashes_before, is_blank, run_end};
use crate::view::{View, escape_at};
use std::ops::Range;
use weir_sdk::bytes;

/// A redactor, and the memory it uses again from line to line.
pub(crate) struct Engine {
    finder: Finder,
    style: Style,
    labels: Vec<String>,
    spans: Vec<Span>,
    view: View,
    value: View,
}

impl Engine {
    pub(crate) fn new(finder: Finder, style: Style) -> Self {
        let labels = finder.labels();
        let (view, value) = Default::default();
        Self { finder, style, labels, spans: Vec::new(), view, value }
    }

    pub(crate) fn prefilter(&self) -> String {
        self.finder.prefilter()
    }

    /// Whether anything in `line` is to be replaced. Then [`Engine::write`] writes the new line.
    pub(crate) fn find(&mut self, line: &[u8]) -> bool {
        self.spans.clear();
        let look = self.finder.look(line, &mut self.spans);
        if look == Look::NeedsView {
            self.spans.clear();
            self.view.build(line);
            self.finder.look_at_view(self.view.text(), &mut self.spans);
        }
        if self.spans.is_empty() {
            return false;
        }
        let text = if look == Look::Done { line } else { self.view.text() };
        drop_marked(text, &mut self.spans);
        merge(&mut self.spans);
        if look == Look::NeedsView {
            for span in &mut self.spans {
                Range { start: span.start, end: span.end } = self.view.origin(span.range());
            }
        }
        !self.spans.is_empty()
    }

    /// Appends `line` with what [`Engine::find`] found in it replaced.
    pub(crate) fn write(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let mut done = 0;
        for span in &self.spans {
            let secret = &line[span.range()];
            out.extend_from_slice(&line[done..span.start]);
            let quote = bare_json_quote(line, span);
            out.extend_from_slice(quote);
            let label = usize::from(span.label);
            self.value.build(secret);
            self.style.write(&self.labels[label], form(span.label), self.value.text(), out);
            out.extend_from_slice(quote);
            control_sequences(secret, out);
            done = span.end;
        }
        out.extend_from_slice(&line[done..]);
    }
}

fn form(label: u16) -> Form {
    match label {
        label if label == Detector::Card as u16 => Form::Card,
        label if label == Detector::Email as u16 => Form::Email,
        _ => Form::Other,
    }
}

/// Leaves out spans that lie within what an earlier run left.
fn drop_marked(text: &[u8], spans: &mut Vec<Span>) {
    spans.sort_unstable_by_key(|span| span.start);
    let mut markers = markers(text).peekable();
    spans.retain(|span| {
        while markers.next_if(|marker| marker.end <= span.start).is_some() {}
        markers.peek().is_none_or(|marker| span.start < marker.start || marker.end < span.end)
    });
}

/// The markers in `text`, in order.
fn markers(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(skip) = bytes::find_byte(&text[from..], b'[') {
            let start = from + skip;
            from = start + 1;
            if let Some(end) = marker::at(text, start) {
                from = end;
                return Some(start..end);
            }
        }
        None
    })
}

/// The quote to put around what replaces a bare JSON value, such as a number, so that the line stays
/// JSON: the quote of the value's key, as it is escaped there.
fn bare_json_quote<'l>(line: &'l [u8], span: &Span) -> &'l [u8] {
    let blank_before =
        |end: usize| end - line[..end].iter().rev().take_while(|&&byte| is_blank(byte)).count();
    let behind = run_end(line, span.end, is_blank);
    let colon = blank_before(span.start);
    if !matches!(line.get(behind), Some(b',' | b'}' | b']')) || !line[..colon].ends_with(b":") {
        return b"";
    }
    let key_end = blank_before(colon - 1);
    if !line[..key_end].ends_with(b"\"") {
        return b"";
    }
    let start = key_end - 1 - backslashes_before(line, key_end - 1);
    &line[start..key_end]
}

/// Appends the control sequences in `secret`: a colour that was switched on before it may be switched off
/// within.
fn control_sequences(secret: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < secret.len() {
        match escape_at(secret, at) {
            Some(escape) => {
                if escape.shown.is_none() {
                    out.extend_from_slice(&secret[at..at + escape.length]);
                }
                at += escape.length;
            }
            None => at += 1,
        }
    }
}
