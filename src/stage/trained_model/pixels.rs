//! Sizes of the pixels of training images.

use crate::data::Entry;

/// Sizes that differ by less are one.
const SAME: f64 = 1.01;

/// Size of a pixel in nm, if it is one for all images, and the smallest and largest, as far as they are known.
pub(super) fn sizes(entries: &[&Entry]) -> (Option<f64>, Option<[f64; 2]>) {
    let known: Vec<f64> = entries.iter().filter_map(|entry| entry.pixel_size).flatten().collect();
    let least = known.iter().copied().min_by(f64::total_cmp);
    let most = known.iter().copied().max_by(f64::total_cmp);
    let (Some(least), Some(most)) = (least, most) else { return (None, None) };
    let is_known = entries.iter().all(|entry| entry.pixel_size.is_some());
    let is_resampled = entries.iter().all(|entry| entry.resampled_by.is_some());
    let is_one = is_known && (is_resampled || most <= SAME * least);
    let one = if least == most { least } else { (least * most).sqrt() };
    (is_one.then_some(one), Some([least, most]))
}

/// What a user should know of images that were resized to a given number of pixels.
pub(super) fn resized(entries: &[&Entry]) -> Option<String> {
    let entry = entries.iter().find(|entry| entry.resized_from.is_some() && entry.resampled_by.is_none())?;
    Some(format!(
        "its training images were resized to {}×{} pixels, whatever their size was (`resize`); `predict` takes images as they \
         are: give it images of the same scale",
        entry.width, entry.height
    ))
}
