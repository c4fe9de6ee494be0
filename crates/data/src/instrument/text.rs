//! Text of unknown encoding, and the numbers in it.

use matssl_base::units;

/// UTF-16 with or without a byte-order mark, UTF-8, or Latin-1 if it is neither. NULs are dropped.
pub(super) fn decoded(bytes: &[u8]) -> String {
    // Latin letters in UTF-16 have a NUL in every other byte.
    let nuls_at = |odd: usize| bytes.iter().take(64).skip(odd).step_by(2).filter(|&&byte| byte == 0).count();
    let is_half = |nuls: usize| bytes.len() >= 8 && 5 * nuls >= 4 * (bytes.len().min(64) / 2);
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        _ if is_half(nuls_at(1)) && nuls_at(0) == 0 => utf_16(bytes, u16::from_le_bytes),
        _ if is_half(nuls_at(0)) && nuls_at(1) == 0 => utf_16(bytes, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map_or_else(|_| latin_1(bytes), ToOwned::to_owned)
        }
    };
    text.replace('\0', "")
}

/// Each byte as the character of its number.
pub(super) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    char::decode_utf16(bytes.as_chunks::<2>().0.iter().map(|&pair| unit(pair)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// With a decimal point in the place of a decimal comma.
fn with_point(number: &str) -> String {
    if number.contains('.') { number.to_owned() } else { number.replacen(',', ".", 1) }
}

/// A positive number of a unit that is ten to the `power` nm, in nm. The decimal sign may be a comma.
pub(super) fn nanometres(number: &str, power: i32) -> Option<f64> {
    units::decimal(&with_point(number.trim()), power).filter(|&size| size > 0.0)
}

/// A positive length with its unit (`26.37 nm`, `0,5 µm`), in nm. Without a unit it has `unit`, a power of ten of nm.
pub(super) fn length(text: &str, unit: Option<i32>) -> Option<f64> {
    let text = with_point(text.trim());
    match units::length(&text) {
        Err(units::Wrong::NoUnit) => units::decimal(&text, unit?),
        other => other.ok(),
    }
    .filter(|&size| size > 0.0)
}

/// A count of pixels, such as `59`, `59.0` or ` 59 `.
pub(super) fn count(text: &str) -> Option<usize> {
    let number = units::decimal(&with_point(text.trim()), 0)?;
    ((0.0..=1e7).contains(&number) && number.fract() == 0.0).then_some(number as usize)
}

/// Two counts: `1280x960`, `1024 * 768`, `1280 960`.
pub(super) fn size(text: &str) -> Option<(usize, usize)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).map(count);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Some(width)), Some(Some(height)), None) if width > 0 && height > 0 => Some((width, height)),
        _ => None,
    }
}
