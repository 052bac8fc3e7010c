//! What the user asks for, and the expressions that decide it on messages.
//!
//! Deciding is on the message as a reader sees it: decoded, joined, without terminal escape
//! sequences. Which raw lines are worth decoding is [`crate::candidates`]'s part; the expressions for
//! it are made here, from the same parse.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

use crate::expression::{self, contains_escape};
use crate::line_matcher::LineMatcher;
use crate::source::Format;
use crate::{ansi, superset};

/// How letters compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// As they are.
    #[default]
    Sensitive,
    /// Upper and lower case are equal, by Unicode's simple case folding.
    Insensitive,
    /// Insensitive unless a literal of the patterns has an upper-case letter, as ripgrep's `-S`.
    Smart,
}

/// What a message must match, as the user typed it. The flags hold for all three lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternSpec {
    /// At least one must match. Empty: no such demand, whatever `invert` says.
    pub patterns: Vec<String>,
    /// Each must match too.
    pub and: Vec<String>,
    /// None may match.
    pub not: Vec<String>,
    /// The patterns are texts, not expressions.
    pub fixed: bool,
    /// How letters compare.
    pub case: Case,
    /// Matches must lie between word boundaries.
    pub word: bool,
    /// Matches must be the whole message.
    pub line: bool,
    /// None of `patterns` may match, instead of at least one.
    pub invert: bool,
}

/// Named bounds of patterns, each with a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatternLimits {
    /// `pattern_compiled_bytes`: memory of one compiled expression (default 10 MiB). Doesn't bound the
    /// caches of a search, which have a limit of the same size for each thread that searches.
    pub compiled_bytes: usize,
    /// `pattern_bytes`: length of one pattern (default 64 KiB).
    pub pattern_bytes: usize,
    /// `pattern_count`: patterns of one query, all lists together (default 100,000).
    pub patterns: usize,
}

impl Default for PatternLimits {
    fn default() -> PatternLimits {
        PatternLimits { compiled_bytes: 10 << 20, pattern_bytes: 64 << 10, patterns: 100_000 }
    }
}

/// Longest error of an expression that is shown with the expression itself.
const SHOWN_ERROR_BYTES: usize = 2000;

/// Why patterns were refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Not an expression.
    #[error(
        "pattern {pattern:?} is not a regular expression; to search for it as text, use fixed strings: {}",
        in_short(source)
    )]
    Syntax {
        /// The pattern, shortened.
        pattern: String,
        /// What is wrong with it, and where.
        source: Box<regex_syntax::Error>,
    },
    /// Over a limit of [`PatternLimits`].
    #[error("pattern {pattern:?} is over the limit {limit} of {value}; shorten it or split it")]
    TooLarge {
        /// The pattern, shortened.
        pattern: String,
        /// The limit's name.
        limit: &'static str,
        /// The limit's value, in bytes.
        value: usize,
    },
    /// More patterns than [`PatternLimits::patterns`].
    #[error("{count} patterns are over the limit pattern_count of {value}; give fewer")]
    TooMany {
        /// How many were given.
        count: usize,
        /// The limit's value.
        value: usize,
    },
    /// A message is one line, so a pattern with a newline in it can't match.
    #[error(
        "pattern {pattern:?} has a newline, which no message has; give each line as a pattern of its own"
    )]
    Newline {
        /// The pattern, shortened.
        pattern: String,
    },
    /// The expression can't be compiled for a reason other than its size.
    #[error("pattern {pattern:?} can't be compiled: {source}")]
    Compile {
        /// The pattern, shortened.
        pattern: String,
        /// What the regex engine says.
        source: Box<meta::BuildError>,
    },
}

/// What is wrong with an expression, shown in it unless it is long.
fn in_short(error: &regex_syntax::Error) -> String {
    let text = error.to_string();
    if text.len() <= SHOWN_ERROR_BYTES {
        return text;
    }
    match error {
        regex_syntax::Error::Parse(error) => {
            format!("{} at byte {}", error.kind(), error.span().start.offset)
        }
        regex_syntax::Error::Translate(error) => {
            format!("{} at byte {}", error.kind(), error.span().start.offset)
        }
        _ => "it can't be read".to_owned(),
    }
}

/// Decides whether a message is what was asked for. Made once per query and shared by its scanners.
#[derive(Debug)]
pub struct Matcher {
    positive: Option<Part>,
    invert: bool,
    and: Vec<Part>,
    not: Vec<Part>,
    required: Vec<Arc<MessageRegex>>,
    /// The expression that narrows the search best, and that every wanted message matches.
    narrowing: Option<Hir>,
    decided_by_raw_match: Option<usize>,
    limits: PatternLimits,
    verbatim: OnceLock<Option<LineMatcher>>,
    json: OnceLock<Option<LineMatcher>>,
}

impl Matcher {
    /// One that every message is a match of, within limits that hold for what it is made to require.
    pub fn everything(limits: &PatternLimits) -> Matcher {
        Matcher {
            positive: None,
            invert: false,
            and: Vec::new(),
            not: Vec::new(),
            required: Vec::new(),
            narrowing: None,
            decided_by_raw_match: None,
            limits: *limits,
            verbatim: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// Compiles `spec`. `None` when nothing restricts.
    ///
    /// # Errors
    /// When a pattern isn't valid or is over a limit.
    pub fn new(spec: &PatternSpec, limits: &PatternLimits) -> Result<Option<Matcher>, PatternError> {
        let count = spec.patterns.len() + spec.and.len() + spec.not.len();
        if count > limits.patterns {
            return Err(PatternError::TooMany { count, value: limits.patterns });
        }
        if count == 0 {
            return Ok(None);
        }
        // The patterns of `patterns` are one expression, each other one is an expression of its own: all
        // share one budget, and the first pays for it when it is alone.
        let expressions = usize::from(!spec.patterns.is_empty()) + spec.and.len() + spec.not.len();
        let limits = &PatternLimits { compiled_bytes: limits.compiled_bytes / expressions, ..*limits };
        let each = |patterns: &[String]| -> Result<Vec<(Part, Hir)>, PatternError> {
            patterns.chunks(1).map(|pattern| Part::new(pattern, spec, limits)).collect()
        };
        let positive = match spec.patterns.as_slice() {
            [] => None,
            patterns => Some(Part::new(patterns, spec, limits)?),
        };
        let (and, and_hirs): (Vec<_>, Vec<_>) = each(&spec.and)?.into_iter().unzip();
        let (not, _): (Vec<_>, Vec<_>) = each(&spec.not)?.into_iter().unzip();
        let (positive, positive_hir) = positive.unzip();
        let positive_hir = positive_hir.filter(|_| !spec.invert);
        let alone = positive_hir.as_ref().filter(|_| expressions == 1);
        let decided_by_raw_match = alone.and_then(superset::longest_verbatim_match);
        let narrowing = positive_hir.into_iter().chain(and_hirs).rev().max_by_key(superset::selectivity);
        Ok(Some(Matcher {
            positive,
            invert: spec.invert,
            and,
            not,
            narrowing,
            decided_by_raw_match,
            ..Matcher::everything(limits)
        }))
    }

    /// One that demands of a message that it matches `regex` too, on its bytes as they are, escape sequences included:
    /// the prefilter of a filter.
    pub fn requiring(self, regex: Arc<MessageRegex>) -> Matcher {
        let Matcher { positive, invert, and, not, mut required, narrowing, limits, .. } = self;
        let known = narrowing.as_ref().map(superset::selectivity);
        let is_better = known.is_none_or(|known| superset::selectivity(&regex.hir) > known);
        let narrowing = if is_better { Some(regex.hir.clone()) } else { narrowing };
        required.push(regex);
        Matcher { positive, invert, and, not, required, narrowing, ..Matcher::everything(&limits) }
    }

    /// Whether a message is what was asked for. A `$` also matches before one trailing CR.
    pub fn is_match(&self, message: &[u8]) -> bool {
        self.matches_required(message) && self.matches_patterns(message)
    }

    /// Whether a message matches every required expression.
    pub fn matches_required(&self, message: &[u8]) -> bool {
        self.required.iter().all(|regex| regex.is_match(message))
    }

    /// Whether a message matches what the user typed, whatever is required besides.
    pub fn matches_patterns(&self, message: &[u8]) -> bool {
        let stripped = ansi::strip(message);
        let text = stripped.as_ref().map_or(message, |stripped| stripped.text.as_slice());
        let original = stripped.is_some().then_some(message);
        self.positive.as_ref().is_none_or(|part| part.is_match(text, original) != self.invert)
            && self.and.iter().all(|part| part.is_match(text, original))
            && !self.not.iter().any(|part| part.is_match(text, original))
    }

    /// Whether there are required expressions.
    pub fn has_required(&self) -> bool {
        !self.required.is_empty()
    }

    /// Calls `f` with every place of the message that a pattern matches and that isn't empty, pattern by
    /// pattern: places of different patterns may overlap. Ranges are in the message as it is, escape
    /// sequences included. Inverted and `not` patterns have none.
    pub fn for_each_match(&self, message: &[u8], mut f: impl FnMut(Range<usize>)) {
        let stripped = ansi::strip(message);
        let text = stripped.as_ref().map_or(message, |stripped| stripped.text.as_slice());
        for part in self.positive.iter().filter(|_| !self.invert).chain(&self.and) {
            for found in part.regex.find_iter(text) {
                let at_end = found.end() == text.len() && text.ends_with(b"\r");
                let range = found.start()..found.end() - usize::from(at_end && !found.is_empty());
                if !range.is_empty() {
                    f(stripped.as_ref().map_or(range.clone(), |stripped| stripped.original(range)));
                }
            }
        }
    }

    /// The longest match, in bytes, of an expression that decides alone and of which a match in a raw line is
    /// one in the message, as long as it is behind the prefix of a line that holds the message as it is.
    /// `None` when the message itself has to be asked.
    pub(crate) fn decided_by_raw_match(&self) -> Option<usize> {
        self.decided_by_raw_match
    }

    /// What finds the raw lines of a format that may hold a wanted message; `None` when every line may.
    pub(crate) fn raw_line(&self, format: Format) -> Option<&LineMatcher> {
        let narrowing = self.narrowing.as_ref()?;
        let (cell, rewrite): (_, fn(&Hir) -> Hir) = match format {
            Format::Cri | Format::Plain => (&self.verbatim, superset::of_verbatim_line),
            Format::JsonFile => (&self.json, superset::of_json_line),
        };
        cell.get_or_init(|| LineMatcher::new(&rewrite(narrowing), self.limits.compiled_bytes)).as_ref()
    }
}

/// One expression on the bytes of a message as they are, such as a filter's prefilter. Each thread that matches at the same time
/// as others builds an automaton, which is kept with it; a clone begins without any.
#[derive(Clone, Debug)]
pub struct MessageRegex {
    regex: meta::Regex,
    hir: Hir,
}

impl MessageRegex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it isn't valid or is over a limit.
    pub fn new(re: &str, limits: &PatternLimits) -> Result<MessageRegex, PatternError> {
        let hir = expression::parse(re, false, false, limits)?;
        Ok(MessageRegex { regex: expression::compile(&hir, re, limits)?, hir })
    }

    /// Whether it matches anywhere in the message.
    pub fn is_match(&self, message: &[u8]) -> bool {
        self.regex.is_match(message)
    }

    /// The expression as parsed.
    pub(crate) fn hir(&self) -> &Hir {
        &self.hir
    }

    /// Calls `f` with every match in the message, from left to right; they don't overlap.
    pub fn for_each_match(&self, message: &[u8], mut f: impl FnMut(Range<usize>)) {
        for found in self.regex.find_iter(message) {
            f(found.range());
        }
    }
}

/// One expression on the text of a message.
#[derive(Debug)]
struct Part {
    regex: meta::Regex,
    /// The pattern names the escape character, so it is meant for the message as it is.
    on_original: bool,
}

impl Part {
    /// Compiles a pattern, or several of which one must match. Also gives the expression as parsed.
    fn new(
        patterns: &[String],
        spec: &PatternSpec,
        limits: &PatternLimits,
    ) -> Result<(Part, Hir), PatternError> {
        let insensitive = match spec.case {
            Case::Sensitive => false,
            Case::Insensitive => true,
            Case::Smart => expression::smart_case_is_insensitive(patterns, spec.fixed, limits)?,
        };
        let parsed = patterns
            .iter()
            .map(|pattern| expression::parse(pattern, spec.fixed, insensitive, limits))
            .collect::<Result<Vec<_>, _>>()?;
        let mut hir = Hir::alternation(parsed);
        if spec.word {
            let (start, end) = (Look::WordStartHalfUnicode, Look::WordEndHalfUnicode);
            hir = Hir::concat(vec![Hir::look(start), hir, Hir::look(end)]);
        }
        if spec.line {
            hir = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        }
        let regex = expression::compile(&before_cr(&hir), &patterns[0], limits)?;
        Ok((Part { regex, on_original: contains_escape(&hir) }, hir))
    }

    fn is_match(&self, text: &[u8], original: Option<&[u8]>) -> bool {
        self.regex.is_match(text)
            || (self.on_original && original.is_some_and(|original| self.regex.is_match(original)))
    }
}

/// Lets every end anchor also match before one CR at the end.
fn before_cr(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(look @ (Look::End | Look::EndLF)) => {
            let cr = Repetition { min: 0, max: Some(1), greedy: true, sub: Box::new(Hir::literal(*b"\r")) };
            Hir::concat(vec![Hir::repetition(cr), Hir::look(*look)])
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Repetition(rep) => {
            Hir::repetition(Repetition { sub: Box::new(before_cr(&rep.sub)), ..rep.clone() })
        }
        HirKind::Capture(capture) => before_cr(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(before_cr).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(before_cr).collect()),
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
