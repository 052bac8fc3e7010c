//! `weir filter` as typed.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use weir_query::Kind;

use super::{language, ship};
use crate::args::{ColorChoice, Format, ListFormat};

const TEST_EXIT_CODES: &str = "\
Exit codes:
  0  everything passed
  1  a case failed, a promise is broken, or the filter can't be built or loaded
  2  wrong usage";

/// The verbs, in the order of a day's work.
#[derive(Debug, Subcommand)]
pub(crate) enum FilterCommand {
    /// Make a folder with a filter that builds, tests and runs at once
    New(NewArgs),
    /// Build a component from a filter's folder
    Build(BuildArgs),
    /// Run a filter's golden cases, and lines that nobody thought of
    Test(TestArgs),
    /// Pass log files through a filter
    Run(RunArgs),
    /// Build, test and run again whenever a file of a filter's folder changes
    Dev(DevArgs),
    /// Measure what a filter costs
    Bench(BenchArgs),
    /// Tell what a filter is: kind, parameters, size, signatures
    Inspect(ship::InspectArgs),
    /// Make a filter that was built against WASI into a component that imports nothing
    Adapt(super::adapt::AdaptArgs),
    /// Make a pair of keys to sign filters with
    Keygen(ship::KeygenArgs),
    /// Write a filter into a registry
    Push(ship::PushArgs),
    /// Get a filter from a registry
    Pull(ship::PullArgs),
    /// Sign a filter: a file, or one in a registry
    Sign(ship::SignArgs),
    /// Check a filter's signature and digest as an agent does
    Verify(ship::VerifyArgs),
}

/// `weir filter new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the filter, and of the folder that is made: lower-case letters, digits and dashes
    pub(crate) name: String,
    /// Language to write it in
    #[arg(long, value_name = "LANGUAGE", default_value = language::DEFAULT,
        value_parser = PossibleValuesParser::new(language::names()))]
    pub(crate) lang: String,
    /// What it does to lines
    #[arg(long, value_enum, value_name = "KIND", default_value_t = KindArg::Select)]
    pub(crate) kind: KindArg,
}

/// A filter's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Keeps or drops lines
    Select,
    /// May rewrite lines, and add fields to them
    Transform,
    /// Rewrites lines; what it fails on is withheld
    Redact,
    /// Counts lines, and tells the sum at the end
    Aggregate,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Kind {
        match kind {
            KindArg::Select => Kind::Select,
            KindArg::Transform => Kind::Transform,
            KindArg::Redact => Kind::Redact,
            KindArg::Aggregate => Kind::Aggregate,
        }
    }
}

/// `weir filter build`.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The filter's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Where to write the component [default: NAME.wasm in the filter's folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `weir filter test`.
#[derive(Debug, Args)]
#[command(after_help = TEST_EXIT_CODES)]
pub(crate) struct TestArgs {
    /// A filter's folder, a component, or the name of a filter that ships with Weir
    #[arg(value_name = "FILTER", default_value = ".", add = crate::completion::filters())]
    pub(crate) filter: String,
    /// Folder of the golden cases [default: tests in the filter's folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) cases: Option<PathBuf>,
    /// Write what comes out into the golden cases that fail
    #[arg(long)]
    pub(crate) update: bool,
    /// How many lines to make up for each set of parameters; 0 for none
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub(crate) fuzz: usize,
    /// What those lines are made from: the same seed makes the same lines [default: another one in each run]
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
}

/// What to run, and on what.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A filter's folder, a component, or the name of a filter that ships with Weir; parameters may follow, as in
    /// `redact:detectors=[email]`
    #[arg(value_name = "FILTER[:KEY=VALUE,...]", add = crate::completion::filters())]
    pub(crate) filter: String,
    /// Log files: plain, CRI or json-file, gzip too; `-` is standard input. With --diff, one
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) params: ParamArgs,
    /// Show lines before and after, with what has changed; dropped ones too
    #[arg(long, conflicts_with = "output")]
    pub(crate) diff: bool,
    /// Tell what was read and what the filter did, on standard error
    #[arg(long)]
    pub(crate) stats: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When to use colours; NO_COLOR in the environment turns `auto` off
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// Parameters beside those behind the filter's name.
#[derive(Debug, Args)]
pub(crate) struct ParamArgs {
    /// Parameters: `key=value,...`, or a JSON object
    #[arg(long = "params", value_name = "PARAMS")]
    pub(crate) given: Vec<String>,
}

/// `weir filter dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The filter's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Log file to run it on [default: sample.log in the filter's folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) sample: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) params: ParamArgs,
}

/// `weir filter bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A filter's folder, a component, or the name of a filter that ships with Weir; parameters may follow
    #[arg(value_name = "FILTER[:KEY=VALUE,...]", add = crate::completion::filters())]
    pub(crate) filter: String,
    /// Log file: plain, CRI or json-file, gzip too
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) params: ParamArgs,
    /// Another build of the filter to measure beside it, by turns
    #[arg(long, value_name = "FILTER[:KEY=VALUE,...]", add = crate::completion::filters())]
    pub(crate) compare: Option<String>,
    /// Seconds to measure for, about
    #[arg(long, value_name = "N", default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Text, value_name = "FORMAT")]
    pub(crate) output: ListFormat,
}
