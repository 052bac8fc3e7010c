//! A deterministic automaton that is made while texts are searched. Its state is a set of states of the
//! non-deterministic one and what was before it; assertions are decided when the next byte is known.

use std::rc::Rc;

use regex_syntax::hir::Look;

use super::nfa::{Arc, Id, Nfa, State};

/// Memory for states, in bytes. When it is full they are dropped and made anew as needed.
const CACHE: usize = 256 * 1024;

/// A place in the table: the first cell of a state's row, or one of the three below.
type Row = usize;
const UNKNOWN: Row = 0;
const DEAD: Row = 1;
const MATCH: Row = 2;

/// The context: what was before the place. The first entry of every key.
const AT_START: Id = 1;
const AFTER_LF: Id = 2;
const AFTER_CR: Id = 4;
const AFTER_WORD: Id = 8;

#[derive(Debug)]
pub(super) struct Dfa {
    nfa: Nfa,
    /// Bytes that no part of the pattern tells apart share a class. The class after the last is the text's end.
    classes: [u16; 256],
    /// A byte of each class.
    samples: Vec<u8>,
    table: Vec<Row>,
    /// By row divided by the stride: context and set, sorted.
    keys: Vec<Rc<[Id]>>,
    /// The rows in the order of their keys.
    sorted: Vec<Row>,
    memory: usize,
    /// How often the states were dropped.
    generation: u64,
    start: Row,
    set: Set,
    next: Set,
    stack: Vec<Id>,
}

impl Dfa {
    pub(super) fn new(nfa: Nfa) -> Dfa {
        let (classes, samples) = classes(&nfa);
        let size = nfa.states.len();
        let mut dfa = Dfa {
            nfa,
            classes,
            samples,
            table: Vec::new(),
            keys: Vec::new(),
            sorted: Vec::new(),
            memory: 0,
            generation: 0,
            start: UNKNOWN,
            set: Set::new(size),
            next: Set::new(size),
            stack: Vec::new(),
        };
        dfa.clear();
        dfa
    }

    /// Whether there is a match somewhere in `text`.
    pub(super) fn is_match(&mut self, text: &[u8]) -> bool {
        if self.start == UNKNOWN {
            self.next.clear();
            self.enter(self.nfa.start);
            self.start = self.intern(AT_START);
        }
        let mut row = self.start;
        if row == MATCH || row == DEAD {
            return row == MATCH;
        }
        // In steps of eight, since each turn of a loop pays for an epoch check.
        let mut rest = text;
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            for &byte in chunk {
                row = self.step(row, usize::from(self.classes[usize::from(byte)]));
                if row <= MATCH {
                    return row == MATCH;
                }
            }
            rest = after;
        }
        for &byte in rest {
            row = self.step(row, usize::from(self.classes[usize::from(byte)]));
            if row <= MATCH {
                return row == MATCH;
            }
        }
        self.step(row, self.samples.len()) == MATCH
    }

    #[inline(always)]
    fn step(&mut self, row: Row, class: usize) -> Row {
        match self.table[row + class] {
            UNKNOWN => self.fill(row, class),
            known => known,
        }
    }

    fn stride(&self) -> usize {
        self.samples.len() + 1
    }

    /// Works out where `class` leads from the state at `row`, and remembers it.
    #[cold]
    #[inline(never)]
    fn fill(&mut self, row: Row, class: usize) -> Row {
        let key = self.keys[row / self.stride()].clone();
        let byte = self.samples.get(class).copied();
        let generation = self.generation;
        let target = self.target(&key, byte);
        // If the cache was cleared, this row is gone.
        if self.generation == generation {
            self.table[row + class] = target;
        }
        target
    }

    /// Where the state `key` goes on `byte`, or at the end.
    fn target(&mut self, key: &[Id], byte: Option<u8>) -> Row {
        let (&before, set) = key.split_first().expect("a key begins with its context");
        self.set.clear();
        for &id in set {
            self.set.insert(id);
        }
        self.pass_assertions(before, byte);
        if self.set.has(MATCHED) {
            return MATCH;
        }
        let Some(byte) = byte else { return DEAD };
        self.next.clear();
        for index in 0..self.set.len() {
            if let State::Bytes(arcs) = &self.nfa.states[self.set.get(index) as usize]
                && let Some(next) = follow(arcs, byte)
            {
                self.enter(next);
            }
        }
        // A match may begin at every place.
        self.enter(self.nfa.start);
        let context = match byte {
            b'\n' => AFTER_LF,
            b'\r' => AFTER_CR,
            _ if is_word(byte) => AFTER_WORD,
            _ => 0,
        };
        self.intern(context)
    }

    /// Adds to `set` what lies behind the assertions in it that hold.
    fn pass_assertions(&mut self, before: Id, byte: Option<u8>) {
        let mut index = 0;
        while index < self.set.len() {
            if let State::Look(look, next) = self.nfa.states[self.set.get(index) as usize]
                && holds(look, before, byte)
            {
                self.stack.push(next);
                close(&self.nfa, &mut self.stack, &mut self.set);
            }
            index += 1;
        }
    }

    /// Adds to `next` the state and what it splits into.
    fn enter(&mut self, id: Id) {
        self.stack.push(id);
        close(&self.nfa, &mut self.stack, &mut self.next);
    }

    /// The row of the state that `next` is.
    fn intern(&mut self, context: Id) -> Row {
        if self.next.has(MATCHED) {
            return MATCH;
        }
        let states = &self.nfa.states;
        let kept = |id: Id| match states[id as usize] {
            State::Bytes(_) => true,
            // The begin of the text never comes again.
            State::Look(look, _) => look != Look::Start || context & AT_START != 0,
            State::Split(_) | State::Match => false,
        };
        let mut key = vec![0];
        key.extend(self.next.sorted().filter(|&id| kept(id)));
        if key.len() == 1 {
            return DEAD;
        }
        let asks = key.iter().any(|&id| matches!(states[id as usize], State::Look(..)));
        if asks {
            key[0] = context;
        }
        let mut place = match self.find(&key) {
            Ok(row) => return row,
            Err(place) => place,
        };
        let memory = key.len() * size_of::<Id>() + self.stride() * size_of::<Row>() + 64;
        if self.memory + memory > CACHE {
            self.clear();
            place = 0;
        }
        self.memory += memory;
        let row = self.table.len();
        self.table.resize(row + self.stride(), UNKNOWN);
        self.keys.push(key.into());
        self.sorted.insert(place, row);
        row
    }

    /// The row with this key, or where it belongs in `sorted`.
    fn find(&self, key: &[Id]) -> Result<Row, usize> {
        let stride = self.stride();
        let found = self.sorted.binary_search_by(|row| (*self.keys[row / stride]).cmp(key));
        found.map(|place| self.sorted[place])
    }

    /// Forgets all states. The first three rows stand for those that need none.
    fn clear(&mut self) {
        self.table.clear();
        self.table.resize(3 * self.stride(), UNKNOWN);
        self.keys.clear();
        self.keys.resize(3, Rc::from([]));
        self.sorted.clear();
        self.memory = 0;
        self.generation += 1;
        self.start = UNKNOWN;
    }
}

/// The state that the construction makes first.
const MATCHED: Id = 0;

/// Moves what is on the stack into `set`, and what it splits into.
fn close(nfa: &Nfa, stack: &mut Vec<Id>, set: &mut Set) {
    while let Some(id) = stack.pop() {
        if set.insert(id)
            && let State::Split(nexts) = &nfa.states[id as usize]
        {
            stack.extend(nexts);
        }
    }
}

fn follow(arcs: &[Arc], byte: u8) -> Option<Id> {
    let index = arcs.partition_point(|arc| arc.last < byte);
    arcs.get(index).filter(|arc| arc.first <= byte).map(|arc| arc.next)
}

/// Whether the assertion holds between what was before and the next byte. Word boundaries know ASCII only.
fn holds(look: Look, before: Id, next: Option<u8>) -> bool {
    let at_start = before & AT_START != 0;
    let (word_before, word_next) = (before & AFTER_WORD != 0, next.is_some_and(is_word));
    match look {
        Look::Start => at_start,
        Look::End => next.is_none(),
        Look::StartLF => at_start || before & AFTER_LF != 0,
        Look::EndLF => next.is_none() || next == Some(b'\n'),
        Look::StartCRLF => {
            at_start || before & AFTER_LF != 0 || (before & AFTER_CR != 0 && next != Some(b'\n'))
        }
        Look::EndCRLF => {
            matches!(next, None | Some(b'\r')) || (next == Some(b'\n') && before & AFTER_CR == 0)
        }
        Look::WordAscii | Look::WordUnicode => word_before != word_next,
        Look::WordAsciiNegate | Look::WordUnicodeNegate => word_before == word_next,
        Look::WordStartAscii | Look::WordStartUnicode => !word_before && word_next,
        Look::WordEndAscii | Look::WordEndUnicode => word_before && !word_next,
        Look::WordStartHalfAscii | Look::WordStartHalfUnicode => !word_before,
        Look::WordEndHalfAscii | Look::WordEndHalfUnicode => !word_next,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The class of each byte, and a byte of each class.
fn classes(nfa: &Nfa) -> ([u16; 256], Vec<u8>) {
    // Whether a new class begins at the byte.
    let mut begins = [false; 257];
    begins[0] = true;
    for state in &nfa.states {
        if let State::Bytes(arcs) = state {
            for arc in arcs {
                begins[usize::from(arc.first)] = true;
                begins[usize::from(arc.last) + 1] = true;
            }
        }
    }
    if nfa.states.iter().any(|state| matches!(state, State::Look(..))) {
        for byte in 0..=255u8 {
            let before = byte.wrapping_sub(1);
            let line = |b| matches!(b, b'\n' | b'\r');
            begins[usize::from(byte)] |= line(byte) || line(before) || is_word(byte) != is_word(before);
        }
    }
    let mut classes = [0; 256];
    let mut samples = Vec::new();
    for byte in 0..=255u8 {
        if begins[usize::from(byte)] {
            samples.push(byte);
        }
        classes[usize::from(byte)] = samples.len() as u16 - 1;
    }
    (classes, samples)
}

/// A set of states, in order of arrival and of number.
#[derive(Debug)]
struct Set {
    items: Vec<Id>,
    bits: Vec<u64>,
}

impl Set {
    fn new(size: usize) -> Set {
        Set { items: Vec::new(), bits: vec![0; size.div_ceil(64)] }
    }

    fn clear(&mut self) {
        for id in self.items.drain(..) {
            self.bits[id as usize / 64] = 0;
        }
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    /// The one that arrived at this place.
    fn get(&self, index: usize) -> Id {
        self.items[index]
    }

    fn has(&self, id: Id) -> bool {
        self.bits[id as usize / 64] >> (id % 64) & 1 != 0
    }

    /// False if it was there already.
    fn insert(&mut self, id: Id) -> bool {
        let added = !self.has(id);
        if added {
            self.bits[id as usize / 64] |= 1 << (id % 64);
            self.items.push(id);
        }
        added
    }

    /// From the lowest number to the highest.
    fn sorted(&self) -> impl Iterator<Item = Id> {
        (0..).zip(&self.bits).flat_map(|(word, &bits)| {
            let mut left = bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(word * 64 + bit)
            })
        })
    }
}
