//! Panics of decoders become errors that name the file.

use super::refusal::{Decoded, Refusal};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`. If it panics, the file is refused, and the panic is not printed: nothing but the file is wrong.
///
/// The first call replaces the process's panic hook by one that is silent for threads which decode, and otherwise calls the
/// hook that was there.
///
/// # Errors
/// Those of `decode`, or a panic.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Decoded<T>) -> Decoded<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let other = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_DECODING.get() {
                other(info);
            }
        }));
    });
    let before = IS_DECODING.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    IS_DECODING.set(before);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        let text = text.lines().next().unwrap_or_default();
        Err(Refusal::new(format!("the decoder failed ({text})"), "save it as png"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_panic_is_an_error_that_names_the_file() {
        let panics = || -> Decoded<()> { panic!("attempt to {}\nnote", "overflow") };
        let error = guarded(panics).unwrap_err().of(Path::new("a.tif")).to_string();
        assert_eq!(error, "a.tif: the decoder failed (attempt to overflow); save it as png");
        assert!(guarded(|| Ok(3)).is_ok_and(|three| three == 3));
    }
}
