//! How far each run of a writer came, told beside the log: in a small file that outlives the writer's death.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::Stream;

/// Name of the file in a ledger's folder that asks every writer to stop writing and to stay alive.
pub const STOP: &str = "stop";

/// Most runs of one writer.
const RUNS: u32 = 10_000;

/// Bytes of one stream's entry: lines begun, lines done, whether it is idle.
const ENTRY: usize = 24;

/// How far one stream of a run came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of the last line of which a byte may have been written.
    pub begun: u64,
    /// Number of the last line that was written to its end.
    pub done: u64,
    /// It was asked to stop and writes no more.
    pub idle: bool,
}

/// How far both streams of a run came, in the order of [`Stream::BOTH`].
pub type Account = [Progress; 2];

/// The file of one run: `NAME.RUN`, made by the run itself.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Takes the first number that no run of this writer had, and starts its file.
    ///
    /// # Errors
    ///
    /// When the folder can't be written to, or after 10,000 runs.
    pub fn create(dir: &Path, writer: &str) -> io::Result<(u32, Ledger)> {
        for run in 0..RUNS {
            match OpenOptions::new().write(true).create_new(true).open(dir.join(format!("{writer}.{run}"))) {
                Ok(file) => return Ok((run, Ledger(file))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{writer} ran {RUNS} times")))
    }

    /// Notes how far a stream came. It is known to others at once, whatever becomes of the writer.
    ///
    /// # Errors
    ///
    /// Those of writing a file.
    pub fn note(&self, stream: Stream, progress: Progress) -> io::Result<()> {
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&progress.begun.to_le_bytes());
        entry[8..16].copy_from_slice(&progress.done.to_le_bytes());
        entry[16] = u8::from(progress.idle);
        self.0.write_all_at(&entry, if stream == Stream::Stdout { 0 } else { ENTRY as u64 })
    }

    /// Reads what a run noted. Entries that it hasn't written yet are zero.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub fn read(path: &Path) -> io::Result<Account> {
        let mut bytes = std::fs::read(path)?;
        bytes.resize(2 * ENTRY, 0);
        let number =
            |at: usize| bytes[at..at + 8].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        Ok([0, ENTRY].map(|at| Progress {
            begun: number(at),
            done: number(at + 8),
            idle: bytes[at + 16] != 0,
        }))
    }
}
