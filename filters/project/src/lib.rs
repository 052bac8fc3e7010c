//! The filter `project`: keeps, drops and renames fields of JSON and logfmt lines, or writes lines anew by a
//! template.
//!
//! [`rules`] joins the parameters into a tree; [`object`] and [`flat`] walk a line along it and copy what it
//! doesn't touch byte for byte.

mod flat;
mod object;
mod params;
mod prefilter;
mod rules;
mod template;

pub use params::Args;
pub use weir_fields::Format;

use params::Work;
use weir_fields::{logfmt, object_start};
use weir_sdk::prelude::*;

/// The filter, opened.
#[derive(Debug)]
pub struct Project {
    format: Format,
    work: Work,
    rewriter: object::Rewriter,
    pairs: Vec<logfmt::Pair>,
    written: Vec<u8>,
}

impl Transform for Project {
    type Params = Args;

    fn open(args: Args) -> Result<Self, ParamError> {
        let (rewriter, pairs, written) = Default::default();
        Ok(Self { format: args.format(), work: args.work()?, rewriter, pairs, written })
    }

    fn prefilter(&self) -> Option<String> {
        Some(prefilter::of(self.format, &self.work))
    }

    fn line(&mut self, line: Line<'_>, out: &mut Out<'_>) {
        let message = line.message();
        self.written.clear();
        let read = match self.format {
            Format::Json => self.json(message),
            Format::Logfmt => self.logfmt(message, false),
            Format::Auto if object_start(message).is_some() => self.json(message),
            Format::Auto => self.logfmt(message, true),
        };
        if read.is_some() && self.written != message {
            out.replace(&self.written);
        }
    }
}

impl Project {
    fn json(&mut self, line: &[u8]) -> Option<()> {
        match &self.work {
            Work::Rules(rules) => self.rewriter.rewrite(line, rules, &mut self.written),
            Work::Template(template) => {
                object::is_object(line).then(|| template.fill_json(line, &mut self.written))
            }
        }
    }

    fn logfmt(&mut self, line: &[u8], strict: bool) -> Option<()> {
        self.pairs.clear();
        logfmt::parse(line, strict, &mut self.pairs)?;
        match &self.work {
            Work::Rules(rules) => flat::rewrite(line, &self.pairs, rules, &mut self.written),
            Work::Template(template) => template.fill_logfmt(line, &self.pairs, &mut self.written),
        }
        Some(())
    }
}

weir_sdk::export!(
    Project,
    kind = transform,
    name = "project",
    summary = "Keeps, drops and renames fields, or writes lines by a template"
);
