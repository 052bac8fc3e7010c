//! The command line as typed. Nothing here is checked beyond its form: [`request`](crate::request) turns
//! it into something that can run.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cluster_names;
use crate::filter::FilterCommand;
use crate::filter_args::FilterArgs;
use crate::output::Column;
use crate::target_args::{AgentArgs, ClusterArgs, ContextArgs, TargetArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0  the answer is complete
  1  with -q: nothing was found
  2  wrong usage, or the request was refused
  3  the answer is incomplete, or there is none: something could not be read or reached

Examples:
  weir logs                                        the last 10 records of this node, or of the cluster
  weir logs deployments/web -n prod -e error       of the pods of a deployment, on whatever nodes they run
  weir logs 'shop:checkout-*' -e timeout -C 3      a pattern, with context
  weir logs --since 1h --filter 'json-match:where=status >= 500' -o jsonl
  weir logs --histogram 5m -e ERROR                how many in each 5 minutes
  weir logs -f 'shop:' -e panic                    what comes from now on, behind the last 10
  weir logs --agent https://node-1:7411 --agent https://node-2:7411 --count -e OOM
  kubectl logs web-0 | weir logs --file - --filter redact";

/// Searches container logs, on this node, through agents or all over a cluster, and filters them with WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Search logs
    Logs(Box<LogsArgs>),
    /// List what can be searched: sizes, oldest and newest times
    Sources(SourcesArgs),
    /// List filters, or describe one with its parameters
    Filters(FiltersArgs),
    /// List the agents of a cluster by node: version, state, oldest record
    Nodes(NodesArgs),
    /// Write, test and measure a filter of your own
    Filter {
        #[command(subcommand)]
        command: FilterCommand,
    },
    /// Write sample logs, start an agent on loopback and show what can be asked
    Demo(DemoArgs),
    /// Write a completion script to standard output
    Completions {
        /// Shell to write it for
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output, or all pages to a folder
    Man {
        /// Folder for one page per command; made if it isn't there
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Compile the component on standard input; used by weir itself
    #[command(hide = true)]
    Compile,
}

/// `weir logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Sources to search, as `namespace:pod/container` with globs, each part optional: `shop:`, `web-*`,
    /// `shop:web-*/nginx`, `/nginx`. Of a cluster also `kind/name`: deployments/web, sts/db, cronjob/backup, svc/api,
    /// pod/web-0 [default: all]
    #[arg(value_name = "SOURCE", add = cluster_names::sources())]
    pub(crate) sources: Vec<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) pattern: PatternArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Search as an agent with this policy does: a file as docs/policies.md has it. Repeat it for more policies. Without
    /// --dir, each holds for all that is searched
    #[arg(long, value_name = "FILE", conflicts_with = "agent", help_heading = "Where to search")]
    pub(crate) policy: Vec<PathBuf>,
    /// Leave this policy of the agents out, which takes the right to: the verb 'bypass' on it. Repeat it for more policies
    #[arg(long, value_name = "NAME", help_heading = "Where to search")]
    pub(crate) bypass_policy: Vec<String>,
    /// Search with N threads, where no agent does it [default: one for each processor, within the CPU quota]
    #[arg(short = 'j', long, value_name = "N", help_heading = "Where to search")]
    pub(crate) threads: Option<NonZeroUsize>,
}

/// What a message must match.
#[derive(Debug, Args)]
#[command(next_help_heading = "Patterns")]
pub(crate) struct PatternArgs {
    /// Regular expression to look for in the message; repeat it for alternatives [alias: -g, --grep]
    #[arg(
        short = 'e',
        long = "regexp",
        short_alias = 'g',
        alias = "grep",
        value_name = "PATTERN",
        allow_hyphen_values = true
    )]
    pub(crate) regexp: Vec<String>,
    /// Read alternatives from a file, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) pattern_file: Vec<PathBuf>,
    /// The message must match this too
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(crate) and: Vec<String>,
    /// The message must not match this
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(crate) not: Vec<String>,
    /// Patterns are plain text
    #[arg(short = 'F', long)]
    pub(crate) fixed_strings: bool,
    /// Match upper and lower case alike
    #[arg(short = 'i', long, overrides_with_all = ["smart_case", "case_sensitive"])]
    pub(crate) ignore_case: bool,
    /// Match upper and lower case alike, unless a pattern has an upper-case letter
    #[arg(short = 'S', long, overrides_with_all = ["ignore_case", "case_sensitive"])]
    pub(crate) smart_case: bool,
    /// Match case as given (the default)
    #[arg(short = 's', long, overrides_with_all = ["ignore_case", "smart_case"])]
    pub(crate) case_sensitive: bool,
    /// Match whole words only
    #[arg(short = 'w', long)]
    pub(crate) word_regexp: bool,
    /// Match whole messages only
    #[arg(short = 'x', long)]
    pub(crate) line_regexp: bool,
    /// Give the messages that don't match
    #[arg(short = 'v', long)]
    pub(crate) invert_match: bool,
    /// Give N records after each match. Without a number, -A is --all-namespaces
    #[arg(short = 'A', long, value_name = "N", num_args = 0..=1, value_parser = parse_after)]
    pub(crate) after_context: Option<Option<usize>>,
    /// Give N records before each match
    #[arg(short = 'B', long, value_name = "N")]
    pub(crate) before_context: Option<usize>,
    /// Give N records around each match. With a name in place of a number, --context is --kube-context
    #[arg(short = 'C', long, value_name = "N")]
    pub(crate) context: Vec<Around>,
}

/// What stands behind --context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// Records around each match, as for ripgrep.
    Records(usize),
    /// A context of the kubeconfig, as for kubectl.
    Context(String),
}

impl std::str::FromStr for Around {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Around, Self::Err> {
        Ok(text.parse().map_or_else(|_| Around::Context(text.to_owned()), Around::Records))
    }
}

/// Which part of the logs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Range")]
pub(crate) struct RangeArgs {
    /// The first N matches
    #[arg(long, value_name = "N", conflicts_with_all = ["tail", "all"])]
    pub(crate) head: Option<u64>,
    /// The last N matches
    #[arg(long, value_name = "N", conflicts_with = "all")]
    pub(crate) tail: Option<u64>,
    /// Everything, where the last 10 records are the default
    #[arg(long)]
    pub(crate) all: bool,
    /// From this time on: RFC 3339, a local date or time, a span such as 5m or PT5M before now,
    /// yesterday, today
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Up to this time, which is not included; written as for --since
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Go on with what is written from now on, in new files and containers too; ends at --head matches or with
    /// Ctrl-C
    #[arg(short, long, conflicts_with_all = ["until", "reverse"])]
    pub(crate) follow: bool,
    /// Go on where the search stood that showed this token (see --show-token); @FILE reads it from a file
    #[arg(long, value_name = "TOKEN")]
    pub(crate) resume: Option<String>,
    /// Newest first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Cut messages at SIZE bytes, such as 4096, 64K, 2M [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_line_bytes)]
    pub(crate) line_bytes: Option<u32>,
}

/// What to show, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Give the number of matches
    #[arg(long, conflicts_with_all = ["histogram", "follow"])]
    pub(crate) count: bool,
    /// Give the number of matches in each step of time, such as 30s, 5m, 1h
    #[arg(long, value_name = "STEP", conflicts_with = "follow")]
    pub(crate) histogram: Option<String>,
    /// Count each source by itself
    #[arg(long)]
    pub(crate) per_source: bool,
    /// Show the token with which --resume goes on from there: at the end, on standard error; with -o jsonl, as a
    /// line behind each batch of records
    #[arg(long, conflicts_with_all = ["count", "histogram"])]
    pub(crate) show_token: bool,
    /// Tell what was read, what each filter did and what is missing
    #[arg(long)]
    pub(crate) stats: bool,
    /// Print nothing; the exit code tells whether there is a match
    #[arg(short, long, conflicts_with_all = ["count", "histogram", "stats"])]
    pub(crate) quiet: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Columns of text output, in order [default: time,source,message]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    pub(crate) columns: Vec<Column>,
    /// When to use colours; NO_COLOR in the environment turns `auto` off
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// Form of `weir logs`' output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    Text,
    /// The message's bytes and a newline, nothing else
    Raw,
    /// One JSON object a line
    Jsonl,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    Auto,
    /// Also in files and pipes
    Always,
    /// Not at all
    Never,
}

/// Form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table
    Text,
    /// One JSON object a line
    Jsonl,
}

/// `weir sources`.
#[derive(Debug, Args)]
pub(crate) struct SourcesArgs {
    /// Sources to list, as `namespace:pod/container` with globs, each part optional; of a cluster also `kind/name`
    /// [default: all]
    #[arg(value_name = "SOURCE", add = cluster_names::sources())]
    pub(crate) sources: Vec<String>,
    /// The same as --all-namespaces
    #[arg(short = 'A', help_heading = "Where to search")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Text, value_name = "FORMAT")]
    pub(crate) output: ListFormat,
}

/// `weir filters`.
#[derive(Debug, Args)]
pub(crate) struct FiltersArgs {
    /// Filter to describe, by its name or as `./mine.wasm` [default: list all]
    #[arg(value_name = "NAME", add = crate::completion::filters())]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Text, value_name = "FORMAT")]
    pub(crate) output: ListFormat,
}

/// `weir nodes`.
#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Text, value_name = "FORMAT")]
    pub(crate) output: ListFormat,
}

/// `weir demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder to write to [default: a new one for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Use the logs that an earlier demo left in --dir
    #[arg(long, requires = "dir")]
    pub(crate) keep: bool,
    /// Write the logs and stop there
    #[arg(long, conflicts_with = "keep")]
    pub(crate) tree_only: bool,
    /// How many lines to write, about
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    pub(crate) lines: u64,
    /// What the generator starts from: the same seed and end give the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Time of the newest record, written as for `logs --since`
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub(crate) end: String,
}

/// Reads what stands behind -A.
fn parse_after(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| {
        "give a number of records; for all namespaces, -A stands last or is --all-namespaces".to_owned()
    })
}

/// Reads a size in bytes with an optional K or M (powers of 1024).
fn parse_line_bytes(text: &str) -> Result<u32, String> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, factor) = match lower.as_bytes().last() {
        Some(b'k') => (&lower[..lower.len() - 1], 1 << 10),
        Some(b'm') => (&lower[..lower.len() - 1], 1 << 20),
        _ => (lower, 1),
    };
    let number: u32 =
        digits.trim().parse().map_err(|_| "give a number of bytes, such as 4096, 64K or 2M".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is over 4 GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("4096", 4096), ("64K", 65536), ("64KiB", 65536), ("2m", 2 << 20), ("10 kB", 10240)]
        {
            assert_eq!(parse_line_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "4096M", "1G", "x"] {
            assert!(parse_line_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_case_flag_counts() {
        let case = |flags: &[&str]| {
            let cli = Cli::try_parse_from(["weir", "logs"].iter().chain(flags)).expect("valid flags");
            let Command::Logs(args) = cli.command else { panic!("another command") };
            (args.pattern.ignore_case, args.pattern.smart_case, args.pattern.case_sensitive)
        };
        assert_eq!(case(&["-i", "-S"]), (false, true, false));
        assert_eq!(case(&["-S", "-i"]), (true, false, false));
        assert_eq!(case(&["-i", "-s"]), (false, false, true));
    }
}
