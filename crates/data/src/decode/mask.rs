//! From the bytes of a file to the labels or colours of a mask.

use super::container::{Container, container};
use super::facts::Facts;
use super::guard::guarded;
use super::micrograph::decode_image;
use super::options::ImageOptions;
use super::orientation::upright;
use super::refusal::{Decoded, Refusal};
use super::stored::{Real, Stored, Values};
use super::{file, tif};
use crate::{DataError, Mask, Micrograph};
use std::path::Path;

/// Reads a mask: the label values as stored, not yet mapped to classes, turned as the file says.
///
/// * Grey: the stored value (0 or 1 of 1 bit), not its brightness, also where 0 stands for white. Values of more than 8
///   bits and floating-point values are read if they are whole and none exceeds 255.
/// * Indexed (png, tif, bmp): the index into the palette, not its colour.
/// * RGB(A) with equal channels: that value.
///
/// Of a tif with several pages, `page` is read; of a tif with one page that page, whatever `page` is.
///
/// # Errors
/// [`DataError::Bad`]: what is refused in images; lossy compression, whatever the file (its values are not those that
/// were saved); colours; values that are not whole or not from 0 to 255.
pub fn decode_mask(path: &Path, bytes: &[u8], page: Option<usize>) -> Result<Mask, DataError> {
    guarded(|| decode(bytes, page)).map_err(|refusal| refusal.of(path))
}

/// Reads a mask whose colours are its classes: grey or RGB of 8 bits, the colours of a palette rather than its indices.
///
/// # Errors
/// [`DataError::Bad`]: what is refused in images; lossy compression (its colours are not those that were saved).
pub(crate) fn decode_colors(path: &Path, bytes: &[u8], page: Option<usize>) -> Result<Micrograph, DataError> {
    let page = guarded(|| {
        refuse_lossy(bytes, page)?;
        page_of_mask(bytes, page)
    });
    let page = page.map_err(|refusal| refusal.of(path))?;
    decode_image(path, bytes, &ImageOptions { bits: Some(16), page, ..ImageOptions::default() })
}

fn decode(bytes: &[u8], page: Option<usize>) -> Decoded<Mask> {
    refuse_lossy(bytes, page)?;
    let mut stored = file::stored(bytes, page_of_mask(bytes, page)?)?;
    if stored.palette.is_none() {
        let facts = Facts::of(&stored, &ImageOptions::default());
        let alpha = facts.channel(stored.colours);
        stored = stored.without_alpha(alpha)?;
    }
    let Stored { size, channels, orientation, bits, values, .. } = stored;
    let labels = match values {
        Values::U8(values) => equal_channels(values, channels)?,
        Values::U16(values) => equal_channels(values, channels)?
            .iter()
            .map(|&value| u8::try_from(value).map_err(|_| not_a_label(&format!("{bits}-bit"), value)))
            .collect::<Decoded<_>>()?,
        Values::Real(values, kind) => {
            let kind = if kind == Real::Floating { "floating-point".to_owned() } else { format!("{bits}-bit") };
            let label = |&value: &f64| {
                let is_label = (0.0..=255.0).contains(&value) && value.fract() == 0.0;
                is_label.then_some(value as u8).ok_or_else(|| not_a_label(&kind, value))
            };
            equal_channels(values, channels)?.iter().map(label).collect::<Decoded<_>>()?
        }
    };
    let (labels, (width, height)) = upright(labels, size, 1, orientation);
    Ok(Mask { width, height, labels })
}

/// `page`, if the mask has several.
fn page_of_mask(bytes: &[u8], page: Option<usize>) -> Decoded<Option<usize>> {
    match page {
        Some(page) if container(bytes)? == Container::Tif && tif::page_count(bytes)? > 1 => Ok(Some(page)),
        _ => Ok(None),
    }
}

fn refuse_lossy(bytes: &[u8], page: Option<usize>) -> Decoded<()> {
    let how = match container(bytes)? {
        Container::Jpg => Some("stored as jpg".to_owned()),
        Container::Tif => tif::lossy_compression(bytes, page_of_mask(bytes, page)?)?
            .map(|name| format!("compressed by {name} in a tif")),
        Container::Png | Container::Bmp => None,
    };
    match how {
        Some(how) => {
            let problem = format!("a mask {how}, which changes the values that were saved");
            Err(Refusal::new(problem, "export it again as png or tif without such compression"))
        }
        None => Ok(()),
    }
}

/// One value a pixel.
fn equal_channels<T: Copy + PartialEq + std::fmt::Display>(values: Vec<T>, channels: usize) -> Decoded<Vec<T>> {
    if channels == 1 {
        return Ok(values);
    }
    let one = |pixel: &[T]| {
        if pixel.iter().all(|value| *value == pixel[0]) {
            return Ok(pixel[0]);
        }
        let colour: Vec<String> = pixel.iter().map(T::to_string).collect();
        Err(Refusal::new(
            format!("a mask in colours, such as ({})", colour.join(", ")),
            "save one label value a pixel, grey, 8 bits; format `folder` reads colours that `colors` names",
        ))
    };
    values.chunks_exact(channels).map(one).collect()
}

fn not_a_label(kind: &str, value: impl std::fmt::Display) -> Refusal {
    Refusal::new(format!("a {kind} mask with the value {value}"), "save label values from 0 to 255, 8 bits")
}
