//! Mirroring at the border of an image.

/// `i` mirrored into 0..`length` as often as necessary, without repeating the border pixel (numpy's `reflect`).
pub(crate) fn reflect(i: usize, length: usize) -> usize {
    if i < length {
        return i;
    }
    // A single pixel is mirrored into itself.
    let i = i % (2 * length - 2).max(1);
    if i < length { i } else { 2 * length - 2 - i }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_pixel_is_not_repeated() {
        assert_eq!((0..9).map(|i| reflect(i, 3)).collect::<Vec<_>>(), [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(reflect(5, 1), 0);
    }
}
