//! `weir filter run --diff`: records before and after a filter. Two queries run side by side, one without the filter;
//! a record's place in its file says which belong together.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};
use weir_query::{Cancel, Engine, Event, FilterStatus, Flow, QuerySpec, Record, RecordBatch, Summary};

use crate::failure::{Exit, Failure};
use crate::output::{Out, aggregate, report};
use crate::visible;

/// Events that may wait for the query without the filter.
const WAITING: usize = 16;
/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// Shows what a filter does to the records of one file.
pub(super) fn run(engine: &Engine, spec: &QuerySpec, color: bool, stats: bool) -> Result<Exit, Failure> {
    let without = engine.plan(&QuerySpec { filters: Vec::new(), ..spec.clone() })?;
    let with = engine.plan(spec)?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let paint = if color { Paint::colors() } else { Paint::default() };
    let (sender, receiver) = sync_channel(WAITING);
    let mut after =
        After { receiver, batch: RecordBatch::default(), next: 0, filters: Vec::new(), summary: None };
    let mut written = Ok(());
    std::thread::scope(|scope| {
        scope.spawn(move || with.run(&Cancel::default(), &mut |event| hand_on(&sender, event)));
        without.run(&Cancel::default(), &mut |event| {
            if let Event::Records { batch, .. } = event {
                for record in &batch.records {
                    paint.record(&mut out.buffer, &batch, record, after.take(record));
                }
                if out.buffer.len() >= BUFFER_BYTES {
                    written = out.flush();
                }
            }
            if written.is_ok() { Flow::Continue } else { Flow::Stop }
        });
        // Nothing is left of it but how it ended; when writing failed, this is what stops it.
        if written.is_ok() { after.drain() } else { drop(after.stop()) }
    });
    written.and_then(|()| out.flush()).map_err(Failure::Output)?;
    let Some(summary) = after.summary else {
        return Err(Failure::failed("the search ended without saying whether its answer is whole"));
    };
    for status in &after.filters {
        for line in status.summaries.iter().flat_map(|summary| aggregate::text(summary)) {
            out.buffer.extend_from_slice(format!("{}+ {line}{}\n", paint.added, paint.reset).as_bytes());
        }
        if stats {
            report::filter(status, |_| None);
        }
        report::diagnostics(status);
    }
    out.flush().map_err(Failure::Output)?;
    if stats {
        report::summary(&summary);
    }
    report::incomplete(&summary);
    Ok(if summary.is_complete() { Exit::Complete } else { Exit::Incomplete })
}

fn hand_on(sender: &SyncSender<Event>, event: Event) -> Flow {
    if sender.send(event).is_ok() { Flow::Continue } else { Flow::Stop }
}

/// What the query with the filter gives, record by record.
struct After {
    receiver: Receiver<Event>,
    batch: RecordBatch,
    next: usize,
    filters: Vec<FilterStatus>,
    summary: Option<Summary>,
}

impl After {
    /// The record that `before` became; `None` when the filter left it out.
    fn take(&mut self, before: &Record) -> Option<(&RecordBatch, &Record)> {
        while self.next == self.batch.records.len() {
            if !self.receive() {
                return None;
            }
        }
        let record = self.batch.records[self.next];
        if (record.file, record.offset) != (before.file, before.offset) {
            return None;
        }
        self.next += 1;
        Some((&self.batch, &self.batch.records[self.next - 1]))
    }

    /// Takes one event; false when there are no more.
    fn receive(&mut self) -> bool {
        match self.receiver.recv() {
            Ok(Event::Records { batch, .. }) => (self.batch, self.next) = (batch, 0),
            Ok(Event::Filter(status)) => self.filters.push(status),
            Ok(Event::Summary(summary)) => self.summary = Some(summary),
            Ok(Event::Gap(gap)) => report::gap(&gap, None),
            Ok(_) => {}
            Err(_) => return false,
        }
        true
    }

    fn drain(&mut self) {
        while self.receive() {}
    }

    /// Lets the sender know that nobody listens any more.
    fn stop(&mut self) -> Receiver<Event> {
        let (_, silent) = sync_channel(0);
        std::mem::replace(&mut self.receiver, silent)
    }
}

/// Escape sequences; all empty without colours.
#[derive(Default)]
struct Paint {
    gone: String,
    added: String,
    /// Words that differ, within a line that has gone or was added.
    gone_word: String,
    added_word: String,
    reset: String,
}

impl Paint {
    fn colors() -> Paint {
        let style = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        Paint {
            gone: style(AnsiColor::Red).render().to_string(),
            added: style(AnsiColor::Green).render().to_string(),
            gone_word: style(AnsiColor::Red).invert().render().to_string(),
            added_word: style(AnsiColor::Green).invert().render().to_string(),
            reset: anstyle::Reset.render().to_string(),
        }
    }

    /// One record: unchanged, gone, or before and after.
    fn record(
        &self,
        out: &mut Vec<u8>,
        before: &RecordBatch,
        record: &Record,
        after: Option<(&RecordBatch, &Record)>,
    ) {
        let old = text(before.message(record));
        let Some((batch, new)) = after else {
            return out.extend_from_slice(format!("{}- {old}{}\n", self.gone, self.reset).as_bytes());
        };
        let fields = match batch.fields(new) {
            [] => String::new(),
            fields => format!("{}+   {}{}\n", self.added, text(fields), self.reset),
        };
        let new = text(batch.message(new));
        if new == old {
            out.extend_from_slice(format!("  {old}\n{fields}").as_bytes());
            return;
        }
        let (mut gone, mut added) = (format!("{}- ", self.gone), format!("{}+ ", self.added));
        for change in TextDiff::from_words(&old, &new).iter_all_changes() {
            let word = change.value();
            match change.tag() {
                ChangeTag::Equal => {
                    gone.push_str(word);
                    added.push_str(word);
                }
                ChangeTag::Delete => gone.push_str(&self.word(&self.gone_word, word, &self.gone)),
                ChangeTag::Insert => added.push_str(&self.word(&self.added_word, word, &self.added)),
            }
        }
        let reset = &self.reset;
        out.extend_from_slice(format!("{gone}{reset}\n{added}{reset}\n{fields}").as_bytes());
    }

    /// A word that differs, and back to the line's own colour.
    fn word(&self, style: &str, word: &str, line: &str) -> String {
        if style.is_empty() { word.to_owned() } else { format!("{style}{word}{}{line}", self.reset) }
    }
}

/// Bytes as text for people: what a terminal would obey is shown.
fn text(bytes: &[u8]) -> String {
    let mut shown = Vec::with_capacity(bytes.len());
    visible::for_each_piece(bytes, |piece| piece.push_to(&mut shown));
    String::from_utf8_lossy(&shown).into_owned()
}
