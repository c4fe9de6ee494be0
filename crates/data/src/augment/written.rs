//! Lists that are written once: clearing a batch first would cost as much time as a tenth of making it.

use std::mem::MaybeUninit;

/// `length` elements that `fill` writes, and whatever else it gives.
///
/// # Safety
/// `fill` writes every element.
pub(crate) unsafe fn written<T: Copy, R>(length: usize, fill: impl FnOnce(&mut [MaybeUninit<T>]) -> R) -> (Vec<T>, R) {
    let mut elements = Vec::with_capacity(length);
    let result = fill(&mut elements.spare_capacity_mut()[..length]);
    // SAFETY: the capacity is there, and by the contract of this function `fill` has written all of them.
    unsafe { elements.set_len(length) };
    (elements, result)
}
