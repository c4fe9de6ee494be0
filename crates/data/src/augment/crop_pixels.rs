//! The planes and labels of a crop from those of an image.

use super::planes::Planes;
use super::reflect::reflect;
use crate::{Mask, Micrograph};
use std::mem::MaybeUninit;

/// Writes the pixels and labels whose indices in the image are `sources`.
pub(super) fn moved<I: Iterator<Item = usize>>(
    image: &Micrograph,
    mask: &Mask,
    sources: impl Fn() -> I,
    planes: &mut Planes,
    labels: &mut [MaybeUninit<u8>],
) {
    match planes.rgb_mut() {
        None if image.channels > 1 => {
            for (label, i) in labels.iter_mut().zip(sources()) {
                label.write(mask.labels[i]);
            }
            for (channel, plane) in planes.each_mut().enumerate() {
                for (value, i) in plane.iter_mut().zip(sources()) {
                    *value = f32::from(image.pixels[i * image.channels + channel]);
                }
            }
        }
        None => {
            for ((label, value), i) in labels.iter_mut().zip(planes.values_mut()).zip(sources()) {
                label.write(mask.labels[i]);
                *value = f32::from(image.pixels[i]);
            }
        }
        Some([red, green, blue]) => {
            let pixels = image.pixels.as_chunks::<3>().0;
            for ((((label, red), green), blue), i) in labels.iter_mut().zip(red).zip(green).zip(blue).zip(sources()) {
                label.write(mask.labels[i]);
                [*red, *green, *blue] = pixels[i].map(f32::from);
            }
        }
    }
}

/// Writes what lies at the points `source` (column, row) of the image, in pixels: values bilinear, labels of the nearest pixel. Beyond its
/// border the image is mirrored.
pub(super) fn warped(
    image: &Micrograph,
    mask: &Mask,
    source: impl Fn(usize, usize) -> [f64; 2],
    planes: &mut Planes,
    labels: &mut [MaybeUninit<u8>],
) {
    let (width, channels) = (planes.width(), image.channels);
    let mirrored = |at: f64, length: usize| reflect(at.abs() as usize, length);
    let (mut places, mut nearest) = (Vec::with_capacity(labels.len()), labels.iter_mut());
    for y in 0..planes.height() {
        for x in 0..width {
            let [column, row] = source(x, y);
            let pixel = |dx: f64, dy: f64| {
                mirrored(row.floor() + dy, image.height) * image.width + mirrored(column.floor() + dx, image.width)
            };
            let label = mirrored(row.round(), image.height) * image.width + mirrored(column.round(), image.width);
            if let Some(to) = nearest.next() {
                to.write(mask.labels[label]);
            }
            let corners = [pixel(0.0, 0.0), pixel(1.0, 0.0), pixel(0.0, 1.0), pixel(1.0, 1.0)];
            places.push((corners, [(column - column.floor()) as f32, (row - row.floor()) as f32]));
        }
    }
    for (channel, plane) in planes.each_mut().enumerate() {
        for (value, (corners, [across, down])) in plane.iter_mut().zip(&places) {
            let [a, b, c, d] = corners.map(|pixel| f32::from(image.pixels[pixel * channels + channel]));
            let (upper, lower) = (a + across * (b - a), c + across * (d - c));
            *value = upper + down * (lower - upper);
        }
    }
}
