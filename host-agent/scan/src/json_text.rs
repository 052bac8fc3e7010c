//! JSON (RFC 8259) as it stands in log lines: read once, from left to right, only as far as it is asked for.
//! Which members a line has is [`json_file`](crate::json_file)'s part.

use memchr::memchr2;

/// A JSON text that is read once, from left to right.
pub(crate) struct Text<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Text<'a> {
        Text { line, at: 0 }
    }

    /// Whether nothing but spaces is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.at == self.line.len()
    }

    fn skip_spaces(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space, passed by.
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.skip_spaces();
        let byte = *self.line.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Passes `byte` by, behind any spaces; `None` for another one.
    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string's text between its quotes, still escaped. Escapes are checked, raw control characters
    /// and invalid UTF-8 are let through: a writer may produce them and the message is bytes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            self.at += plain_run(self.line.get(self.at..)?);
            if *self.line.get(self.at)? == b'"' {
                self.at += 1;
                return Some(&self.line[start..self.at - 1]);
            }
            self.at += match self.line.get(self.at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' => self.line.get(self.at + 2..self.at + 6).and_then(hex).map(|_| 6)?,
                _ => return None,
            };
        }
    }

    /// Appends what a string stands for. Refuses and lets through what [`Text::string`] does.
    pub(crate) fn decoded_string(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let rest = self.line.get(self.at..)?;
            let run = plain_run(rest);
            out.extend_from_slice(&rest[..run]);
            self.at += run + 1;
            if *rest.get(run)? == b'"' {
                return Some(());
            }
            self.at += 1;
            out.push(match *rest.get(run + 1)? {
                byte @ (b'"' | b'\\' | b'/') => byte,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                b'u' => {
                    let (char, used) = decode_unit(&rest[run + 2..])?;
                    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    self.at += used;
                    continue;
                }
                _ => return None,
            });
        }
    }

    /// Passes any value by whose objects and lists nest at most `depth` deep.
    pub(crate) fn skip_value(&mut self, depth: usize) -> Option<()> {
        self.skip_spaces();
        match self.line.get(self.at)? {
            b'"' => self.string().map(|_| ()),
            open @ (b'{' | b'[') => {
                let (is_object, depth) = (*open == b'{', depth.checked_sub(1)?);
                let close = if is_object { b'}' } else { b']' };
                self.at += 1;
                self.skip_spaces();
                if *self.line.get(self.at)? == close {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    if is_object {
                        self.string()?;
                        self.expect(b':')?;
                    }
                    self.skip_value(depth)?;
                    match self.next()? {
                        b',' => {}
                        end if end == close => return Some(()),
                        _ => return None,
                    }
                }
            }
            _ => {
                let scalar = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = self.line[self.at..].iter().take_while(|byte| scalar(byte)).count();
                self.at += length;
                (length > 0).then_some(())
            }
        }
    }
}

/// Length of the run that starts here and has neither a quote nor a backslash. In log text these come
/// every few bytes, so short runs are looked at eight bytes at a time before memchr is called in.
fn plain_run(text: &[u8]) -> usize {
    const SHORT: usize = 64;
    const ONES: u64 = u64::MAX / 255;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    for (index, word) in text.as_chunks().0.iter().take(SHORT / 8).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = has_zero(word ^ (ONES * u64::from(b'"'))) | has_zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            // The lowest mark is exact; only those above it may be false.
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let done = (text.len() / 8 * 8).min(SHORT);
    memchr2(b'"', b'\\', &text[done..]).map_or(text.len(), |at| done + at)
}

/// Reads what follows `\u`: one unit, or two when they are a surrogate pair. A lone surrogate becomes
/// the replacement character. `None` when no unit follows.
fn decode_unit(text: &[u8]) -> Option<(char, usize)> {
    let first = hex(text.get(..4)?)?;
    if let Some(char) = char::from_u32(first) {
        return Some((char, 4));
    }
    let second = text.get(4..6).filter(|mark| *mark == b"\\u").and_then(|_| text.get(6..10)?.into());
    Some(match (first, second.and_then(hex)) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
            let point = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 10)
        }
        _ => (char::REPLACEMENT_CHARACTER, 4),
    })
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
}
