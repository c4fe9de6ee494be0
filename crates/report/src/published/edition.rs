//! The edition of the texts of `published.toml`, for keys.

/// Raised when a value, a source or a note of `published.toml` changes: a stage that prints them has it in its key, so that what is
/// in a cache is written again. Without published values a stage has edition 1, whatever this is.
pub const EDITION: u32 = 2;

/// Edition 1 is left out of keys, which it was never in.
pub fn is_first_edition(edition: &u32) -> bool {
    *edition <= 1
}

/// The edition of a stage without published values.
pub fn first_edition() -> u32 {
    1
}
