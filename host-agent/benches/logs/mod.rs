//! The logs that benches search: the same lines in every run, of every size.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a log of CRI lines, and hands each line to `also`, until it has `bytes` bytes or slightly more.
/// `first` is the number of its first line; other numbers give other lines.
pub(crate) fn write_cri(
    path: &Path,
    bytes: usize,
    first: u64,
    mut also: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut written = 0;
    for number in first.. {
        if written >= bytes {
            break;
        }
        let line = cri_line(number);
        out.write_all(line.as_bytes())?;
        also(&line)?;
        written += line.len();
    }
    out.flush()
}

/// The same line as Docker's json-file driver writes it.
pub(crate) fn json_line(cri: &str) -> String {
    let (head, message) = cri.split_at(cri.find(" F ").expect("a tag") + 3);
    let time = head.split(' ').next().expect("a time");
    let message = message.trim_end().replace('"', "\\\"");
    format!("{{\"log\":\"{message}\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n")
}

/// A line as an HTTP server in a container writes them, about 200 bytes, ten each second; one in twenty is an
/// error.
fn cri_line(number: u64) -> String {
    // A few rounds of a multiplicative generator: the same log in every run.
    let random = |salt: u64| {
        let mixed = (number ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
    };
    let level = if random(1).is_multiple_of(20) { "error" } else { "info" };
    let path = ["/", "/cart", "/login", "/api/items", "/about", "/static/site.css"][(random(2) % 6) as usize];
    let needle = if random(3).is_multiple_of(200_000) { " needle-in-the-log" } else { "" };
    let id = if random(7).is_multiple_of(100_000) {
        format!(" {:08x}-{:04x}", random(8) as u32, random(9) as u16)
    } else {
        String::new()
    };
    let seconds = number / 10;
    format!(
        "2026-11-{:02}T{:02}:{:02}:{:02}.{:09}Z stdout F ts={number} level={level} msg=\"GET {path}\" status={} user=u{:05} \
         bytes={} duration={}us agent=\"Mozilla/5.0 (X11; Linux x86_64) Gecko\"{needle}{id}\n",
        1 + seconds / 86_400 % 28,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        number % 10 * 100_000_000,
        [200, 200, 200, 304, 404, 500][(random(4) % 6) as usize],
        random(5) % 100_000,
        random(6) % 65_536,
        random(10) % 1_000_000,
    )
}
