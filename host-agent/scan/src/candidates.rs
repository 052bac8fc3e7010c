//! The pass over a raw block: which of its lines may hold a wanted message.
//!
//! It may name lines in vain and never misses one. The expression of the matcher is run over the
//! whole block at once; lines that it can't judge are added: parts of joined lines, lines with escape
//! sequences in them, lines that are cut.

use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use memchr::{memchr, memchr_iter, memmem};

use crate::line_matcher::LineMatcher;
use crate::pattern::Matcher;
use crate::source::Format;
use crate::{cri, json_file};

/// The pass, with its buffers.
pub(crate) struct Candidates {
    searcher: Searcher,
    partial: memmem::Finder<'static>,
    escape: memmem::Finder<'static>,
    starts: Vec<usize>,
}

impl Candidates {
    pub(crate) fn new() -> Candidates {
        let searcher = SearcherBuilder::new()
            .line_number(false)
            .bom_sniffing(false)
            .binary_detection(BinaryDetection::none())
            .build();
        let (partial, escape) = (cri::partial_finder(), json_file::escape_finder());
        Candidates { searcher, partial, escape, starts: Vec::new() }
    }

    /// Finds the starts of the lines of `block`, a run of whole lines, that may hold a wanted message:
    /// [`Candidates::starts`], ascending.
    pub(crate) fn find(
        &mut self,
        matcher: Option<&Matcher>,
        format: Format,
        block: &[u8],
        line_bytes: usize,
    ) {
        self.starts.clear();
        let regex = matcher.and_then(|matcher| matcher.raw_line(format));
        if !regex.is_some_and(|regex| self.search(regex, block)) {
            self.starts.clear();
            self.starts.extend((!block.is_empty()).then_some(0));
            self.starts.extend(memchr_iter(b'\n', block).map(|newline| newline + 1));
            self.starts.pop_if(|last| *last == block.len());
            return;
        }
        let from_search = self.starts.len();
        let starts = &mut self.starts;
        match format {
            Format::Plain => cri::each_escape(block, |start| starts.push(start)),
            Format::Cri => {
                cri::each_escape(block, |start| starts.push(start));
                cri::each_partial(&self.partial, block, |start| starts.push(start));
            }
            Format::JsonFile => {
                json_file::each_odd_escape(&self.escape, block, |start| starts.push(start));
                json_file::each_suspect(block, |start| starts.push(start));
            }
        }
        // A cut message ends where its line doesn't.
        if block.len() > line_bytes {
            each_longer(block, line_bytes, |start| starts.push(start));
        }
        if starts.len() > from_search {
            starts.sort_unstable();
            starts.dedup();
        }
    }

    /// What [`Candidates::find`] found.
    pub(crate) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Whether the search went through; without it every line is a candidate.
    ///
    /// Measured against a loop of our own over the same matcher, grep-searcher costs the same within 1 %,
    /// be it 7 lines of a million that match or four of five.
    fn search(&mut self, regex: &LineMatcher, block: &[u8]) -> bool {
        self.searcher.search_slice(regex, block, Starts(&mut self.starts)).is_ok()
    }
}

/// Collects the starts of matching lines.
struct Starts<'a>(&'a mut Vec<usize>);

impl Sink for Starts<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        self.0.push(found.bytes_range_in_buffer().start);
        Ok(true)
    }
}

fn each_longer(block: &[u8], limit: usize, mut found: impl FnMut(usize)) {
    let mut start = 0;
    while start < block.len() {
        let end = memchr(b'\n', &block[start..]).map_or(block.len(), |newline| start + newline);
        if end - start > limit {
            found(start);
        }
        start = end + 1;
    }
}
