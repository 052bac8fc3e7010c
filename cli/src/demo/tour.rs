//! What the demo asks, and how a command is shown.

/// One question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What it is about.
    pub(crate) title: &'static str,
    /// Arguments of `weir`.
    pub(crate) args: &'static [&'static str],
    /// The exit code that it must end with.
    pub(crate) exit: i32,
}

/// The demo's questions, in order.
pub(crate) const STEPS: &[Step] = &[
    Step { title: "What can be searched", args: &["sources"], exit: 0 },
    Step {
        title: "A pattern, with what stands around each match",
        args: &["logs", "shop:web-*", "-e", "upstream timed out", "-C", "1", "--tail", "2"],
        exit: 0,
    },
    Step {
        title: "Fields of JSON: a filter, a WebAssembly component that the agent runs in a sandbox",
        args: &[
            "logs",
            "shop:checkout-*",
            "--filter",
            "json-match:where=level == \"error\" && status >= 500",
            "--tail",
            "3",
        ],
        exit: 0,
    },
    Step {
        title: "Secrets are taken out before anything leaves the node",
        args: &["logs", "shop:payments-*", "--filter", "redact", "--tail", "5", "--columns", "time,message"],
        exit: 0,
    },
    Step {
        title: "Filters in a row: choose logfmt lines, then redact what is left",
        args: &[
            "logs",
            "platform:",
            "--filter",
            "logfmt-match:where=level == \"error\"",
            "--filter",
            "redact:detectors=[url-password]",
            "--tail",
            "3",
        ],
        exit: 0,
    },
    Step {
        title: "Reformat what was found",
        args: &[
            "logs",
            "shop:checkout-*",
            "--filter",
            "json-match:where=duration_ms > 8000",
            "--filter",
            "project:template={status} {msg}: order {order_id} took {duration_ms} ms",
            "--tail",
            "3",
            "--columns",
            "time,pod,message",
        ],
        exit: 0,
    },
    Step {
        title: "When did it happen",
        args: &["logs", "--histogram", "30m", "-i", "-e", "timed out", "-e", "timeout"],
        exit: 0,
    },
    Step {
        title: "Where did it happen, rotated and compressed files included",
        args: &["logs", "--count", "--per-source", "-w", "-i", "-e", "error"],
        exit: 0,
    },
    Step {
        title: "The last words of a container that was restarted since",
        args: &["logs", "platform:ingest-*", "-e", "OutOfMemoryError", "-B", "2"],
        exit: 0,
    },
    Step {
        title: "Lines of more than 16 KiB, which the runtime had split, are whole again: JSON that a filter can take apart",
        args: &[
            "logs",
            "-e",
            "\"cart dump\"",
            "--filter",
            "project:template={msg} of order {order_id}",
            "--tail",
            "1",
            "--columns",
            "time,pod,message",
        ],
        exit: 0,
    },
    Step {
        title: "For programs: JSON, with figures on what was read and what each filter did",
        args: &[
            "logs",
            "shop:payments-*",
            "--filter",
            "json-match:where=msg == \"card declined\"",
            "--filter",
            "redact",
            "--head",
            "1",
            "-o",
            "jsonl",
            "--stats",
        ],
        exit: 0,
    },
    Step { title: "For scripts: the exit code tells", args: &["logs", "-q", "-e", "no such text"], exit: 1 },
    Step { title: "A mistake is named", args: &["logs", "-e", "timed (out"], exit: 2 },
];

/// A command as a shell would take it.
pub(crate) fn command_line(args: &[&str]) -> String {
    let mut line = "weir".to_owned();
    for arg in args {
        line.push(' ');
        line.push_str(&quoted(arg));
    }
    line
}

/// An argument, in single quotes where a shell would see more than text in it.
pub(crate) fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_step_is_a_valid_command() {
        for step in STEPS {
            Cli::try_parse_from(["weir"].iter().chain(step.args)).expect(step.title);
        }
    }

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(command_line(&["logs", "a:b-*", "-e", "it's", ""]), r"weir logs 'a:b-*' -e 'it'\''s' ''");
    }
}
