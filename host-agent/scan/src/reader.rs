//! The bytes of one log file by offset, whether it is plain, compressed or a pipe.
//!
//! Plain files are read by `pread`, never mapped: a log is truncated under its readers. Compressed
//! files and pipes are streams of which a bounded window is kept.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use rustix::fs::OFlags;

use crate::gap::GapReason;
use crate::source::Input;

/// What gzip data starts with (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Most that a stream gives at once.
const CHUNK: usize = 64 << 10;

/// Why reading ended early.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: GapReason,
    pub(crate) detail: String,
}

impl Fault {
    fn new(reason: GapReason, detail: impl ToString) -> Fault {
        Fault {
            reason,
            detail: detail.to_string(),
        }
    }

    fn io(error: &io::Error) -> Fault {
        let reason = match error.kind() {
            ErrorKind::NotFound => GapReason::Vanished,
            _ => GapReason::Unreadable,
        };
        Fault::new(reason, error)
    }
}

/// How a stream is to be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Bytes of a compressed file to keep in memory.
    pub(crate) window: usize,
    /// Bytes of a pipe to keep in memory: as far back as a scan looks that goes forward.
    pub(crate) reach: usize,
    /// Any byte of a pipe may be asked for again, so what the window loses goes to a file.
    pub(crate) spool: bool,
    /// The end will be asked for first.
    pub(crate) backward: bool,
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

/// Opens a path for reading, and only if it is a regular file. Never waits for a writer of a FIFO.
pub(crate) fn open_regular(path: &Path) -> Result<File, Fault> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).expect("open flags fit into a C int");
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| Fault::io(&error))?;
    let kind = file
        .metadata()
        .map_err(|error| Fault::io(&error))?
        .file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(Fault::new(GapReason::NotRegular, "not a regular file"))
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
    /// Opens what `input` names; `file` is the already open file for inputs that are paths.
    pub(crate) fn open(input: &Input, file: Option<File>, keep: Keep) -> Result<FileReader, Fault> {
        let open = |path| file.map_or_else(|| open_regular(path), Ok);
        let kind = match input {
            Input::Plain(path) => Kind::Plain(Plain::new(Arc::new(open(path)?), 0)?),
            Input::Gzip(path) => {
                Kind::Stream(Box::new(Stream::gzip(Arc::new(open(path)?), 0, keep)))
            }
            Input::Pipe(file) => return FileReader::pipe(file, keep),
        };
        Ok(FileReader { kind, fault: None })
    }

    fn pipe(file: &Arc<File>, keep: Keep) -> Result<FileReader, Fault> {
        let fault = |error: io::Error| Fault::io(&error);
        if file.metadata().map_err(fault)?.is_file() {
            // Whoever handed the file over may have read a part of it already.
            let base = (&mut &**file).stream_position().map_err(fault)?;
            let mut magic = [0; 2];
            let is_gzip = file.read_exact_at(&mut magic, base).is_ok() && magic == GZIP_MAGIC;
            let kind = match is_gzip {
                true => Kind::Stream(Box::new(Stream::gzip(Arc::clone(file), base, keep))),
                false => Kind::Plain(Plain::new(Arc::clone(file), base)?),
            };
            return Ok(FileReader { kind, fault: None });
        }
        let (source, magic_fault) = decoded_pipe(Arc::clone(file));
        let mut stream = Stream::new(source, None, keep.reach.saturating_mul(2));
        if keep.spool || keep.backward {
            stream.spool = Some(tempfile::tempfile().map_err(fault)?);
        }
        Ok(FileReader {
            kind: Kind::Stream(Box::new(stream)),
            fault: magic_fault,
        })
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

    /// Whether more may still be written to what is read, so that reading can wait.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(&self.kind, Kind::Stream(stream) if stream.restart.is_none())
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

struct Plain {
    file: Arc<File>,
    base: u64,
    /// As it was when opened, so that a scan of a growing file ends.
    len: u64,
    shrunk: bool,
}

impl Plain {
    fn new(file: Arc<File>, base: u64) -> Result<Plain, Fault> {
        let len = file.metadata().map_err(|error| Fault::io(&error))?.len();
        Ok(Plain {
            file,
            base,
            len: len.saturating_sub(base),
            shrunk: false,
        })
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
                    let fault = self.shrunk_fault(offset);
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

    fn check_shrunk(&mut self) -> Result<(), Fault> {
        let now = self
            .file
            .metadata()
            .map_err(|error| Fault::io(&error))?
            .len();
        let now = now.saturating_sub(self.base);
        if now < self.len {
            self.shrunk_fault(now).map_or(Ok(()), Err)
        } else {
            Ok(())
        }
    }

    fn shrunk_fault(&mut self, now: u64) -> Option<Fault> {
        let detail = format!("had {} bytes when opened, then only {now}", self.len);
        let first = !std::mem::replace(&mut self.shrunk, true);
        first.then(|| Fault::new(GapReason::Shrunk, detail))
    }
}

/// A stream with its latest bytes in memory.
struct Stream {
    source: Box<dyn Read + Send>,
    /// How to start anew, for streams that can: the file, and where in it the stream starts.
    restart: Option<(Arc<File>, u64)>,
    /// Everything read so far, for a pipe that may be asked for older bytes.
    spool: Option<File>,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    start: u64,
    keep: usize,
    ended: bool,
}

impl Stream {
    fn new(source: Box<dyn Read + Send>, restart: Option<(Arc<File>, u64)>, keep: usize) -> Stream {
        Stream {
            source,
            restart,
            spool: None,
            window: Vec::new(),
            start: 0,
            keep,
            ended: false,
        }
    }

    fn gzip(file: Arc<File>, base: u64, keep: Keep) -> Stream {
        let source = decoder(Arc::clone(&file), base);
        Stream::new(source, Some((file, base)), keep.window)
    }

    fn end(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, Fault> {
        if offset < self.start {
            if let Some(spool) = &self.spool {
                let wanted = buf
                    .len()
                    .min(usize::try_from(self.start - offset).unwrap_or(usize::MAX));
                return spool
                    .read_at(&mut buf[..wanted], offset)
                    .map_err(|error| Fault::io(&error));
            }
            let Some((file, base)) = &self.restart else {
                return Ok(0);
            };
            self.source = decoder(Arc::clone(file), *base);
            (self.start, self.ended) = (0, false);
            self.window.clear();
        }
        while offset >= self.end() {
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let from = usize::try_from(offset - self.start).expect("the window is in memory");
        let count = buf.len().min(self.window.len() - from);
        buf[..count].copy_from_slice(&self.window[from..from + count]);
        Ok(count)
    }

    fn run_to_end(&mut self) -> Result<(), Fault> {
        while !self.ended {
            self.fill()?;
        }
        Ok(())
    }

    /// Reads what there is, waiting for at least one byte, and lets go of what no longer fits.
    fn fill(&mut self) -> Result<(), Fault> {
        if self.window.len() > self.keep {
            let surplus = self.window.len() - self.keep / 2;
            self.window.drain(..surplus);
            self.start += surplus as u64;
        }
        let old = self.window.len();
        self.window.resize(old + CHUNK, 0);
        let result = loop {
            match self.source.read(&mut self.window[old..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.window
            .truncate(old + result.as_ref().copied().unwrap_or(0));
        self.ended = !matches!(result, Ok(1..));
        let count = result.map_err(|error| stream_fault(&error))?;
        if let Some(spool) = &mut self.spool {
            let written = spool.write_all(&self.window[old..old + count]);
            if let Err(error) = written {
                self.ended = true;
                return Err(Fault::new(
                    GapReason::Unreadable,
                    format!("can't keep what was read: {error}"),
                ));
            }
        }
        Ok(())
    }
}

fn stream_fault(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::UnexpectedEof => Fault::new(
            GapReason::TruncatedGzip,
            "the compressed data ends too early",
        ),
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::Other => {
            Fault::new(GapReason::CorruptGzip, error)
        }
        _ => Fault::io(error),
    }
}

fn decoder(file: Arc<File>, base: u64) -> Box<dyn Read + Send> {
    let compressed = BufReader::with_capacity(CHUNK, Sequential { file, at: base });
    Box::new(MultiGzDecoder::new(compressed))
}

/// A pipe's bytes, decompressed when they start like gzip data.
fn decoded_pipe(file: Arc<File>) -> (Box<dyn Read + Send>, Option<Fault>) {
    let mut magic = Vec::new();
    let read = (&*file)
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut magic);
    let is_gzip = magic == GZIP_MAGIC;
    let all = io::Cursor::new(magic).chain(SharedFile(file));
    let source: Box<dyn Read + Send> = match is_gzip {
        true => Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, all))),
        false => Box::new(all),
    };
    (source, read.err().map(|error| Fault::io(&error)))
}

/// Reads a file from a place of its own, so that several readers don't move each other.
struct Sequential {
    file: Arc<File>,
    at: u64,
}

impl Read for Sequential {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buf, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

struct SharedFile(Arc<File>);

impl Read for SharedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}
