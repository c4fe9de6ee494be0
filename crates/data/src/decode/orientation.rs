//! The orientation of a stored image (TIFF 6.0 and EXIF, tag 274).

/// The tag's number.
pub(super) const TAG: u16 = 274;

/// A stored orientation: 1 (as stored) to 8. Other values mean nothing and are 1, as in viewers.
pub(super) fn valid(stored: u64) -> u8 {
    if (1..=8).contains(&stored) { stored as u8 } else { 1 }
}

/// `values`, stored as `[height, width, channels]` of `size` = (width, height), as they are to be seen; and their size.
pub(super) fn upright<T: Copy>(
    values: Vec<T>,
    size: (usize, usize),
    channels: usize,
    orientation: u8,
) -> (Vec<T>, (usize, usize)) {
    let (width, height) = size;
    let turned = if orientation >= 5 { (height, width) } else { size };
    // The stored (column, row) of a pixel that is to be seen at (x, y).
    let stored = |x: usize, y: usize| match orientation {
        2 => (width - 1 - x, y),
        3 => (width - 1 - x, height - 1 - y),
        4 => (x, height - 1 - y),
        5 => (y, x),
        6 => (y, height - 1 - x),
        7 => (width - 1 - y, height - 1 - x),
        8 => (width - 1 - y, x),
        _ => (x, y),
    };
    if !(2..=8).contains(&orientation) {
        return (values, size);
    }
    let mut seen = Vec::with_capacity(values.len());
    for y in 0..turned.1 {
        for x in 0..turned.0 {
            let (column, row) = stored(x, y);
            let at = (row * width + column) * channels;
            seen.extend_from_slice(&values[at..at + channels]);
        }
    }
    (seen, turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letter F of 2×3 pixels, as the EXIF standard draws it.
    #[test]
    fn every_orientation_is_undone() {
        let upright_f = ([1, 2, 3, 4, 5, 6], (2, 3));
        let stored: [(u8, [i32; 6], (usize, usize)); 8] = [
            (1, [1, 2, 3, 4, 5, 6], (2, 3)),
            (2, [2, 1, 4, 3, 6, 5], (2, 3)),
            (3, [6, 5, 4, 3, 2, 1], (2, 3)),
            (4, [5, 6, 3, 4, 1, 2], (2, 3)),
            (5, [1, 3, 5, 2, 4, 6], (3, 2)),
            (6, [2, 4, 6, 1, 3, 5], (3, 2)),
            (7, [6, 4, 2, 5, 3, 1], (3, 2)),
            (8, [5, 3, 1, 6, 4, 2], (3, 2)),
        ];
        for (orientation, values, size) in stored {
            let (seen, turned) = upright(values.to_vec(), size, 1, orientation);
            assert_eq!((seen.as_slice(), turned), (&upright_f.0[..], upright_f.1), "{orientation}");
        }
    }
}
