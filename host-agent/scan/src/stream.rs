//! Files that can only be read from their start: compressed ones, and pipes. The latest bytes are kept
//! in memory; older ones are decoded again, or come from a file that a pipe was copied to.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::gap::GapReason;
use crate::gzip::Members;
use crate::interrupt::Interrupt;
use crate::reader::{Fault, GZIP_MAGIC, Keep};

/// Most that a stream gives at once.
const CHUNK: usize = 64 << 10;

/// What it gives first: enough for those who only want to see how it begins.
const FIRST_CHUNK: usize = 4 << 10;

/// A stream with its latest bytes in memory.
pub(crate) struct Stream {
    source: Box<dyn Read + Send>,
    /// How to start anew, for streams that can: the file, and where in it the stream starts.
    restart: Option<(Arc<File>, u64)>,
    /// Everything read so far, for a pipe that may be asked for older bytes.
    spool: Option<File>,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    start: u64,
    keep: usize,
    /// What lies before was read again only to get to what lies behind.
    floor: u64,
    ended: bool,
    budget: Option<Budget>,
    interrupt: Interrupt,
}

/// What may still be decompressed.
struct Budget {
    limit: u64,
    left: u64,
    /// The end of the budget is told once.
    told: bool,
}

impl Stream {
    fn new(source: Box<dyn Read + Send>, window: usize, keep: &Keep) -> Stream {
        Stream {
            source,
            restart: None,
            spool: None,
            window: Vec::new(),
            start: 0,
            keep: window,
            floor: 0,
            ended: false,
            budget: None,
            interrupt: keep.interrupt.clone(),
        }
    }

    /// A gzip file, of which the compressed data starts at `base`.
    pub(crate) fn gzip(file: Arc<File>, base: u64, keep: &Keep) -> Stream {
        let source = decoder(Arc::clone(&file), base);
        let budget = Some(Budget::new(keep));
        Stream { restart: Some((file, base)), budget, ..Stream::new(source, keep.window, keep) }
    }

    /// A pipe, decompressed when it starts like gzip data. Waits for its first bytes.
    pub(crate) fn pipe(file: Arc<File>, keep: &Keep) -> Result<Stream, Fault> {
        let (source, is_gzip) = decoded_pipe(file).map_err(|error| Fault::io(&error))?;
        let mut stream = Stream::new(source, keep.reach.saturating_mul(2), keep);
        stream.budget = is_gzip.then(|| Budget::new(keep));
        if keep.spool || keep.backward {
            stream.spool = Some(tempfile::tempfile().map_err(|error| Fault::io(&error))?);
        }
        Ok(stream)
    }

    /// Whether reading can wait for a writer.
    pub(crate) fn may_wait(&self) -> bool {
        self.restart.is_none()
    }

    /// Offset behind the last byte read so far.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    /// Reads some bytes at `offset`, at least one unless the stream ends there.
    pub(crate) fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, Fault> {
        if offset < self.start {
            if let Some(spool) = &self.spool {
                let wanted = buf.len().min(usize::try_from(self.start - offset).unwrap_or(usize::MAX));
                return spool.read_at(&mut buf[..wanted], offset).map_err(|error| Fault::io(&error));
            }
            if !self.restart_for(offset, buf.len())? {
                return Ok(0);
            }
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

    /// Reads all there is, keeping the end.
    pub(crate) fn run_to_end(&mut self) -> Result<(), Fault> {
        while !self.ended {
            self.fill()?;
        }
        Ok(())
    }

    /// Starts anew, to get to `count` bytes at `offset` with as much before them as is kept. Whoever reads
    /// backward wants that next. `false` when that can't be.
    fn restart_for(&mut self, offset: u64, count: usize) -> Result<bool, Fault> {
        let Some((file, base)) = &self.restart else {
            return Ok(false);
        };
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.left == 0) {
            budget.tell()?;
            return Ok(false);
        }
        self.source = decoder(Arc::clone(file), *base);
        let end = offset.saturating_add((count + CHUNK) as u64);
        self.floor = end.saturating_sub(self.keep as u64).min(offset);
        (self.start, self.ended) = (0, false);
        self.window.clear();
        Ok(true)
    }

    /// Lets go of the window's first bytes.
    fn forget(&mut self, count: usize) {
        let count = count.min(self.window.len());
        self.window.drain(..count);
        self.start += count as u64;
    }

    /// Reads what there is, waiting for at least one byte, and lets go of what no longer fits.
    fn fill(&mut self) -> Result<(), Fault> {
        if self.interrupt.is_interrupted() {
            self.ended = true;
            return Ok(());
        }
        let below_floor = usize::try_from(self.floor.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.forget(below_floor);
        if self.window.len() > self.keep {
            self.forget(self.window.len() - self.keep / 2);
        }
        let old = self.window.len();
        let chunk = if self.end() == 0 { FIRST_CHUNK } else { CHUNK };
        let left = self.budget.as_ref().map_or(u64::MAX, |budget| budget.left);
        // At the limit, one byte more tells whether there is more.
        let chunk = chunk.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1);
        self.window.resize(old + chunk, 0);
        let result = loop {
            match self.source.read(&mut self.window[old..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.window.truncate(old + result.as_ref().copied().unwrap_or(0));
        self.ended = !matches!(result, Ok(1..));
        let count = result.map_err(|error| stream_fault(&error))?;
        if let Some(budget) = &mut self.budget {
            if count > 0 && budget.left == 0 {
                self.window.truncate(old);
                self.ended = true;
                return budget.tell();
            }
            budget.left -= count as u64;
        }
        if let Some(spool) = &mut self.spool {
            let written = spool.write_all(&self.window[old..old + count]);
            if let Err(error) = written {
                self.ended = true;
                return Err(Fault::new(GapReason::Unreadable, format!("can't keep what was read: {error}")));
            }
        }
        Ok(())
    }
}

impl Budget {
    fn new(keep: &Keep) -> Budget {
        Budget { limit: keep.gzip_output, left: keep.gzip_output, told: false }
    }

    /// To be called when more is asked for than is left.
    fn tell(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        let detail = format!("more than {} bytes to decompress (limit gzip_output_bytes)", self.limit);
        Err(Fault::new(GapReason::GzipLimit, detail))
    }
}

fn stream_fault(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            Fault::new(GapReason::TruncatedGzip, "the compressed data ends too early")
        }
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::Other => {
            Fault::new(GapReason::CorruptGzip, error)
        }
        _ => Fault::io(error),
    }
}

fn decoder(file: Arc<File>, base: u64) -> Box<dyn Read + Send> {
    let compressed = BufReader::with_capacity(CHUNK, Sequential { file, at: base });
    Box::new(Members::new(compressed))
}

/// What a pipe holds, decompressed, and whether it was compressed.
fn decoded_pipe(file: Arc<File>) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut magic = Vec::new();
    (&*file).take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
    let is_gzip = magic == GZIP_MAGIC;
    let all = io::Cursor::new(magic).chain(SharedFile(file));
    let source: Box<dyn Read + Send> = match is_gzip {
        true => Box::new(Members::new(BufReader::with_capacity(CHUNK, all))),
        false => Box::new(all),
    };
    Ok((source, is_gzip))
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
