//! Finds records in container log files.
//!
//! A [`Scanner`] reads the files of one [`LogSet`], rotated and compressed ones included, and gives the
//! [`Record`]s that a [`Search`] asks for, forward or backward. It owns everything between the bytes on
//! disk and the record: formats, partial lines, patterns, context. It knows nothing of filters,
//! queries over several sources, or the wire.
//!
//! The way of a block: a run of whole lines is read; one pass of ripgrep's engine over its raw bytes
//! finds the lines that may hold a match; only those are decoded and joined; the pattern then decides
//! on the message. No call waits for anything but the disk, and, for a pipe, its writer.
#![forbid(unsafe_code)]

mod ansi;
mod bisect;
mod blocks;
mod bounds;
mod candidates;
mod context;
pub mod cri;
mod descriptors;
mod dfa_lanes;
mod discover;
mod expression;
mod files;
mod format;
mod frontier;
mod gap;
mod generations;
mod growth;
mod gzip;
mod inode;
mod interrupt;
pub mod json_file;
mod json_guard;
mod json_text;
mod line_count;
mod line_matcher;
mod lines;
mod literal;
mod open_runs;
mod pattern;
mod position;
mod probe;
mod reach;
mod reader;
mod record;
mod rewrites;
mod scanner;
mod search;
mod source;
mod stream;
mod stripes;
mod superset;
mod tails;
mod time;
mod trial;
mod units;
mod window;
mod workspace;

pub use descriptors::raise_open_file_limit;
pub use discover::{
    LogRoot, ScanError, SetTimes, Visit, file_set, list_again, live_name, oldest, pipe_set, pod_identity,
    restart_of_live, times,
};
pub use gap::{Gap, GapReason, ScanStats};
pub use inode::Inode;
pub use interrupt::Interrupt;
pub use pattern::{Case, Matcher, MessageRegex, PatternError, PatternLimits, PatternSpec};
pub use position::{FileId, Left, OpenRecord, Position};
pub use reach::LogPath;
pub use record::{Flags, Record, RecordBatch, Stream};
pub use rewrites::{AnyOf, Rewrites};
pub use scanner::{Scanner, Step};
pub use search::{Context, Direction, ScanLimits, Search};
pub use source::{Format, Input, LineHead, LogFile, LogSet, Source};
pub use stripes::{Stripe, StripeEnd};
