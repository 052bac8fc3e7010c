//! Keeps lines that hold one of some words.

use weir_sdk::prelude::*;

/// What to look for.
#[derive(Params)]
struct Args {
    /// Words, one of which a line must hold; case makes a difference.
    #[param(default = ["ERROR", "panic"], min = 1)]
    words: Vec<String>,
}

struct Words {
    words: Vec<bytes::Finder>,
    prefilter: String,
}

/// Keeps lines that hold one of some words
#[filter(name = "{{name}}")]
impl Select for Words {
    type Params = Args;

    fn open(args: Args) -> Result<Words, ParamError> {
        let alternatives: Vec<String> = args.words.iter().map(|word| escaped(word)).collect();
        Ok(Words {
            prefilter: alternatives.join("|"),
            words: args.words.into_iter().map(|word| bytes::Finder::new(word.into_bytes())).collect(),
        })
    }

    /// A promise: a line that this expression doesn't match is never kept. Weir matches it natively, so that most
    /// lines never come here. `weir filter test` holds you to it.
    fn prefilter(&self) -> Option<String> {
        Some(self.prefilter.clone())
    }

    fn keep(&mut self, line: Line<'_>) -> bool {
        self.words.iter().any(|word| word.find(line.message()).is_some())
    }
}

/// A text as a regular expression that matches it and nothing else.
fn escaped(text: &str) -> String {
    let mut regex = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            regex.push('\\');
        }
        regex.push(c);
    }
    regex
}
