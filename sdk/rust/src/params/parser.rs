//! A strict parser of JSON, for parameters.

use super::{ParamError, Value};

/// How deep parameters may nest. It bounds the parser's stack, not its memory: the host bounds the text.
const MAX_DEPTH: usize = 32;

/// The value that is all of `text`; see [`Value::parse`].
pub(super) fn parse(text: &str) -> Result<Value, ParamError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.space();
    if parser.at < text.len() { Err(parser.error("expected the end of the text")) } else { Ok(value) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Value, ParamError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(Parser::object),
            Some(b'[') => self.nested(Parser::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in
                    [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
                {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.error("expected a value"))
            }
        }
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Value, ParamError>) -> Result<Value, ParamError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("nested deeper than 32 levels"));
        }
        self.depth += 1;
        self.at += 1;
        let value = parse(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, ParamError> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        if self.next_is(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a field's name in double quotes"));
            }
            let name = self.string()?;
            if fields.iter().any(|(n, _)| *n == name) {
                return Err(ParamError::new(name, "is given twice; give it once"));
            }
            if !self.next_is(b':') {
                return Err(self.error("expected `:` after the field's name"));
            }
            let value = self.value().map_err(|e| if e.field.is_empty() { e } else { e.within(&name) })?;
            fields.push((name, value));
            if self.next_is(b'}') {
                return Ok(Value::Object(fields));
            }
            if !self.next_is(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn array(&mut self) -> Result<Value, ParamError> {
        let mut items = Vec::new();
        if self.next_is(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.next_is(b']') {
                return Ok(Value::Array(items));
            }
            if !self.next_is(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, ParamError> {
        let start = self.at;
        self.skip(|b| b == b'-');
        let whole = self.skip(|b| b.is_ascii_digit());
        let mut valid =
            whole == 1 || (whole > 1 && !self.text[start..].trim_start_matches('-').starts_with('0'));
        valid &= self.text[start..].bytes().take_while(|&b| b == b'-').count() <= 1;
        if self.peek() == Some(b'.') {
            self.at += 1;
            valid &= self.skip(|b| b.is_ascii_digit()) > 0;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            valid &= self.skip(|b| b.is_ascii_digit()) > 0;
        }
        if valid {
            Ok(Value::Number(self.text[start..self.at].to_owned()))
        } else {
            Err(self.error("is no number"))
        }
    }

    /// At an opening quote.
    fn string(&mut self) -> Result<String, ParamError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            self.skip(|b| b != b'"' && b != b'\\' && b >= 0x20);
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape().ok_or_else(|| self.error("is no escape that JSON has"))?;
                    out.push(c);
                }
                Some(_) => return Err(self.error("control characters in a string need an escape")),
                None => return Err(self.error("a string has no end")),
            }
        }
    }

    /// After a backslash.
    fn escape(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                if !(0xD800..0xDC00).contains(&first) {
                    return char::from_u32(first);
                }
                self.at = self.text[self.at..].starts_with("\\u").then_some(self.at + 2)?;
                let second = self.hex4()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)?
            }
            _ => return None,
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        self.skip(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn skip(&mut self, while_: impl Fn(u8) -> bool) -> usize {
        let n = self.text.as_bytes()[self.at..].iter().take_while(|&&b| while_(b)).count();
        self.at += n;
        n
    }

    fn error(&self, what: &str) -> ParamError {
        ParamError::new(
            "",
            ["the parameters are not JSON: at byte ", &self.at.to_string(), ": ", what].concat(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::write_string;
    use super::*;
    use proptest::prelude::*;

    fn model(value: &Value) -> serde_json::Value {
        let mut text = String::new();
        value.write(&mut text);
        serde_json::from_str(&text).expect("what is written is JSON")
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}:,\"\\\\ a-f0-9.eE+\\-unltrsu/\u{e9}\u{1F600}\n]{0,24}") {
            let ours = Value::parse(&text);
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(theirs) => match ours {
                    Ok(ours) => prop_assert_eq!(model(&ours), theirs),
                    // serde_json takes the last of two equal names.
                    Err(error) => prop_assert!(error.message.contains("twice"), "{error}: {text}"),
                },
                // It refuses numbers too large for f64.
                Err(e) if e.to_string().contains("out of range") => {}
                Err(_) => prop_assert!(ours.is_err(), "{text}"),
            }
        }

        #[test]
        fn any_string_survives(text in any::<String>()) {
            let mut json = String::new();
            write_string(&mut json, &text);
            prop_assert_eq!(Value::parse(&json).unwrap(), Value::String(text.clone()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "-",
            "--1",
            "1.",
            "1e",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "nul",
            "1 2",
            "{\"a\" 1}",
            "{a:1}",
            "\"\\u+123\"",
        ] {
            assert!(Value::parse(bad).is_err(), "{bad}");
        }
        let deep = "[".repeat(40) + &"]".repeat(40);
        assert!(Value::parse(&deep).unwrap_err().message.contains("32 levels"));
    }

    #[test]
    fn surrogate_pairs_are_one_character() {
        assert_eq!(Value::parse(r#""\ud83d\ude00""#).unwrap(), Value::String("\u{1F600}".to_owned()));
    }
}
