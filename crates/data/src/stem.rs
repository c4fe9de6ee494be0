//! The name of a file without its folder and extension.

use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The file name of a path inside a data set, without its extension.
pub(crate) fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// The name with composed letters (Unicode's NFC), so that names compare as they look: macOS may write `ö` as `o` and a
/// diaeresis.
pub fn composed(name: &str) -> Cow<'_, str> {
    if is_nfc(name) { Cow::Borrowed(name) } else { Cow::Owned(name.nfc().collect()) }
}
