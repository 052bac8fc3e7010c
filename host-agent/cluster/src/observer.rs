//! What the reviewer tells whoever counts: metrics live outside of this crate.

/// Is told of reviews. What isn't implemented isn't counted.
pub trait Observer: Send + Sync + 'static {
    /// The API server was asked, and has answered or not.
    fn reviewed(&self, _review: Review, _verdict: Verdict) {}

    /// An answer was known already, or was on its way.
    fn known(&self, _review: Review) {}
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Review {
    /// Whose token it is.
    Token,
    /// Whether a user may read.
    Access,
}

impl Review {
    /// The review in one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Review::Token => "token",
            Review::Access => "access",
        }
    }
}

/// How a review ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The token is somebody's; the user may.
    Allowed,
    /// The token is nobody's; the user may not.
    Denied,
    /// There was no answer.
    Failed,
}

impl Verdict {
    pub(crate) fn of(is_allowed: bool) -> Verdict {
        if is_allowed { Verdict::Allowed } else { Verdict::Denied }
    }

    /// The verdict in one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Allowed => "allowed",
            Verdict::Denied => "denied",
            Verdict::Failed => "failed",
        }
    }
}
