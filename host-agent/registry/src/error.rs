//! How a pull can fail, each with what to do about it.

use std::path::PathBuf;
use std::time::Duration;

/// Why nothing was pulled. Nothing of what a registry says in words is in it: whoever wrote the reference may read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// A file of the config can't be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nobody says which certificates to trust.
    #[error(
        "no roots are known for the certificate of {host}: give a PEM file with them (`ca`); the system has no bundle of its own"
    )]
    NoRoots {
        /// Host and port.
        host: String,
    },
    /// Nobody answers, or not in this protocol.
    #[error("{host} can't be reached: {reason}")]
    Unreachable {
        /// Host and port: the registry's, or where it sent us.
        host: String,
        /// What failed.
        reason: String,
    },
    /// It wants to know who asks, or that isn't allowed.
    #[error("the registry {host} refuses access to {name}: {hint}")]
    Unauthorized {
        /// Host and port.
        host: String,
        /// What was asked for.
        name: String,
        /// What to do.
        hint: &'static str,
    },
    /// What says who gives tokens isn't to be followed.
    #[error("the registry {host} wants a token, and can't be given one: {reason}")]
    Token {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// It sends us where we don't go.
    #[error("{host} sends us elsewhere, where we don't go: {reason}")]
    Redirect {
        /// Host and port.
        host: String,
        /// Why.
        reason: &'static str,
    },
    /// There is nothing of that name.
    #[error("{name} is not in the registry; check its name and digest, and whether it was pushed")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// There is something else.
    #[error("{name} is no filter: {reason}; `weir filter push` makes artifacts of the right form")]
    NoFilter {
        /// What was asked for.
        name: String,
        /// What it is.
        reason: String,
    },
    /// It is larger than it may be.
    #[error("{name} is too large: {what} has more than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        name: String,
        /// Which part of it.
        what: &'static str,
        /// The most that is taken.
        limit: u64,
    },
    /// The bytes are not those that the digest names.
    #[error(
        "the registry gave other bytes for {name} than those of the digest {expected}: they were tampered with or \
         damaged; push the filter again"
    )]
    Digest {
        /// What was asked for.
        name: String,
        /// What they should be.
        expected: String,
    },
    /// It answers with another status than it should.
    #[error("{host} answers {status} to a request for {name}; its log may say why")]
    Refused {
        /// Host and port.
        host: String,
        /// What was asked for.
        name: String,
        /// Status of HTTP.
        status: u16,
    },
    /// It takes too long.
    #[error("{name} wasn't there within {} s (limits.pull_seconds)", .patience.as_secs())]
    Late {
        /// What was asked for.
        name: String,
        /// How long it was waited for.
        patience: Duration,
    },
}
