//! Paths as addresses.

use std::fmt::Write as _;

/// A relative path as a relative URL: what is no letter, digit or `-._~/` is percent-encoded (RFC 3986). `./` in front keeps
/// a colon from making a scheme.
pub(crate) fn address(path: &str) -> String {
    let mut address = "./".to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_and_makes_no_scheme() {
        assert_eq!(address("a b#1/ü<.png"), "./a%20b%231/%C3%BC%3C.png");
        assert_eq!(address("javascript:x"), "./javascript%3Ax");
    }
}
