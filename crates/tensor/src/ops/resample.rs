//! Separable resampling of images: each row of the result is a weighted sum of rows, and each of its pixels one of pixels of
//! that row.

use super::host::Element;
use rayon::prelude::*;

/// The positions along one axis that are blended into one position of the result, and the weight of each.
pub(crate) type Taps<T> = Vec<(usize, T)>;

/// The transpose of `taps`: for each of the `size` positions before, the positions of the result that it was blended into.
pub(crate) fn transposed<T: Element>(taps: &[Taps<T>], size: usize) -> Vec<Taps<T>> {
    let mut destinations = vec![Taps::new(); size];
    for (output, taps) in taps.iter().enumerate() {
        for &(input, weight) in taps {
            destinations[input].push((output, weight));
        }
    }
    destinations
}

/// `result += Σ weight · lines[place]` over `taps`, where every line has the result's length.
fn blend<T: Element>(result: &mut [T], lines: &[T], taps: &Taps<T>) {
    let length = result.len();
    for &(place, weight) in taps {
        for (result, value) in result.iter_mut().zip(&lines[place * length..][..length]) {
            *result += weight * *value;
        }
    }
}

/// Applies `rows` and `columns` to images whose rows hold `width` pixels of `channels`.
pub(crate) fn resample<T: Element>(
    images: &[T],
    [width, channels]: [usize; 2],
    height: usize,
    rows: &[Taps<T>],
    columns: &[Taps<T>],
) -> Vec<T> {
    let line = width * channels;
    let mut result = vec![T::zero(); images.len() / (height * width) * rows.len() * columns.len()];
    result.par_chunks_mut(columns.len() * channels).enumerate().for_each(|(index, result)| {
        let image = &images[index / rows.len() * height * line..][..height * line];
        let mut blended = vec![T::zero(); line];
        blend(&mut blended, image, &rows[index % rows.len()]);
        for (pixel, taps) in result.chunks_exact_mut(channels).zip(columns) {
            blend(pixel, &blended, taps);
        }
    });
    result
}
