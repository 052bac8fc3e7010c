//! How far in time a scan has come: what the merge of several sources waits for.

use crate::scanner::Scanner;
use crate::source::Format;

/// How many lines at a block's edge are tried for a time.
const EDGE_LINES: usize = 16;

/// Most neighbours ahead of a match that the frontier allows for; with more, it isn't known.
const LEAD_WALK: usize = 1000;

impl Scanner {
    /// A bound on what is still to come: no record is older (forward) or newer (backward) than this, as
    /// far as the times in the files are in order. `None` when that isn't known yet.
    pub fn frontier(&self) -> Option<i64> {
        self.frontier
    }

    /// Sets the frontier to the time at the block's last edge in scan order, or as far ahead of it as a
    /// neighbour of a match beyond it can be.
    pub(crate) fn move_frontier(&mut self, file: usize) {
        let backward = self.backward();
        let edge = self.time_at_edge(file, !backward);
        self.units.lines.files.edge = edge.or(self.units.lines.files.edge);
        if self.context.lead == 0 {
            self.frontier = edge.or(self.frontier);
        } else if self.context.lead <= LEAD_WALK {
            let mut at = self.units.lines.block_edge(file, !backward);
            // The line at the edge may be a part of a record and no record itself.
            for _ in 0..=self.context.lead {
                let Some(line) = at else { break };
                at = self.units.neighbour(line, backward, None);
                if let Some(head) = self.units.lines.head(line) {
                    self.frontier = Some(head.time);
                }
            }
        }
    }

    /// Time of the newest or oldest line of the block, or of one near that has a time.
    pub(crate) fn time_at_edge(&mut self, file: usize, newest: bool) -> Option<i64> {
        let lines = &mut self.units.lines;
        // No line of it has a time, so it isn't worth reading beyond the block to look for one.
        if lines.format(file) == Format::Plain {
            return None;
        }
        let mut at = lines.block_edge(file, newest);
        for _ in 0..EDGE_LINES {
            let line = at?;
            if let Some(head) = lines.head(line) {
                return Some(head.time);
            }
            at = match newest {
                true => lines.line_before(file, line.start),
                false => lines.line_at(file, line.next),
            };
        }
        None
    }
}
