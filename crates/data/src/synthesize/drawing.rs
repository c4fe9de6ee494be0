//! What a structure draws: ideal grey values and the class of each pixel.

/// A drawing of `size` × `size` pixels, before it is photographed.
pub(super) struct Drawing {
    /// Side in pixels.
    pub(super) size: usize,
    /// Ideal grey values, 0 to 255, `[size, size]`.
    pub(super) grey: Vec<f64>,
    /// Index of the class, `[size, size]`.
    pub(super) labels: Vec<u8>,
}

impl Drawing {
    /// All pixels have grey value 0 and class 0.
    pub(super) fn new(size: usize) -> Self {
        Drawing { size, grey: vec![0.0; size * size], labels: vec![0; size * size] }
    }

    /// Sets every pixel to what `look` says of its position: (grey value, class).
    pub(super) fn fill(&mut self, look: impl Fn(f64, f64) -> (f64, u8)) {
        let size = self.size;
        for (i, (grey, label)) in self.grey.iter_mut().zip(&mut self.labels).enumerate() {
            (*grey, *label) = look((i % size) as f64, (i / size) as f64);
        }
    }
}
