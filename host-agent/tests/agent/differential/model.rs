//! The answer to a query, worked out the plain way: every record in memory, `rg` for the patterns and `jq`
//! for the filter, one pass for each rule.

use std::io::Write;
use std::process::{Command, Stdio};

use weir_query::{Case, Direction, Limit, PatternSpec, QuerySpec};

use super::tree::Expected;

/// One record of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) source: usize,
    pub(super) time: Option<i64>,
    pub(super) stderr: bool,
    pub(super) message: Vec<u8>,
    pub(super) truncated: bool,
    pub(super) context: bool,
}

/// What `json-match` is asked, and the same for `jq`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) filter: &'static str,
    pub(super) jq: &'static str,
}

/// Every matching record of each source, before limit and order: for counts.
pub(super) fn matches(
    sources: &[Vec<Expected>],
    spec: &QuerySpec,
    condition: Option<Condition>,
) -> Vec<Vec<bool>> {
    let line_bytes = spec.line_bytes.map_or(usize::MAX, |bytes| bytes as usize);
    let messages: Vec<Vec<u8>> =
        sources.iter().flatten().map(|record| cut(&record.message, line_bytes).to_vec()).collect();
    let mut matched = pattern(&messages, &spec.pattern);
    if let Some(condition) = condition {
        let kept = jq(&messages, condition.jq);
        matched.iter_mut().zip(kept).for_each(|(matched, kept)| *matched &= kept);
    }
    let mut matched = matched.into_iter();
    sources
        .iter()
        .map(|records| {
            records
                .iter()
                .map(|record| {
                    let matched = matched.next().expect("one for each message");
                    matched && in_range(record, spec)
                })
                .collect()
        })
        .collect()
}

/// The records of the answer, in order.
pub(super) fn answer(
    sources: &[Vec<Expected>],
    spec: &QuerySpec,
    condition: Option<Condition>,
) -> Vec<Given> {
    let matched = matches(sources, spec, condition);
    let backward = match spec.limit {
        Limit::All => spec.direction == Direction::Backward,
        Limit::Head(_) => false,
        Limit::Tail(_) => true,
    };
    let (lead, trail) = if backward {
        (spec.context.after, spec.context.before)
    } else {
        (spec.context.before, spec.context.after)
    };
    // Every source's records that are within the range, in the order of the scan.
    let lanes: Vec<Vec<(Given, bool)>> = sources
        .iter()
        .zip(&matched)
        .enumerate()
        .map(|(source, (records, matched))| {
            let mut lane: Vec<_> = records
                .iter()
                .zip(matched)
                .filter(|(record, _)| in_range(record, spec))
                .map(|(record, matched)| (given(source, record, spec), *matched))
                .collect();
            if backward {
                lane.reverse();
            }
            lane
        })
        .collect();
    let counted = limit(&lanes, spec.limit.records(), backward);
    let shown: Vec<Vec<Given>> =
        lanes.iter().zip(&counted).map(|(lane, counted)| with_context(lane, counted, lead, trail)).collect();
    let mut answer = merge(&shown, backward);
    if backward != (spec.direction == Direction::Backward) {
        answer.reverse();
    }
    answer
}

fn in_range(record: &Expected, spec: &QuerySpec) -> bool {
    let Some(time) = record.time else { return true };
    spec.since.is_none_or(|since| time >= since) && spec.until.is_none_or(|until| time < until)
}

fn cut(message: &[u8], line_bytes: usize) -> &[u8] {
    &message[..message.len().min(line_bytes)]
}

fn given(source: usize, record: &Expected, spec: &QuerySpec) -> Given {
    let line_bytes = spec.line_bytes.map_or(usize::MAX, |bytes| bytes as usize);
    Given {
        source,
        time: record.time,
        stderr: record.stderr,
        message: cut(&record.message, line_bytes).to_vec(),
        truncated: record.message.len() > line_bytes,
        context: false,
    }
}

/// Which matches of each lane the limit leaves.
fn limit(lanes: &[Vec<(Given, bool)>], limit: Option<u64>, backward: bool) -> Vec<Vec<bool>> {
    let matches: Vec<Vec<Given>> = lanes
        .iter()
        .map(|lane| lane.iter().filter(|(_, matched)| *matched).map(|(given, _)| given.clone()).collect())
        .collect();
    let mut left: Vec<usize> = vec![0; lanes.len()];
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).expect("small"));
    for given in merge(&matches, backward).iter().take(most) {
        left[given.source] += 1;
    }
    lanes
        .iter()
        .enumerate()
        .map(|(source, lane)| {
            lane.iter()
                .map(|(_, matched)| {
                    let counts = *matched && left[source] > 0;
                    left[source] -= usize::from(counts);
                    counts
                })
                .collect()
        })
        .collect()
}

/// A lane's counted matches and their neighbours, among them matches that the limit cut off.
fn with_context(lane: &[(Given, bool)], counted: &[bool], lead: usize, trail: usize) -> Vec<Given> {
    let mut shown = vec![None; lane.len()];
    for index in (0..lane.len()).filter(|index| counted[*index]) {
        shown[index] = Some(false);
        for before in (index.saturating_sub(lead)..index).rev() {
            shown[before].get_or_insert(true);
        }
        for after in &mut shown[index + 1..lane.len().min(index + 1 + trail)] {
            after.get_or_insert(true);
        }
    }
    for index in 0..lane.len() {
        if counted[index] {
            shown[index] = Some(false);
        }
    }
    lane.iter()
        .zip(shown)
        .filter_map(|((given, _), shown)| shown.map(|context| Given { context, ..given.clone() }))
        .collect()
}

/// Merges lanes by time. A record without one stays behind the record before it.
fn merge(lanes: &[Vec<Given>], backward: bool) -> Vec<Given> {
    let first = if backward { i64::MAX } else { i64::MIN };
    let mut next = vec![0; lanes.len()];
    let mut last = vec![first; lanes.len()];
    let mut merged = Vec::new();
    loop {
        let mut best: Option<(i64, usize)> = None;
        for lane in 0..lanes.len() {
            let Some(given) = lanes[lane].get(next[lane]) else { continue };
            let key = given.time.unwrap_or(last[lane]);
            let better = match best {
                None => true,
                Some((best, _)) if backward => key >= best,
                Some((best, _)) => key < best,
            };
            if better {
                best = Some((key, lane));
            }
        }
        let Some((key, lane)) = best else { return merged };
        last[lane] = key;
        merged.push(lanes[lane][next[lane]].clone());
        next[lane] += 1;
    }
}

fn pattern(messages: &[Vec<u8>], spec: &PatternSpec) -> Vec<bool> {
    let mut matched = vec![true; messages.len()];
    if !spec.patterns.is_empty() {
        let any = rg(messages, &spec.patterns, spec);
        matched = any.into_iter().map(|any| any != spec.invert).collect();
    }
    for one in &spec.and {
        let found = rg(messages, std::slice::from_ref(one), spec);
        matched.iter_mut().zip(found).for_each(|(matched, found)| *matched &= found);
    }
    for one in &spec.not {
        let found = rg(messages, std::slice::from_ref(one), spec);
        matched.iter_mut().zip(found).for_each(|(matched, found)| *matched &= !found);
    }
    matched
}

/// Which messages `rg` finds any of the patterns in.
fn rg(messages: &[Vec<u8>], patterns: &[String], spec: &PatternSpec) -> Vec<bool> {
    let mut command = Command::new("rg");
    command.args([
        "--no-config",
        "--text",
        "--encoding",
        "none",
        "--line-number",
        "--no-heading",
        "--color",
        "never",
    ]);
    for (flag, on) in [("-F", spec.fixed), ("-w", spec.word), ("-x", spec.line)] {
        if on {
            command.arg(flag);
        }
    }
    match spec.case {
        Case::Sensitive => command.arg("--case-sensitive"),
        Case::Insensitive => command.arg("--ignore-case"),
        Case::Smart => command.arg("--smart-case"),
    };
    for pattern in patterns {
        command.arg("-e").arg(pattern);
    }
    let lines: Vec<Vec<u8>> = messages.iter().map(|message| plain_text(message)).collect();
    let out = pipe(command.arg("-"), &lines);
    let mut found = vec![false; messages.len()];
    for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let number = line.split(|byte| *byte == b':').next().expect("a first part");
        let number: usize = std::str::from_utf8(number).expect("digits").parse().expect("a line number");
        found[number - 1] = true;
    }
    found
}

/// Which messages are JSON objects that satisfy the condition.
fn jq(messages: &[Vec<u8>], condition: &str) -> Vec<bool> {
    let program =
        format!("try (fromjson | if type == \"object\" and ({condition}) then 1 else 0 end) catch 0");
    let out = pipe(Command::new("jq").args(["-R", &program]), messages);
    let found: Vec<bool> =
        out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| line == b"1").collect();
    assert_eq!(found.len(), messages.len(), "jq answers once for each line");
    found
}

/// A message as patterns see it: no colour codes, no carriage return at its end.
fn plain_text(message: &[u8]) -> Vec<u8> {
    let text = [b"\x1b[31m".as_slice(), b"\x1b[0m"].iter().fold(message.to_vec(), |text, code| {
        let mut out = Vec::new();
        let mut rest = text.as_slice();
        while let Some(at) = rest.windows(code.len()).position(|window| window == *code) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + code.len()..];
        }
        out.extend_from_slice(rest);
        out
    });
    // A code that the line limit cut through is none either.
    let cut = [b"\x1b[31".as_slice(), b"\x1b[3", b"\x1b[0", b"\x1b[", b"\x1b"];
    let text = cut.iter().find_map(|part| text.strip_suffix(*part)).unwrap_or(&text);
    text.strip_suffix(b"\r").unwrap_or(text).to_vec()
}

fn pipe(command: &mut Command, lines: &[Vec<u8>]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/setup --tests installs it"));
    let mut stdin = child.stdin.take().expect("piped");
    let input: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
    let writer = std::thread::spawn(move || stdin.write_all(&input).expect("the child reads its input"));
    let output = child.wait_with_output().expect("output");
    writer.join().expect("written");
    // rg: 0 found, 1 not found; anything else is an error of the test.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?}: {}", output.status);
    output.stdout
}
