//! Which columns of a record a filter reads. What it does not ask for is not copied into the sandbox.

/// A set of columns, at least one of which a filter must ask for.
///
/// ```
/// use weir_sdk::Columns;
///
/// const COLUMNS: Columns = Columns::MESSAGE.with(Columns::TIMESTAMP);
/// assert!(COLUMNS.contains(Columns::TIMESTAMP) && !COLUMNS.contains(Columns::ATTRS));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns(u8);

impl Columns {
    /// The message bytes: [`Line::message`](crate::Line::message).
    pub const MESSAGE: Columns = Columns(1);
    /// The time of a record: [`Line::time_ns`](crate::Line::time_ns).
    pub const TIMESTAMP: Columns = Columns(2);
    /// Stream and marks: [`Line::stream`](crate::Line::stream), [`Line::is_truncated`](crate::Line::is_truncated),
    /// [`Line::is_malformed`](crate::Line::is_malformed).
    pub const ATTRS: Columns = Columns(4);
    /// All of them.
    pub const ALL: Columns = Columns(7);

    /// These columns and those of `other`.
    #[must_use]
    pub const fn with(self, other: Columns) -> Columns {
        Columns(self.0 | other.0)
    }

    /// Whether all columns of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Columns) -> bool {
        self.0 & other.0 == other.0
    }
}
