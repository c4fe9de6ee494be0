//! From an image's pixels to the model's.

use super::agreement::same_size;
use matssl_data::Resampled;
use matssl_data::pixel_size::in_words;

/// How many times larger or smaller the pixels of an image may be than those of the model's images.
const MOST: f64 = 64.0;

/// The size of an image's pixels cannot be true.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotScale(String);

/// Pixels of the image, across and down, for one of the model; `None` if both sizes are not known, or the same within 1 %.
///
/// # Errors
/// If they differ by more than 64 times: one of them is not true.
pub(super) fn factors(model: Option<f64>, image: Option<[f64; 2]>) -> Result<Option<[f64; 2]>, CannotScale> {
    let (Some(model), Some(image)) = (model, image) else { return Ok(None) };
    if image.iter().all(|&size| same_size(size, model)) {
        return Ok(None);
    }
    let factors = image.map(|size| model / size);
    if !factors.iter().all(|factor| (1.0 / MOST..=MOST).contains(factor)) {
        return Err(CannotScale(format!(
            "a pixel of the image is {} × {}, and of the model's images {}: they are more than {MOST} times apart; check the \
             size of a pixel, or set it (`--pixel-size`)",
            in_words(image[0]),
            in_words(image[1]),
            in_words(model)
        )));
    }
    Ok(Some(factors))
}

/// The size (width, height) of the image that the model sees.
///
/// # Errors
/// If nothing would be left.
pub(super) fn scaled((width, height): (usize, usize), [across, down]: [f64; 2]) -> Result<(usize, usize), CannotScale> {
    type Any<'a> = Resampled<&'a mut dyn matssl_data::Rows>;
    let size = (Any::length(width, across), Any::length(height, down));
    if size.0 == 0 || size.1 == 0 {
        return Err(CannotScale(format!(
            "an image of {width} × {height} pixels has no pixel at the model's size of a pixel, which is {across:.1} × \
             {down:.1} of its own; check the size of a pixel, or set it (`--pixel-size`)"
        )));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_scaled_where_both_sizes_are_known_and_differ() {
        let of = |model, image| factors(model, image).unwrap();
        assert_eq!(of(Some(50.0), Some([25.0, 100.0])), Some([2.0, 0.5]));
        assert_eq!(of(Some(50.0), Some([50.4, 49.6])), None);
        assert_eq!(of(Some(50.0), Some([50.0, 50.6])), Some([1.0, 50.0 / 50.6]));
        assert_eq!((of(None, Some([25.0; 2])), of(Some(50.0), None)), (None, None));
        let error = factors(Some(50.0), Some([50_000.0; 2])).unwrap_err().to_string();
        assert!(error.starts_with("a pixel of the image is 50 µm × 50 µm, and of the model's images 50 nm"), "{error}");
        assert_eq!(scaled((100, 51), [2.0, 2.0]).unwrap(), (50, 26));
        assert!(scaled((100, 1), [3.0, 3.0]).unwrap_err().to_string().contains("--pixel-size"));
    }
}
