//! Runs: characters that follow each other in a text and have no short escape, from plain text or from
//! a regular expression.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Longest run that is used, in characters; more would only make the automaton larger.
const MAX_RUN: usize = 24;
/// Most characters at one place of a run: enough for a letter without regard to case.
const MAX_CHOICE: usize = 4;

/// For each place the characters that may stand there.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    places: Vec<Vec<char>>,
    /// Whether the run begins the text, and whether it ends it.
    pub(super) leads: bool,
    pub(super) trails: bool,
}

impl Run {
    /// The longest run of `text`; none if it has no character without a short escape.
    pub(super) fn of_text(text: &str) -> Option<Run> {
        let chars: Vec<char> = text.chars().collect();
        let mut best: &[char] = &[];
        let mut start = 0;
        let mut best_start = 0;
        for part in chars.split(|&c| !is_plain(c)) {
            if part.len() > best.len() {
                (best, best_start) = (part, start);
            }
            start += part.len() + 1;
        }
        let places: Vec<_> = best.iter().take(MAX_RUN).map(|&c| vec![c]).collect();
        let trails = best_start + places.len() == chars.len();
        (!places.is_empty()).then_some(Run { places, leads: best_start == 0, trails })
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The run as a regular expression.
    pub(super) fn pattern(&self) -> String {
        let mut out = String::new();
        for choice in &self.places {
            let escaped: Vec<String> =
                choice.iter().map(|c| regex_syntax::escape(c.encode_utf8(&mut [0; 4]))).collect();
            match &escaped[..] {
                [one] => out.push_str(one),
                many if choice.iter().all(char::is_ascii) => {
                    out.extend(["[", &many.concat(), "]"]);
                }
                many => out.extend(["(?:", &many.join("|"), ")"]),
            }
        }
        out
    }

    /// The first UTF-16 unit of each character: what follows `\u` if it is written as an escape.
    pub(super) fn units(&self) -> Vec<u16> {
        let mut units = Vec::new();
        for c in self.places.iter().flatten() {
            super::add(&mut units, c.encode_utf16(&mut [0; 2])[0]);
        }
        units
    }
}

/// Whether a character is written as itself or as `\uXXXX`, and in no other way. Half a surrogate pair
/// decodes to U+FFFD, so that has many spellings.
fn is_plain(c: char) -> bool {
    c >= ' ' && !matches!(c, '"' | '\\' | '/' | char::REPLACEMENT_CHARACTER)
}

/// Runs of which one is in every text that `hir` matches; none if there is no such set.
pub(super) fn required(hir: &Hir) -> Option<Vec<Run>> {
    let mut walk = Walk::default();
    walk.visit(hir);
    walk.cut();
    walk.best
}

#[derive(Default)]
struct Walk {
    /// The run that ends where the walk is.
    open: Run,
    best: Option<Vec<Run>>,
}

impl Walk {
    fn visit(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                for chunk in literal.0.utf8_chunks() {
                    chunk.valid().chars().for_each(|c| self.push(vec![c]));
                    if !chunk.invalid().is_empty() {
                        self.cut();
                    }
                }
            }
            HirKind::Class(class) => match choice(class) {
                Some(choice) => self.push(choice),
                None => self.cut(),
            },
            HirKind::Capture(group) => self.visit(&group.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.visit(part)),
            HirKind::Repetition(repeated) => {
                self.cut();
                if repeated.min > 0 {
                    self.visit(&repeated.sub);
                    self.cut();
                }
            }
            HirKind::Alternation(parts) => {
                self.cut();
                let branches: Option<Vec<_>> = parts.iter().map(required).collect();
                if let Some(branches) = branches {
                    self.offer(branches.concat());
                }
            }
        }
    }

    fn push(&mut self, choice: Vec<char>) {
        if !choice.iter().all(|&c| is_plain(c)) {
            return self.cut();
        }
        self.open.places.push(choice);
        if self.open.len() == MAX_RUN {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let run = std::mem::take(&mut self.open);
        if run.len() > 0 {
            self.offer(vec![run]);
        }
    }

    /// Keeps the set whose shortest run is longest.
    fn offer(&mut self, runs: Vec<Run>) {
        let shortest = |runs: &[Run]| runs.iter().map(Run::len).min().unwrap_or(0);
        if self.best.as_deref().is_none_or(|best| shortest(&runs) > shortest(best)) {
            self.best = Some(runs);
        }
    }
}

/// The characters of a small class.
fn choice(class: &Class) -> Option<Vec<char>> {
    let chars: Vec<char> = match class {
        Class::Unicode(class) => {
            class.iter().flat_map(|range| range.start()..=range.end()).take(MAX_CHOICE + 1).collect()
        }
        Class::Bytes(class) if class.is_ascii() => class
            .iter()
            .flat_map(|range| range.start()..=range.end())
            .take(MAX_CHOICE + 1)
            .map(char::from)
            .collect(),
        Class::Bytes(_) => return None,
    };
    (1..=MAX_CHOICE).contains(&chars.len()).then_some(chars)
}
