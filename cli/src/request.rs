//! From `weir logs` as typed to something that can run. Every check that needs no log file is made here
//! or, with the same words, by the engine.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;
use weir_query::{
    Case, Context, Direction, FilterSpec, Limit, Matcher, Output, PatternLimits, PatternSpec, QuerySpec,
    ResumeToken, SandboxLimits, available_threads, time::parse_step, time::parse_time,
};

use crate::args::{Around, ColorChoice, Format, LogsArgs, OutputArgs, PatternArgs, RangeArgs};
use crate::choice::{Choice, Typed};
use crate::failure::Failure;
use crate::filter::Excess;
use crate::output::{Column, Look};
use crate::target_args::ClusterArgs;

/// Records given when nothing says which.
const DEFAULT_TAIL: u64 = 10;

/// A search that is ready to run.
#[derive(Debug)]
pub(crate) struct LogsRequest {
    /// Whom to ask.
    pub(crate) choice: Choice,
    /// Threads that search, where no agent does.
    pub(crate) threads: usize,
    /// Limits on filters, where no agent has its own.
    pub(crate) sandbox_limits: SandboxLimits,
    /// What to ask.
    pub(crate) spec: QuerySpec,
    /// How to show the answer.
    pub(crate) look: Look,
    /// What to say before, where the command line left something open.
    pub(crate) note: Option<String>,
}

impl LogsRequest {
    /// Checks what was typed.
    pub(crate) fn new(args: &LogsArgs) -> Result<LogsRequest, Failure> {
        let kube_context = kube_context(&args.pattern.context, &args.target.cluster)?;
        let choice = Choice::new(&Typed {
            target: &args.target,
            cluster: &args.target.cluster.with_context(kube_context),
            sources: &args.sources,
            all_namespaces: args.pattern.after_context == Some(None),
            follow: args.range.follow,
        })?;
        if let (Some(source), false) = (args.sources.first(), args.target.file.is_empty()) {
            return Err(Failure::refused(format!(
                "'{source}': with --file there are no sources to choose from; repeat --file for each file, \
                 and give a pattern with -e"
            )));
        }
        if !matches!(choice, Choice::Local(_)) && args.threads.is_some() {
            return Err(Failure::refused(
                "--threads is for a search in this process; an agent's config says how many threads it has \
                 (limits.query.threads)",
            ));
        }
        if matches!(choice, Choice::Local(_)) && !args.bypass_policy.is_empty() {
            return Err(Failure::refused(
                "--bypass-policy is for agents: a search in this process has no policies but those of --policy",
            ));
        }
        let threads = args.threads.map_or_else(available_threads, NonZeroUsize::get);
        let pattern = pattern(&args.pattern, &args.target.file)?;
        let (since, until) = times(&args.range)?;
        let output = output(&args.output)?;
        let mut filters = args.filters.resolve()?;
        let sandbox_limits = match choice {
            Choice::Local(_) => make_room(&mut filters),
            Choice::Agents(_) | Choice::Cluster(_) => SandboxLimits::default(),
        };
        let unbounded = args.range.head.is_none() && args.range.tail.is_none() && !args.range.all;
        let selective =
            has_pattern(&pattern) || !args.filters.is_empty() || since.is_some() || until.is_some();
        let resumed = args.range.resume.is_some();
        // What comes is what a follow is about: of what was, its end is enough.
        let defaulted = unbounded
            && (!selective || (args.range.follow && since.is_none()))
            && output == Output::Records
            && !(args.output.quiet || resumed);
        let spec = QuerySpec {
            sources: args.sources.clone(),
            limit: limit(&args.range, defaulted, args.output.quiet),
            pattern,
            since,
            until,
            direction: if args.range.reverse { Direction::Backward } else { Direction::Forward },
            context: context(&args.pattern, args.output.quiet),
            filters,
            output,
            line_bytes: args.range.line_bytes,
            bypass: args.bypass_policy.clone(),
            follow: args.range.follow,
            resume: args.range.resume.as_deref().map(resume).transpose()?.unwrap_or_default(),
        };
        let note = (defaulted && !args.range.follow).then(|| {
            format!("the last {DEFAULT_TAIL} records, as nothing says which; --all gives everything, --tail N more")
        });
        let is_several = matches!(&choice, Choice::Agents(agents) if agents.len() > 1);
        let look = look(args, &spec, is_several);
        Ok(LogsRequest { choice, threads, sandbox_limits, spec, look, note })
    }
}

/// The kubeconfig's context, where --context names it.
fn kube_context<'a>(typed: &'a [Around], cluster: &ClusterArgs) -> Result<Option<&'a str>, Failure> {
    let mut names = typed.iter().filter_map(|around| match around {
        Around::Records(_) => None,
        Around::Context(name) => Some(name.as_str()),
    });
    match (names.next(), names.next().or(cluster.kube_context.as_deref())) {
        (Some(one), Some(other)) => Err(Failure::refused(format!(
            "--context {one}: the kubeconfig's context is {other} already; records around a match are a number"
        ))),
        (name, _) => Ok(name),
    }
}

/// Has filters run here that an agent would not take by default, which is told. Gives the limits that they need all together.
fn make_room(filters: &mut [FilterSpec]) -> SandboxLimits {
    let mut largest = Excess::default();
    for spec in filters {
        let shadow = spec.shadow.as_ref().map(|shadow| &shadow.filter);
        let excesses: Vec<Excess> = std::iter::once(&spec.filter).chain(shadow).map(Excess::told).collect();
        for excess in excesses {
            excess.raise(spec);
            if excess.size() > largest.size() {
                largest = excess;
            }
        }
    }
    largest.sandbox_limits()
}

/// Reads a token, or the file that it names.
fn resume(text: &str) -> Result<ResumeToken, Failure> {
    let token = match text.strip_prefix('@') {
        None => text.parse(),
        Some(path) => fs::read_to_string(path)
            .map_err(|error| Failure::refused(format!("--resume {text}: {error}")))?
            .trim()
            .parse(),
    };
    token.map_err(|error| Failure::refused(format!("--resume: {error}")))
}

fn has_pattern(pattern: &PatternSpec) -> bool {
    !(pattern.patterns.is_empty() && pattern.and.is_empty() && pattern.not.is_empty())
}

fn limit(range: &RangeArgs, defaulted: bool, quiet: bool) -> Limit {
    match (range.head, range.tail) {
        (Some(count), _) => Limit::Head(count),
        (None, Some(count)) => Limit::Tail(count),
        (None, None) if defaulted => Limit::Tail(DEFAULT_TAIL),
        // One match answers the question.
        (None, None) if quiet => Limit::Head(1),
        (None, None) => Limit::All,
    }
}

fn context(args: &PatternArgs, quiet: bool) -> Context {
    if quiet {
        return Context::default();
    }
    let mut records = args.context.iter().filter_map(|around| match around {
        Around::Records(count) => Some(*count),
        Around::Context(_) => None,
    });
    let around = records.next_back().unwrap_or(0);
    let after = args.after_context.flatten();
    Context { before: args.before_context.unwrap_or(around), after: after.unwrap_or(around) }
}

fn pattern(args: &PatternArgs, files: &[PathBuf]) -> Result<PatternSpec, Failure> {
    let mut patterns = args.regexp.clone();
    for path in &args.pattern_file {
        let stdin = path.as_os_str() == "-";
        if stdin && files.iter().any(|file| file.as_os_str() == "-") {
            return Err(Failure::refused("standard input can't be both --pattern-file and --file"));
        }
        patterns.extend(read_patterns(path, stdin)?);
    }
    // An empty pattern file matches nothing in grep; here the engine would take it for no pattern at all.
    if patterns.is_empty() && !args.pattern_file.is_empty() {
        return Err(Failure::refused(format!(
            "--pattern-file {}: there is no pattern in it",
            args.pattern_file[0].display()
        )));
    }
    for (given, flag) in [
        (args.invert_match, "-v"),
        (args.word_regexp, "-w"),
        (args.line_regexp, "-x"),
        (args.fixed_strings, "-F"),
    ] {
        if given && patterns.is_empty() && args.and.is_empty() && args.not.is_empty() {
            return Err(Failure::refused(format!("{flag} needs a pattern: add -e PATTERN")));
        }
    }
    if args.invert_match && patterns.is_empty() {
        return Err(Failure::refused("-v turns round what -e looks for: add -e PATTERN, or use --not alone"));
    }
    let case = match (args.ignore_case, args.smart_case) {
        (true, _) => Case::Insensitive,
        (false, true) => Case::Smart,
        (false, false) => Case::Sensitive,
    };
    Ok(PatternSpec {
        patterns,
        and: args.and.clone(),
        not: args.not.clone(),
        fixed: args.fixed_strings,
        case,
        word: args.word_regexp,
        line: args.line_regexp,
        invert: args.invert_match,
    })
}

/// One pattern a line, as ripgrep reads them: an empty line is the pattern that matches everything.
fn read_patterns(path: &Path, stdin: bool) -> Result<Vec<String>, Failure> {
    let refused = |reason: String| Failure::refused(format!("--pattern-file {}: {reason}", path.display()));
    let mut bytes = Vec::new();
    if stdin {
        io::stdin().read_to_end(&mut bytes).map_err(|error| refused(error.to_string()))?;
    } else {
        bytes = fs::read(path).map_err(|error| refused(error.to_string()))?;
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        refused(format!("line {} is not UTF-8; write other bytes as \\xFF under (?-u)", line + 1))
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn times(range: &RangeArgs) -> Result<(Option<i64>, Option<i64>), Failure> {
    let now = ZonedDateTime::now();
    let read = |text: &Option<String>, flag: &str| -> Result<Option<i64>, Failure> {
        let parse = |text: &String| {
            parse_time(text, &now).map_err(|error| Failure::refused(format!("{flag}: {error}")))
        };
        text.as_ref().map(parse).transpose()
    };
    let (since, until) = (read(&range.since, "--since")?, read(&range.until, "--until")?);
    if let (Some(from), Some(to)) = (since, until)
        && from >= to
    {
        return Err(Failure::refused(format!(
            "--since {} is not before --until {}",
            range.since.as_deref().unwrap_or_default(),
            range.until.as_deref().unwrap_or_default()
        )));
    }
    Ok((since, until))
}

fn output(args: &OutputArgs) -> Result<Output, Failure> {
    let counted = args.count || args.histogram.is_some();
    if args.per_source && !counted {
        return Err(Failure::refused("--per-source goes with --count or --histogram"));
    }
    if !args.columns.is_empty() && (counted || args.output != Format::Text) {
        return Err(Failure::refused("--columns is for records as text; it goes with neither -o nor counts"));
    }
    if let Some(text) = &args.histogram {
        let step = parse_step(text).map_err(|error| Failure::refused(format!("--histogram: {error}")))?;
        return Ok(Output::Histogram { step, per_source: args.per_source });
    }
    Ok(if args.count { Output::Count { per_source: args.per_source } } else { Output::Records })
}

fn look(args: &LogsArgs, spec: &QuerySpec, is_several: bool) -> Look {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let color = use_color(args.output.color);
    let color = color && args.output.output == Format::Text;
    // A pattern that can't be compiled is refused by whoever runs it, who says so better.
    let highlight = if color && spec.output == Output::Records && !spec.pattern.invert {
        Matcher::new(&spec.pattern, &PatternLimits::default()).ok().flatten()
    } else {
        None
    };
    let columns = match args.output.columns.as_slice() {
        [] if args.target.file.len() == 1 => vec![Column::Time, Column::Message],
        [] if is_several => vec![Column::Time, Column::Agent, Column::Source, Column::Message],
        [] => vec![Column::Time, Column::Source, Column::Message],
        chosen => chosen.to_vec(),
    };
    Look {
        format: args.output.output,
        columns,
        color,
        // Colours that were asked for into a pipe are on their way to a terminal too.
        visible: terminal || color,
        highlight,
        stats: args.output.stats,
        quiet: args.output.quiet,
        context: spec.context != Context::default(),
        step: match spec.output {
            Output::Histogram { step, .. } => Some(step),
            _ => None,
        },
        counting: spec.output != Output::Records,
        terminal,
        width: terminal_width(&stdout),
        show_token: args.output.show_token,
        follow: args.range.follow,
    }
}

/// Whether standard output is to have colours.
pub(crate) fn use_color(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
            io::stdout().is_terminal() && !set("NO_COLOR") && able
        }
    }
}

/// Columns of the terminal that standard output is; 80 where it is none.
fn terminal_width(stdout: &io::Stdout) -> usize {
    match rustix::termios::tcgetwinsize(stdout) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}
