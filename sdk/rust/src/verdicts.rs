//! Verdicts in the contract's encoding: one code per line, one arena for new messages, one for added fields.

/// Code: the line passes as it is.
pub(crate) const KEEP: u8 = 0;
/// Code: the line is left out.
pub(crate) const DROP: u8 = 1;
/// Code: the line passes with a new message.
pub(crate) const REPLACE: u8 = 2;
/// Code: this line and all later ones of the query are left out.
pub(crate) const STOP: u8 = 3;

/// The verdicts of one batch, as the contract encodes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// One code per record: 0 keep, 1 drop, 2 replace, 3 stop.
    pub codes: Vec<u8>,
    /// For each code 2: where its bytes end in `replaced_bytes`.
    pub replaced_ends: Vec<u32>,
    /// New messages, one after the other.
    pub replaced_bytes: Vec<u8>,
    /// Indices of the records with added fields.
    pub annotated: Vec<u32>,
    /// For each of those: where its object ends in `annotation_bytes`.
    pub annotation_ends: Vec<u32>,
    /// JSON objects, one after the other.
    pub annotation_bytes: Vec<u8>,
}

impl Verdicts {
    pub(crate) fn with_capacity(lines: usize) -> Verdicts {
        Verdicts { codes: Vec::with_capacity(lines), ..Verdicts::default() }
    }

    /// Adds a verdict that carries no bytes.
    #[inline]
    pub(crate) fn push(&mut self, code: u8) {
        self.codes.push(code);
    }

    /// Adds a verdict "replace by these bytes".
    pub(crate) fn push_replaced(&mut self, message: &[u8]) {
        self.codes.push(REPLACE);
        self.replaced_bytes.extend_from_slice(message);
        self.replaced_ends.push(offset(self.replaced_bytes.len()));
    }

    /// Gives the line whose verdict comes next the fields of `object`, a JSON object.
    pub(crate) fn annotate_next(&mut self, object: &[u8]) {
        self.annotated.push(offset(self.codes.len()));
        self.annotation_bytes.extend_from_slice(object);
        self.annotation_ends.push(offset(self.annotation_bytes.len()));
    }

    /// Leaves out all lines from here to the end of a batch of `lines`.
    pub(crate) fn stop(&mut self, lines: usize) {
        self.codes.resize(lines, STOP);
    }
}

/// The line on which a batch failed. The filter lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessError {
    /// Index of the line in its batch.
    pub index: u32,
    /// What went wrong, in one line.
    pub message: String,
}

/// Arena offsets are 32 bits wide in the contract, and so is a guest's memory.
fn offset(len: usize) -> u32 {
    u32::try_from(len).expect("a batch's output is far below 4 GiB, which a guest cannot even address")
}
