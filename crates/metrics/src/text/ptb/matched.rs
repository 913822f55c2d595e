//! What a rule finds.

/// What a rule found at a position. The longest wins, and of equally long ones the first.
#[derive(Clone, Copy)]
pub(super) struct Match {
    /// Number of characters that decide which match is the longest.
    pub length: usize,
    /// Number of characters that become the token; the rest is read again.
    pub token: usize,
}

impl Match {
    /// A match that becomes a token as a whole; `None` for an empty one.
    pub fn whole(length: usize) -> Option<Self> {
        (length > 0).then_some(Self { length, token: length })
    }
}
