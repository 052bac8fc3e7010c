//! Hides the values of fields written as `name=value`.

use weir_sdk::prelude::*;

/// What to hide.
#[derive(Params)]
struct Args {
    /// Names of the fields.
    #[param(default = ["password", "token"], min = 1)]
    fields: Vec<String>,
}

struct Hide {
    /// Each with its `=`.
    fields: Vec<bytes::Finder>,
    lengths: Vec<usize>,
}

/// Hides the values of fields written as name=value
#[filter(name = "{{name}}", kind = redact)]
impl Transform for Hide {
    type Params = Args;

    fn open(args: Args) -> Result<Hide, ParamError> {
        let fields: Vec<String> = args.fields.iter().map(|field| format!("{field}=")).collect();
        Ok(Hide {
            lengths: fields.iter().map(String::len).collect(),
            fields: fields.into_iter().map(|field| bytes::Finder::new(field.into_bytes())).collect(),
        })
    }

    /// A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that
    /// most lines never come here. `weir filter test` holds you to it.
    fn prefilter(&self) -> Option<String> {
        Some("=".to_owned())
    }

    fn line(&mut self, line: Line<'_>, out: &mut Out<'_>) {
        let message = line.message();
        let mut hidden = Vec::new();
        let mut done = 0;
        while let Some((start, end)) = self.next(message, done) {
            hidden.extend_from_slice(&message[done..start]);
            hidden.extend_from_slice(b"***");
            done = end;
        }
        if done > 0 {
            hidden.extend_from_slice(&message[done..]);
            out.replace(hidden);
        }
    }
}

impl Hide {
    /// Where the first value at or after `from` stands.
    fn next(&self, message: &[u8], from: usize) -> Option<(usize, usize)> {
        let values = self.fields.iter().zip(&self.lengths);
        let start = values.filter_map(|(field, length)| Some(from + field.find(&message[from..])? + length)).min()?;
        let length = message[start..].iter().position(|byte| byte.is_ascii_whitespace());
        Some((start, start + length.unwrap_or(message.len() - start)))
    }
}
