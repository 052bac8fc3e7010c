//! What a query tells.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_query::{
    Cancel, Engine, Event, FilterStatus, Flags, Flow, PolicyStatus, QueryError, QuerySpec, ResumeToken,
    ShadowStatus, Source, Stream, Summary,
};

/// A record that was given, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) time: i64,
    pub(crate) stderr: bool,
    pub(crate) flags: u8,
    pub(crate) message: Vec<u8>,
    pub(crate) fields: Vec<u8>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    sources: BTreeMap<u32, Source>,
    pub(crate) records: Vec<Given>,
    /// Files and offsets of the records.
    pub(crate) places: Vec<(u32, u64)>,
    /// Counts, steps of histograms, gaps, ends of sources.
    pub(crate) told: Vec<String>,
    pub(crate) filters: Vec<FilterStatus>,
    pub(crate) policies: Vec<PolicyStatus>,
    pub(crate) summary: Summary,
    pub(crate) token: ResumeToken,
    /// Every byte and word of it.
    pub(crate) seen: Vec<u8>,
}

/// The answer to a query; of one that follows, as far as the past goes.
pub(crate) fn ask(engine: &Engine, spec: &QuerySpec) -> Result<Answer, QueryError> {
    let cancel = Cancel::default();
    let mut answer = Answer::default();
    engine.plan(spec)?.run(&cancel, &mut |event| {
        if matches!(event, Event::Positions(_)) && spec.follow {
            cancel.cancel();
        }
        answer.take(event);
        Flow::Continue
    });
    Ok(answer)
}

/// Without what depends on the machine: times, and of how many records a filter was handed at once.
fn timeless(status: FilterStatus) -> FilterStatus {
    let shadow = status.shadow.map(|shadow| {
        let status = timeless(shadow.status);
        Box::new(ShadowStatus { status, ..*shadow })
    });
    FilterStatus {
        time: Duration::ZERO,
        compile_time: Duration::ZERO,
        compile_cached: true,
        peak_memory: 0,
        shadow,
        ..status
    }
}

impl Answer {
    fn take(&mut self, event: Event) {
        match event {
            Event::Source { id, source, agent: _ } => {
                self.sources.insert(id, source);
            }
            Event::Records { batch, positions } => {
                // Also what lies between messages: others may be handed the whole buffer.
                self.seen.extend_from_slice(&batch.bytes);
                for record in &batch.records {
                    let source = &self.sources[&record.source];
                    self.records.push(Given {
                        namespace: source.namespace.clone(),
                        pod: source.pod.clone(),
                        time: record.time.unwrap_or_default(),
                        stderr: record.stream == Stream::Stderr,
                        flags: record.flags.bits(),
                        message: batch.message(record).to_vec(),
                        fields: batch.fields(record).to_vec(),
                    });
                    self.places.push((record.file, record.offset));
                }
                self.note(positions);
            }
            Event::Positions(positions) => self.note(positions),
            Event::Filter(status) => {
                self.seen.extend(format!("{status:?}").into_bytes());
                self.filters.push(timeless(status));
            }
            Event::Policy(status) => {
                self.seen.extend(format!("{status:?}").into_bytes());
                self.policies.push(status);
            }
            Event::Summary(summary) => {
                self.seen.extend(format!("{summary:?}").into_bytes());
                self.summary = Summary { elapsed: Duration::ZERO, ..summary };
            }
            Event::Progress(_) => {}
            other => {
                self.seen.extend(format!("{other:?}").into_bytes());
                self.told.push(format!("{other:?}"));
            }
        }
    }

    fn note(&mut self, positions: Vec<weir_query::SourcePosition>) {
        for position in positions {
            self.seen.extend_from_slice(&position.position);
            self.token.note(&self.sources[&position.source], position.position);
        }
    }

    /// Takes out what depends on how far was read when the limit was reached.
    pub(crate) fn forget_reading(&mut self) {
        self.filters.clear();
        self.policies.clear();
        self.summary.incomplete.clear();
    }

    /// The matches alone.
    pub(crate) fn matches(&self) -> impl Iterator<Item = &Given> {
        self.records.iter().filter(|record| !Flags::from_bits(record.flags).has(Flags::CONTEXT))
    }
}
