//! The eight symmetries of a square.

use serde::{Deserialize, Serialize};

/// A change of an image: mirrored or turned by a multiple of 90°, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetry {
    /// As it is.
    Identity,
    /// Left and right exchanged.
    MirroredX,
    /// Top and bottom exchanged.
    MirroredY,
    /// Turned by 180°.
    Turned180,
    /// Rows became columns.
    Transposed,
    /// Transposed, then left and right exchanged: turned clockwise by 90°.
    Turned90,
    /// Transposed, then top and bottom exchanged: turned counterclockwise by 90°.
    Turned270,
    /// Transposed, then turned by 180°.
    Antitransposed,
}

impl Symmetry {
    /// All of them.
    pub const ALL: [Symmetry; 8] = [
        Symmetry::Identity,
        Symmetry::MirroredX,
        Symmetry::MirroredY,
        Symmetry::Turned180,
        Symmetry::Transposed,
        Symmetry::Turned90,
        Symmetry::Turned270,
        Symmetry::Antitransposed,
    ];

    /// `""` for the identity, else `mirrored`, `turned by 90°`, ….
    pub fn words(self) -> &'static str {
        match self {
            Symmetry::Identity => "",
            Symmetry::MirroredX => "mirrored left to right",
            Symmetry::MirroredY => "mirrored top to bottom",
            Symmetry::Turned180 => "turned by 180°",
            Symmetry::Transposed => "transposed",
            Symmetry::Turned90 => "turned by 90°",
            Symmetry::Turned270 => "turned by 270°",
            Symmetry::Antitransposed => "transposed and turned by 180°",
        }
    }

    /// Whether the image is transposed first, and whether then columns and rows are mirrored.
    pub(crate) fn parts(self) -> (bool, bool, bool) {
        match self {
            Symmetry::Identity => (false, false, false),
            Symmetry::MirroredX => (false, true, false),
            Symmetry::MirroredY => (false, false, true),
            Symmetry::Turned180 => (false, true, true),
            Symmetry::Transposed => (true, false, false),
            Symmetry::Turned90 => (true, true, false),
            Symmetry::Turned270 => (true, false, true),
            Symmetry::Antitransposed => (true, true, true),
        }
    }

    /// The size after the change of an image of `size` = (width, height).
    pub(crate) fn size(self, size: (usize, usize)) -> (usize, usize) {
        if self.parts().0 { (size.1, size.0) } else { size }
    }

    /// Where the pixel (column, row) of an image of `size` lies after the change.
    pub(crate) fn apply_to_pixel(self, pixel: (usize, usize), size: (usize, usize)) -> (usize, usize) {
        let (transposed, mirror_x, mirror_y) = self.parts();
        let (x, y) = if transposed { (pixel.1, pixel.0) } else { pixel };
        let (width, height) = self.size(size);
        (if mirror_x { width - 1 - x } else { x }, if mirror_y { height - 1 - y } else { y })
    }

    /// Where the pixel (column, row) of the changed image was before the change: the inverse of
    /// `apply_to_pixel`.
    pub fn origin(self, pixel: (usize, usize), size: (usize, usize)) -> (usize, usize) {
        let (transposed, mirror_x, mirror_y) = self.parts();
        let (width, height) = self.size(size);
        let x = if mirror_x { width - 1 - pixel.0 } else { pixel.0 };
        let y = if mirror_y { height - 1 - pixel.1 } else { pixel.1 };
        if transposed { (y, x) } else { (x, y) }
    }

    /// The changed image, from `values` `[height, width]`.
    pub(crate) fn apply<T: Copy + Default>(self, values: &[T], size: (usize, usize)) -> Vec<T> {
        if self == Symmetry::Identity {
            return values.to_vec();
        }
        let width = self.size(size).0;
        let mut out = vec![T::default(); values.len()];
        for (i, &value) in values.iter().enumerate() {
            let (x, y) = self.apply_to_pixel((i % size.0, i / size.0), size);
            out[y * width + x] = value;
        }
        out
    }
}
