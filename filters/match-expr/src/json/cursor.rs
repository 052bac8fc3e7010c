//! Walking over JSON text without building anything. Structure is checked (quotes closed, brackets
//! balanced, commas and colons in place along the way); what is skipped is not.

use crate::block::{self, Block};
use crate::number;
use crate::text::{self, Malformed, Text};

/// A value as it stands in the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Text<'a>),
    /// From `[` to `]`.
    Array(&'a [u8]),
    /// From `{` to `}`.
    Object(&'a [u8]),
}

/// A place in a line.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a [u8]) -> Cursor<'a> {
        Cursor { line, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.line.len()
    }

    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    #[inline(always)]
    pub(super) fn skip_space(&mut self) {
        // There is none as a rule.
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.skip_blanks();
        }
    }

    #[inline(never)]
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte`, which must come next.
    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// After a member or element: true if another follows, with the cursor before it; false if `close`
    /// ended the container.
    #[inline(always)]
    pub(super) fn another(&mut self, close: u8) -> Result<bool, Malformed> {
        self.skip_space();
        let byte = self.peek().ok_or(Malformed)?;
        self.at += 1;
        if byte == b',' {
            self.skip_space();
            return Ok(true);
        }
        if byte == close { Ok(false) } else { Err(Malformed) }
    }

    /// Enters a container: false if it is empty, which is then behind the cursor.
    #[inline(always)]
    pub(super) fn enter(&mut self, open: u8, close: u8) -> Result<bool, Malformed> {
        self.expect(open)?;
        self.skip_space();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Reads a key and its colon; the cursor is then at the value.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<Text<'a>, Malformed> {
        let key = self.text()?;
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Ok(key)
    }

    /// Reads a value.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Malformed> {
        let start = self.at;
        match self.peek().ok_or(Malformed)? {
            b'"' => self.text().map(Value::Text),
            b'{' => {
                self.skip_container()?;
                Ok(Value::Object(&self.line[start..self.at]))
            }
            b'[' => {
                self.skip_container()?;
                Ok(Value::Array(&self.line[start..self.at]))
            }
            _ => {
                self.skip_bare()?;
                match &self.line[start..self.at] {
                    b"null" => Ok(Value::Null),
                    b"true" => Ok(Value::Bool(true)),
                    b"false" => Ok(Value::Bool(false)),
                    digits => number::parse(digits).map(Value::Number).ok_or(Malformed),
                }
            }
        }
    }

    /// Skips a value.
    #[inline(always)]
    pub(super) fn skip_value(&mut self) -> Result<(), Malformed> {
        // No `match`: a guest's becomes a jump through a table, which is foretold badly.
        let first = self.peek().ok_or(Malformed)?;
        if first == b'"' {
            return self.text().map(|_| ());
        }
        if first == b'{' || first == b'[' { self.skip_container() } else { self.skip_bare() }
    }

    /// The same where speed is no matter, in one place for all callers.
    #[inline(never)]
    pub(super) fn pass_value(&mut self) -> Result<(), Malformed> {
        self.skip_value()
    }

    #[inline(always)]
    fn text(&mut self) -> Result<Text<'a>, Malformed> {
        self.expect(b'"')?;
        let (end, escaped) = text::closing_quote(self.line, self.at).ok_or(Malformed)?;
        let raw = &self.line[self.at..end];
        self.at = end + 1;
        Ok(Text { raw, escaped })
    }

    /// Skips a number, `true`, `false` or `null`: all up to a comma, a closing bracket or a space.
    #[inline(always)]
    fn skip_bare(&mut self) -> Result<(), Malformed> {
        let ends = |b: Block| b.eq(b',').or(b.with_bits(0x20).eq(b'}')).or(b.at_most(b' '));
        let end = block::find(self.line, self.at, ends).unwrap_or(self.line.len());
        if end == self.at {
            return Err(Malformed);
        }
        self.at = end;
        Ok(())
    }

    /// Skips an object or array by counting brackets outside texts. Nesting costs no stack.
    fn skip_container(&mut self) -> Result<(), Malformed> {
        // `[` and `]` differ from `{` and `}` by the bit 0x20 alone.
        let stops = |b: Block| {
            let folded = b.with_bits(0x20);
            b.eq(b'"').or(folded.eq(b'{')).or(folded.eq(b'}'))
        };
        let mut depth = 0usize;
        let mut base = self.at;
        while base < self.line.len() {
            let mut mask = block::mask_at(self.line, base, stops);
            let mut next = base + block::WIDTH;
            while mask != 0 {
                let at = base + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                match self.line[at] {
                    b'"' => {
                        let (end, _) = text::closing_quote(self.line, at + 1).ok_or(Malformed)?;
                        if end + 1 >= base + block::WIDTH {
                            next = end + 1;
                            break;
                        }
                        mask &= u32::MAX << (end + 1 - base);
                    }
                    b'{' | b'[' => depth += 1,
                    _ => {
                        depth -= 1;
                        if depth == 0 {
                            self.at = at + 1;
                            return Ok(());
                        }
                    }
                }
            }
            base = next;
        }
        Err(Malformed)
    }
}
