//! Who wrote a log, and which files hold it. Finding them on disk is [`LogRoot`](crate::LogRoot)'s part.

use std::sync::Arc;

use crate::inode::Inode;
use crate::reach::LogPath;
use crate::record::Stream;

/// The identity of one container instance, taken from the path of its log.
///
/// Empty strings stand for what the path doesn't tell: a plain file has only a `container`, which is
/// its path as the user gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub pod: String,
    /// Container name, or the path of a plain file, or `-` for standard input.
    pub container: String,
    /// Restart count of the container (kubelet's `<restart>.log`).
    pub restart: u32,
    /// Pod uid as in the directory's name (32 hex digits without dashes for static pods).
    pub uid: String,
    /// Container id, where the path tells it (Docker's `<id>-json.log`).
    pub container_id: String,
}

/// All files of one container instance, oldest first.
#[derive(Clone, Debug)]
pub struct LogSet {
    /// Whose log it is.
    pub source: Source,
    /// Its files, oldest first: rotated ones, then the live one.
    pub files: Vec<LogFile>,
    /// The directories that its files are in, the one that names the container first. Empty for a pipe.
    pub dirs: Vec<LogPath>,
}

/// One file of a [`LogSet`].
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Where the bytes are.
    pub input: Input,
    /// Size in bytes as found on disk (compressed, for gzip); 0 for streams.
    pub size: u64,
    /// As found when the file was listed, so that a rotation after that doesn't pass off another file as this
    /// one. `None` where it wasn't looked at: then the first look counts.
    pub identity: Option<Inode>,
}

/// Where the bytes of a [`LogFile`] come from.
#[derive(Clone, Debug)]
pub enum Input {
    /// A regular file, read by `pread`.
    Plain(LogPath),
    /// A gzip file, possibly of several members.
    Gzip(LogPath),
    /// A pipe, read once, such as standard input.
    Pipe(Arc<std::fs::File>),
}

impl Input {
    /// The file's path; `None` for a pipe.
    pub fn path(&self) -> Option<&LogPath> {
        match self {
            Input::Plain(path) | Input::Gzip(path) => Some(path),
            Input::Pipe(_) => None,
        }
    }
}

/// How the lines of a file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `<RFC 3339 time> <stdout|stderr> <tags> <message>`, as CRI runtimes write.
    Cri,
    /// `{"log":"…\n","stream":"…","time":"…"}`, as Docker's json-file driver writes.
    JsonFile,
    /// Lines as they are.
    Plain,
}

/// A raw line that was taken apart, without its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineHead {
    /// Time of the line, nanoseconds since the epoch.
    pub time: i64,
    /// Stream it was written to.
    pub stream: Stream,
    /// Whether the writer's line goes on in the next line of the same stream.
    pub partial: bool,
}
