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
use weir_fields::{Reader, Shape};
use weir_sdk::prelude::*;

/// The filter, opened.
#[derive(Debug)]
pub struct Project {
    format: Format,
    work: Work,
    rewriter: object::Rewriter,
    reader: Reader,
    written: Vec<u8>,
}

impl Transform for Project {
    type Params = Args;

    fn open(args: Args) -> Result<Self, ParamError> {
        let (rewriter, written) = Default::default();
        let (format, work) = (args.format(), args.work()?);
        Ok(Self { format, work, rewriter, reader: Reader::new(format), written })
    }

    fn prefilter(&self) -> Option<String> {
        Some(prefilter::of(self.format, &self.work))
    }

    fn line(&mut self, line: Line<'_>, out: &mut Out<'_>) {
        let message = line.message();
        self.written.clear();
        let read = match self.reader.look(message) {
            Shape::Json => self.json(message),
            Shape::Logfmt => {
                self.logfmt(message);
                Some(())
            }
            Shape::Other => None,
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

    fn logfmt(&mut self, line: &[u8]) {
        let pairs = self.reader.pairs();
        match &self.work {
            Work::Rules(rules) => flat::rewrite(line, pairs, rules, &mut self.written),
            Work::Template(template) => template.fill_logfmt(line, pairs, &mut self.written),
        }
    }
}

weir_sdk::export!(
    Project,
    kind = transform,
    name = "project",
    summary = "Keeps, drops and renames fields, or writes lines by a template"
);
