//! What others have published: the values of `published.toml`, which tables put beside their own.

mod counts;
mod edition;
mod file;
mod id;
mod score;

pub use counts::{Counts, Quantity};
pub use edition::{EDITION, first_edition, is_first_edition};
pub use id::{CountsId, PublishedId};
pub use score::Published;

pub(crate) use file::{note, source};
