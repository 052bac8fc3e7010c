//! The buffers that a block is searched with. A step takes them and gives them back, so that a thread
//! that steps hundreds of scanners in turn needs them once, and finds them in its cache.

use std::cell::Cell;

use crate::candidates::Candidates;
use crate::lines::Line;
use crate::record::Record;

/// Larger buffers, left over from a long line, aren't kept.
const KEPT_BYTES: usize = 512 << 10;

thread_local! {
    static SPARE: Cell<Option<Workspace>> = const { Cell::new(None) };
}

/// What only counts while a block is searched.
pub(crate) struct Workspace {
    pub(crate) candidates: Candidates,
    pub(crate) buffers: Buffers,
}

/// The bytes of a block, of lines beside it, of a joined message and of a part of one; and the block's matches.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) block: Vec<u8>,
    pub(crate) window: Vec<u8>,
    pub(crate) joined: Vec<u8>,
    pub(crate) part: Vec<u8>,
    pub(crate) found: Vec<(Line, Record)>,
}

impl Workspace {
    /// The spare one of this thread, or a new one.
    pub(crate) fn take() -> Workspace {
        SPARE
            .take()
            .unwrap_or_else(|| Workspace { candidates: Candidates::new(), buffers: Buffers::default() })
    }

    /// Keeps it for the next step on this thread.
    pub(crate) fn give_back(mut self) {
        let Buffers { block, window, joined, part, found: _ } = &mut self.buffers;
        for buffer in [block, window, joined, part] {
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        SPARE.set(Some(self));
    }
}
