//! The bytes of one log file by offset, whether it is plain, compressed or a pipe.
//!
//! Plain files are read by `pread`, never mapped: a log is truncated under its readers. Compressed
//! files and pipes are streams of which a bounded window is kept.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::gap::GapReason;
use crate::interrupt::Interrupt;
use crate::reach::{LogPath, Opened};
use crate::source::Input;
use crate::stream::Stream;

/// What gzip data starts with (RFC 1952).
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why reading ended early.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: GapReason,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: GapReason, detail: impl ToString) -> Fault {
        Fault { reason, detail: detail.to_string() }
    }

    pub(crate) fn io(error: &io::Error) -> Fault {
        let reason = match error.kind() {
            ErrorKind::NotFound => GapReason::Vanished,
            _ => GapReason::Unreadable,
        };
        Fault::new(reason, error)
    }
}

/// How a stream is to be kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    /// Bytes of a compressed file to keep in memory.
    pub(crate) window: usize,
    /// Bytes of a pipe to keep in memory: as far back as a scan looks that goes forward.
    pub(crate) reach: usize,
    /// Any byte of a pipe may be asked for again, so what the window loses goes to a file.
    pub(crate) spool: bool,
    /// The end will be asked for first.
    pub(crate) backward: bool,
    /// Most bytes to decompress of one file, all passes together.
    pub(crate) gzip_output: u64,
    /// Ends reading early.
    pub(crate) interrupt: Interrupt,
}

/// One open file. After a fault it reads as if it ended there.
pub(crate) struct FileReader {
    kind: Kind,
    fault: Option<Fault>,
}

enum Kind {
    Plain(Plain),
    Stream(Box<Stream>),
}

/// Whether the file's content starts like gzip data.
pub(crate) fn is_gzip(file: &File) -> io::Result<bool> {
    let mut magic = [0; 2];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) => Ok(magic == GZIP_MAGIC),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl FileReader {
    /// Opens what `input` names; `opened` is the already open file for inputs that are paths.
    pub(crate) fn open(input: &Input, opened: Option<Opened>, keep: &Keep) -> Result<FileReader, Fault> {
        let open = |path: &LogPath| opened.map_or_else(|| path.open_regular(), Ok);
        let kind = match input {
            Input::Plain(path) => {
                let Opened { file, metadata } = open(path)?;
                Kind::Plain(Plain::new(Arc::new(file), 0, &metadata))
            }
            Input::Gzip(path) => Kind::Stream(Box::new(Stream::gzip(Arc::new(open(path)?.file), 0, keep))),
            Input::Pipe(file) => return FileReader::pipe(file, keep),
        };
        Ok(FileReader { kind, fault: None })
    }

    fn pipe(file: &Arc<File>, keep: &Keep) -> Result<FileReader, Fault> {
        let fault = |error: io::Error| Fault::io(&error);
        let metadata = file.metadata().map_err(fault)?;
        if metadata.is_file() {
            // Whoever handed the file over may have read a part of it already.
            let base = (&mut &**file).stream_position().map_err(fault)?;
            let mut magic = [0; 2];
            let is_gzip = file.read_exact_at(&mut magic, base).is_ok() && magic == GZIP_MAGIC;
            let kind = match is_gzip {
                true => Kind::Stream(Box::new(Stream::gzip(Arc::clone(file), base, keep))),
                false => Kind::Plain(Plain::new(Arc::clone(file), base, &metadata)),
            };
            return Ok(FileReader { kind, fault: None });
        }
        let kind = Kind::Stream(Box::new(Stream::pipe(Arc::clone(file), keep)?));
        Ok(FileReader { kind, fault: None })
    }

    /// Reads some bytes at `offset`, at least one unless the file ends there. Waits for a pipe's writer.
    pub(crate) fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> usize {
        let result = match &mut self.kind {
            Kind::Plain(plain) => plain.read_at(offset, buf),
            Kind::Stream(stream) => stream.read_at(offset, buf),
        };
        result.unwrap_or_else(|fault| {
            self.fault.get_or_insert(fault);
            0
        })
    }

    /// Length in bytes, decompressed. A stream is read to its end for it.
    pub(crate) fn len(&mut self) -> u64 {
        match &mut self.kind {
            Kind::Plain(plain) => plain.len,
            Kind::Stream(stream) => {
                if let Err(fault) = stream.run_to_end() {
                    self.fault.get_or_insert(fault);
                }
                stream.end()
            }
        }
    }

    /// Takes a plain file to end at `limit`, if it is longer.
    pub(crate) fn cut_at(&mut self, limit: u64) {
        if let Kind::Plain(plain) = &mut self.kind {
            plain.len = plain.len.min(limit);
        }
    }

    /// Finds out how long a plain file is now, so that what was added is read too.
    ///
    /// # Errors
    /// It is shorter than it was; without the fault when that was told before.
    pub(crate) fn grow(&mut self) -> Result<u64, Option<Fault>> {
        match &mut self.kind {
            Kind::Plain(plain) => plain.grow(),
            Kind::Stream(stream) => Ok(stream.end()),
        }
    }

    /// Another reader of the same open file, if it is a plain one.
    pub(crate) fn share(&self) -> Option<FileReader> {
        match &self.kind {
            Kind::Plain(plain) => Some(FileReader { kind: Kind::Plain(plain.clone()), fault: None }),
            Kind::Stream(_) => None,
        }
    }

    /// Whether any byte of it can be read without reading those before.
    pub(crate) fn is_seekable(&self) -> bool {
        matches!(&self.kind, Kind::Plain(_))
    }

    /// Whether more may still be written to what is read, so that reading can wait.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(&self.kind, Kind::Stream(stream) if stream.may_wait())
    }

    /// The fault that ended reading, the first time it is asked for.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Whether a plain file is shorter now than when it was opened; told as a fault.
    pub(crate) fn check_shrunk(&mut self) {
        if let Kind::Plain(plain) = &mut self.kind
            && let Err(fault) = plain.check_shrunk()
        {
            self.fault.get_or_insert(fault);
        }
    }
}

#[derive(Clone)]
struct Plain {
    file: Arc<File>,
    base: u64,
    /// As it was when opened or looked at last, so that a scan of a growing file ends.
    len: u64,
    shrunk: bool,
}

impl Plain {
    fn new(file: Arc<File>, base: u64, metadata: &Metadata) -> Plain {
        Plain { file, base, len: metadata.len().saturating_sub(base), shrunk: false }
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, Fault> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        loop {
            match self.file.read_at(&mut buf[..wanted], self.base + offset) {
                Ok(0) => {
                    let fault = self.shrunk_fault();
                    self.len = offset;
                    return fault.map_or(Ok(0), Err);
                }
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.len = offset;
                    return Err(Fault::io(&error));
                }
            }
        }
    }

    fn grow(&mut self) -> Result<u64, Option<Fault>> {
        if self.shrunk {
            return Err(None);
        }
        let now = self.file_len().map_err(Some)?;
        if now < self.len {
            return Err(self.shrunk_fault());
        }
        self.len = now;
        Ok(now)
    }

    fn file_len(&self) -> Result<u64, Fault> {
        let stat = rustix::fs::fstat(&self.file).map_err(|error| Fault::io(&error.into()))?;
        let len = u64::try_from(stat.st_size).expect("a file's length isn't negative");
        Ok(len.saturating_sub(self.base))
    }

    fn check_shrunk(&mut self) -> Result<(), Fault> {
        let now = self.file_len()?;
        if now < self.len { self.shrunk_fault().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// Says nothing of lengths: how long a line is may be more than whoever is told may know.
    fn shrunk_fault(&mut self) -> Option<Fault> {
        let first = !std::mem::replace(&mut self.shrunk, true);
        first.then(|| Fault::new(GapReason::Shrunk, "it is shorter than when it was opened"))
    }
}
