//! Which records came too late: behind newer ones of others that were given before them.

use weir_scan::{Flags, Record};

/// What was given while following, as far as it tells which records come late.
#[derive(Debug, Default)]
pub struct Lateness {
    /// The newest record given, and its lane.
    newest: Option<(i64, usize)>,
    /// The newest given of any other lane.
    newest_of_others: Option<i64>,
}

impl Lateness {
    /// Marks those records of a lane, which are given next, that come behind newer ones of other lanes.
    pub fn mark(&mut self, lane: usize, records: &mut [Record]) {
        let others = match self.newest {
            Some((_, of)) if of == lane => self.newest_of_others,
            newest => newest.map(|(time, _)| time),
        };
        for record in records {
            let Some(time) = record.time else { continue };
            if others > Some(time) {
                record.flags.set(Flags::LATE);
            }
            match &mut self.newest {
                Some((newest, of)) if *of == lane => *newest = (*newest).max(time),
                Some((newest, _)) if *newest > time => {
                    self.newest_of_others = self.newest_of_others.max(Some(time))
                }
                newest => {
                    self.newest_of_others = newest.map(|(time, _)| time);
                    *newest = Some((time, lane));
                }
            }
        }
    }
}
