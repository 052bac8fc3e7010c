//! Shows what a query tells, as it comes: [`View`] is the sink of `weir logs`.

pub(crate) mod aggregate;
mod counts;
pub(crate) mod jsonl;
pub(crate) mod label;
mod progress;
pub(crate) mod report;
mod shadow;
mod text;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroU64;
use std::os::fd::AsFd as _;

use clap::ValueEnum;
use weir_query::{
    Bucket, Count, Event, FilterStatus, Flags, Flow, Gap, Matcher, PolicyStatus, RecordBatch, ResumeToken,
    Summary,
};
use weir_relay::Place;

use crate::args::Format;
use crate::failure::{Exit, Failure};
use jsonl::RecordJson;
use label::Label;
use progress::Progress;
use text::RecordText;

/// Bytes gathered before they are written to a file.
const BUFFER_BYTES: usize = 64 << 10;

/// How to show an answer.
#[derive(Debug)]
pub(crate) struct Look {
    /// Form of the output.
    pub(crate) format: Format,
    /// Columns of text output.
    pub(crate) columns: Vec<Column>,
    /// Whether to use colours.
    pub(crate) color: bool,
    /// Whether controls in log text are shown in place of being passed on (text output only).
    pub(crate) visible: bool,
    /// What to highlight.
    pub(crate) highlight: Option<Matcher>,
    /// Whether gaps, filters and summary are wanted in full.
    pub(crate) stats: bool,
    /// Whether only the exit code is wanted.
    pub(crate) quiet: bool,
    /// Whether context was asked for, so that groups are parted by `--`.
    pub(crate) context: bool,
    /// Width of a histogram's step in nanoseconds.
    pub(crate) step: Option<NonZeroU64>,
    /// Whether counts are wanted and not records.
    pub(crate) counting: bool,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    /// Columns that a line may take.
    pub(crate) width: usize,
    /// Whether the token is wanted that goes on from where the search stands.
    pub(crate) show_token: bool,
    /// Whether the search waits for more, so that nothing may be kept for its end.
    pub(crate) follow: bool,
}

impl Look {
    /// Records and nothing else, on whatever standard output is.
    pub(crate) fn of_records(format: Format, columns: Vec<Column>, color: bool, stats: bool) -> Look {
        let terminal = io::stdout().is_terminal();
        let color = color && format == Format::Text;
        Look {
            format,
            columns,
            color,
            visible: terminal || color,
            highlight: None,
            stats,
            quiet: false,
            context: false,
            step: None,
            counting: false,
            terminal,
            // Only histograms are that wide.
            width: 0,
            show_token: false,
            follow: false,
        }
    }
}

/// A column of text output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// When it was written, UTC, milliseconds
    Time,
    /// The agent that has it, where several are asked
    Agent,
    /// `namespace:pod/container`, or the file's path
    Source,
    /// Namespace
    Namespace,
    /// Pod
    Pod,
    /// Pod uid
    Uid,
    /// Container
    Container,
    /// Restarts of the container before it
    Restart,
    /// `stdout` or `stderr`
    Stream,
    /// Fields that filters added, as JSON
    Fields,
    /// The message
    Message,
}

/// Shows events on standard output and standard error.
pub(crate) struct View {
    look: Look,
    out: Out,
    labels: HashMap<u32, Label>,
    place: Place,
    text: RecordText,
    json: RecordJson,
    progress: Progress,
    /// Source of the record shown last.
    last_source: Option<u32>,
    /// A match was seen.
    found: bool,
    /// Gaps kept for the end.
    gaps: Vec<Gap>,
    counts: Vec<Count>,
    buckets: Vec<Bucket>,
    filters: Vec<FilterStatus>,
    policies: Vec<PolicyStatus>,
    summary: Option<Summary>,
    error: Option<io::Error>,
}

impl View {
    /// A view on this process's standard output.
    /// `resume` is where the search begins.
    pub(crate) fn new(mut look: Look, resume: ResumeToken) -> Result<View, Failure> {
        let text = RecordText::new(&mut look);
        let progress = Progress::new(!look.quiet);
        Ok(View {
            out: Out::stdout().map_err(Failure::Output)?,
            labels: HashMap::new(),
            place: Place::new(resume),
            text,
            json: RecordJson::default(),
            progress,
            last_source: None,
            found: false,
            gaps: Vec::new(),
            counts: Vec::new(),
            buckets: Vec::new(),
            filters: Vec::new(),
            policies: Vec::new(),
            summary: None,
            error: None,
            look,
        })
    }

    /// Shows one event, and says whether more is wanted.
    pub(crate) fn event(&mut self, event: Event) -> Flow {
        self.place.event(&event);
        match event {
            Event::Source { id, source, agent } => {
                self.labels.insert(id, Label::new(source, agent, self.look.color, self.look.visible));
            }
            Event::Records { batch, .. } => return self.records(&batch),
            // What these tell of is in the token; in the records, the gaps and the summary too.
            Event::Positions(_) | Event::SourceEnd(_) => {}
            Event::Notice(notice) => {
                self.progress.clear();
                report::say(&notice);
            }
            Event::Gap(gap) => return self.gap(gap),
            Event::Progress(progress) => self.progress.show(&progress),
            Event::Counts(counts) => self.counts.extend(counts),
            Event::Histogram(buckets) => self.buckets.extend(buckets),
            Event::Filter(status) => self.filters.push(status),
            Event::Policy(status) => self.policies.push(status),
            Event::Summary(summary) => self.summary = Some(summary),
        }
        Flow::Continue
    }

    /// Shows what comes last when the user has ended a search that follows. Whoever has lost patience with an agent that
    /// is away wants the token, asked for or not.
    pub(crate) fn interrupted(mut self, is_any_away: bool) -> Result<Exit, Failure> {
        self.progress.clear();
        self.out.flush().map_err(Failure::Output)?;
        self.show_token(is_any_away);
        Ok(Exit::Interrupted)
    }

    fn show_token(&mut self, anyway: bool) {
        if anyway || (self.look.show_token && self.look.format != Format::Jsonl) {
            report::say(&format!("to go on from here: --resume {}", self.place.token()));
        }
    }

    /// Shows what comes last. The exit code tells whether the answer is whole.
    pub(crate) fn finish(mut self) -> Result<Exit, Failure> {
        self.progress.clear();
        if let Some(error) = self.error.take() {
            return Err(Failure::Output(error));
        }
        if self.look.quiet && self.found {
            return Ok(Exit::Complete);
        }
        self.out.flush().map_err(Failure::Output)?;
        let Some(summary) = self.summary.take() else {
            return Err(Failure::failed("the search ended without saying whether its answer is whole"));
        };
        self.result(&summary).map_err(Failure::Output)?;
        self.show_token(false);
        if summary.sources == 0 {
            report::say("there are no logs here; `weir logs --help` says where they are looked for");
        }
        if !summary.is_complete() {
            return Ok(Exit::Incomplete);
        }
        Ok(if self.look.quiet { Exit::NothingFound } else { Exit::Complete })
    }

    /// Shows what was printed so far, when a run failed half-way.
    pub(crate) fn abandon(mut self) {
        self.progress.clear();
        self.show_token(false);
        if let Err(error) = self.out.flush() {
            // The run's own failure is told next; it matters more.
            report::say(&format!("cannot write to standard output: {error}"));
        }
    }

    fn records(&mut self, batch: &RecordBatch) -> Flow {
        if self.look.quiet {
            self.found |= batch.records.iter().any(|record| !record.flags.has(Flags::CONTEXT));
            return if self.found { Flow::Stop } else { Flow::Continue };
        }
        for record in &batch.records {
            let out = &mut self.out.buffer;
            match self.look.format {
                Format::Raw => {
                    out.extend_from_slice(batch.message(record));
                    out.push(b'\n');
                }
                Format::Jsonl => {
                    let label = self.labels.entry(record.source).or_insert_with(Label::unknown);
                    self.json.push(out, label, batch, record);
                }
                Format::Text => {
                    // Records that stand together are neighbours in one log.
                    let parted = record.flags.has(Flags::BREAK) || self.last_source != Some(record.source);
                    if self.look.context && self.last_source.is_some() && parted {
                        out.extend_from_slice(b"--\n");
                    }
                    let label = self.labels.entry(record.source).or_insert_with(Label::unknown);
                    self.text.push(out, label, batch, record);
                }
            }
            self.last_source = Some(record.source);
            if self.out.buffer.len() >= BUFFER_BYTES && !self.flush() {
                return Flow::Stop;
            }
        }
        if self.look.show_token && self.look.format == Format::Jsonl {
            jsonl::push_token(&mut self.out.buffer, self.place.token());
        }
        if self.is_awaited() && !self.flush() {
            return Flow::Stop;
        }
        Flow::Continue
    }

    /// Whether records are wanted as they come: by what reads a pipe or looks at a terminal, and of a follow also by
    /// what looks into a file.
    fn is_awaited(&self) -> bool {
        self.look.follow || !self.out.is_file
    }

    /// Writes what has gathered, and says whether that went well.
    fn flush(&mut self) -> bool {
        if self.look.terminal {
            self.progress.clear();
        }
        match self.out.flush() {
            Ok(()) => true,
            Err(error) => {
                self.error = Some(error);
                false
            }
        }
    }

    fn gap(&mut self, gap: Gap) -> Flow {
        let as_object = self.look.stats && self.look.format == Format::Jsonl;
        if as_object && self.look.follow && !self.look.quiet {
            jsonl::push_gap(&mut self.out.buffer, &gap, self.labels.get(&gap.source));
            if self.is_awaited() && !self.flush() {
                return Flow::Stop;
            }
        } else if as_object || self.look.quiet {
            self.gaps.push(gap);
        } else {
            self.progress.clear();
            report::gap(&gap, self.labels.get(&gap.source));
        }
        Flow::Continue
    }

    /// Counts, aggregates, gaps, filters and summary.
    fn result(&mut self, summary: &Summary) -> io::Result<()> {
        let json = self.look.format == Format::Jsonl;
        if self.look.counting {
            let step = self.look.step;
            match (step, json) {
                (Some(step), true) => {
                    counts::histogram_json(&mut self.out.buffer, &self.buckets, step, &self.labels)
                }
                (Some(step), false) => {
                    counts::histogram_text(
                        &mut self.out.buffer,
                        &self.buckets,
                        step,
                        &self.labels,
                        &self.look,
                    );
                }
                (None, true) => counts::count_json(&mut self.out.buffer, &self.counts, &self.labels),
                (None, false) => counts::count_text(&mut self.out.buffer, &self.counts, &self.labels),
            }
        }
        for status in &self.filters {
            aggregate::push(&mut self.out.buffer, status, &self.look);
        }
        if json {
            let out = &mut self.out.buffer;
            let name = |id: u32| self.labels.get(&id).map(|label| label.name.clone());
            for status in &self.filters {
                status.shadow.iter().for_each(|shadow| shadow::push(out, status, shadow, name));
            }
        }
        if self.look.stats && json {
            let out = &mut self.out.buffer;
            self.gaps.iter().for_each(|gap| jsonl::push_gap(out, gap, self.labels.get(&gap.source)));
            let name = |id: u32| self.labels.get(&id).map(|label| label.name.clone());
            self.filters.iter().for_each(|status| jsonl::push_filter(out, status, name));
            self.policies.iter().for_each(|status| jsonl::push_policy(out, status));
            jsonl::push_summary(out, summary);
            return self.out.flush();
        }
        self.out.flush()?;
        self.gaps.iter().for_each(|gap| report::gap(gap, self.labels.get(&gap.source)));
        self.policies.iter().for_each(|status| report::policy(status, self.look.stats));
        if self.look.stats {
            let name = |id: u32| self.labels.get(&id).map(|label| label.name.clone());
            self.filters.iter().for_each(|status| report::filter(status, name));
            report::summary(summary);
        }
        self.filters.iter().for_each(report::diagnostics);
        let name = |id: u32| self.labels.get(&id).map(|label| label.name.clone());
        for status in self.filters.iter().filter(|_| !json) {
            status.shadow.iter().for_each(|shadow| shadow::report(status, shadow, name));
        }
        report::incomplete(summary);
        Ok(())
    }
}

/// Standard output with a buffer of our own.
pub(crate) struct Out {
    file: File,
    /// What is to be written next.
    pub(crate) buffer: Vec<u8>,
    /// Nobody waits at the other end.
    is_file: bool,
}

impl Out {
    /// Standard output of this process.
    pub(crate) fn stdout() -> io::Result<Out> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let is_file = file.metadata()?.is_file();
        Ok(Out { file, buffer: Vec::with_capacity(BUFFER_BYTES), is_file })
    }

    /// Writes what has gathered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}
