//! What CUDA's libraries refused to do.

use std::sync::{Mutex, PoisonError};

/// The refusals of this process, each once, in order.
static REFUSALS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes that a library, or one of its algorithms, refused work that other code then did.
pub(super) fn note_refusal(what: &str) {
    let mut refusals = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner);
    if !refusals.iter().any(|known| known == what) {
        refusals.push(what.to_owned());
    }
}

/// What libraries refused in this process and other code did instead, perhaps more slowly: for records.
pub fn refusals() -> Vec<String> {
    REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
