//! The filter `redact`: replaces secrets and personal data in log lines.
//!
//! A line goes through [`masks`], which finds the places worth a look in one pass; the detectors' modules, which
//! decide; and [`engine`], which joins what they found and writes the new line. [`finder`] joins them, and
//! tells the host which lines need no look at all.

mod card;
mod detector;
mod email;
mod engine;
mod fields;
mod finder;
mod ip;
mod marker;
mod masks;
mod params;
mod pattern;
mod pem;
mod replace;
mod span;
mod text;
mod tokens;
mod url;
mod value;
mod view;

pub use params::{Args, Mode};

use engine::Engine;
use weir_sdk::prelude::*;

/// The filter, opened.
pub struct Redact(Engine);

impl Transform for Redact {
    type Params = Args;

    fn open(args: Args) -> Result<Self, ParamError> {
        args.engine().map(Self)
    }

    fn prefilter(&self) -> Option<String> {
        Some(self.0.prefilter())
    }

    fn line(&mut self, line: Line<'_>, out: &mut Out<'_>) {
        let message = line.message();
        if self.0.find(message) {
            out.replace_with(|buffer| self.0.write(message, buffer));
        }
    }
}

weir_sdk::export!(Redact, kind = redact, name = "redact", summary = "Replaces secrets and personal data");
