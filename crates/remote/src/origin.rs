//! Who pushed a record to the shared cache.

use crate::signing::PublicKey;

/// Who pushed a record, and when. Who made it is in the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The user's name on that machine.
    pub user: String,
    /// The machine.
    pub host: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The key that signed it. The signature fits; whether the key is trusted is another question.
    pub signed_by: Option<PublicKey>,
}
