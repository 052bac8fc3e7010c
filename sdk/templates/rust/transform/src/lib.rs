//! Cuts long lines.

use weir_sdk::prelude::*;

/// What is too long.
#[derive(Params)]
struct Args {
    /// A line with more bytes than this is cut.
    #[param(default = 100, min = 10, max = 1000)]
    bytes: u32,
}

struct Shorten {
    limit: usize,
}

/// Cuts long lines, and adds how long they were
#[filter(name = "{{name}}")]
impl Transform for Shorten {
    type Params = Args;

    fn open(args: Args) -> Result<Shorten, ParamError> {
        Ok(Shorten { limit: args.bytes as usize })
    }

    /// A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that
    /// most lines never come here. `weir filter test` holds you to it.
    fn prefilter(&self) -> Option<String> {
        Some(format!("(?s-u:.{{{}}})", self.limit + 1))
    }

    fn line(&mut self, line: Line<'_>, out: &mut Out<'_>) {
        let message = line.message();
        if message.len() <= self.limit {
            return;
        }
        let mut end = self.limit;
        // A byte of this form goes on with a character that began before it.
        while end > 0 && message[end] & 0b1100_0000 == 0b1000_0000 {
            end -= 1;
        }
        let mut short = message[..end].to_vec();
        short.extend_from_slice("…".as_bytes());
        out.replace(short);
        out.add_field("bytes", message.len());
    }
}
