//! Vectors that are written once: zeroing a batch first would cost a tenth of the time that making it takes.

use std::mem::MaybeUninit;

/// A vector of `length` elements that `fill` writes, and the result of `fill`.
///
/// # Safety
/// `fill` must write every element.
pub(crate) unsafe fn filled_vec<T: Copy, R>(
    length: usize,
    fill: impl FnOnce(&mut [MaybeUninit<T>]) -> R,
) -> (Vec<T>, R) {
    let mut elements = Vec::with_capacity(length);
    let result = fill(&mut elements.spare_capacity_mut()[..length]);
    // SAFETY: the capacity is there, and by this function's contract `fill` has written all elements.
    unsafe { elements.set_len(length) };
    (elements, result)
}
