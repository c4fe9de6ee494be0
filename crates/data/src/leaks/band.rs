//! Grey images and their band-passed versions.

use crate::Micrograph;

/// The radii in pixels of two box blurs, each applied twice. Structure between the two sizes is kept.
pub(super) type Radii = (usize, usize);
/// The band in which images are compared: structure from single pixels to a width of about 40. Shading and the layers of a
/// coating are wider, and look alike in images of different places.
pub(super) const WIDE: Radii = (1, 12);

/// Grey values, `[height, width]`.
#[derive(Clone)]
pub(super) struct Grey<T = u8> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<T>,
}

impl Grey {
    /// The mean of an image's channels.
    pub(super) fn of(image: &Micrograph) -> Grey {
        let values = match image.channels {
            1 => image.pixels.clone(),
            _ => image.mean_of_channels(),
        };
        Grey { width: image.width, height: image.height, values }
    }

    /// The difference of two blurs. Sums are integers, so that a mirrored or turned image gives exactly the same values.
    pub(super) fn band(&self, (fine, coarse): Radii) -> Grey<f32> {
        let (fine, coarse) = (self.blurred(fine), self.blurred(coarse));
        let values = fine.0.iter().zip(&coarse.0).map(|(&f, &c)| f as f32 / fine.1 - c as f32 / coarse.1).collect();
        Grey { width: self.width, height: self.height, values }
    }

    /// Sums of two box blurs of `radius`, and the number of pixels in each sum. At the edges the last pixel is repeated.
    fn blurred(&self, radius: usize) -> (Vec<u32>, f32) {
        let mut values: Vec<u32> = self.values.iter().map(|&v| u32::from(v)).collect();
        for _ in 0..2 {
            values = along_rows(&values, self.width, radius);
            values = along_columns(&values, self.width, radius);
        }
        (values, ((2 * radius + 1) as f32).powi(4))
    }
}

fn along_rows(values: &[u32], width: usize, radius: usize) -> Vec<u32> {
    let mut sums = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        let at = |x: isize| row[x.clamp(0, width as isize - 1) as usize];
        let radius = radius as isize;
        let mut sum: u32 = (-radius..=radius).map(at).sum();
        for x in 0..width as isize {
            sums.push(sum);
            sum = sum + at(x + radius + 1) - at(x - radius);
        }
    }
    sums
}

fn along_columns(values: &[u32], width: usize, radius: usize) -> Vec<u32> {
    let height = values.len() / width;
    let row = |y: isize| {
        let y = y.clamp(0, height as isize - 1) as usize;
        &values[y * width..(y + 1) * width]
    };
    let radius = radius as isize;
    let mut sum = vec![0; width];
    for y in -radius..=radius {
        sum.iter_mut().zip(row(y)).for_each(|(sum, &v)| *sum += v);
    }
    let mut sums = Vec::with_capacity(values.len());
    for y in 0..height as isize {
        sums.extend_from_slice(&sum);
        for ((sum, &enters), &leaves) in sum.iter_mut().zip(row(y + radius + 1)).zip(row(y - radius)) {
            *sum = *sum + enters - leaves;
        }
    }
    sums
}
